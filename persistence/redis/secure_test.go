package redis_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/redis"
	"github.com/signalbox/signalbox/persistence/redis/redistest"
	"github.com/signalbox/signalbox/persistence/storetest"
)

// documentedUser is the rule of the user that the README documents, with a password
// and without what this Redis does not know.
func documentedUser(t *testing.T, password string) []string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\nuser signalbox ")
	line, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		t.Fatal("the README has no line of a user")
	}
	return strings.Fields(strings.Replace(line, ">PASSWORD", ">"+password, 1))
}

// secured is a server over TLS with the documented user, and the address for it.
func secured(t *testing.T) (*redistest.Server, string) {
	t.Helper()
	authority := redistest.NewAuthority(t)
	server, address := redistest.StartTLS(t, authority)
	if answer := server.Do(append([]string{"ACL", "SETUSER", "signalbox"}, documentedUser(t, "secret")...)...); answer != "OK" {
		t.Fatalf("the documented user is refused: %s", answer)
	}
	cert, key := authority.Issue("node")
	return server, fmt.Sprintf("rediss://signalbox:secret@%s?ca=%s&cert=%s&key=%s", address, authority.File, cert, key)
}

// TestSuiteSecured is the suite over TLS with certificates on both sides, for a user
// that may do what the README says and nothing else, under a prefix of its own.
func TestSuiteSecured(t *testing.T) {
	slow(t)
	server, address := secured(t)
	t.Cleanup(func() {
		if log := server.Do("ACL", "LOG"); log != "" {
			t.Errorf("the server refused something:\n%s", log)
		}
	})
	storetest.Run(t, func(t *testing.T) storetest.Opener {
		a, err := redis.ParseAddress(fmt.Sprintf("%s&prefix=signalbox:%d:&partitions=3", address, fresh.Add(1)))
		if err != nil {
			t.Fatal(err)
		}
		return func() (persistence.Store, error) { return redis.Open(t.Context(), a, redis.Options{}) }
	})
}

// TestWhoMayNotIsToldSo: an opening says which command or which keys are not allowed,
// before anything is written.
func TestWhoMayNotIsToldSo(t *testing.T) {
	t.Parallel()
	server, address := secured(t)
	refused := func(what, address, says string) {
		t.Helper()
		s, err := tryAt(t, address, redis.Options{})
		if err == nil {
			_ = s.Close()
			t.Errorf("%s: opened", what)
			return
		}
		if !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, which does not say %q", what, err, says)
		}
	}
	refused("keys of others", address+"&prefix=others:", "others:")
	server.Do("ACL", "SETUSER", "signalbox", "-mset", "-zrem")
	refused("commands of scripts", address, "mset, zrem")
	server.Do("ACL", "SETUSER", "signalbox", "+mset", "+zrem", "-evalsha")
	refused("a command of the client", address, "ACL line")
	server.Do("ACL", "SETUSER", "signalbox", "+evalsha")
	refused("another password", strings.Replace(address, ":secret@", ":wrong@", 1), "password is wrong")
	if n := server.Do("DBSIZE"); n != "0" {
		t.Errorf("%s keys were written by those who may not", n)
	}
	openAt(t, address, redis.Options{})
}

// TestWhoIsTrusted: without the right certificates on both sides there is no store.
func TestWhoIsTrusted(t *testing.T) {
	t.Parallel()
	authority, stranger := redistest.NewAuthority(t), redistest.NewAuthority(t)
	_, address := redistest.StartTLS(t, authority)
	cert, key := authority.Issue("node")
	strange, strangeKey := stranger.Issue("node")
	for what, options := range map[string]string{
		"an authority that we do not trust": "ca=" + stranger.File + "&cert=" + cert + "&key=" + key,
		"no certificate of ours":            "ca=" + authority.File,
		"one that it does not trust":        "ca=" + authority.File + "&cert=" + strange + "&key=" + strangeKey, // it hangs up
		"the name of another":               "ca=" + authority.File + "&cert=" + cert + "&key=" + key + "&server_name=elsewhere",
	} {
		s, err := tryAt(t, "rediss://"+address+"?"+options, redis.Options{})
		if err == nil {
			_ = s.Close()
			t.Errorf("%s: opened", what)
		}
	}
	openAt(t, "rediss://"+address+"?ca="+authority.File+"&cert="+cert+"&key="+key, redis.Options{})
}

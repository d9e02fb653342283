package redis

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestAddresses(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	plain := Address{Kind: Standalone, Prefix: defaultPrefix, Confirm: confirmLimit}
	with := func(change func(*Address)) Address {
		a := plain
		change(&a)
		return a
	}
	for text, want := range map[string]Address{
		"redis://h":                 with(func(a *Address) { a.Hosts = []string{"h:6379"} }),
		"redis://h:1/3":             with(func(a *Address) { a.Hosts, a.DB = []string{"h:1"}, 3 }),
		"redis://[::1]":             with(func(a *Address) { a.Hosts = []string{"[::1]:6379"} }),
		"redis://u:p%40s/s:1@h:1/":  with(func(a *Address) { a.Hosts, a.Username, a.Password = []string{"h:1"}, "u", "p@s/s:1" }),
		"redis://:p@h?prefix=mine:": with(func(a *Address) { a.Hosts, a.Password, a.Prefix = []string{"h:6379"}, "p", "mine:" }),
		"redis://h?replicas=2&confirm=250ms&partitions=8": with(func(a *Address) {
			a.Hosts, a.Replicas, a.Confirm, a.Partitions = []string{"h:6379"}, 2, 250*time.Millisecond, 8
		}),
		"redis://u@h?password_file=" + secret: with(func(a *Address) { a.Hosts, a.Username, a.Password = []string{"h:6379"}, "u", "from a file" }),
		"redis+sentinel://a,b:1/main/2?sentinel_user=s&sentinel_password_file=" + secret: with(func(a *Address) {
			a.Kind, a.Hosts, a.Master, a.DB = Sentinel, []string{"a:26379", "b:1"}, "main", 2
			a.SentinelUsername, a.SentinelPassword = "s", "from a file"
		}),
		"redis+cluster://a:1,b:2": with(func(a *Address) { a.Kind, a.Hosts = Cluster, []string{"a:1", "b:2"} }),
	} {
		got, err := ParseAddress(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if d := cmp.Diff(&want, got, cmpopts.IgnoreFields(Address{}, "TLS")); d != "" || got.TLS != nil {
			t.Errorf("%s (-want +got):\n%s", text, d)
		}
	}
	got, err := ParseAddress("rediss+sentinel://u:secret@a/main?server_name=n")
	if err != nil || got.TLS == nil || got.TLS.ServerName != "n" {
		t.Errorf("an address with TLS: %+v, %v", got, err)
	}
	if shown := got.String(); shown != "rediss+sentinel://a:26379/main" {
		t.Errorf("an address is shown as %s", shown)
	}
}

func TestAddressesThatAreNone(t *testing.T) {
	for text, says := range map[string]string{
		"":                                  "begins with",
		"h:6379":                            "begins with",
		"http://h":                          "begins with",
		"redis+standalone://h":              "none of",
		"redis+ring://h":                    "none of",
		"redis://":                          "no HOST:PORT",
		"redis://h:x":                       "no HOST:PORT",
		"redis://h:0":                       "no HOST:PORT",
		"redis://a,b":                       "several are",
		"redis://h/x":                       "no number of a database",
		"redis+sentinel://h":                "name of the primary",
		"redis+cluster://h/1":               "only the database 0",
		"redis://u:secret%zz@h":             "%25",
		"redis://u:secret@h?colour=red":     "option \"colour\"",
		"redis://u:secret@h?prefix={x}":     "braces",
		"redis://u:secret@h?prefix=":        "bytes without",
		"redis://h?prefix=a&prefix=b":       "given 2 times",
		"redis://h?replicas=-1":             "from 0 to",
		"redis://h?partitions=0":            "from 1 to",
		"redis://h?confirm=1h":              "no duration",
		"redis://h?confirm=soon":            "no duration",
		"redis://h?password_file=/no/such":  "password_file",
		"redis://h?ca=x":                    "rediss",
		"redis://h?server_name=x":           "rediss",
		"rediss://h?ca=/no/such":            "ca",
		"rediss://h?cert=x":                 "go together",
		"rediss://h?cert=/no/such&key=/nor": "cert",
		"redis://h?%zz":                     "NAME=VALUE",
	} {
		_, err := ParseAddress(text)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want something about %q", text, err, says)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%v shows a password", err)
		}
	}
}

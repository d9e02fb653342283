package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	goredis "github.com/redis/go-redis/v9"
	"github.com/signalbox/signalbox/persistence"
)

// refusals are how Redis begins its answer when it certainly wrote nothing and may
// do so later: it is loading, full, a replica, moving slots. FENCED is our own.
var refusals = []string{
	"NOSCRIPT", "MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "LOADING", "READONLY", "OOM", "MISCONF",
	"NOREPLICAS", "MASTERDOWN", "BUSY", "NOAUTH", "WRONGPASS", "FENCED", "INCARNATION", "EXECABORT", "UNBLOCKED",
}

// meaning is what an error says about a write.
func meaning(err error) (fate, error) {
	var reply goredis.Error
	if errors.As(err, &reply) {
		text := reply.Error()
		word, _, _ := strings.Cut(text, " ")
		if word == "INCARNATION" {
			return unsent, &wrongRedis{found: strings.TrimPrefix(text, "INCARNATION ")}
		}
		for _, r := range refusals {
			// Redis before 7 puts its reason behind its own words.
			if word == r || strings.Contains(text, "-"+r+" ") {
				return unsent, explained(word, err)
			}
		}
		return refused, fmt.Errorf("%w: Redis broke off in a script, which should not happen: %w", persistence.ErrUnavailable, err)
	}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return unsent, err
	}
	return lost, err
}

// meaning is the same with what this store knows of its Redis.
func (s *Store) meaning(err error) (fate, error) {
	f, err := meaning(err)
	var wrong *wrongRedis
	if errors.As(err, &wrong) {
		wrong.want, wrong.remembered = s.incarnation, s.file
	}
	return f, err
}

// explained adds to the answer of a Redis what to do about it, where there is
// something to do.
func explained(word string, err error) error {
	todo := map[string]string{
		"OOM":        "it has reached its maxmemory: give it more, or sweep sooner (--retention)",
		"READONLY":   "it is a replica: name the primary, or use redis+sentinel://",
		"MISCONF":    "it cannot write its files: see its log and its disk",
		"LOADING":    "it is reading its files after a start: it will be there by itself",
		"NOAUTH":     "it asks for a password: redis://USER:PASSWORD@HOST",
		"WRONGPASS":  "the user or the password is wrong",
		"NOPERM":     "its user may not do that: an ACL line that suffices is in persistence/redis/README.md",
		"NOREPLICAS": "it has fewer replicas than its min-replicas-to-write",
		"BUSY":       "a script has been running in it for seconds",
	}[word]
	if todo == "" {
		return err
	}
	return fmt.Errorf("%w (%s)", err, todo)
}

// wrongRedis says that a Redis is not the one that the store was opened on.
type wrongRedis struct {
	want, found string // incarnations; "none" is found in an empty one
	remembered  string // the file that remembers what is wanted, "" for memory
}

func (w *wrongRedis) Error() string {
	what := "this Redis is another one than before (store " + w.found + ")"
	if w.found == "none" || w.found == "" {
		what = "this Redis is empty: it lost its data, restarted without its files, or is another one than before"
	}
	way := "restore its data; or, to go on without what was in it, stop the node and start it again"
	if w.remembered != "" {
		way = "name the right one, or restore its data (`signalbox store restore`); to go on without what was in it, remove the file " + w.remembered + " and start the node again"
	}
	if w.want != "" {
		what += ", and the store here is " + w.want
	}
	return what + "; nothing is written to it. What to do: " + way
}

// unavailable wraps what went wrong in a read; a caller who gave up hears that.
func unavailable(ctx context.Context, what, id string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %s %q: %w", persistence.ErrUnavailable, what, id, spelledOut(err))
}

// spelledOut is explained for an error that may be an answer of a Redis.
func spelledOut(err error) error {
	var reply goredis.Error
	if errors.As(err, &reply) {
		word, _, _ := strings.Cut(reply.Error(), " ")
		return explained(word, err)
	}
	return err
}

package cluster

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// mute is a link to a member that never answers, until it has gone.
type mute struct {
	Link
	gone *bool
}

func (m mute) Owner(string) (*Member, bool) {
	if *m.gone {
		return nil, false
	}
	return &Member{ID: "m", Address: "10.0.0.2:8090"}, false
}
func (mute) Send(string, string, *frame) {}

// TestANodeThatDoesNotAnswerIsNamed: after two attempts, once a minute, and not when
// it has died and is no member any more.
func TestANodeThatDoesNotAnswerIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		goes time.Duration // after which it is no member any more
		want int           // lines of the log
	}{
		"it hangs": {time.Hour, 2},
		"it died":  {LeaseTTL + time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				var gone bool
				r := newRequests(func() Link { return mute{gone: &gone} }, slog.New(slog.NewTextHandler(&log, nil)))
				begun := time.Now()
				for now := begun; now.Before(begun.Add(70 * time.Second)); now = now.Add(tick) {
					gone = now.Sub(begun) >= c.goes
					if now.Sub(begun)%time.Second == 0 {
						r.Ask(&Request{Key: "k", Until: now.Add(RequestTimeout), Done: func(Message, error) {}})
					}
					if gone {
						r.moved(&Table{View: View{}}, false)
					}
					time.Sleep(tick) // virtual: the bubble's clock
					r.look(time.Now())
				}
				if said := strings.Count(log.String(), "does not answer this one"); said != c.want {
					t.Errorf("it is said %d times, want %d:\n%s", said, c.want, log.String())
				}
				if c.want > 0 && !strings.Contains(log.String(), "address=10.0.0.2:8090 for=6s") {
					t.Errorf("neither the address nor the time is said:\n%s", log.String())
				}
			})
		})
	}
}

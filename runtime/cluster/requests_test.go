package cluster

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// notes is a link to one other member, and what was sent to it.
type notes struct {
	Link
	sent []frame
}

func (n *notes) Owner(string) (*Member, bool) {
	return &Member{ID: "m", Address: "10.0.0.2:8090"}, false
}
func (n *notes) Send(_, _ string, f *frame) { n.sent = append(n.sent, *f) }

// TestOlderWords: what a node of an older release does not know the type of is said
// to it once more in words that it knows, and one who has no other words hears why.
func TestOlderWords(t *testing.T) {
	older := func() (Message, error) { return Message{Type: typeDeliver, Body: []byte("long")}, nil }
	unsaid := errors.New("no words")
	for name, c := range map[string]struct {
		older func() (Message, error)
		says  []string // the types that are sent
		err   bool
	}{
		"older words": {older, []string{typeSignal, typeDeliver}, false},
		"no others":   {nil, []string{typeSignal}, true},
		"not sayable": {func() (Message, error) { return Message{}, unsaid }, []string{typeSignal}, true},
	} {
		t.Run(name, func(t *testing.T) {
			var link notes
			r := newRequests(func() Link { return &link }, nil)
			var got Message
			var ended error
			r.Ask(&Request{
				Key: "k", Until: time.Now().Add(RequestTimeout), Message: Message{Type: typeSignal, Body: []byte("short")}, Older: c.older,
				Done: func(m Message, err error) { got, ended = m, err },
			})
			for i := 0; i < len(link.sent); i++ { // an old node, which knows typeDeliver alone
				answer := frame{ID: link.sent[i].ID, Sender: "10.0.0.2:8090", Message: Message{Type: typeUnknown, Body: []byte("what?")}}
				if link.sent[i].Type == typeDeliver {
					answer.Message = Message{Type: typeReply, Body: link.sent[i].Body}
				}
				r.answered(answer)
			}
			var said []string
			for _, f := range link.sent {
				said = append(said, f.Type)
			}
			if !slices.Equal(said, c.says) || (ended != nil) != c.err || !c.err && string(got.Body) != "long" {
				t.Errorf("it said %v and got %q, %v; want %v, an error %t", said, got.Body, ended, c.says, c.err)
			}
			if n := r.count.Load(); n != 0 {
				t.Errorf("%d requests are still waited for", n)
			}
		})
	}
}

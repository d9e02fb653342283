package ordered

import (
	"bytes"
	"cmp"
	"errors"
	"testing"

	"github.com/signalbox/signalbox/workflow"
	"pgregory.net/rapid"
)

// TestKeysSortAsTheirParts and come back as they went in.
func TestKeysSortAsTheirParts(t *testing.T) {
	ids := rapid.StringOf(rapid.RuneFrom([]rune{0, 1, 'a', 'b', 0xff}))
	type tuple struct {
		id       string
		at, past workflow.Instant
	}
	draw := func(rt *rapid.T, what string) (tuple, []byte) {
		v := tuple{ids.Draw(rt, what), workflow.Instant(rapid.Int64().Draw(rt, what)), workflow.Instant(rapid.Int64().Draw(rt, what))}
		return v, Past(Instant(ID(nil, v.id), v.at), v.past)
	}
	rapid.Check(t, func(rt *rapid.T) {
		a, first := draw(rt, "a")
		b, second := draw(rt, "b")
		want := cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.at, b.at), cmp.Compare(b.past, a.past))
		if got := bytes.Compare(first, second); got != want {
			rt.Fatalf("%+v and %+v compare as %d, their keys as %d", a, b, want, got)
		}
		p := Parts[[]byte]{Rest: first}
		s := Parts[string]{Rest: string(first)}
		if back := (tuple{p.ID(), p.Instant(), p.Past()}); back != a || p.End() != nil {
			rt.Fatalf("%+v came back as %+v, %v", a, back, p.End())
		}
		if back := (tuple{s.ID(), s.Instant(), s.Past()}); back != a || s.End() != nil {
			rt.Fatalf("%+v came back as %+v, %v", a, back, s.End())
		}
		if next := After(ID(nil, a.id)); bytes.Compare(next, first) <= 0 || a.id < b.id && bytes.Compare(next, second) > 0 {
			rt.Fatalf("what is behind %q is %q", a.id, next)
		}
	})
}

// TestDamagedKeys are an error and never a panic.
func TestDamagedKeys(t *testing.T) {
	whole := Number(ID(nil, "a\x00b"), 7)
	for cut := range whole {
		p := Parts[[]byte]{Rest: whole[:cut]}
		p.ID()
		p.Number()
		if !errors.Is(p.End(), ErrKey) {
			t.Errorf("the first %d bytes are taken for a key", cut)
		}
	}
	p := Parts[string]{Rest: string(whole)}
	if p.ID(); !errors.Is(p.End(), ErrKey) {
		t.Error("a key with more behind it is taken for whole")
	}
	if After([]byte{0xff, 0xff}) != nil {
		t.Error("something is greater than all")
	}
}

package embedded

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/persistence/ordered"
	"github.com/signalbox/signalbox/workflow"
	"pgregory.net/rapid"
)

// ids draws ids that are made of the bytes that escaping is about.
var ids = rapid.Custom(func(t *rapid.T) string {
	return string(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 2, 'a', 0xfe, 0xff}), 0, 6).Draw(t, "id"))
})

// TestKeyOrder: keys sort as their parts do, and come apart into them again.
func TestKeyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type key struct {
			at   workflow.Instant
			a, b string
		}
		draw := func() key {
			return key{workflow.Instant(rapid.Int64().Draw(t, "at")), ids.Draw(t, "a"), ids.Draw(t, "b")}
		}
		k, l := draw(), draw()
		byTime := cmp.Or(cmp.Compare(k.at, l.at), strings.Compare(k.a, l.a), strings.Compare(k.b, l.b))
		if got := bytes.Compare(timerKey(nil, k.at, k.a, k.b), timerKey(nil, l.at, l.a, l.b)); got != byTime {
			t.Fatalf("timers %v and %v compare %d, want %d", k, l, got, byTime)
		}
		latest := cmp.Or(strings.Compare(k.a, l.a), cmp.Compare(l.at, k.at), strings.Compare(k.b, l.b))
		if got := bytes.Compare(listKey(nil, famLabel, "", k.a, k.at, k.b), listKey(nil, famLabel, "", l.a, l.at, l.b)); got != latest {
			t.Fatalf("listings %v and %v compare %d, want %d", k, l, got, latest)
		}
		p := parts{Rest: listKey(nil, famLabel, "", k.a, k.at, k.b)[len(key1(nil, famLabel, "")):]}
		if a, at, b := p.ID(), p.Past(), p.ID(); p.End() != nil || a != k.a || at != k.at || b != k.b {
			t.Fatalf("%v came apart into %q %v %q, %v", k, a, at, b, p.End())
		}
	})
}

// TestKeyPrefixes: a scan of one id meets no key of another one.
func TestKeyPrefixes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := ids.Draw(t, "a"), ids.Draw(t, "b")
		prefix := key1(nil, famReceipt, a)
		other := key2(nil, famReceipt, b, ids.Draw(t, "signal"))
		inside := bytes.Compare(other, prefix) >= 0 && bytes.Compare(other, afterAll(prefix)) < 0
		if inside != (a == b) {
			t.Fatalf("the key of %q is in the scan of %q: %v", b, a, inside)
		}
	})
}

// TestKeyParts: what is no key is refused and does not panic.
func TestKeyParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := parts{Rest: rapid.SliceOf(rapid.SampledFrom([]byte{0, 1, 2, 0xff})).Draw(t, "key")}
		before := bytes.Clone(p.Rest)
		id := p.ID()
		if p.Err == nil && !bytes.Equal(ordered.ID(nil, id), before[:len(before)-len(p.Rest)]) {
			t.Fatalf("%v reads as id %q", before, id)
		}
		p.Instant()
		if p.End() == nil && len(p.Rest) != 0 {
			t.Fatal("bytes were left")
		}
	})
}

// TestFamilies: no two families share a byte.
func TestFamilies(t *testing.T) {
	families := []byte{famMeta, famState, famRecord, famStatus, famWorkflow, famWait, famTimer, famWorking, famReceipt, famSignal, famEvent, famOpen, famSettled, famDocument, famFinished, famKey, famLabel, famUnique, famKeyed, famCorrelation, famKept, famExpiring}
	slices.Sort(families)
	if len(slices.Compact(slices.Clone(families))) != len(families) {
		t.Fatalf("families %q share a byte", families)
	}
}

// TestFloor: a scan never begins behind a timer, however arming and scanning interleave.
func TestFloor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFloor()
		timers := map[workflow.Instant]bool{} // that are visible
		var coming workflow.Instant           // that is armed but not yet visible; 0 for none
		type scan struct{ from, first workflow.Instant }
		var scans []scan
		t.Repeat(map[string]func(*rapid.T){
			"arm": func(t *rapid.T) {
				if coming != 0 {
					t.Skip("one at a time")
				}
				coming = workflow.Instant(rapid.IntRange(1, 30).Draw(t, "due"))
				f.arm(coming)
			},
			"armed": func(t *rapid.T) {
				if coming == 0 {
					t.Skip("nothing is coming")
				}
				timers[coming] = true
				coming = 0
				f.armed()
			},
			"fire": func(t *rapid.T) { delete(timers, workflow.Instant(rapid.IntRange(1, 30).Draw(t, "due"))) },
			"begin": func(*rapid.T) {
				s := scan{from: f.begin(), first: never}
				for due := range timers {
					if due >= s.from {
						s.first = min(s.first, due)
					}
				}
				scans = append(scans, s)
			},
			"end": func(t *rapid.T) {
				if len(scans) == 0 {
					t.Skip("no scan")
				}
				i := rapid.IntRange(0, len(scans)-1).Draw(t, "scan")
				f.end(scans[i].first)
				scans = slices.Delete(scans, i, i+1)
			},
			"": func(t *rapid.T) {
				for due := range timers {
					if f.at > due {
						t.Fatalf("scans begin at %d and miss the timer at %d", f.at, due)
					}
				}
			},
		})
	})
	if f := newFloor(); f.at != math.MinInt64 {
		t.Fatal("a new floor hides timers")
	}
}

package redis

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/persistence/ordered"
	"github.com/signalbox/signalbox/workflow"
	"pgregory.net/rapid"
)

// TestMembersSortAsTheirParts: ids, instants and past instants sort as they should,
// and come back from a member as they went in.
func TestMembersSortAsTheirParts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		id := rapid.OneOf(rapid.String(), rapid.StringOfN(rapid.RuneFrom([]rune{0, 1, 'a'}), 0, 4, -1))
		instant := rapid.Int64()
		a, b := id.Draw(rt, "a"), id.Draw(rt, "b")
		i, j := workflow.Instant(instant.Draw(rt, "i")), workflow.Instant(instant.Draw(rt, "j"))
		if got, want := bytes.Compare(member1(a), member1(b)), bytes.Compare([]byte(a), []byte(b)); got != want {
			rt.Fatalf("%q and %q sort %d, want %d", a, b, got, want)
		}
		if i < j && bytes.Compare(ordered.Instant(nil, i), ordered.Instant(nil, j)) >= 0 {
			rt.Fatalf("%d does not sort before %d", i, j)
		}
		if i < j && bytes.Compare(ordered.Past(nil, i), ordered.Past(nil, j)) <= 0 {
			rt.Fatalf("%d does not sort behind %d as a past one", i, j)
		}
		p := parts{Rest: string(waitMember(a, i, b, a))}
		if n, at, e, w := p.ID(), p.Instant(), p.ID(), p.ID(); n != a || at != i || e != b || w != a || p.End() != nil {
			rt.Fatalf("%q %d %q came back as %q %d %q %q, %v", a, i, b, n, at, e, w, p.End())
		}
		if next := ordered.After(member1(a)); bytes.Compare(member2(a, b), next) >= 0 || bytes.Compare(member1(a), next) >= 0 {
			rt.Fatalf("what follows %q does not follow all that it begins", a)
		}
	})
}

// TestSlots compares with what Redis documents and answers.
func TestSlots(t *testing.T) {
	for tag, want := range map[string]uint16{"123456789": 0x31c3 % slots, "foo": 12182, "": 0} {
		if got := slotOf(tag); got != want {
			t.Errorf("slot of %q is %d, want %d", tag, got, want)
		}
	}
}

// TestPartitions: the slots of the partitions lie in equal shares, and the layout
// never changes, because it is where everything is.
func TestPartitions(t *testing.T) {
	for _, count := range []int{1, 2, 3, 16, maxPartitions} {
		seen := map[string]bool{}
		for i, p := range partitionsOf("p:", count) {
			if p.number != i || seen[p.base] {
				t.Fatalf("partition %d of %d is %+v", i, count, p)
			}
			seen[p.base] = true
		}
	}
	var bases []string
	for _, p := range partitionsOf("p:", 4) {
		bases = append(bases, p.base)
	}
	if want := []string{"p:{3}:", "p:{2}:", "p:{1}:", "p:{0}:"}; !slices.Equal(bases, want) {
		t.Errorf("the partitions of 4 are %q, and were %q in every release", bases, want)
	}
	spread := make([]int, 4)
	parts := partitionsOf("p:", 4)
	for i := range 4000 {
		spread[homeOf(parts, fmt.Sprint("exec-", i)).number]++
	}
	if slices.Min(spread) < 800 {
		t.Errorf("4000 executions are spread as %v", spread)
	}
	if home := homeOf(parts, "order-17").number; home != 2 {
		t.Errorf("order-17 is in partition %d, and was in 2 in every release", home)
	}
}

// TestCommandsOfScripts: what a script calls is looked at when a store is opened.
func TestCommandsOfScripts(t *testing.T) {
	known := map[string]bool{}
	for _, command := range scripted {
		known[command] = true
	}
	called := map[string]bool{}
	for _, s := range scripts {
		for _, m := range regexp.MustCompile(`(?:redis\.call|flush)\('([A-Z]+)'`).FindAllStringSubmatch(s.source, -1) {
			command := strings.ToLower(m[1])
			called[command] = true
			if !known[command] {
				t.Errorf("a script calls %s, which is not looked at", command)
			}
		}
	}
	if len(called) != len(known) {
		t.Errorf("%d commands are called and %d are looked at", len(called), len(known))
	}
}

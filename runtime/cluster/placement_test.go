package cluster

import (
	"fmt"
	"testing"
)

func members(addresses ...string) View {
	var v View
	for i, a := range addresses {
		v.Members = append(v.Members, Member{ID: fmt.Sprintf("m%02d-%s", i, a), Address: a, Protocol: Protocol})
	}
	return v
}

// TestPlacementIsEven: addresses that differ in one character get equal shares.
// The stock hash gave one of three half of everything.
func TestPlacementIsEven(t *testing.T) {
	table := NewTable(members("127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003"))
	held := map[string]int{}
	const keys = 30_000
	for i := range keys {
		held[table.Owner(fmt.Sprint("execution-", i)).ID]++
	}
	for id, n := range held {
		if n < keys*28/100 || n > keys*39/100 {
			t.Errorf("%s holds %d of %d keys", id, n, keys)
		}
	}
}

// TestWhoComesOrGoesMovesItsOwnShare: no key moves between two who stay.
func TestWhoComesOrGoesMovesItsOwnShare(t *testing.T) {
	all := members("a:1", "b:1", "c:1", "d:1")
	before, after := NewTable(all), NewTable(View{Members: all.Members[:3]})
	gone := all.Members[3].ID
	for p, m := range before.owners {
		if m.ID != gone && after.owners[p].ID != m.ID {
			t.Fatalf("partition %d moved from %s to %s although both stay", p, m.ID, after.owners[p].ID)
		}
	}
	if moved, held := after.Moved(before), before.Held(gone); moved != held || held < Partitions/6 {
		t.Fatalf("%d partitions moved, the one that went held %d", moved, held)
	}
}

func TestWhoLeavesOwnsNothing(t *testing.T) {
	v := members("a:1", "b:1")
	v.Members[0].Leaving = true
	table := NewTable(v)
	if held := table.Held(v.Members[1].ID); held != Partitions {
		t.Fatalf("the one that stays holds %d of %d", held, Partitions)
	}
	v.Members[1].Leaving = true
	if m := NewTable(v).Owner("x"); m != nil {
		t.Fatalf("%s owns something although all are leaving", m.ID)
	}
}

func BenchmarkPartition(b *testing.B) {
	b.ReportAllocs()
	for range b.N {
		Partition("0192f0c1-2a4b-7c3d-8e9f-0123456789ab")
	}
}

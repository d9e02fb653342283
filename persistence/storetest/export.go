package storetest

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// portable is a store that can be copied.
type portable interface {
	persistence.Store
	persistence.Exporter
	persistence.Importer
}

// copies: everything that a store remembers goes through a backup into an empty one
// that then answers every question as the first did.
func copies(f *fixture, fresh Opener) {
	if _, faulty := f.Store.(*Faulty); faulty {
		f.Skip("a store that fails on purpose is not copied")
	}
	from, ok := f.Store.(portable)
	if !ok {
		f.Fatal("the store cannot be copied: it has no Export and Import")
	}
	populate(f)
	sum, err := persistence.SumOf(f.ctx, from)
	f.is("sum", err, nil)
	var file bytes.Buffer
	written, err := persistence.WriteBackup(&file, from.Export(f.ctx))
	f.is("backup", err, nil)
	if !written.Equal(sum) || sum.Items() == 0 {
		f.Fatalf("the sum of a store changes: %v and %v", sum, written)
	}
	for _, k := range persistence.ItemKinds {
		if sum.Counts[k.Kind] == 0 {
			f.Errorf("there are no %s in the export", k.Name)
		}
	}
	other, err := fresh()
	if err != nil {
		f.Fatalf("open: %v", err)
	}
	g := &fixture{T: f.T, Store: other, open: fresh, ctx: f.ctx}
	defer func() { f.is("close", g.Store.Close(), nil) }()
	filled, err := persistence.Fill(f.ctx, other.(persistence.Importer), persistence.ReadBackup(&file))
	f.is("fill", err, nil)
	if !filled.Equal(sum) {
		f.Errorf("sum of what was read back is %s, want %s", filled.Hash(), sum.Hash())
	}
	for range 2 {
		again, err := persistence.SumOf(f.ctx, g.Store.(persistence.Exporter))
		f.is("sum of the copy", err, nil)
		if !again.Equal(sum) {
			f.Errorf("sum of the copy is %v %s, want %v %s", again.Counts, again.Hash(), sum.Counts, sum.Hash())
		}
		sameAnswers(f, g)
		_, err = persistence.Verify(f.ctx, g.Store.(portable), func(wrong string) {
			if !strings.Contains(wrong, "breaks an invariant") { // the samples are no real ones
				f.Errorf("verify: %s", wrong)
			}
		})
		f.is("verify", err, nil)
		g.reopen()
	}
	// It goes on: what is next is made on what was copied.
	was := g.load("e3")
	c := next(was.State, 1, nil)
	c.Parent, c.Epoch = was.Commit, g.Epoch()
	g.must(c)
	g.taken("a key that was copied", g.commit(first(keyed("late", "K"))), "K", "keyed")
}

// populate fills a store with something of everything.
func populate(f *fixture) {
	strange := "e\x00\xff{}"
	for i, id := range []string{"e1", "e2", "e3", strange} {
		c := first(created(id, i))
		c.ID = uint64(i + 1)
		c.Receipts = []workflow.Receipt{receiptOf("s1", id, workflow.FateConsumed), receiptOf("s\x00", id, workflow.FateBuffered)}
		c.Working = i%2 == 0
		c.Events = []workflow.Event{eventOf("of " + id)}
		s := f.must(c)
		n := next(s, 3, func(now *workflow.State) { waiting("approve")(now); armed(5, 9)(now) })
		n.Parent, n.ID, n.Working, n.Worked = c.ID, uint64(i+10), c.Working, c.Working
		if i == 1 {
			ended(begin + 3)(n.Now)
			dead := letterOf("dead", begin+3)
			dead.Accepted = true
			n.Dead = []workflow.DeadLetter{dead}
		}
		f.must(n)
	}
	f.must(first(keyed("keyed", "K")))
	settled := persistence.Accepted(eventOf("of e1"))
	settled.Fate = workflow.FateDead
	f.settle(settled)
	f.is("keep", f.keepLetters(letterOf("refused", begin+4)), nil)
	f.is("put", f.PutDocument(f.ctx, "kind", "id\x00", []byte("body")), nil)
	f.is("put", f.PutDocument(f.ctx, "kind", "empty", []byte{}), nil)
}

// sameAnswers asks two stores everything.
func sameAnswers(f, g *fixture) {
	f.Helper()
	for what, ask := range map[string]func(*fixture) any{
		"executions": func(x *fixture) any {
			p, err := x.Executions(x.ctx, workflow.Query{})
			return fmt.Sprint(shown(p.Items), err)
		},
		"by status": func(x *fixture) any {
			p, err := x.Executions(x.ctx, workflow.Query{Status: workflow.Waiting})
			return fmt.Sprint(shown(p.Items), err)
		},
		"waits":       func(x *fixture) any { p, err := x.Waits(x.ctx, workflow.WaitQuery{}); return fmt.Sprint(p.Items, err) },
		"timers":      func(x *fixture) any { d, err := x.Due(x.ctx, begin+100, nil, 100); return fmt.Sprint(d, err) },
		"working":     func(x *fixture) any { w, err := x.Working(x.ctx, "", 100); return fmt.Sprint(w, err) },
		"receipts":    func(x *fixture) any { r, err := x.Receipts(x.ctx, "s1", "", 100); return fmt.Sprint(r, err) },
		"records":     func(x *fixture) any { r, err := x.Records(x.ctx, "e3", 0, 100); return fmt.Sprint(r, err) },
		"open events": func(x *fixture) any { e, err := x.OpenEvents(x.ctx, "", 100); return fmt.Sprint(len(e), err) },
		"books":       func(x *fixture) any { b, err := x.Books(x.ctx); return fmt.Sprint(b, err) },
		"letters":     func(x *fixture) any { return x.lettersOf(workflow.LetterQuery{}, 10) },
		"documents":   func(x *fixture) any { d, err := x.Documents(x.ctx, "kind", "", 10); return fmt.Sprint(d, err) },
		"holder":      func(x *fixture) any { h, err := x.Holder(x.ctx, "orders", "K"); return fmt.Sprint(h, err) },
	} {
		same(f, what+" of the copy", ask(g), ask(f))
	}
}

func shown(states []*workflow.State) string {
	var b strings.Builder
	for _, s := range states {
		fmt.Fprintf(&b, "%q %s %d %d %v\n", s.ExecID, s.Status, s.Version, s.Seq, s.Waits)
	}
	return b.String()
}

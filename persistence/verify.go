package persistence

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/signalbox/signalbox/workflow"
)

// Verify reads everything that a store remembers and everything that it lists, and
// says what does not decode, what breaks an invariant, and which list is not that of
// the executions. Nobody may write meanwhile. It needs no more memory for a store of
// any size. The error is that of a store that cannot be read; what is wrong in it is
// said.
func Verify(ctx context.Context, s interface {
	Store
	Exporter
}, say func(wrong string)) (*Sum, error) {
	v := &verification{say: say}
	sum := new(Sum)
	for it, err := range s.Export(ctx) {
		switch {
		case IsDamaged(err):
			say(err.Error())
			continue
		case err != nil:
			return sum, err
		}
		sum.Add(it)
		if err := v.item(it); err != nil {
			say(err.Error())
		}
	}
	v.endOfRecords()
	if err := v.lists(ctx, s); err != nil {
		return sum, err
	}
	for _, l := range []struct {
		name         string
		items, lists *Sum
	}{
		{"executions", &v.have.executions, &v.listed.executions}, {"open waits", &v.have.waits, &v.listed.waits},
		{"timers", &v.have.timers, &v.listed.timers}, {"work in progress", &v.have.working, &v.listed.working},
		{"unique keys", &v.have.keys, &v.listed.keys}, {"open events", &v.have.events, &v.listed.events},
		{"numbers of records", &v.have.records, &v.listed.records},
	} {
		if !l.items.Equal(l.lists) {
			say(fmt.Sprintf("the list of %s has %d entries that are not those of the %d in what is stored; a copy of the store (store copy) has the right list",
				l.name, l.lists.Items(), l.items.Items()))
		}
	}
	return sum, nil
}

// verification compares what follows from the items with what is listed.
type verification struct {
	say          func(string)
	have, listed indexSums
	exec         string // whose records come now
	last         uint64 // number of the last one
}

// indexSums are the sums of what stands in indexes.
type indexSums struct{ executions, waits, timers, working, keys, events, records Sum }

func entryOf(a, b string, rest ...any) Item {
	return Item{A: a, B: b, Row: fmt.Append(nil, rest...)}
}

func (x *indexSums) execution(s *workflow.State) {
	x.executions.Add(entryOf(s.ExecID, string(s.Status), s.CreatedAt, " ", s.Version))
}

func (x *indexSums) wait(exec string, w workflow.OpenWait) {
	x.waits.Add(entryOf(exec, w.ID, fmt.Sprintf("%+v", w)))
}

func (v *verification) item(it Item) error {
	switch it.Kind {
	case ItemExecution:
		c, err := it.Execution()
		if err != nil {
			return err
		}
		return v.execution(c.Now, c.Working)
	case ItemRecords:
		records, err := it.Records()
		if err != nil {
			return err
		}
		return v.records(it.A, records)
	case ItemReceipt:
		_, err := it.Receipt()
		return err
	case ItemEvent:
		r, err := it.Event()
		if err == nil && !r.Fate.Final() {
			v.have.events.Add(entryOf(it.A, ""))
		}
		return err
	case ItemBook:
		r, err := it.Book()
		if err == nil && !r.Balanced() {
			err = fmt.Errorf("the books of %q do not balance: %+v", r.Name, r.Tally)
		}
		return err
	case ItemLetter:
		_, err := it.Letter()
		return err
	}
	return nil
}

func (v *verification) execution(s *workflow.State, works bool) error {
	v.have.execution(s)
	for _, w := range s.Waits {
		v.have.wait(s.ExecID, w)
	}
	for _, t := range s.Alarms() {
		v.have.timers.Add(entryOf(s.ExecID, t.ID, t.Due))
	}
	if works {
		v.have.working.Add(entryOf(s.ExecID, ""))
	}
	if s.Unique && !s.Status.Finished() {
		v.have.keys.Add(entryOf(s.WorkflowID, s.Key, s.ExecID))
	}
	if s.Seq > 0 {
		v.have.records.Add(entryOf(s.ExecID, "", s.Seq))
	}
	if err := workflow.Check(s); err != nil {
		return fmt.Errorf("execution %q breaks an invariant: %w", s.ExecID, err)
	}
	return nil
}

// records looks whether those of an execution follow each other without a gap; its
// rows come one after the other.
func (v *verification) records(exec string, records []workflow.Record) error {
	if exec != v.exec {
		v.endOfRecords()
		v.exec, v.last = exec, records[0].Seq-1 // older ones may have been folded away
	}
	for _, r := range records {
		if r.Seq != v.last+1 {
			err := fmt.Errorf("the records of execution %q go from %d to %d", exec, v.last, r.Seq)
			v.last = r.Seq
			return err
		}
		v.last = r.Seq
	}
	return nil
}

func (v *verification) endOfRecords() {
	if v.last > 0 {
		v.listed.records.Add(entryOf(v.exec, "", v.last))
	}
	v.exec, v.last = "", 0
}

// lists adds up everything that the store lists.
func (v *verification) lists(ctx context.Context, s Store) error {
	for q := (workflow.Query{Limit: verifyPage}); ; {
		page, err := s.Executions(ctx, q)
		if err != nil {
			return err
		}
		for _, st := range page.Items {
			if st.Error != nil && st.Error.Code == CodeCorrupt {
				continue // it was said
			}
			v.listed.execution(st)
			if st.Unique && !st.Status.Finished() {
				if err := v.holder(ctx, s, st); err != nil {
					return err
				}
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	for q := (workflow.WaitQuery{Limit: verifyPage}); ; {
		page, err := s.Waits(ctx, q)
		if err != nil {
			return err
		}
		for _, w := range page.Items {
			v.listed.wait(w.ExecID, w.OpenWait)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	return errors.Join(v.timers(ctx, s), v.working(ctx, s), v.events(ctx, s))
}

func (v *verification) holder(ctx context.Context, s Store, st *workflow.State) error {
	holder, err := s.Holder(ctx, st.WorkflowID, st.Key)
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	v.listed.keys.Add(entryOf(st.WorkflowID, st.Key, holder))
	return err
}

func (v *verification) timers(ctx context.Context, s Store) error {
	var after *Due
	for {
		due, err := s.Due(ctx, math.MaxInt64, after, verifyPage)
		if err != nil || len(due) == 0 {
			return err
		}
		for _, d := range due {
			v.listed.timers.Add(entryOf(d.ExecID, d.Timer, d.At))
		}
		after = &due[len(due)-1]
	}
}

func (v *verification) working(ctx context.Context, s Store) error {
	for after := ""; ; {
		ids, err := s.Working(ctx, after, verifyPage)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			v.listed.working.Add(entryOf(id, ""))
		}
		after = ids[len(ids)-1]
	}
}

func (v *verification) events(ctx context.Context, s Store) error {
	for after := ""; ; {
		open, err := s.OpenEvents(ctx, after, verifyPage)
		if err != nil || len(open) == 0 {
			return err
		}
		for _, r := range open {
			v.listed.events.Add(entryOf(r.Event.ID, ""))
		}
		after = open[len(open)-1].Event.ID
	}
}

package persistence

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/signalbox/signalbox/workflow"
)

// some are items of every kind.
func some() []Item {
	r := workflow.BookRow{Name: "n", Tally: workflow.Tally{Accepted: 3, Consumed: 1, Buffered: 2}}
	return []Item{
		ExecutionItem(&workflow.State{ExecID: "e\x00", Version: 3, Status: workflow.Running}, 9, true),
		RecordsItem("e\x00", []workflow.Record{{Seq: 1, Type: workflow.TaskStarted}}),
		ReceiptItem(&workflow.Receipt{SignalID: "s", ExecID: "e\x00", Fate: workflow.FateConsumed}),
		EventItem(Accepted(workflow.Event{ID: "ev", Name: "paid"})),
		DocumentItem("kind", "id", []byte("body")), BookItem(r), BookItem(workflow.BookRow{Rest: true}),
		LetterItem(&workflow.DeadLetter{ID: "l", Cause: workflow.CauseExpired}),
	}
}

func each(items []Item) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for _, it := range items {
			if !yield(it, nil) {
				return
			}
		}
	}
}

func readAll(b []byte) ([]Item, error) {
	var out []Item
	for it, err := range ReadBackup(bytes.NewReader(b)) {
		if err != nil {
			return out, err
		}
		out = append(out, it)
	}
	return out, nil
}

// TestBackup: what is written comes back, and the kinds keep their meaning.
func TestBackup(t *testing.T) {
	var file bytes.Buffer
	sum, err := WriteBackup(&file, each(some()))
	if err != nil || sum.Items() != len(some()) {
		t.Fatalf("%d items were written, %v", sum.Items(), err)
	}
	got, err := readAll(file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(some(), got); d != "" {
		t.Errorf("what was read differs (-want +got):\n%s", d)
	}
	c, err := got[0].Execution()
	if err != nil || c.ExecID != "e\x00" || c.ID != 9 || !c.Working || c.Now.Version != 3 {
		t.Errorf("the execution came back as %+v, %v", c, err)
	}
	if row, err := got[5].Book(); err != nil || row.Buffered != 2 || row.Rest {
		t.Errorf("the books came back as %+v, %v", row, err)
	}
}

// TestDamagedBackups flips every byte and cuts at every place: none is taken for whole.
func TestDamagedBackups(t *testing.T) {
	var file bytes.Buffer
	if _, err := WriteBackup(&file, each(some())); err != nil {
		t.Fatal(err)
	}
	whole := file.Bytes()
	for i := range whole {
		damaged := bytes.Clone(whole)
		damaged[i] ^= 0x10
		if _, err := readAll(damaged); err == nil {
			t.Errorf("byte %d is another one, and nobody notices", i)
		}
		if _, err := readAll(whole[:i]); err == nil {
			t.Errorf("everything behind byte %d is gone, and nobody notices", i)
		}
	}
	if _, err := readAll(append(bytes.Clone(whole), 'x')); err == nil {
		t.Error("something follows the end, and nobody notices")
	}
	newer := bytes.Replace(whole, []byte("backup 1\n"), []byte("backup 2\n"), 1)
	if _, err := readAll(newer); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Errorf("a backup of another format: %v", err)
	}
}

// TestSums: the order does not matter, everything else does.
func TestSums(t *testing.T) {
	sum := func(items ...Item) *Sum {
		s := new(Sum)
		for _, it := range items {
			s.Add(it)
		}
		return s
	}
	a, b := DocumentItem("k", "a", []byte("1")), DocumentItem("k", "b", []byte("1"))
	if !sum(a, b).Equal(sum(b, a)) || sum(a, b).Hash() != sum(b, a).Hash() {
		t.Error("the order matters")
	}
	for what, other := range map[string]*Sum{
		"one is missing": sum(a), "one is there twice": sum(a, b, b), "one for another": sum(a, a), "a body": sum(a, DocumentItem("k", "b", []byte("2"))), "nothing": sum(),
	} {
		if sum(a, b).Equal(other) {
			t.Errorf("%s: the sums are equal", what)
		}
	}
}

// importer takes items, and fails at one of them.
type importer struct {
	got  []Item
	fail string
}

func (i *importer) Import(it Item, done func(error)) {
	i.got = append(i.got, it)
	if i.fail != "" && it.A == i.fail {
		done(errors.New("no room"))
		return
	}
	done(nil)
}

// TestFill: the row of the rest comes last, and the first error ends it.
func TestFill(t *testing.T) {
	items := some()
	items[0], items[6] = items[6], items[0]
	var to importer
	sum, err := Fill(t.Context(), &to, each(items))
	if err != nil || sum.Items() != len(items) || to.got[len(to.got)-1].B != theRest {
		t.Errorf("filled with %d of %d, the last is %v, %v", sum.Items(), len(items), to.got[len(to.got)-1], err)
	}
	if _, err := Fill(t.Context(), &importer{fail: "kind"}, each(items)); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("an importer that fails: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Fill(ctx, &importer{}, each(items)); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who gave up: %v", err)
	}
}

package redis

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/ordered"
	"github.com/signalbox/signalbox/persistence/redis/redistest"
	"github.com/signalbox/signalbox/persistence/storetest"
	"github.com/signalbox/signalbox/workflow"
)

// damage is what is written over a row.
const damage = "\x09\x09\x09"

// spoken is a log that a test reads while a store writes it.
type spoken struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *spoken) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

// once checks that the log names an event one time.
func (s *spoken) once(t *testing.T, id string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := strings.Count(s.text.String(), "event_id="+id+" "); n != 1 {
		t.Errorf("the log names %s %d times, want once:\n%s", id, n, &s.text)
	}
}

// overheard opens a store and hears its log.
func overheard(t *testing.T, addr string, partitions int) (*Store, *spoken) {
	t.Helper()
	a, err := ParseAddress(fmt.Sprintf("redis://%s?partitions=%d&prefix=damage%d:", addr, partitions, partitions))
	if err != nil {
		t.Fatal(err)
	}
	log := new(spoken)
	s, err := Open(t.Context(), a, Options{Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, log
}

// accepted brings an event to the standing of a fate.
func accepted(t *testing.T, s *Store, id, name string, fate workflow.Fate) {
	t.Helper()
	ev := workflow.Event{ID: id, Name: name, ReceivedAt: 1, ExpiresAt: 5}
	done := make(chan error, 1)
	s.AcceptEvent(ev, func(_ *workflow.EventReceipt, _ bool, err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if fate == workflow.FateAccepted {
		return
	}
	r := persistence.Accepted(ev)
	r.Fate = fate
	s.SettleEvent(workflow.StandsAsking, r, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func overwrite(t *testing.T, s *Store, hash, field string) {
	t.Helper()
	if err := s.client.reads.HSet(t.Context(), hash, field, damage).Err(); err != nil {
		t.Fatal(err)
	}
}

func wantIDs(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func idsOf(all []*workflow.EventReceipt) (ids []string) {
	for _, r := range all {
		ids = append(ids, r.Event.ID)
	}
	return ids
}

// listed are the events of each list, read in pages of that many.
func listed(t *testing.T, s *Store, page int) (open, expiring, kept []string) {
	t.Helper()
	for after := ""; ; after = open[len(open)-1] {
		some, err := s.OpenEvents(t.Context(), after, page)
		if err != nil {
			t.Errorf("open events: %v", err)
		}
		if open = append(open, idsOf(some)...); len(some) < page {
			break
		}
	}
	for after := (*workflow.EventReceipt)(nil); ; {
		some, err := s.Expiring(t.Context(), 10, after, page)
		if err != nil {
			t.Errorf("events that expire: %v", err)
		}
		if expiring = append(expiring, idsOf(some)...); len(some) < page {
			break
		}
		after = some[len(some)-1]
	}
	for q := (workflow.KeptQuery{Name: "kept", Limit: page}); ; {
		some, err := s.Kept(t.Context(), q)
		if err != nil {
			t.Errorf("kept events: %v", err)
		}
		kept = append(kept, idsOf(some.Items)...)
		if q.Cursor = some.Next; q.Cursor == "" {
			return open, expiring, kept
		}
	}
}

// exported are the items of an export and what it calls damaged.
func exported(t *testing.T, s *Store) (items []persistence.Item, damaged []string) {
	t.Helper()
	for it, err := range s.Export(t.Context()) {
		switch {
		case persistence.IsDamaged(err):
			damaged = append(damaged, err.Error())
		case err != nil:
			t.Errorf("export: %v, want an error that says what is damaged", err)
		default:
			items = append(items, it)
		}
	}
	return items, damaged
}

// wantNamed checks that each of some names is in one of the errors, and that there are no more.
func wantNamed(t *testing.T, damaged []string, names ...string) {
	t.Helper()
	for _, name := range names {
		if !slices.ContainsFunc(damaged, func(text string) bool { return strings.Contains(text, fmt.Sprintf("%q", name)) }) {
			t.Errorf("the export does not name %s as damaged: %q", name, damaged)
		}
	}
	if len(damaged) != len(names) {
		t.Errorf("the export calls %d things damaged, want %d: %q", len(damaged), len(names), damaged)
	}
}

// TestDamagedEvents: events whose rows are damaged are named, once, and hold up nobody:
// the others are fanned out, offered, expired, forgotten and exported.
func TestDamagedEvents(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, partitions := range []int{1, 4} {
		t.Run(fmt.Sprint(partitions), func(t *testing.T) {
			s, log := overheard(t, server.Addr, partitions)
			var damaged []string
			for _, n := range []string{"1", "2", "3", "4", "5"} {
				for name, fate := range map[string]workflow.Fate{"open": workflow.FateAccepted, "kept": workflow.FateBuffered, "settled": workflow.FateConsumed} {
					accepted(t, s, name+n, name, fate)
					if n != "3" && n != "5" {
						damaged = append(damaged, name+n)
					}
				}
			}
			for _, id := range damaged {
				overwrite(t, s, s.home(id).key(keyEvents), id)
			}
			for _, page := range []int{1, 2, 100} {
				open, expiring, kept := listed(t, s, page)
				wantIDs(t, "open events", open, "open3", "open5")
				wantIDs(t, "events that expire", expiring, "kept3", "kept5")
				wantIDs(t, "kept events", kept, "kept3", "kept5")
			}
			items, named := exported(t, s)
			var whole []string
			for _, it := range items {
				if it.Kind == persistence.ItemEvent {
					whole = append(whole, it.A)
				}
			}
			slices.Sort(whole)
			wantIDs(t, "events of the export", whole, "kept3", "kept5", "open3", "open5", "settled3", "settled5")
			wantNamed(t, named, damaged...)
			for _, want := range []int{1, 1, 0} {
				if n, err := s.Sweep(t.Context(), 10, 1); n != want || err != nil {
					t.Errorf("%d events were forgotten, %v, want %d", n, err, want)
				}
			}
			for _, id := range damaged {
				log.once(t, id)
				if _, err := s.Event(t.Context(), id); !errors.Is(err, persistence.ErrDamaged) || !errors.Is(err, persistence.ErrUnavailable) || !strings.Contains(err.Error(), id) {
					t.Errorf("the receipt of %s: %v, want one that says that it is damaged", id, err)
				}
			}
		})
	}
}

// TestDamagedOutboxes: what is damaged in an outbox stays there, named once, while the rest
// is carried home, however much of it there is; a store opens, lists and exports.
func TestDamagedOutboxes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s, _ := overheard(t, server.Addr, 4)
	accepted(t, s, "taken", "kept", workflow.FateBuffered)
	box := s.home("e")
	claim := append(ordered.Number(ordered.Number(nil, 7), 1), "e"...)
	if err := s.client.reads.HSet(t.Context(), s.home("taken").key(keyTakers), "taken", claim).Err(); err != nil {
		t.Fatal(err)
	}
	overwrite(t, s, box.key(keyTaken), "taken")
	named := []string{"taken"}
	for i := range 3 * drainChunk {
		named = append(named, fmt.Sprintf("lost%d", i))
		overwrite(t, s, box.key(keyOutbox), named[i+1])
	}
	row := eventRow(persistence.Accepted(workflow.Event{ID: "left", Name: "paid"}))
	if err := s.client.reads.HSet(t.Context(), box.key(keyOutbox), "left", row).Err(); err != nil {
		t.Fatal(err)
	}
	// It was carried home and damaged there, before it was taken out of the outbox.
	accepted(t, s, "twice", "paid", workflow.FateAccepted)
	overwrite(t, s, s.home("twice").key(keyEvents), "twice")
	if err := s.client.reads.HSet(t.Context(), box.key(keyOutbox), "twice", row).Err(); err != nil {
		t.Fatal(err)
	}
	other, log := overheard(t, server.Addr, 4)
	for range 2 {
		open, expiring, kept := listed(t, other, 100)
		wantIDs(t, "open events", open, "left")
		wantIDs(t, "events that expire", expiring)
		wantIDs(t, "kept events", kept)
	}
	items, damaged := exported(t, other)
	if len(items) != 3 || items[0].A != "left" {
		t.Errorf("the export has %v, want the event that was left, and two rows of the books", items)
	}
	wantNamed(t, damaged, append(named, "twice")...)
	for _, id := range []string{"taken", "twice", "lost0", "lost1"} {
		log.once(t, id)
		if _, err := other.Event(t.Context(), id); !errors.Is(err, persistence.ErrDamaged) {
			t.Errorf("the receipt of %s: %v, want one that says that it is damaged", id, err)
		}
	}
}

// TestExportGoesOnBehindWhatIsDamaged has one of each kind damaged, and one behind it.
func TestExportGoesOnBehindWhatIsDamaged(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s, _ := overheard(t, server.Addr, 1)
	p, reads := s.parts[0], s.client.reads
	var letters []workflow.DeadLetter
	for i, n := range []string{"1", "2"} {
		for _, kind := range []string{"state", "rows", "gone"} {
			begun := storetest.Sample(kind+n, 1000)
			if err := errors.Join(commitTo(t, s, storetest.Begun(begun, s.Epoch())), commitTo(t, s, storetest.Toggled(begun, s.Epoch()))); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.PutDocument(t.Context(), "kind", "doc"+n, []byte("body")); err != nil {
			t.Fatal(err)
		}
		accepted(t, s, "event"+n, "open", workflow.FateAccepted)
		letters = append(letters, workflow.DeadLetter{ID: "letter" + n, MessageID: "m" + n, At: workflow.Instant(10 - i)})
	}
	kept := make(chan error, 1)
	s.KeepLetters(letters, func(err error) { kept <- err })
	if err := <-kept; err != nil {
		t.Fatal(err)
	}
	whole, damaged := exported(t, s)
	wantNamed(t, damaged)
	receipt := reads.HKeys(t.Context(), p.keyOf(keyReceipts, "rows1")).Val()[0]
	overwrite(t, s, p.keyOf(keyReceipts, "rows1"), receipt)
	overwrite(t, s, p.key(keyLetters), string(deathMember(10, "letter1")))
	if err := errors.Join(
		reads.Set(t.Context(), p.keyOf(keyState, "state1"), damage, 0).Err(),
		reads.Del(t.Context(), p.keyOf(keyState, "gone1")).Err(),
		reads.LSet(t.Context(), p.keyOf(keyRecords, "rows1"), 0, damage).Err(),
		reads.HDel(t.Context(), p.key(keyDocuments), string(member2("kind", "doc1"))).Err(),
		reads.HDel(t.Context(), p.key(keyEvents), "event1").Err(),
	); err != nil {
		t.Fatal(err)
	}
	left, damaged := exported(t, s)
	wantNamed(t, damaged, "rows1", receipt, "state1", "gone1", "doc1", "letter1", "event1")
	if len(left) != len(whole)-len(damaged) {
		t.Errorf("the export has %d items, want %d without the %d that are damaged", len(left), len(whole), len(damaged))
	}
}

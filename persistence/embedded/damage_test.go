package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/storetest"
	"github.com/signalbox/signalbox/workflow"
)

// crashed is a disk on which one life was taken some versions further and on
// which the process then died: everything is in the journal.
func crashed(t *testing.T, versions uint64) *vfs.MemFS {
	t.Helper()
	disk := vfs.NewCrashableMem()
	fs := storetest.NewFaultyFS(disk)
	s := openOn(t, fs)
	fs.Fail(false, failing(storetest.OpCreate, ".sst")) // so that no segment is given up
	for v := range versions {
		if err := commitOne(t, s, lived("life", v+1)); err != nil {
			t.Fatal(err)
		}
	}
	left := disk.CrashClone(vfs.CrashCloneCfg{})
	fs.Fail(false, nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return left
}

// copyOf is a copy of a disk that can be damaged.
func copyOf(disk *vfs.MemFS) *vfs.MemFS { return disk.CrashClone(vfs.CrashCloneCfg{}) }

// change changes a file in place.
func change(t *testing.T, fs vfs.FS, name string, how func(b []byte)) {
	t.Helper()
	b, err := readFile(fs, name)
	if err != nil {
		t.Fatal(err)
	}
	how(b)
	f, err := fs.OpenReadWrite(name, category)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// journalOf returns the segments of a disk, oldest first, with where the frames end.
func journalOf(t *testing.T, fs vfs.FS) (files []string, ends []int) {
	t.Helper()
	names, err := fs.List("data/journal")
	if err != nil {
		t.Fatal(err)
	}
	for _, number := range segmentsOf(names) {
		file := path.Join("data/journal", segmentName(number))
		b, err := readFile(fs, file)
		if err != nil {
			t.Fatal(err)
		}
		h, err := decodeHeader(b)
		if err != nil {
			t.Fatal(err)
		}
		end, _, err := frames(file, b, h, 0, func(uint64, []byte) error { return nil }, nil)
		if err != nil {
			t.Fatal(err)
		}
		files, ends = append(files, file), append(ends, int(end))
	}
	return files, ends
}

// TestFlippedJournal flips bits of a journal: nothing is lost, but the last frame of all,
// which looks as a torn write does.
func TestFlippedJournal(t *testing.T) {
	found, gone := damageJournal(t, 200, func(b []byte, rng *rand.Rand) { b[0] ^= 1 << rng.IntN(8) })
	if found > 0 || gone == 0 {
		t.Errorf("%d flips were not put right and %d dropped the last frame", found, gone)
	}
}

// TestDamagedJournal writes over bytes of a journal: where an acknowledged write was,
// opening says so and names the place; in the last frame of all, which looks as
// a torn write does, only that one is gone; anywhere else nothing is.
func TestDamagedJournal(t *testing.T) {
	found, gone := damageJournal(t, 60, func(b []byte, rng *rand.Rand) { b[0], b[1], b[2] = b[0]^byte(1+rng.IntN(255)), b[1]^85, b[2]^170 })
	if found < 60 || gone == 0 {
		t.Errorf("%d damages were found and %d dropped the last frame; this test tests nothing", found, gone)
	}
}

// damageJournal opens a journal with one damage again and again.
func damageJournal(t *testing.T, times int, how func([]byte, *rand.Rand)) (found, gone int) {
	const versions = 12
	disk := crashed(t, versions)
	files, ends := journalOf(t, disk)
	if len(files) < 2 {
		t.Fatalf("%d segments, want several", len(files))
	}
	rng := rand.New(rand.NewPCG(1, 1))
	last := len(files) - 1
	for i, file := range files {
		for range times {
			at := rng.IntN(min(ends[i]+256, smallSegment-2))
			fs := copyOf(disk)
			change(t, fs, file, func(b []byte) { how(b[at:], rng) })
			s, err := Open("data", Options{FS: fs, SegmentBytes: smallSegment})
			var damage *Damage
			if errors.As(err, &damage) {
				if !strings.Contains(damage.File, path.Base(file)) && i == 0 {
					t.Fatalf("a damage in %s is said to be in %s", file, damage.File)
				}
				found++
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			got := checkLife(t, s, "life", versions-1)
			if got != versions {
				gone++
				if i != last {
					t.Fatalf("byte %d of %s: version %d was dropped silently", at, file, versions)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return found, gone
}

// TestTornTail cuts the last frame everywhere, as a power cut in the middle of a
// write does: it was acknowledged to nobody, so it is dropped and writing goes on.
func TestTornTail(t *testing.T) {
	disk := crashed(t, 3)
	files, ends := journalOf(t, disk)
	file, end := files[len(files)-1], ends[len(ends)-1]
	for cut := end - 1; cut > end-1500; cut -= 37 {
		fs := copyOf(disk)
		change(t, fs, file, func(b []byte) { clear(b[cut:]) })
		s := openOn(t, fs)
		v := checkLife(t, s, "life", 2)
		if err := commitOne(t, s, lived("life", v+1)); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openOn(t, fs)
		checkLife(t, s, "life", v+1)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMissingSegment: a segment that is gone is damage, not an older state.
func TestMissingSegment(t *testing.T) {
	disk := crashed(t, 24)
	files, _ := journalOf(t, disk)
	if len(files) < 3 {
		t.Fatalf("%d segments, want at least 3", len(files))
	}
	for _, file := range files[:len(files)-1] {
		fs := copyOf(disk)
		if err := fs.Remove(file); err != nil {
			t.Fatal(err)
		}
		var damage *Damage
		if s, err := Open("data", Options{FS: fs, SegmentBytes: smallSegment}); !errors.As(err, &damage) {
			t.Fatalf("opened %v without %s: got error %v, want *Damage", s != nil, file, err)
		}
	}
}

// TestSalvage opens a damaged folder on demand, with what was before the damage.
func TestSalvage(t *testing.T) {
	const versions = 12
	disk := crashed(t, versions)
	files, ends := journalOf(t, disk)
	change(t, disk, files[0], func(b []byte) { b[ends[0]-100] ^= 3 })
	var damage *Damage
	if _, err := Open("data", Options{FS: disk}); !errors.As(err, &damage) {
		t.Fatalf("got error %v, want *Damage", err)
	}
	s, err := Open("data", Options{FS: disk, Salvage: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	v := checkLife(t, s, "life", 1)
	if v == versions {
		t.Fatal("nothing was dropped")
	}
	if err := commitOne(t, s, lived("life", v+1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openOn(t, disk)
	checkLife(t, s, "life", v+1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Stat(files[0] + damagedSuffix); err != nil {
		t.Errorf("the damaged segment was not kept: %v", err)
	}
}

// TestEverySalvageKeepsWhatItMovesAside: a segment that is damaged has the number of one
// that an earlier salvage moved aside, and both are kept.
func TestEverySalvageKeepsWhatItMovesAside(t *testing.T) {
	disk := crashed(t, 12)
	var want []string
	for round := range 3 {
		files, _ := journalOf(t, disk)
		change(t, disk, files[0], func(b []byte) { b[framesAt+frameHeader] ^= 3 })
		b, err := readFile(disk, files[0])
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, string(b))
		s, err := Open("data", Options{FS: disk, SegmentBytes: firstSegmentBytes, Salvage: true})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if err := commitOne(t, s, lived(fmt.Sprint("life-", round, "-", i), 1)); err != nil {
				t.Fatal(err)
			}
		}
		disk, err = copyOf(disk), s.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	for round, name := range []string{".damaged", ".damaged-2", ".damaged-3"} {
		got, err := readFile(disk, path.Join("data/journal", segmentName(1)+name))
		if err != nil || string(got) != want[round] {
			t.Errorf("what salvage %d moved aside is not what %s has: %v", round+1, name, err)
		}
	}
}

// TestWhatIsMovedAsideHasItsNameOnTheDisk: a power cut right after it finds no segment of
// the number that the next one gets.
func TestWhatIsMovedAsideHasItsNameOnTheDisk(t *testing.T) {
	disk := crashed(t, 12)
	files, _ := journalOf(t, disk)
	if err := setAside(disk, "data/journal", &Damage{File: files[0]}); err != nil {
		t.Fatal(err)
	}
	after := copyOf(disk)
	if left, _ := journalOf(t, after); len(left) != 0 {
		t.Errorf("%v is back", left)
	}
	for _, file := range files {
		if _, err := after.Stat(file + damagedSuffix); err != nil {
			t.Error(err)
		}
	}
}

// TestDamagedRow: a damaged snapshot quarantines its execution and nobody else.
func TestDamagedRow(t *testing.T) {
	fs := vfs.NewMem()
	s := openOn(t, fs)
	for _, id := range []string{"a", "b", "c"} {
		if err := commitOne(t, s, storetest.Begun(storetest.Sample(id, 1000), 1)); err != nil {
			t.Fatal(err)
		}
	}
	row, _, err := s.db.get(stateKey(nil, "b"), nil)
	if err != nil {
		t.Fatal(err)
	}
	row[len(row)/2] ^= 4
	if err := s.db.drain(); err != nil {
		t.Fatal(err)
	}
	if err := s.db.pebble.Set(stateKey(nil, "b"), row, pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openOn(t, fs)
	defer s.Close()
	var corrupt *persistence.Corrupt
	if _, err := s.Load(t.Context(), "b"); !errors.As(err, &corrupt) || corrupt.ExecID != "b" {
		t.Fatalf("load: got error %v, want *Corrupt of b", err)
	}
	if err := commitOne(t, s, storetest.Toggled(storetest.Sample("b", 1000), 1)); !errors.As(err, &corrupt) {
		t.Fatalf("commit: got error %v, want *Corrupt", err)
	}
	if err := commitOne(t, s, storetest.Toggled(storetest.Sample("a", 1000), 1)); err != nil {
		t.Fatalf("commit of a neighbour: %v", err)
	}
	page, err := s.Executions(t.Context(), workflow.Query{})
	if err != nil || len(page.Items) != 3 {
		t.Fatalf("%d executions are listed, %v, want 3", len(page.Items), err)
	}
	if b := page.Items[1]; b.ExecID != "b" || b.Status != workflow.Failed || b.Error == nil || b.Error.Code != persistence.CodeCorrupt || b.CreatedAt != 1000 {
		t.Errorf("the damaged one is listed as %+v", b)
	}
	if err := s.Health(); err != nil {
		t.Errorf("health: %v", err)
	}
}

// TestDamagedEvents: events whose rows are damaged are named, once, and hold up nobody:
// the others are fanned out, offered, expired and forgotten.
func TestDamagedEvents(t *testing.T) {
	var log bytes.Buffer
	s, err := Open("data", Options{FS: vfs.NewMem(), Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, n := range []string{"1", "2", "3"} {
		for id, fate := range map[string]workflow.Fate{"open": workflow.FateAccepted, "kept": workflow.FateBuffered, "settled": workflow.FateConsumed} {
			ev := workflow.Event{ID: id + n, Name: id, ReceivedAt: 1, ExpiresAt: 5}
			done := make(chan error, 2)
			s.AcceptEvent(ev, func(_ *workflow.EventReceipt, _ bool, err error) { done <- err })
			r := persistence.Accepted(ev)
			if r.Fate = fate; fate == workflow.FateAccepted {
				done <- nil
			} else {
				s.SettleEvent(workflow.StandsAsking, r, func(err error) { done <- err })
			}
			if err := errors.Join(<-done, <-done); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.db.drain(); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"open1", "kept1", "settled1"} {
		if err := s.db.pebble.Set(key1(nil, famEvent, id), []byte{9, 9, 9}, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
	ids := func(all []*workflow.EventReceipt) (ids []string) {
		for _, r := range all {
			ids = append(ids, r.Event.ID)
		}
		return ids
	}
	for range 2 {
		open, err := s.OpenEvents(t.Context(), "", 100)
		same(t, "open events", ids(open), []string{"open2", "open3"})
		over, failed := s.Expiring(t.Context(), 10, nil, 100)
		same(t, "events that expire", ids(over), []string{"kept2", "kept3"})
		kept, broken := s.Kept(t.Context(), workflow.KeptQuery{Name: "kept", Limit: 100})
		same(t, "kept events", ids(kept.Items), []string{"kept2", "kept3"})
		if err := errors.Join(err, failed, broken); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []int{2, 0} {
		if n, err := s.Sweep(t.Context(), 10, 100); n != want || err != nil {
			t.Errorf("%d events were forgotten, %v, want %d", n, err, want)
		}
	}
	for _, id := range []string{"open1", "kept1", "settled1"} {
		if n := strings.Count(log.String(), "event_id="+id); n != 1 {
			t.Errorf("the log names %s %d times, want once:\n%s", id, n, &log)
		}
		if _, err := s.Event(t.Context(), id); !errors.Is(err, persistence.ErrDamaged) || !strings.Contains(err.Error(), id) {
			t.Errorf("the receipt of %s: %v, want one that says that it is damaged", id, err)
		}
	}
}

// TestNewerFormat: a folder of a newer release is refused, not misread.
func TestNewerFormat(t *testing.T) {
	fs := vfs.NewMem()
	s := openOn(t, fs)
	if err := s.db.drain(); err != nil {
		t.Fatal(err)
	}
	if err := s.db.pebble.Set(keyFormat, []byte{0, 0, 0, formatNow + 1}, pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open("data", Options{FS: fs}); err == nil || !strings.Contains(err.Error(), "newer release") {
		t.Fatalf("got error %v, want one that names the newer release", err)
	}
}

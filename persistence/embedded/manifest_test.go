package embedded

import (
	"path"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// otherFiles returns the files of a closed store that are no tables.
func otherFiles(t *testing.T, disk *vfs.MemFS) (files []string) {
	t.Helper()
	for _, dir := range []string{"data/rows", "data/journal"} {
		names, err := disk.List(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if !strings.HasSuffix(name, ".sst") {
				files = append(files, path.Join(dir, name))
			}
		}
	}
	return files
}

// TestAFlippedBitOfAnotherFile: whichever bit flips beside the sorted rows, the store
// opens, and nothing is lost.
func TestAFlippedBitOfAnotherFile(t *testing.T) {
	disk := populated(t)
	want := toldBefore(t, disk)
	for _, file := range otherFiles(t, disk) {
		b, err := readFile(disk, file)
		if err != nil {
			t.Fatal(err)
		}
		places := 40
		if testing.Short() {
			places = 5
		}
		step := max(1, min(len(b), 4096)/places)
		for at := 0; at < len(b); at += step {
			fs := copyOf(disk)
			change(t, fs, file, func(b []byte) { b[at] ^= 1 << (at / step % 8) })
			s, err := Open("data", Options{FS: fs, SegmentBytes: smallSegment})
			if err != nil {
				t.Errorf("%s at %d of %d: %v", file, at, len(b), err)
				continue
			}
			if damaged, wrong := saysOf(t, s).differences(want); damaged > 0 || len(wrong) > 0 {
				t.Errorf("%s at %d of %d: %d are damaged, %d wrong: %.500s", file, at, len(b), damaged, len(wrong), strings.Join(wrong, "\n"))
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestADamagedManifest: pebble would forget what a damaged part of its list names. The
// store does not open, or nothing is lost; and what it names is still there for a person.
func TestADamagedManifest(t *testing.T) {
	disk := populated(t)
	want := toldBefore(t, disk)
	tables := tablesOf(t, copyOf(disk)) // those that are on the disk, whatever happens
	refused := 0
	for _, file := range otherFiles(t, disk) {
		if !strings.Contains(file, "rows/MANIFEST") {
			continue
		}
		b, err := readFile(disk, file)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(b); at += 23 {
			fs := copyOf(disk)
			change(t, fs, file, func(b []byte) { copy(b[at:], "many bytes are written over what was there") })
			s, err := Open("data", Options{FS: fs, SegmentBytes: smallSegment})
			if err != nil {
				if refused++; !strings.Contains(err.Error(), "damaged") {
					t.Errorf("at %d of %d: %v, want an error that says what is damaged", at, len(b), err)
				}
				if left := tablesOf(t, fs); len(left) != len(tables) {
					t.Errorf("at %d of %d: %d tables are left of %d", at, len(b), len(left), len(tables))
				}
				continue
			}
			if _, wrong := saysOf(t, s).differences(want); len(wrong) > 0 {
				t.Errorf("at %d of %d: %d are wrong: %.500s", at, len(b), len(wrong), strings.Join(wrong, "\n"))
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if refused == 0 {
		t.Error("every damage was put right: this test tests nothing")
	}
}

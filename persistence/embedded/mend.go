package embedded

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

const (
	// damagedDir is the folder beside the rows where damaged tables are kept.
	damagedDir = "damaged"

	// mendingFile holds the ranges of which rows were lost, a line each, while what
	// follows from other rows is written anew: an opening goes on with it.
	mendingFile = "mending"
)

// mending replaces damaged tables by what can be read of them. A row that cannot be
// read is lost, and so are the older versions of it, which must not come back for it:
// the filter of the table tells which these are. What follows from other rows is written
// anew, and what others name is marked, so that it is called damaged and not unknown.
// The writer does it, while nobody writes.
type mending struct {
	s      *Store
	tables map[string]*table // by name: that which is replaced, and those of which rows lie in the range that is cut
	lost   []pebble.KeyRange // of which rows were lost
}

// marked are the families of which a lost row leaves a mark. The rows of all others
// follow from these, or are of no use to anybody when they are old.
var marked = [256]bool{famState: true, famRecord: true, famReceipt: true, famEvent: true, famDocument: true, famLetter: true}

// piece is a table, or the part of one that is left, in its place.
type piece struct {
	pebble.SSTableInfo
	level int
}

func (p *piece) name() string { return p.BackingSSTNum.String() + ".sst" }

func (p *piece) has(key []byte) bool {
	return bytes.Compare(p.Smallest.UserKey, key) <= 0 && bytes.Compare(key, p.Largest.UserKey) <= 0
}

// bounds are the keys of a piece.
func (p *piece) bounds() pebble.KeyRange {
	return pebble.KeyRange{Start: p.Smallest.UserKey, End: next(p.Largest.UserKey)}
}

// next is the key behind a key.
func next(key []byte) []byte { return append(bytes.Clone(key), 0) }

// mend mends the tables that were found to be damaged, and those that turn out to be
// meanwhile. What cannot be mended stays as it is: its rows are called damaged by whoever
// reads them. frame is the last one of the journal that the rows have.
func (s *Store) mend(frame uint64) {
	again := s.rowLog.harmed.any() || s.unmended()
	for again {
		paths := s.rowLog.harmed.take()
		err := s.mendAll(paths, frame)
		s.rowLog.harmed.mended(paths)
		again = pebble.IsCorruptionError(err) && s.rowLog.harmed.any()
		if err != nil && !again {
			s.log.Error("damaged rows could not be mended; restore the folder from a backup", "error", err)
		}
	}
}

func (s *Store) mendAll(paths []string, frame uint64) error {
	if !s.flush() {
		return fmt.Errorf("the other rows cannot be synced: %w", s.patience.lastCause())
	}
	s.db.mending.Lock()
	defer s.db.mending.Unlock()
	m := &mending{s: s}
	if err := m.resume(); err != nil {
		return err
	}
	for _, damaged := range paths {
		if err := m.replace(path.Base(damaged)); err != nil {
			return err
		}
	}
	if err := m.follow(frame); err != nil {
		return err
	}
	s.turns.mended()
	return nil
}

// awaitMending returns when what was found to be damaged is mended.
func (s *Store) awaitMending() {
	ctx, stop := context.WithTimeout(context.Background(), mendPatience)
	defer stop()
	s.rowLog.harmed.wait(ctx, s.written)
}

// reread reads a list that shows what is damaged, and reads it again when some of that is
// mended since.
func (s *Store) reread(read func()) {
	before, pending := s.rowLog.harmed.seen()
	read()
	if after, still := s.rowLog.harmed.seen(); pending || still || after != before {
		s.awaitMending()
		read()
	}
}

// unmended reports whether an earlier mending came to no end.
func (s *Store) unmended() bool {
	_, err := s.fs.Stat(s.fs.PathJoin(s.dir, mendingFile))
	return err == nil
}

// resume reads of which ranges an earlier mending has lost rows.
func (m *mending) resume() error {
	b, err := readFile(m.s.fs, m.s.fs.PathJoin(m.s.dir, mendingFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		from, to, _ := strings.Cut(strings.TrimSpace(line), " ")
		var r pebble.KeyRange
		r.Start, err = hex.DecodeString(from)
		if err == nil {
			r.End, err = hex.DecodeString(to)
		}
		if err != nil {
			return fmt.Errorf("the file %s: %w", mendingFile, err)
		}
		m.lost = append(m.lost, r)
	}
	return nil
}

// remember makes durable of which ranges rows will be lost, before they are.
func (m *mending) remember() error {
	var b bytes.Buffer
	for _, r := range m.lost {
		fmt.Fprintf(&b, "%x %x\n", r.Start, r.End)
	}
	fs, name := m.s.fs, m.s.fs.PathJoin(m.s.dir, mendingFile)
	f, err := fs.Create(name+".new", category)
	if err != nil {
		return err
	}
	_, err = f.Write(b.Bytes())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return errors.Join(fs.Rename(name+".new", name), syncDir(fs, m.s.dir))
}

// replace replaces what pebble cannot read of a table, of which several pieces may be left.
func (m *mending) replace(name string) error {
	m.tables = map[string]*table{}
	pieces, err := m.pieces(name)
	if err != nil || len(pieces) == 0 {
		return err // it was merged away
	}
	t, err := m.read(&pieces[len(pieces)-1], pebble.KeyRange{})
	if err != nil {
		return err
	}
	rows, cuts := 0, 0
	for i := range pieces {
		for _, r := range m.holes(&pieces[i], t) {
			if cuts == 0 {
				err = m.keep(name)
			}
			n := 0
			if err == nil {
				m.tables = map[string]*table{name: t}
				n, err = m.cut(&pieces[i], r)
			}
			if err != nil {
				return err
			}
			rows, cuts = rows+n, cuts+1
		}
	}
	if cuts == 0 {
		m.s.log.Warn("a file of sorted rows was damaged when it was read, and is not when it is read again; look at the memory and the disk of this machine", "file", name)
		return nil
	}
	m.s.log.Warn("a damaged file of sorted rows was replaced by what can be read of it", "file", name,
		"kept_in", m.s.fs.PathJoin(m.s.dir, damagedDir), "parts", cuts, "rows", rows)
	return nil
}

// pieces are those of a table, the one with the last key at the end.
func (m *mending) pieces(name string) (pieces []piece, err error) {
	levels, err := m.s.db.pebble.SSTables()
	for level, infos := range levels {
		for _, info := range infos {
			if p := (piece{info, level}); p.name() == name {
				pieces = append(pieces, p)
			}
		}
	}
	sort.Slice(pieces, func(i, j int) bool { return bytes.Compare(pieces[i].Largest.UserKey, pieces[j].Largest.UserKey) < 0 })
	return pieces, err
}

// keep keeps a damaged table for a person to look at.
func (m *mending) keep(name string) error {
	fs, dir := m.s.fs, m.s.fs.PathJoin(m.s.dir, damagedDir)
	if err := makeDir(fs, dir); err != nil {
		return err
	}
	copied := fs.PathJoin(dir, name)
	if _, err := fs.Stat(copied); err == nil {
		return nil
	}
	return errors.Join(vfs.LinkOrCopy(fs, fs.PathJoin(m.s.sorted, name), copied), syncDir(fs, dir))
}

// read reads the table of a piece, or of its rows those of a range.
func (m *mending) read(p *piece, only pebble.KeyRange) (*table, error) {
	if t := m.tables[p.name()]; t != nil {
		return t, nil
	}
	t, err := readTable(m.s.fs, m.s.fs.PathJoin(m.s.sorted, p.name()), p.Largest.UserKey, only)
	m.tables[p.name()] = t
	return t, err
}

// holes are the ranges of a piece that pebble cannot read: all of it when it cannot
// find its rows. The keys before and behind each belong to it, because what pebble
// does at either end of a range is to look into the block beyond.
func (m *mending) holes(p *piece, t *table) (out []pebble.KeyRange) {
	if !t.indexed {
		return []pebble.KeyRange{p.bounds()}
	}
	for _, s := range t.holes {
		if s.to != nil {
			s.to = next(s.to)
		}
		out = within(out, p.bounds(), s)
	}
	return out
}

// within appends what of a range lies in a stretch, which begins with its from here.
func within(dst []pebble.KeyRange, r pebble.KeyRange, s stretch) []pebble.KeyRange {
	if s.from != nil && bytes.Compare(s.from, r.Start) > 0 {
		r.Start = s.from
	}
	if s.to != nil && bytes.Compare(s.to, r.End) < 0 {
		r.End = s.to
	}
	if bytes.Compare(r.Start, r.End) < 0 {
		dst = append(dst, r)
	}
	return dst
}

// cut replaces a range of all tables by the newest rows of it that are known, all at
// once, and returns how many there are.
func (m *mending) cut(p *piece, r pebble.KeyRange) (int, error) {
	over, err := m.overlapping(r)
	if err != nil {
		return 0, err
	}
	rows := m.newest(over, r)
	for _, s := range m.tables[p.name()].lost {
		if s.from != nil {
			s.from = next(s.from)
		}
		m.lost = within(m.lost, r, s)
	}
	if err := m.remember(); err != nil {
		return 0, err
	}
	var files []string
	if len(rows) > 0 {
		file := m.s.fs.PathJoin(m.s.dir, damagedDir, "new")
		if err := writeTable(m.s.fs, file, rows); err != nil {
			return 0, err
		}
		files = []string{file}
	}
	_, err = m.s.db.pebble.IngestAndExcise(context.Background(), files, nil, nil, r)
	return len(rows), err
}

// overlapping returns the pieces that have keys of a range.
func (m *mending) overlapping(r pebble.KeyRange) ([]piece, error) {
	levels, err := m.s.db.pebble.SSTables(pebble.WithKeyRangeFilter(r.Start, r.End))
	if err != nil {
		return nil, err
	}
	var over []piece
	size := uint64(0)
	for level, infos := range levels {
		for _, info := range infos {
			over = append(over, piece{info, level})
			size += info.Size
		}
	}
	for i := 0; i < len(over) && size <= maxMendBytes; i++ {
		if _, err := m.read(&over[i], r); err != nil {
			return nil, err
		}
	}
	if size > maxMendBytes {
		return nil, fmt.Errorf("%d tables of %d bytes lie over one another there, more than the %d that are read at once", len(over), size, maxMendBytes)
	}
	return over, nil
}

// newest returns the rows of a range in the order of their keys, and marks for those
// of which a newer version was lost.
func (m *mending) newest(over []piece, r pebble.KeyRange) []*version {
	var all []*version
	for i := range over {
		rows := m.tables[over[i].name()].rows
		for j := range rows {
			v := &rows[j]
			if bytes.Compare(v.key, r.Start) < 0 || bytes.Compare(v.key, r.End) >= 0 || !over[i].has(v.key) {
				continue
			}
			v.number = over[i].numberOf(v)
			if !v.gone && m.hidden(over, i, v) && !m.current(v) {
				v.gone, v.value = !marked[v.key[0]], persistence.LostRow
			}
			all = append(all, v)
		}
	}
	slices.SortFunc(all, func(a, b *version) int { return cmp.Or(bytes.Compare(a.key, b.key), cmp.Compare(b.number, a.number)) })
	all = slices.CompactFunc(all, func(a, b *version) bool { return bytes.Equal(a.key, b.key) })
	return slices.DeleteFunc(all, func(v *version) bool { return v.gone || m.deleted(over, v) })
}

// numberOf is the number of a version: all of a table that was taken in whole have that of
// the table, which the file does not know.
func (p *piece) numberOf(v *version) uint64 {
	if v.number == 0 && p.SmallestSeqNum == p.LargestSeqNum {
		return uint64(p.LargestSeqNum)
	}
	return v.number
}

// deleted reports whether a later deletion of a range covers a version. Of a piece only
// what lies within it counts.
func (m *mending) deleted(over []piece, v *version) bool {
	for i := range over {
		if over[i].has(v.key) && slices.ContainsFunc(m.tables[over[i].name()].deletes, func(d deletion) bool {
			return d.number > v.number && bytes.Compare(d.from, v.key) <= 0 && bytes.Compare(v.key, d.to) < 0
		}) {
			return true
		}
	}
	return false
}

// hidden reports whether a newer version than one of piece i was lost.
func (m *mending) hidden(over []piece, i int, v *version) bool {
	for j := range over {
		if j != i && over[j].has(v.key) && m.tables[over[j].name()].loses(v.key) && !newer(&over[i], v, &over[j]) {
			return true
		}
	}
	return false
}

// current reports whether there certainly is no newer version of a row, although a filter
// says that there may be one, as it does of one key in a hundred: of what is written
// together with a newer one nothing is there.
func (m *mending) current(v *version) bool {
	rows, p := sorted{m.s.db.pebble}, parts{Rest: v.key[1:]}
	switch id := p.ID(); v.key[0] {
	case famRecord:
		return true // it is written once
	case famState:
		snapshot, err := persistence.DecodeSnapshot(id, v.value)
		if err != nil {
			return false
		}
		_, found, err := rows.get(recordKey(nil, id, snapshot.State.Seq+1), nil)
		return err == nil && !found // every commit has a record
	case famEvent:
		r, err := decodeEvent(id, v.value)
		if err != nil {
			return false
		}
		_, found, err := rows.get(listedKey(r), nil)
		return err == nil && found
	}
	return false
}

// listedKey is the row of an event in the list that its fate puts it into.
func listedKey(r *workflow.EventReceipt) []byte {
	switch {
	case r.Fate.Final():
		return settledKey(nil, r.Event.ReceivedAt, r.Event.ID)
	case r.Fate == workflow.FateBuffered:
		return expiringKey(nil, r.Event.ExpiresAt, r.Event.ID)
	}
	return key1(nil, famOpen, r.Event.ID)
}

// newer reports whether a version of a piece is newer than all that another has of its
// key: pieces of a higher level are, and on the highest those that were written later.
func newer(of *piece, v *version, other *piece) bool {
	if of.level == 0 && other.level == 0 {
		return v.number > uint64(other.LargestSeqNum)
	}
	return of.level < other.level
}

// writeTable writes rows as a table that pebble takes in.
func writeTable(fs vfs.FS, name string, rows []*version) error {
	f, err := fs.Create(name, category)
	if err != nil {
		return err
	}
	format := pebble.FormatValueSeparation.MaxTableFormat()
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(f), tableOptions().MakeWriterOptions(len(new(pebble.Options).Levels)-1, format))
	for i := range rows {
		if err := w.Set(rows[i].key, rows[i].value); err != nil {
			return errors.Join(err, w.Close())
		}
	}
	return w.Close()
}

package persistence

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"math/bits"

	"github.com/signalbox/signalbox/workflow"
)

// An Exporter shows everything that it remembers, item by item, in any order but
// that of the books: the row of the rest comes behind the others. Nobody may write
// meanwhile. What is damaged comes as an error, see IsDamaged, and the rest comes
// after it.
type Exporter interface {
	Export(ctx context.Context) iter.Seq2[Item, error]
}

// IsDamaged reports whether an error of an Exporter is of something that is damaged, so
// that the rest comes after it.
func IsDamaged(err error) bool {
	var corrupt *Corrupt
	return errors.As(err, &corrupt) || errors.Is(err, ErrDamaged)
}

// WithoutDamaged leaves out what is damaged, and says what it was.
func WithoutDamaged(items iter.Seq2[Item, error], say func(error)) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for it, err := range items {
			if IsDamaged(err) {
				say(err)
			} else if !yield(it, err) {
				return
			}
		}
	}
}

// An Importer takes items of an Exporter, of its own kind or of another. It must be
// empty before the first one. Like Commit.Done, done must not block.
type Importer interface {
	Import(it Item, done func(error))
}

// ItemKind says what an item is. Kinds are written to backups: they are never given
// another meaning.
type ItemKind byte

// The kinds of items, with what their fields hold.
const (
	ItemExecution ItemKind = 'x' // A: execution, B: "working" or "". Row: AppendSnapshot, of epoch 0
	ItemRecords   ItemKind = 'r' // A: execution. Row: AppendRecords of one commit
	ItemReceipt   ItemKind = 'p' // A: execution, B: signal. Row: AppendReceipt
	ItemEvent     ItemKind = 'e' // A: event. Row: AppendEventReceipt
	ItemDocument  ItemKind = 'd' // A: kind, B: id. Row: body
	ItemBook      ItemKind = 'a' // A: name, B: "rest" or "". Row: five numbers as varints
	ItemLetter    ItemKind = 'z' // A: dead letter. Row: AppendDeadLetter
)

// ItemKinds lists them, with the words that a person reads.
var ItemKinds = []struct {
	Kind ItemKind
	Name string
}{
	{ItemExecution, "executions"}, {ItemRecords, "rows of records"}, {ItemReceipt, "receipts of signals"},
	{ItemEvent, "events"}, {ItemDocument, "documents"}, {ItemBook, "rows of the books"}, {ItemLetter, "dead letters"},
}

// Item is one thing that a store remembers, in the form in which both stores and
// backups keep it. Indexes are none: they follow from the items.
type Item struct {
	Kind ItemKind
	A, B string
	Row  []byte
}

const (
	working = "working"
	theRest = "rest"
)

// ExecutionItem is an execution without its records and receipts. The epoch is left
// out, because it is one of the store that it came from.
func ExecutionItem(s *workflow.State, commit uint64, works bool) Item {
	it := Item{Kind: ItemExecution, A: s.ExecID, Row: AppendSnapshot(nil, s, 0, commit)}
	if works {
		it.B = working
	}
	return it
}

// RecordsItem is what one commit recorded.
func RecordsItem(execID string, records []workflow.Record) Item {
	return Item{Kind: ItemRecords, A: execID, Row: AppendRecords(nil, records)}
}

// ReceiptItem is a receipt of a signal.
func ReceiptItem(r *workflow.Receipt) Item {
	return Item{Kind: ItemReceipt, A: r.ExecID, B: r.SignalID, Row: AppendReceipt(nil, r)}
}

// EventItem is an event.
func EventItem(r *workflow.EventReceipt) Item {
	return Item{Kind: ItemEvent, A: r.Event.ID, Row: AppendEventReceipt(nil, r)}
}

// DocumentItem is a document.
func DocumentItem(kind, id string, body []byte) Item {
	return Item{Kind: ItemDocument, A: kind, B: id, Row: body}
}

// BookItem is a row of the books.
func BookItem(r workflow.BookRow) Item {
	it := Item{Kind: ItemBook, A: r.Name}
	if r.Rest {
		it.B = theRest
	}
	for _, n := range [...]int64{r.Accepted, r.Consumed, r.Buffered, r.Expired, r.Dead} {
		it.Row = binary.AppendVarint(it.Row, n)
	}
	return it
}

// LetterItem is a dead letter.
func LetterItem(l *workflow.DeadLetter) Item {
	return Item{Kind: ItemLetter, A: l.ID, Row: AppendDeadLetter(nil, l)}
}

// Execution is the execution of an item of that kind, as the commit that brings it
// into an empty store. Records and receipts come in items of their own.
func (it Item) Execution() (*Commit, error) {
	snapshot, err := DecodeSnapshot(it.A, it.Row)
	if err != nil {
		return nil, err
	}
	return &Commit{ExecID: it.A, ID: snapshot.Commit, Now: snapshot.State, Working: it.B == working}, nil
}

// Records are those of an item of that kind.
func (it Item) Records() ([]workflow.Record, error) {
	records, err := DecodeRecords(it.Row)
	if err == nil && len(records) == 0 {
		err = errors.New("there is no record in it")
	}
	return records, it.wrong(err)
}

// Receipt is that of an item of that kind.
func (it Item) Receipt() (*workflow.Receipt, error) {
	r, err := DecodeReceipt(it.Row)
	r.ExecID, r.SignalID = it.A, it.B
	return r, it.wrong(err)
}

// Event is that of an item of that kind.
func (it Item) Event() (*workflow.EventReceipt, error) {
	r, err := DecodeEventReceipt(it.Row)
	r.Event.ID = it.A
	return r, it.wrong(err)
}

// Book is the row of an item of that kind.
func (it Item) Book() (workflow.BookRow, error) {
	r := workflow.BookRow{Name: it.A, Rest: it.B == theRest}
	rest := it.Row
	for _, to := range [...]*int64{&r.Accepted, &r.Consumed, &r.Buffered, &r.Expired, &r.Dead} {
		n, size := binary.Varint(rest)
		if size <= 0 {
			return r, it.wrong(errShort)
		}
		*to, rest = n, rest[size:]
	}
	return r, nil
}

// Letter is that of an item of that kind.
func (it Item) Letter() (*workflow.DeadLetter, error) {
	l, err := DecodeDeadLetter(it.Row)
	return l, it.wrong(err)
}

func (it Item) wrong(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("the item %s does not decode: %w", it, err)
}

// String names an item in a message.
func (it Item) String() string {
	for _, k := range ItemKinds {
		if k.Kind == it.Kind {
			return fmt.Sprintf("%q %q of the %s", it.A, it.B, k.Name)
		}
	}
	return fmt.Sprintf("of the unknown kind %q", rune(it.Kind))
}

// append writes an item as it stands in a backup and in a digest.
func (it Item) append(dst []byte) []byte {
	dst = append(dst, byte(it.Kind))
	for _, part := range [...]string{it.A, it.B} {
		dst = binary.AppendUvarint(dst, uint64(len(part)))
		dst = append(dst, part...)
	}
	return append(dst, it.Row...)
}

// decodeItem is the inverse of append.
func decodeItem(b []byte) (Item, error) {
	if len(b) == 0 {
		return Item{}, errShort
	}
	it := Item{Kind: ItemKind(b[0])}
	rest := b[1:]
	for _, to := range [...]*string{&it.A, &it.B} {
		n, size := binary.Uvarint(rest)
		if size <= 0 || n > uint64(len(rest)-size) {
			return it, errShort
		}
		*to, rest = string(rest[size:size+int(n)]), rest[size+int(n):]
	}
	it.Row = append([]byte{}, rest...)
	return it, nil
}

// Sum tells two sets of items apart whatever their order: how many there are of each
// kind, and the sum of their hashes.
type Sum struct {
	Counts map[ItemKind]int
	hash   [4]uint64
	room   []byte
}

// Add counts an item.
func (s *Sum) Add(it Item) {
	if s.Counts == nil {
		s.Counts = map[ItemKind]int{}
	}
	s.Counts[it.Kind]++
	s.room = it.append(s.room[:0])
	h := sha256.Sum256(s.room)
	var carry uint64
	for i := range s.hash {
		s.hash[i], carry = bits.Add64(s.hash[i], binary.LittleEndian.Uint64(h[8*i:]), carry)
	}
}

// Items is how many there are.
func (s *Sum) Items() int {
	n := 0
	for _, count := range s.Counts {
		n += count
	}
	return n
}

// Hash is the sum of the hashes, in hexadecimal.
func (s *Sum) Hash() string {
	var b [32]byte
	for i, n := range s.hash {
		binary.LittleEndian.PutUint64(b[8*i:], n)
	}
	return hex.EncodeToString(b[:])
}

// Equal reports whether two sums are of the same items.
func (s *Sum) Equal(o *Sum) bool { return s.Items() == o.Items() && s.hash == o.hash }

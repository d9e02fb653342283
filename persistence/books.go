package persistence

import "github.com/signalbox/signalbox/workflow"

// Entry is what one write does to the books of one name.
type Entry struct {
	Name string
	workflow.Tally
}

// Tally appends to dst what the receipts of a commit do to the books, one entry
// for each name. It follows from the receipts alone, so a store needs to read
// nothing to count. An event that a commit delivers is counted where it was
// accepted and not once more for each execution that it reaches.
func Tally(dst []Entry, receipts []workflow.Receipt) []Entry {
	begin := len(dst)
	for i := range receipts {
		r := &receipts[i]
		if r.Source == workflow.FromEvent || r.Was == r.Fate {
			continue
		}
		at := begin
		for at < len(dst) && dst[at].Name != r.Name {
			at++
		}
		if at == len(dst) {
			dst = append(dst, Entry{Name: r.Name})
		}
		dst[at].Move(r.Was, r.Fate)
	}
	return dst
}

// AppendDeadLetter appends the row of a dead letter.
func AppendDeadLetter(dst []byte, l *workflow.DeadLetter) []byte { return encode(dst, l, letterFields) }

// DecodeDeadLetter is the inverse of AppendDeadLetter.
func DecodeDeadLetter(row []byte) (*workflow.DeadLetter, error) {
	l := new(workflow.DeadLetter)
	return l, decode(row, l, letterFields)
}

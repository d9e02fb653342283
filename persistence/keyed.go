package persistence

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/signalbox/signalbox/workflow"
)

// Rows that lie under a key need not say again what the key says, and four records
// need not say the same id of a signal four times: half of what a signal leaves
// behind would be that. Such a row has the fields of the binary form, in a shorter
// writing. Only a store that nobody of another release reads at the same time
// writes it.

// formatKeyed is the first byte of a row in that form, formatTurn that of records with
// the receipts of their turn before them:
//
//	[formatTurn 1][size of what is between 4][signal, length, row of its receipt]...[row of the records]
//
// Whoever wants the one steps over the other.
const (
	formatKeyed = 3
	formatTurn  = 4
)

const turnHeader = 1 + 4

// said stands for a text that is known already. As a text it would be
// hexadecimal digits, none of them, which are written as plain.
const said = formHex

// DecodeRecordsUnder returns the records of a row that AppendTurnUnder or AppendRecords wrote.
func DecodeRecordsUnder(execID string, row []byte) (records []workflow.Record, err error) {
	_, row, err = turn(row)
	if err != nil {
		return nil, err
	}
	return records, decodeUnder(coder{keyed: true, exec: execID}, row, &records, recordsFields)
}

// AppendTurnUnder appends the row of records, under the key of the execution that all of
// them are of, with the receipts of their turn.
func AppendTurnUnder(dst []byte, execID string, records []workflow.Record, receipts []workflow.Receipt) []byte {
	c := coder{keyed: true, exec: execID}.writer(dst)
	if len(receipts) > 0 {
		header := len(c.buf)
		c.buf = append(c.buf, formatTurn, 0, 0, 0, 0)
		for i := range receipts {
			c.receipt(&receipts[i])
		}
		binary.BigEndian.PutUint32(c.buf[header+1:], uint32(len(c.buf)-header-turnHeader))
		c.signal = ""
	}
	c.buf = append(c.buf, formatKeyed)
	list(c, &records, recordFields)
	return c.written()
}

// receipt writes what AppendReceiptUnder does, with the signal and the length before it.
func (c *coder) receipt(r *workflow.Receipt) {
	c.buf = appendText(c.buf, r.SignalID)
	begin := len(c.buf)
	c.buf = append(c.buf, formatKeyed)
	c.signal = r.SignalID
	receiptFields(c, r)
	var size [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(size[:], uint64(len(c.buf)-begin))
	c.buf = append(c.buf, size[:n]...) // not slices.Insert, which would make the size in a place of its own
	copy(c.buf[begin+n:], c.buf[begin:])
	copy(c.buf[begin:], size[:n])
}

// turn takes a row apart into receipts and records. Most rows have no receipts.
func turn(row []byte) (receipts, records []byte, err error) {
	if len(row) == 0 || row[0] != formatTurn {
		return nil, row, nil
	}
	if len(row) < turnHeader || uint64(binary.BigEndian.Uint32(row[1:])) > uint64(len(row)-turnHeader) {
		return nil, nil, errShort
	}
	size := binary.BigEndian.Uint32(row[1:])
	return row[turnHeader:][:size], row[turnHeader+size:], nil
}

// ReceiptsUnder calls each for the receipts that lie in a row with records: with the
// signal, and with the row that DecodeReceiptUnder decodes.
func ReceiptsUnder(row []byte, each func(signalID, receipt string) error) error {
	receipts, _, err := turn(row)
	if err != nil || len(receipts) == 0 {
		return err
	}
	c := coder{text: string(receipts)}
	for c.text != "" {
		signal := c.readText()
		receipt := c.take(c.number())
		if c.err != nil {
			return c.err
		}
		if err := each(signal, receipt); err != nil {
			return err
		}
	}
	return nil
}

// ReceiptUnder finds the receipt of a signal in a row with records; nil when it is not there.
func ReceiptUnder(execID, signalID string, row []byte) (*workflow.Receipt, error) {
	var found string
	err := ReceiptsUnder(row, func(signal, receipt string) error {
		if signal == signalID {
			found = receipt // the last one counts
		}
		return nil
	})
	if err != nil || found == "" {
		return nil, err
	}
	return DecodeReceiptUnder(execID, signalID, []byte(found))
}

// AppendReceiptUnder is AppendReceipt for a row under the key of its execution and signal.
func AppendReceiptUnder(dst []byte, r *workflow.Receipt) []byte {
	return encodeWith(coder{keyed: true, exec: r.ExecID, signal: r.SignalID}, append(dst, formatKeyed), r, receiptFields)
}

// DecodeReceiptUnder is the inverse of AppendReceiptUnder and of AppendReceipt.
func DecodeReceiptUnder(execID, signalID string, row []byte) (*workflow.Receipt, error) {
	r := new(workflow.Receipt)
	err := decodeUnder(coder{keyed: true, exec: execID, signal: signalID}, row, r, receiptFields)
	r.ExecID, r.SignalID = execID, signalID
	return r, err
}

func decodeUnder[T any](under coder, row []byte, v *T, one func(*coder, *T)) error {
	if len(row) > 0 && row[0] == formatKeyed {
		return decodeFields(under, row[1:], v, one)
	}
	return decode(row, v, one)
}

// execID codes the id of the execution that the row belongs to.
func (c *coder) execID(id *string) {
	exec := c.exec
	c.known(id, &exec)
}

// signalID codes the id of a signal, which often is the one that was spoken of last.
func (c *coder) signalID(id *string) { c.known(id, &c.signal) }

// known codes a text that may be known, and remembers it.
func (c *coder) known(s, last *string) {
	switch {
	case !c.keyed:
		text(c, s)
		return
	case c.writing && *s == *last && *s != "":
		c.buf = append(c.buf, said)
		return
	case !c.writing && c.left > 0 && c.text != "" && c.text[0] == said:
		c.left--
		c.text = c.text[1:]
		*s = *last
		return
	}
	text(c, s)
	if *s != "" {
		*last = *s
	}
}

// data codes what a record carries. That of an accepted signal begins and ends with
// what the record and the key say.
func (c *coder) data(r *workflow.Record) {
	if !c.keyed {
		c.value(&r.Data)
		return
	}
	if c.writing {
		part, short := []byte(r.Data), uint64(0)
		if r.Type == accepted {
			part, short = c.framed(r)
		}
		c.buf = binary.AppendUvarint(c.buf, uint64(len(part))<<1|short)
		c.buf = append(c.buf, part...)
		return
	}
	if c.absent() {
		return
	}
	n := c.number()
	part := c.take(n >> 1)
	switch {
	case n&1 == 0 && part != "":
		r.Data = workflow.Value(part)
	case n&1 == 1 && r.Type != accepted:
		c.fail(fmt.Errorf("a record of type %q is written in a way that only accepted signals are", r.Type))
	case n&1 == 1:
		var room [2][256]byte
		head, tail := c.frame(r, room[0][:0], room[1][:0])
		r.Data = append(append(append(make(workflow.Value, 0, len(head)+len(part)+len(tail)), head...), part...), tail...)
	}
}

// framed is the part of an accepted signal's data that must be written, and 1 when
// that is only what its frame leaves.
func (c *coder) framed(r *workflow.Record) (part []byte, short uint64) {
	var room [2][256]byte
	head, tail := c.frame(r, room[0][:0], room[1][:0])
	inside, begins := bytes.CutPrefix(r.Data, head)
	inside, ends := bytes.CutSuffix(inside, tail)
	if !begins || !ends {
		return r.Data, 0
	}
	return inside, 1
}

// accepted is the type of the records that bring a signal.
var accepted = workflow.Signalled{}.Kind()

// frame appends how the data of an accepted signal usually begins and ends. What
// it would have to escape is not there: then the data is another one, and is
// written whole.
func (c *coder) frame(r *workflow.Record, head, tail []byte) ([]byte, []byte) {
	var room [20]byte
	at := strconv.AppendInt(room[:0], int64(r.At), 10)
	head = append(append(head, `{"at":`...), at...)
	head = append(append(head, `,"signal":{"id":"`...), r.Signal...)
	head = append(append(head, `","exec":"`...), c.exec...)
	head = append(head, `","name":"`...)
	tail = append(append(tail, `,"source":"api","received":`...), at...)
	return head, append(tail, `}}`...)
}

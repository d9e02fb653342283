package persistence

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/signalbox/signalbox/workflow"
)

// What is written with every transition is kept in a binary form, because its
// size decides how much the disk has to take, and reading it back how quickly an
// execution comes to memory again. Payloads and outputs stay the JSON they are.
//
// A coder goes over a value in one of two directions: the functions below say
// once which fields there are, and in which order, and both ways follow. Each
// structure begins with the number of its fields, so a field that a release adds
// at the end is absent in older rows. It is written with its length before it, see
// added, so that a release which does not know it skips it: the nodes of two releases
// that follow one another read each other's rows. Fields are never removed, moved or
// given another kind.
type coder struct {
	writing bool
	keyed   bool            // the row lies under a key that says some of it, see keyed.go
	exec    string          // keyed: the execution of the key
	signal  string          // keyed: the signal that was spoken of last
	left    int             // reading: fields of the structure that are still to come
	buf     []byte          // writing: what was written
	text    string          // reading: what is still to be read
	made    strings.Builder // reading: see keep
	err     error           // reading: the first thing that is wrong
}

// formatBinary is the first byte of every row in this form. JSON, which the
// first release wrote, begins with a bracket.
const formatBinary = 2

var (
	errShort = errors.New("it ends in the middle of a field")
	errNewer = errors.New("it has fields that this release does not know; a newer one wrote it")
)

// fail notes the first error; whatever is read after it is empty.
func (c *coder) fail(err error) {
	if c.err == nil {
		c.err = err
	}
	c.text, c.left = "", 0
}

// open begins a structure of that many fields; close gets what it returns.
func (c *coder) open(fields int) (outer int) {
	outer = c.left
	if c.writing {
		c.buf = append(c.buf, byte(fields))
		return outer
	}
	c.left = int(c.number())
	return outer
}

// close ends a structure. What is left of it was added by a newer release.
func (c *coder) close(outer int) {
	for c.left > 0 {
		c.left--
		c.take(c.number())
	}
	c.left = outer
}

// added codes a field that a release adds to a structure that was released already.
func added(c *coder, field func(*coder)) {
	if c.writing {
		begin := len(c.buf)
		field(c)
		own := string(c.buf[begin:])
		c.buf = append(binary.AppendUvarint(c.buf[:begin], uint64(len(own))), own...)
		return
	}
	if c.left == 0 {
		return
	}
	own := c.take(c.number())
	rest := c.text
	c.text = own
	field(c)
	if c.err == nil {
		c.text = rest
	}
}

// absent reports whether the next field is one that the row does not have.
func (c *coder) absent() bool {
	if c.left == 0 {
		return true
	}
	c.left--
	return false
}

func (c *coder) number() uint64 {
	var n uint64
	for i := 0; i < len(c.text) && i < binary.MaxVarintLen64; i++ {
		b := c.text[i]
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			c.text = c.text[i+1:]
			return n
		}
	}
	c.fail(errShort)
	return 0
}

func (c *coder) take(n uint64) string {
	if n > uint64(len(c.text)) {
		c.fail(errShort)
		return ""
	}
	taken := c.text[:n]
	c.text = c.text[n:]
	return taken
}

func (c *coder) unsigned(n *uint64) {
	if c.writing {
		c.buf = binary.AppendUvarint(c.buf, *n)
	} else if !c.absent() {
		*n = c.number()
	}
}

// signed codes small numbers of either sign in few bytes, as varints do.
func signed[T ~int | ~int64](c *coder, n *T) {
	if c.writing {
		c.buf = binary.AppendVarint(c.buf, int64(*n))
	} else if !c.absent() {
		u := c.number()
		*n = T(int64(u>>1) ^ -int64(u&1))
	}
}

func (c *coder) flag(f *bool) {
	var n uint64
	if *f {
		n = 1
	}
	c.unsigned(&n)
	*f = n == 1
}

func (c *coder) value(v *workflow.Value) {
	if c.writing {
		c.buf = binary.AppendUvarint(c.buf, uint64(len(*v)))
		c.buf = append(c.buf, *v...)
	} else if !c.absent() {
		if n := c.number(); n > 0 {
			*v = workflow.Value(c.take(n))
		}
	}
}

// text of a string, in the shortest of the forms below.
func text[T ~string](c *coder, s *T) {
	switch {
	case c.writing && *s == "": // as most texts of most rows are
		c.buf = append(c.buf, formWord)
	case c.writing:
		c.buf = appendText(c.buf, string(*s))
	case !c.absent():
		*s = T(c.readText())
	}
}

// Strings are written as [length << 2 | form][bytes].
const (
	formPlain = iota
	formHex   // the bytes that the hexadecimal digits stand for: hashes
	formUUID  // 16 bytes: ids that we make
	formWord  // nothing: the length is the number of one of the words
)

func appendText(dst []byte, s string) []byte {
	switch len(s) {
	case 0:
		return append(dst, formWord)
	case 36:
		if id, ok := appendUUID(append(dst, formUUID), s); ok {
			return id
		}
	case 32, 64:
		if hash, ok := appendHex(binary.AppendUvarint(dst, uint64(len(s)/2)<<2|formHex), s); ok {
			return hash
		}
	default: // no word is as long as those
		if n, known := wordNumber(s); known {
			return binary.AppendUvarint(dst, n<<2|formWord)
		}
	}
	return append(binary.AppendUvarint(dst, uint64(len(s))<<2), s...)
}

// appendHex appends what lower case hexadecimal digits stand for, eight and eight
// of them; false when s has others.
func appendHex(dst []byte, s string) ([]byte, bool) {
	wrong := uint64(0)
	for ; len(s) >= 8; s = s[8:] {
		digits := fourDigits(s, 0) | fourDigits(s, 4)<<32
		value, odd := ofDigits(digits)
		wrong |= odd
		dst = binary.LittleEndian.AppendUint32(dst, value)
	}
	return dst, wrong == 0
}

// fourDigits are four bytes of s.
func fourDigits(s string, at int) uint64 {
	return uint64(s[at]) | uint64(s[at+1])<<8 | uint64(s[at+2])<<16 | uint64(s[at+3])<<24
}

// ofDigits is what eight lower case hexadecimal digits stand for, one in each byte of
// the word, the first in the lowest, and so in the value; odd is not zero when there
// are others. All eight are looked at together, as Lemire and Muła do it: a digit's
// low bits count from 0 or, where bit 6 says that it is a letter, from 9; the sum
// is below 16 and, turned into a digit again, what it was.
func ofDigits(digits uint64) (value uint32, odd uint64) {
	const each = 0x0101010101010101
	bits := digits&(0x0f*each) + 9*(digits>>6&each)
	letters := (bits + 6*each) >> 4 & each
	odd = (bits + '0'*each + ('a'-'0'-10)*letters) ^ digits | bits&(0xf0*each)
	bits = (bits<<4 | bits>>8) & 0x00ff00ff00ff00ff
	bits = (bits | bits>>8) & 0x0000ffff0000ffff
	return uint32(bits | bits>>16), odd
}

// digitsAt is where the digits of each byte of a UUID stand (RFC 9562): there are
// dashes between some.
var digitsAt = [16]int{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34}

func appendUUID(dst []byte, s string) ([]byte, bool) {
	s = s[:36]
	if s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return dst, false
	}
	first, odd := ofDigits(fourDigits(s, 0) | fourDigits(s, 4)<<32)
	second, odder := ofDigits(fourDigits(s, 9) | fourDigits(s, 14)<<32)
	third, still := ofDigits(fourDigits(s, 19) | fourDigits(s, 24)<<32)
	fourth, odds := ofDigits(fourDigits(s, 28) | fourDigits(s, 32)<<32)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(first)|uint64(second)<<32)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(third)|uint64(fourth)<<32)
	return dst, odd|odder|still|odds == 0
}

func (c *coder) readText() string {
	n := c.number()
	form := n & 3
	n >>= 2
	switch form {
	case formHex:
		return c.keep(appendDigits(make([]byte, 0, 64), c.take(n)))
	case formUUID:
		raw := c.take(16)
		if raw == "" {
			return ""
		}
		id := [36]byte{8: '-', 13: '-', 18: '-', 23: '-'}
		for i, at := range digitsAt {
			id[at], id[at+1] = hexDigits[raw[i]>>4], hexDigits[raw[i]&0xf]
		}
		return c.keep(id[:])
	case formWord:
		if n >= uint64(len(words)) {
			c.fail(errNewer)
			return ""
		}
		return words[n]
	}
	return c.take(n)
}

// keep is a string of the bytes. A few lie in one piece of memory: a state has many ids.
func (c *coder) keep(b []byte) string {
	if c.made.Cap()-c.made.Len() < len(b) {
		c.made = strings.Builder{}
		c.made.Grow(max(len(b), keptTogether))
	}
	begin := c.made.Len()
	c.made.Write(b)
	return c.made.String()[begin:]
}

const keptTogether = 4 * 36

const hexDigits = "0123456789abcdef"

func appendDigits(dst []byte, raw string) []byte {
	for i := range len(raw) {
		dst = append(dst, hexDigits[raw[i]>>4], hexDigits[raw[i]&0xf])
	}
	return dst
}

// list codes the items of a slice; one codes one of them. An empty slice is nil.
func list[T any](c *coder, items *[]T, one func(*coder, *T)) {
	if c.writing {
		c.buf = binary.AppendUvarint(c.buf, uint64(len(*items)))
		for i := range *items {
			one(c, &(*items)[i])
		}
		return
	}
	if c.absent() {
		return
	}
	n, outer := c.number(), c.left
	if n > uint64(len(c.text)) { // every item has at least a byte
		c.fail(errShort)
		return
	}
	if n == 0 {
		return
	}
	*items = make([]T, n)
	for i := range *items {
		c.left = 1 // an item that is no structure is one field
		one(c, &(*items)[i])
	}
	c.left = outer
}

// optional codes what a pointer points to, if it does.
func optional[T any](c *coder, p **T, one func(*coder, *T)) {
	some := *p != nil
	c.flag(&some)
	if !some {
		return
	}
	if !c.writing {
		*p = new(T)
	}
	one(c, *p)
}

// nested codes a structure that is a field of another one.
func nested[T any](c *coder, v *T, one func(*coder, *T)) {
	if c.writing || !c.absent() {
		one(c, v)
	}
}

// encode appends a row of one value in the binary form.
func encode[T any](dst []byte, v *T, one func(*coder, *T)) []byte {
	return encodeFields(append(dst, formatBinary), v, one)
}

// coders are lent, because one that functions are called with cannot stay on the stack.
var coders = sync.Pool{New: func() any { return new(coder) }}

// encodeFields appends what one says that v has.
func encodeFields[T any](dst []byte, v *T, one func(*coder, *T)) []byte {
	return encodeWith(coder{}, dst, v, one)
}

func encodeWith[T any](with coder, dst []byte, v *T, one func(*coder, *T)) []byte {
	c := with.writer(dst)
	one(c, v)
	return c.written()
}

// writer lends a coder that appends to dst; written gives it back.
func (c coder) writer(dst []byte) *coder {
	w := coders.Get().(*coder)
	*w = c
	w.writing, w.buf = true, dst
	return w
}

func (c *coder) written() []byte {
	dst := c.buf
	*c = coder{}
	coders.Put(c)
	return dst
}

// errLost is what is said of everything that a store had to write LostRow for.
var errLost = errors.New("it lay in a part of a file that cannot be read")

// decode reads a row into v: one in the binary form, or the JSON of the first release.
func decode[T any](row []byte, v *T, one func(*coder, *T)) error {
	if len(row) == 0 {
		return errShort
	}
	if row[0] == '{' || row[0] == '[' {
		return json.Unmarshal(row, v)
	}
	if bytes.Equal(row, LostRow) {
		return errLost
	}
	if row[0] != formatBinary {
		return fmt.Errorf("it is of format %d, which this release does not know", row[0])
	}
	return decodeFields(coder{}, row[1:], v, one)
}

// decodeFields reads what one says that v has. One copy of the bytes backs every
// string of it.
func decodeFields[T any](with coder, b []byte, v *T, one func(*coder, *T)) error {
	c := coders.Get().(*coder)
	*c = with
	c.text, c.left = string(b), 1
	one(c, v)
	err := c.err
	if err == nil && c.text != "" {
		err = errNewer
	}
	*c = coder{}
	coders.Put(c)
	return err
}

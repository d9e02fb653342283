package ordered

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/signalbox/signalbox/workflow"
)

const (
	escape    = 0x00
	escaped   = 0xff
	separator = 0x01
)

// ID appends an id.
func ID[T ~string | ~[]byte](key []byte, id T) []byte {
	begin := len(key)
	key = append(key, id...)
	if bytes.IndexByte(key[begin:], escape) >= 0 { // as hardly any id has it
		key = append(key[:begin], bytes.ReplaceAll(key[begin:], []byte{escape}, []byte{escape, escaped})...)
	}
	return append(key, escape, separator)
}

// Number appends a number.
func Number(key []byte, n uint64) []byte { return binary.BigEndian.AppendUint64(key, n) }

// Instant appends an instant.
func Instant(key []byte, i workflow.Instant) []byte { return Number(key, uint64(i)^(1<<63)) }

// Past appends an instant that sorts the latest first.
func Past(key []byte, i workflow.Instant) []byte { return Number(key, ^(uint64(i) ^ (1 << 63))) }

// After is the least key that is greater than key and all keys that it begins; nil
// when nothing is greater. It changes key.
func After(key []byte) []byte {
	for i := len(key) - 1; i >= 0; i-- {
		if key[i] != 0xff {
			key[i]++
			return key[:i+1]
		}
	}
	return nil
}

// ErrKey says that a key was not written by this package, or has other parts.
var ErrKey = errors.New("a key or an entry of an index that this store does not write")

// Parts takes a key apart, from its beginning; the first error stays.
type Parts[T ~string | ~[]byte] struct {
	Rest T
	Err  error
}

// ID reads an id.
func (p *Parts[T]) ID() string {
	if p.Err != nil {
		return ""
	}
	var room [64]byte
	id := room[:0]
	for i := 0; i+1 < len(p.Rest); i++ {
		b := p.Rest[i]
		if b != escape {
			id = append(id, b)
			continue
		}
		switch p.Rest[i+1] {
		case separator:
			p.Rest = p.Rest[i+2:]
			return string(id)
		case escaped:
			id = append(id, escape)
			i++
		default:
			p.Err = ErrKey
			return ""
		}
	}
	p.Err = ErrKey
	return ""
}

// Number reads a number.
func (p *Parts[T]) Number() uint64 {
	if p.Err != nil || len(p.Rest) < 8 {
		p.Err = ErrKey
		return 0
	}
	var eight [8]byte
	copy(eight[:], p.Rest)
	p.Rest = p.Rest[8:]
	return binary.BigEndian.Uint64(eight[:])
}

// Instant reads an instant.
func (p *Parts[T]) Instant() workflow.Instant { return workflow.Instant(p.Number() ^ (1 << 63)) }

// Past reads a past instant.
func (p *Parts[T]) Past() workflow.Instant { return workflow.Instant(^p.Number() ^ (1 << 63)) }

// End says whether the key was taken apart well and completely.
func (p *Parts[T]) End() error {
	if p.Err == nil && len(p.Rest) != 0 {
		return ErrKey
	}
	return p.Err
}

package http

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/signalbox/signalbox/workflow"
)

// mintID makes a UUID of version 7: ordered by time, unique without asking
// anybody. Its random bits come from the runtime's own ChaCha8 generator,
// which is seeded by the operating system: an id is a name and not a secret,
// and this costs no system call per request.
func mintID(now time.Time) string {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], uint64(now.UnixMilli())<<16|uint64(rand.Uint32()&0xffff))
	binary.BigEndian.PutUint64(id[8:], rand.Uint64())
	return formatUUID(&id, 7)
}

func formatUUID(id *[16]byte, version byte) string {
	id[6] = id[6]&0x0f | version<<4
	id[8] = id[8]&0x3f | 0x80
	var text [36]byte
	hex.Encode(text[0:8], id[0:4])
	text[8] = '-'
	hex.Encode(text[9:13], id[4:6])
	text[13] = '-'
	hex.Encode(text[14:18], id[6:8])
	text[18] = '-'
	hex.Encode(text[19:23], id[8:10])
	text[23] = '-'
	hex.Encode(text[24:36], id[10:16])
	return string(text[:])
}

// requestIDs numbers the requests of one process under a random prefix: unique
// in the logs of a cluster, and cheaper than a random id per request.
type requestIDs struct {
	prefix string
	last   atomic.Uint64
}

func newRequestIDs() *requestIDs {
	return &requestIDs{prefix: strconv.FormatUint(rand.Uint64()|1<<63, 36) + "-"}
}

func (r *requestIDs) next() string {
	var text [40]byte
	return string(strconv.AppendUint(append(text[:0], r.prefix...), r.last.Add(1), 10))
}

// isRequestID says whether a client's request id may be echoed and logged.
func isRequestID(id string) bool {
	if id == "" || len(id) > MaxRequestIDBytes {
		return false
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] >= 0x7f {
			return false
		}
	}
	return true
}

// checkID says what is wrong with an id that a client chose: it becomes part of
// addresses, keys of the store and log lines.
func checkID(field, id string) error {
	if err := checkName(field, id); err != nil {
		return err
	}
	if strings.IndexByte(id, '/') >= 0 {
		return invalidField(field, "must not contain a slash", "it is part of an address: use letters, digits, dots, hyphens")
	}
	if id == "." || id == ".." {
		return invalidField(field, "must not be "+id, "clients take it out of an address, so that nobody could ask for it: choose another id")
	}
	return nil
}

// checkName says what is wrong with a name or an id without regard to slashes.
func checkName(field, name string) error {
	switch {
	case name == "":
		return invalidField(field, "must not be empty", "name it, or leave the field out where it is not required")
	case len(name) > MaxIDBytes:
		return invalidField(field, "has "+strconv.Itoa(len(name))+" bytes, at most "+strconv.Itoa(MaxIDBytes)+" are allowed", "shorten it; what is long belongs into the payload")
	case !utf8.ValidString(name):
		return invalidField(field, "is not valid UTF-8", "send it as UTF-8")
	}
	for _, r := range name {
		if r < ' ' || r >= 0x7f && r <= 0x9f {
			return invalidField(field, "contains a control character", "leave it out; line breaks and tabs are control characters, too")
		}
	}
	return nil
}

// invalidField is the refusal of one field of a request's body.
func invalidField(field, what, hint string) *workflow.Refusal {
	return &workflow.Refusal{
		Code: workflow.CodeInvalid, Message: field + " " + what, Hint: hint,
		Violations: []workflow.Violation{{Pointer: "/" + field, Message: what}},
	}
}

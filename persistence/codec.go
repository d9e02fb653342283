package persistence

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"

	"github.com/signalbox/signalbox/workflow"
)

// A snapshot row is
//
//	[format 1][crc32c 4][epoch 8][version 8][state ...]
//
// with numbers in big endian. The checksum covers the id of the execution and
// everything behind the checksum, so a row that is damaged, or that lies under
// another execution's key, is noticed. Epoch and version stand in front so that a store
// can check them without decoding the state. The format says how the state is
// encoded: a release that encodes it otherwise adds a format and keeps the
// decoders of all older ones, for ever.
const (
	formatJSON1 = 1 // the state as JSON, field names of workflow.State

	sumAt      = 1
	epochAt    = sumAt + 4
	versionAt  = epochAt + 8
	stateAt    = versionAt + 8
	formatNow  = formatJSON1
	minimumRow = stateAt + len(`{}`)
)

// decoders of states by format. Formats are never removed.
var decoders = map[byte]func([]byte) (*workflow.State, error){
	formatJSON1: decodeJSON1,
}

func decodeJSON1(b []byte) (*workflow.State, error) {
	s := new(workflow.State)
	if err := json.Unmarshal(b, s); err != nil {
		return nil, err
	}
	return s, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sumOf(execID string, row []byte) uint32 {
	var room [workflow.MaxNameBytes]byte
	id := append(room[:0], execID...)
	return crc32.Update(crc32.Checksum(id, castagnoli), castagnoli, row[epochAt:])
}

// AppendSnapshot appends the row of a state that was written by an owner of that
// epoch, in the newest format.
func AppendSnapshot(dst []byte, s *workflow.State, epoch uint64) []byte {
	begin := len(dst)
	dst = append(dst, formatNow, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint64(dst, epoch)
	dst = binary.BigEndian.AppendUint64(dst, s.Version)
	dst = AppendState(dst, s)
	row := dst[begin:]
	binary.BigEndian.PutUint32(row[sumAt:], sumOf(s.ExecID, row))
	return dst
}

// Stamp returns the version and the epoch of a row without decoding its state,
// or *Corrupt when the row is damaged.
func Stamp(execID string, row []byte) (version, epoch uint64, err error) {
	if len(row) < minimumRow {
		return 0, 0, &Corrupt{ExecID: execID, Cause: fmt.Sprintf("the row has %d bytes, fewer than any", len(row))}
	}
	if _, known := decoders[row[0]]; !known {
		return 0, 0, &Corrupt{ExecID: execID, Cause: fmt.Sprintf(
			"the row is of format %d and this release knows up to %d; it was written by a newer release, or its first byte is damaged", row[0], formatNow)}
	}
	if stored, found := binary.BigEndian.Uint32(row[sumAt:]), sumOf(execID, row); stored != found {
		return 0, 0, &Corrupt{ExecID: execID, Cause: fmt.Sprintf("checksum %08x, but the row sums up to %08x", stored, found)}
	}
	return binary.BigEndian.Uint64(row[versionAt:]), binary.BigEndian.Uint64(row[epochAt:]), nil
}

// DecodeSnapshot decodes a row of any format there ever was, or returns *Corrupt.
func DecodeSnapshot(execID string, row []byte) (*Snapshot, error) {
	version, epoch, err := Stamp(execID, row)
	if err != nil {
		return nil, err
	}
	s, err := decoders[row[0]](row[stateAt:])
	if err != nil {
		return nil, &Corrupt{ExecID: execID, Cause: "the state does not decode: " + err.Error()}
	}
	if s.Version != version {
		return nil, &Corrupt{ExecID: execID, Cause: fmt.Sprintf("the row is of version %d and the state in it of version %d", version, s.Version)}
	}
	s.ExecID = execID // JSON cannot carry an id that is not UTF-8; the key can
	return &Snapshot{State: s, Epoch: epoch}, nil
}

package persistence

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"

	"github.com/signalbox/signalbox/workflow"
)

// A snapshot row is
//
//	[format 1][crc32c 4][epoch 8][version 8][commit 8][state ...]
//
// with numbers in big endian. The checksum covers the id of the execution and
// everything behind the checksum, so a row that is damaged, or that lies under
// another execution's key, is noticed. The stamp stands in front so that a store
// can check it without decoding the state. The format says how the state is
// encoded: a release that encodes it otherwise adds a format and keeps the
// decoders of all older ones, for ever.
const (
	formatJSON1   = 1 // the state as JSON, field names of workflow.State
	formatBinary2 = formatBinary

	sumAt      = 1
	epochAt    = sumAt + 4
	versionAt  = epochAt + 8
	commitAt   = versionAt + 8
	stateAt    = commitAt + 8
	formatNow  = formatBinary2
	minimumRow = stateAt + 2
)

// decoders of states by format. Formats are never removed.
var decoders = map[byte]func([]byte) (*workflow.State, error){
	formatJSON1:   decodeJSON1,
	formatBinary2: decodeBinary2,
}

func decodeJSON1(b []byte) (*workflow.State, error) {
	s := new(workflow.State)
	if err := json.Unmarshal(b, s); err != nil {
		return nil, err
	}
	return s, nil
}

func decodeBinary2(b []byte) (*workflow.State, error) {
	s := new(workflow.State)
	return s, decodeFields(coder{}, b, s, stateFields)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumOf sums up the id and the row behind its checksum. The id is done by hand,
// because package crc32 wants bytes, and making them allocates.
func sumOf(execID string, row []byte) uint32 {
	sum := ^uint32(0)
	for i := range len(execID) {
		sum = castagnoli[byte(sum)^execID[i]] ^ sum>>8
	}
	return crc32.Update(^sum, castagnoli, row[epochAt:])
}

// LostRow is what a store writes instead of a row that it knows of and cannot read any
// more. Nothing decodes it, so what it stands for is called damaged.
var LostRow = []byte("lost")

// Stamp says which commit a row is from: what the next commit must be made on.
type Stamp struct {
	Version uint64 // of the state
	Epoch   uint64 // of the owner that wrote it
	Commit  uint64 // its id
}

// AppendSnapshot appends the row of a state that was written by that commit of
// an owner of that epoch, in the newest format.
func AppendSnapshot(dst []byte, s *workflow.State, epoch, commit uint64) []byte {
	begin := len(dst)
	dst = append(dst, formatNow, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint64(dst, epoch)
	dst = binary.BigEndian.AppendUint64(dst, s.Version)
	dst = binary.BigEndian.AppendUint64(dst, commit)
	dst = encodeFields(dst, s, stateFields)
	row := dst[begin:]
	binary.BigEndian.PutUint32(row[sumAt:], sumOf(s.ExecID, row))
	return dst
}

// StampOf returns the stamp of a row without decoding its state, or *Corrupt
// when the row is damaged.
func StampOf(execID string, row []byte) (Stamp, error) {
	if bytes.Equal(row, LostRow) {
		return Stamp{}, &Corrupt{ExecID: execID, Cause: errLost.Error()}
	}
	if len(row) < minimumRow {
		return Stamp{}, &Corrupt{ExecID: execID, Cause: fmt.Sprintf("the row has %d bytes, fewer than any", len(row))}
	}
	if _, known := decoders[row[0]]; !known {
		return Stamp{}, &Corrupt{ExecID: execID, Cause: fmt.Sprintf(
			"the row is of format %d and this release knows up to %d; it was written by a newer release, or its first byte is damaged", row[0], formatNow)}
	}
	if stored, found := binary.BigEndian.Uint32(row[sumAt:]), sumOf(execID, row); stored != found {
		return Stamp{}, &Corrupt{ExecID: execID, Cause: fmt.Sprintf("checksum %08x, but the row sums up to %08x", stored, found)}
	}
	return Stamp{
		Version: binary.BigEndian.Uint64(row[versionAt:]), Epoch: binary.BigEndian.Uint64(row[epochAt:]),
		Commit: binary.BigEndian.Uint64(row[commitAt:]),
	}, nil
}

// DecodeSnapshot decodes a row of any format there ever was, or returns *Corrupt.
func DecodeSnapshot(execID string, row []byte) (*Snapshot, error) {
	stamp, err := StampOf(execID, row)
	if err != nil {
		return nil, err
	}
	s, err := decoders[row[0]](row[stateAt:])
	if err != nil {
		return nil, &Corrupt{ExecID: execID, Cause: "the state does not decode: " + err.Error()}
	}
	if s.Version != stamp.Version {
		return nil, &Corrupt{ExecID: execID, Cause: fmt.Sprintf("the row is of version %d and the state in it of version %d", stamp.Version, s.Version)}
	}
	s.ExecID = execID // JSON cannot carry an id that is not UTF-8; the key can
	return &Snapshot{State: s, Stamp: stamp}, nil
}

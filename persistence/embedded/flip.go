package embedded

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
)

// putRight flips the one bit that makes bytes have a CRC again, and reports whether
// there is one. A CRC is linear: which bits of it change with one of the bytes depends on
// nothing but how many bytes follow that.
func putRight(b []byte, sum uint32) bool {
	differs := crc32.Checksum(b, castagnoli) ^ sum
	var changes [8]uint32 // of the CRC by each bit of a byte
	for bit := range changes {
		changes[bit] = castagnoli[1<<bit]
	}
	for i := len(b) - 1; i >= 0; i-- {
		for bit, change := range changes {
			if change == differs {
				b[i] ^= 1 << bit
				return true
			}
			changes[bit] = castagnoli[byte(change)] ^ change>>8
		}
	}
	return false
}

// putFrameRight puts the frame right that b begins with, and reports whether one bit of
// it had flipped.
func putFrameRight(b []byte, number, salt uint64) bool {
	if len(b) < frameHeader {
		return false
	}
	wrong := bits.OnesCount64(binary.LittleEndian.Uint64(b[8:])^number) + bits.OnesCount64(binary.LittleEndian.Uint64(b[16:])^salt)
	if wrong > 1 {
		return false
	}
	binary.LittleEndian.PutUint64(b[8:], number)
	binary.LittleEndian.PutUint64(b[16:], salt)
	if _, _, ok := frameAt(b, number, salt); ok {
		return true
	}
	length := binary.LittleEndian.Uint32(b[4:])
	for bit := range 32 {
		binary.LittleEndian.PutUint32(b[4:], length^1<<bit)
		if _, _, ok := frameAt(b, number, salt); ok {
			return true
		}
	}
	binary.LittleEndian.PutUint32(b[4:], length)
	if length > maxFlipBytes || int(length) > len(b)-frameHeader {
		return false
	}
	return putSumRight(b[4:frameHeader+length], b)
}

// putHeaderRight puts the header of a segment right, and reports whether one bit of it had
// flipped.
func putHeaderRight(page []byte) bool { return putSumRight(page[:headerSumAt], page[headerSumAt:]) }

// putSumRight puts bytes right, or the first four bytes of what is stored of their CRC.
func putSumRight(b, stored []byte) bool {
	sum, right := binary.LittleEndian.Uint32(stored), crc32.Checksum(b, castagnoli)
	if bits.OnesCount32(sum^right) == 1 {
		binary.LittleEndian.PutUint32(stored, right)
		return true
	}
	return putRight(b, sum)
}

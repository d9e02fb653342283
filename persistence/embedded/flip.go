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
// flipped. The upper half of its checksum is empty.
func putHeaderRight(page []byte) bool {
	if empty := page[headerSumAt+4 : headerBytes]; bits.OnesCount32(binary.LittleEndian.Uint32(empty)) == 1 {
		clear(empty)
		return true
	}
	return putSumRight(page[:headerSumAt], page[headerSumAt:])
}

// putSumRight puts bytes right, or the first four bytes of what is stored of their CRC.
func putSumRight(b, stored []byte) bool {
	sum, right := binary.LittleEndian.Uint32(stored), crc32.Checksum(b, castagnoli)
	if bits.OnesCount32(sum^right) == 1 {
		binary.LittleEndian.PutUint32(stored, right)
		return true
	}
	return putRight(b, sum)
}

// checksum is what pebble writes of a CRC.
func checksum(crc uint32) uint32 { return (crc>>15 | crc<<17) + checksumDelta }

const checksumDelta = 0xa282ead8

// putMaskedRight is putSumRight where pebble has stored what it writes of a CRC.
func putMaskedRight(b, stored []byte) bool {
	sum, right := binary.LittleEndian.Uint32(stored), checksum(crc32.Checksum(b, castagnoli))
	if bits.OnesCount32(sum^right) == 1 {
		binary.LittleEndian.PutUint32(stored, right)
		return true
	}
	sum -= checksumDelta
	return putRight(b, sum<<15|sum>>17)
}

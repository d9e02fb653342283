package embedded

import "hash/crc32"

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

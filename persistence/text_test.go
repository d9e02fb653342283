package persistence

import (
	"strings"
	"testing"
)

// Whatever byte stands anywhere in what looks like an id or a hash, the string comes
// back as it was, and it is written short exactly when it is one.
func TestTextsThatLookLikeIDs(t *testing.T) {
	const id, hash = "0193a1f2-7c3b-7def-8a12-0123456789ab", "00112233445566778899aabbccddeeff"
	for _, like := range []string{id, hash, hash + hash} {
		short := 1 + len(strings.ReplaceAll(like, "-", ""))/2
		for at := range like {
			for b := range 256 {
				s := like[:at] + string([]byte{byte(b)}) + like[at+1:]
				c := coder{text: string(appendText(nil, s))}
				if back := c.readText(); back != s || c.err != nil {
					t.Fatalf("%q came back as %q, %v", s, back, c.err)
				}
				digit := strings.IndexByte("0123456789abcdef", byte(b)) >= 0
				if written := len(appendText(nil, s)); (written <= short+1) != (s == like || digit && like[at] != '-') {
					t.Fatalf("%q takes %d bytes", s, written)
				}
			}
		}
	}
}

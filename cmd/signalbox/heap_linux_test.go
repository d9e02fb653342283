package main

import (
	"os"
	"regexp"
	"strconv"
	"testing"
)

func TestWhatIsAllocatedIsToldFromOtherMemory(t *testing.T) {
	for line, want := range map[string][2]uintptr{
		"c000000000-c004000000 rw-p 00000000 00:00 0 ":                                        {0xc000000000, 0xc004000000},
		"c000000000-c004000000 rw-p 00000000 00:00 0                  [anon: Go: heap]":       {0xc000000000, 0xc004000000},
		"c004000000-c008000000 ---p 00000000 00:00 0                  [anon: Go: heap]":       {},
		"7ffd1c5e2000-7ffd1c603000 rw-p 00000000 00:00 0              [stack]":                {},
		"00400000-01a00000 rw-p 00000000 fe:00 1234                   /usr/local/bin/node":    {},
		"7f0000000000-7f0000200000 rw-p 00000000 00:00 0              [anon: Go: page alloc]": {},
		"": {}, "zz-c0 rw-p 0 0 0": {}, "c0 rw-p 0 0 0": {},
	} {
		if from, to := allocated([]byte(line)); from != want[0] || to != want[1] {
			t.Errorf("%q is about %x to %x, want %x", line, from, to, want)
		}
	}
}

func TestLargePagesHoldWhatSmallOnesHeld(t *testing.T) {
	memory := make([]byte, 16*largePage)
	for i := range memory {
		memory[i] = byte(i * 31 >> 8)
	}
	before := largePages(t)
	inLargePages()
	for i := range memory {
		if memory[i] != byte(i*31>>8) {
			t.Fatalf("byte %d changed", i)
		}
	}
	if after := largePages(t); after < before+8*largePage {
		t.Skipf("this kernel keeps %d bytes in large pages, %d before: it does not do so when it is asked", after, before)
	}
}

// largePages is how many bytes of this process lie in large pages.
func largePages(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		t.Skip(err)
	}
	found := regexp.MustCompile(`AnonHugePages:\s+(\d+) kB`).FindSubmatch(text)
	if found == nil {
		t.Skip("the kernel does not tell")
	}
	kilobytes, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}

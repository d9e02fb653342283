package main

import (
	"bytes"
	"os"
	"regexp"
	"runtime/debug"
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

func TestWhatALoadFillsLiesInLargePages(t *testing.T) {
	if text, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled"); err != nil || bytes.Contains(text, []byte("[never]")) {
		t.Skipf("this kernel has no large pages to give: %s %v", text, err)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	before := filled(16 * largePage)
	h := newHeap(func(string) string { return "" })
	large := largePages(t)
	h.loaded()
	if now := largePages(t); now > large+int(h.room)/2 {
		t.Errorf("%d bytes are in use before anybody has written to them", now-large)
	} else if now < large+8*largePage {
		t.Skipf("this kernel keeps %d bytes in large pages, %d before: it does not do so when it is asked", now, large)
	}
	large = largePages(t)
	after := filled(32 * largePage)
	if now := largePages(t); now < large+16*largePage {
		t.Errorf("%d bytes lie in large pages, %d before %d were filled", now, large, len(after))
	}
	inSmallPages()
	if !bytes.Equal(before, filled(len(before))) || !bytes.Equal(after, filled(len(after))) {
		t.Error("some bytes have changed")
	}
}

// filled is memory that was written to.
func filled(size int) []byte {
	memory := make([]byte, size)
	for i := range memory {
		memory[i] = byte(i * 31 >> 8)
	}
	return memory
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

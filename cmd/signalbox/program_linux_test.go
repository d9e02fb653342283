package main

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestWhatOnlyTheStartReadOfTheProgramIsGivenBack(t *testing.T) {
	program := func() (kib int) {
		t.Helper()
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(status), "RssFile:")
		if kib, err = strconv.Atoi(strings.Fields(rest)[0]); err != nil {
			t.Fatal(err)
		}
		return kib
	}
	before := program()
	forgetProgram()
	if after := program(); after > before/2 {
		t.Errorf("%d KiB of the program are in memory, and %d were before", after, before)
	}
}

func TestOnlyPartsOfTheProgramThatNobodyChangedAreGivenBack(t *testing.T) {
	const smaps = `00400000-01a57000 r-xp 00000000 fe:00 9978003                            /opt/signal box
Size:              22876 kB
Rss:               15452 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd ex mr mw me
01a57000-034f2000 r--p 01657000 fe:00 9978003                            /opt/signal box
Anonymous:             0 kB
Swap:                  0 kB
034f2000-03500000 r--p 030f2000 fe:00 9978003                            /opt/signal box
Rss:                  56 kB
Anonymous:             8 kB
Swap:                  0 kB
03500000-03510000 r--p 030f2000 fe:00 9978003                            /opt/signal box
Anonymous:             0 kB
Swap:                  8 kB
03510000-035b7000 rw-p 03100000 fe:00 9978003                            /opt/signal box
Anonymous:             0 kB
Swap:                  0 kB
7f83efe80000-7f83f0200000 r--p 00000000 00:00 0
Anonymous:             0 kB
Swap:                  0 kB
7f8436b00000-7f8436b2a000 r-xp 00000000 fe:00 9978004                    /opt/signal box.old
Anonymous:             0 kB
Swap:                  0 kB
7f8436c00000-7f8436c2a000 r-xp 00000000 fe:00 9978005                    /opt/other/signal box
Anonymous:             0 kB
Swap:                  0 kB
02000000-01000000 r-xp 00000000 fe:00 9978003                            /opt/signal box
Anonymous:             0 kB
Swap:                  0 kB
04000000-04100000 r-xp 00000000 fe:00 9978003                            /opt/signal box
Swap:                  0 kB
0xyz-1xyz r-xp 00000000 fe:00 9978003                            /opt/signal box
Anonymous:             0 kB
Swap:                  0 kB

`
	want := []part{{0x400000, 0x1a57000}, {0x1a57000, 0x34f2000}}
	if got := unchanged([]byte(smaps), "/opt/signal box"); !slices.Equal(got, want) {
		t.Errorf("the parts %x, want %x", got, want)
	}
	if got := unchanged(nil, "/opt/signal box"); got != nil {
		t.Errorf("the parts %x of nothing", got)
	}
}

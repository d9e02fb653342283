package main

import (
	"bytes"
	"os"
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

func TestOnlyPartsOfTheProgramThatNobodyChangesAreGivenBack(t *testing.T) {
	const path = "/opt/signal box"
	for line, want := range map[string]bool{
		"00400000-01a57000 r-xp 00000000 fe:00 9978003                            /opt/signal box\n":       true,
		"01a57000-034f2000 r--p 01657000 fe:00 9978003                            /opt/signal box":         true,
		"034f2000-035b7000 rw-p 030f2000 fe:00 9978003                            /opt/signal box\n":       false,
		"7f83efe80000-7f83f0200000 rw-p 00000000 00:00 0\n":                                                false,
		"00400000-01a57000 r-xp 00000000 fe:00 9978003                            /opt/signal box.old\n":   false,
		"00400000-01a57000 r-xp 00000000 fe:00 9978003                            /opt/other/signal box\n": false,
		"00400000-0xyz r-xp 00000000 fe:00 9978003                            /opt/signal box\n":           false,
		"01a57000-00400000 r-xp 00000000 fe:00 9978003                            /opt/signal box\n":       false,
		"": false,
	} {
		if from, to, ok := unchanged([]byte(line), path); ok != want || ok && (from == 0 || to <= from) {
			t.Errorf("%q: %x to %x, %v, want %v", bytes.TrimSpace([]byte(line)), from, to, ok, want)
		}
	}
}

package binary

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// script writes a shell script that stands for the real program: what this
// room does to a process must hold for any.
func script(t *testing.T, body string) Options {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o755); err != nil {
		t.Fatal(err)
	}
	return Options{Path: path, Project: "project", Data: "data"}
}

const listening = "echo 'listening on http://127.0.0.1:4321'\n"

func TestStartReadsTheAddressAndPassesTheFlags(t *testing.T) {
	n, err := Start(script(t, `echo "$@" >&2`+"\n"+listening+"exec sleep 60\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer n.Kill()
	if n.URL != "http://127.0.0.1:4321" || n.Ready <= 0 || n.PID <= 0 {
		t.Errorf("got URL %q, ready after %v, process %d", n.URL, n.Ready, n.PID)
	}
	n.Kill()
	if want := "serve project --addr 127.0.0.1:0 --data data --no-auth"; !strings.Contains(n.Log(), want) {
		t.Errorf("the program was called with %q, want %q", n.Log(), want)
	}
}

func TestStartShowsTheLogOfAProgramThatEnds(t *testing.T) {
	n, err := Start(script(t, "echo 'the disk is on fire' >&2\nexit 1\n"))
	if err == nil {
		n.Kill()
		t.Fatal("a program that never listens was taken for ready")
	}
	if !strings.Contains(err.Error(), "the disk is on fire") {
		t.Errorf("the error does not show the log: %v", err)
	}
}

func TestStopWantsACleanEnd(t *testing.T) {
	for _, c := range []struct {
		name, body string
		ok         bool
	}{
		{"exit 0", "trap 'exit 0' TERM\n" + listening + "while :; do sleep 0.01; done\n", true},
		{"exit 7", "trap 'exit 7' TERM\n" + listening + "while :; do sleep 0.01; done\n", false},
		{"deaf", "trap '' TERM\n" + listening + "while :; do sleep 0.01; done\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, err := Start(script(t, c.body))
			if err != nil {
				t.Fatal(err)
			}
			defer n.Kill()
			if _, err := n.Stop(300 * time.Millisecond); (err == nil) != c.ok {
				t.Errorf("Stop says %v", err)
			}
		})
	}
}

func TestFrozenProcessIsAliveAndKillable(t *testing.T) {
	n, err := Start(script(t, listening+"exec sleep 60\n"))
	if err != nil {
		t.Fatal(err)
	}
	n.Freeze()
	select {
	case <-n.Ended():
		t.Fatal("a frozen process has ended")
	default:
	}
	n.Kill()
}

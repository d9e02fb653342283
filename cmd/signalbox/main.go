package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	os.Exit(runProcess())
}

// runProcess runs the command line of this process and returns its exit code.
// The first SIGINT or SIGTERM ends the context; after that the second one has
// its usual effect and ends the process at once.
func runProcess() int {
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, restore)
	return run(ctx, os.Args[1:], terminal{in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.Getenv})
}

// terminal is what a program sees of the outside, so that tests can run the
// whole of it within their own process.
type terminal struct {
	in  io.Reader
	out io.Writer
	err io.Writer
	env func(string) string
}

// colors reports whether w is a screen that nobody asked to keep plain.
func (t terminal) colors(w io.Writer) bool {
	if t.env("NO_COLOR") != "" || t.env("TERM") == "dumb" {
		return false
	}
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

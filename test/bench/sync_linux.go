package main

import (
	"os"
	"syscall"
)

// fdatasync is the sync that the store uses: data without the file's times.
func fdatasync(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }

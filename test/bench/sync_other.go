//go:build !linux

package main

import "os"

// fdatasync is a whole sync where the system knows no smaller one.
func fdatasync(f *os.File) error { return f.Sync() }

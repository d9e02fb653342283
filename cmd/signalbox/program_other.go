//go:build !linux

package main

// forgetProgram leaves it to the system which pages of the program stay in memory.
func forgetProgram() {}

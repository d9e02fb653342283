//go:build !linux

package main

// inLargePages does nothing: nobody has measured that it helps here.
func inLargePages() {}

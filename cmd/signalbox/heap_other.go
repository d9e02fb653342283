//go:build !linux

package main

// inLargePages and inSmallPages do nothing: nobody has measured that they help here.

func inLargePages() {}
func inSmallPages() {}

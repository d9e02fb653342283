package main

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

// forgetProgram has the kernel take back the pages of the program that were read so
// far. Most were read once, by what packages do when the process starts, and they are
// four fifths of what an idle node has; those that are needed again are mapped from
// the kernel's cache of the file. A system that does not say where they lie keeps them.
func forgetProgram() {
	path, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for line := range bytes.Lines(maps) {
		if from, to, ok := unchanged(line, path); ok {
			_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, from, to-from, syscall.MADV_DONTNEED) // it changes nothing but the speed
		}
	}
}

// unchanged returns where a part of the program lies that is as the file is: nobody
// may write to it. The line is one of proc(5)'s maps.
func unchanged(line []byte, path string) (from, to uintptr, ok bool) {
	line, ok = bytes.CutSuffix(bytes.TrimSpace(line), []byte(" "+path))
	fields := bytes.Fields(line)
	if !ok || len(fields) < 2 || !bytes.HasPrefix(fields[1], []byte("r-")) {
		return 0, 0, false
	}
	first, last, _ := bytes.Cut(fields[0], []byte("-"))
	begin, err := strconv.ParseUint(string(first), 16, strconv.IntSize)
	if err != nil {
		return 0, 0, false
	}
	end, err := strconv.ParseUint(string(last), 16, strconv.IntSize)
	return uintptr(begin), uintptr(end), err == nil && begin < end
}

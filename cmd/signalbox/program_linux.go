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
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	for _, p := range unchanged(smaps, path) {
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, p.from, p.to-p.from, syscall.MADV_DONTNEED) // it changes nothing but the speed
	}
}

// part is where a part of a file lies in memory.
type part struct{ from, to uintptr }

// unchanged returns the parts of a file that are in memory as they are in the file: they
// may not be written to, and no page of theirs was ever, in memory or moved to the swap
// since. A loader writes addresses into a part before it forbids everybody to, and what
// it wrote must not be lost. smaps is what proc(5) calls so.
func unchanged(smaps []byte, path string) (parts []part) {
	var at part
	var fixed, unwritten bool
	for line := range bytes.Lines(smaps) {
		fields := bytes.Fields(line)
		if len(fields) < 2 {
			continue
		}
		if first, last, ok := bytes.Cut(fields[0], []byte("-")); ok {
			at = part{address(first), address(last)}
			unwritten = false
			fixed = at.from < at.to && bytes.HasPrefix(fields[1], []byte("r-")) && bytes.HasSuffix(bytes.TrimSpace(line), []byte(" "+path))
			continue
		}
		zero := string(fields[1]) == "0"
		switch string(fields[0]) {
		case "Anonymous:":
			unwritten = zero
		case "Swap:": // the later one of both
			if fixed && unwritten && zero {
				parts = append(parts, at)
			}
		}
	}
	return parts
}

// address reads hexadecimal digits; zero when they are none.
func address(digits []byte) uintptr {
	n, err := strconv.ParseUint(string(digits), 16, strconv.IntSize)
	if err != nil {
		return 0
	}
	return uintptr(n)
}

package main

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"syscall"
)

const (
	largePage = 2 << 20

	// collapse is MADV_COLLAPSE of Linux 6.1 and later, which others refuse.
	collapse = 25
)

// inLargePages has what this process allocates lie in pages of 2 MiB instead of
// 4 KiB: what it has written to already, and what it will. Under load it goes round
// in hundreds of megabytes, more than a processor remembers the small pages of, and
// on a virtual machine it takes long to look one up. The kernel does it on its own
// only where it is set up so, and slowly. When it has no such page to spare, nothing
// more is asked for this time.
func inLargePages() {
	eachPart(func(from, to uintptr) bool {
		advise(from, to, syscall.MADV_HUGEPAGE)
		from = (from + largePage - 1) &^ (largePage - 1)
		for ; from+largePage <= to; from += largePage {
			if no := advise(from, from+largePage, collapse); no == syscall.ENOMEM || no == syscall.EBUSY {
				return false // all of the machine's, or of the container's, are taken
			}
		}
		return true
	})
}

// inSmallPages has memory that is given back stay so: the kernel would fill what is
// left of large pages up again.
func inSmallPages() {
	eachPart(func(from, to uintptr) bool {
		advise(from, to, syscall.MADV_NOHUGEPAGE)
		return true
	})
}

// advise says how memory is used, which changes nothing but the speed.
func advise(from, to, how uintptr) syscall.Errno {
	_, _, no := syscall.Syscall(syscall.SYS_MADVISE, from, to-from, how)
	return no
}

// eachPart calls do for each part of what this process allocates until it says no.
func eachPart(do func(from, to uintptr) bool) {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		if from, to := allocated(lines.Bytes()); from < to && !do(from, to) {
			return
		}
	}
}

// allocated is the memory that a line of /proc/self/maps is about when that is for
// what the program allocates: it can be written to, belongs to no file, and has no
// name or, with newer kernels, the one that Go gives it.
func allocated(line []byte) (from, to uintptr) {
	fields := bytes.Fields(line) // from-to, rights, offset, device, inode, name
	if len(fields) < 5 || string(fields[1]) != "rw-p" || string(fields[4]) != "0" ||
		len(fields) > 5 && !bytes.Contains(line, []byte("[anon: Go: heap]")) {
		return 0, 0
	}
	low, high, _ := bytes.Cut(fields[0], []byte("-"))
	begin, err := strconv.ParseUint(string(low), 16, 64)
	if err != nil {
		return 0, 0
	}
	end, err := strconv.ParseUint(string(high), 16, 64)
	if err != nil {
		return 0, 0
	}
	return uintptr(begin), uintptr(end)
}

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

// inLargePages has what this process has written to kept in pages of 2 MiB instead
// of 4 KiB. Under load it goes round in hundreds of megabytes, more than a processor
// remembers the small pages of, and on a virtual machine it takes long to look one
// up. The kernel does it on its own only where it is set up so, and slowly. When it
// has no such page to spare, nothing more is asked for this time. Memory that is
// given back later is given back as before.
func inLargePages() {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		from, to := allocated(lines.Bytes())
		from = (from + largePage - 1) &^ (largePage - 1)
		for ; from+largePage <= to; from += largePage {
			if _, _, no := syscall.Syscall(syscall.SYS_MADVISE, from, largePage, collapse); no == syscall.ENOMEM || no == syscall.EBUSY {
				return // all of the machine's, or of the container's, are taken
			}
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

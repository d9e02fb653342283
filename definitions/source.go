package definitions

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// source is the text of one file, kept for the lines that diagnoses show.
type source struct {
	name   string // as diagnoses show it
	lines  []string
	hidden bool // holds secrets: its lines are never shown
}

func newSource(name string, text []byte) *source {
	return &source{name: name, lines: strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n")}
}

// line returns the line of that number, 1-based, or "" when it is not to be shown.
func (s *source) line(n int) string {
	if s.hidden || n < 1 || n > len(s.lines) || len(s.lines[n-1]) > maxSourceLine {
		return ""
	}
	return strings.TrimRight(s.lines[n-1], "\r")
}

// place is where something stands: in a bundle it is zero.
type place struct {
	src       *source
	line, col int // 1-based; characters
	width     int
}

// file is the place of a whole file.
func (s *source) file() place { return place{src: s} }

// inside returns the place of the character at line and col (1-based) of the
// text of a scalar, where its spelling in the file allows to find it, and the
// place of the scalar otherwise. It walks the text and its spelling side by
// side: runs of white space match each other, whatever folding made of them,
// and the escapes of quoted scalars are undone.
func (n *node) inside(line, col int) place {
	if n.src == nil || n.line < 1 || n.line > len(n.src.lines) {
		return n.place
	}
	target := offsetOf(n.text, line, col)
	w := walker{src: n.src, line: n.line, rest: after(n.src.lines[n.line-1], n.col-1), style: n.style}
	if !w.begin() {
		return n.place
	}
	space := false
	for i, r := range n.text {
		if unicode.IsSpace(r) {
			if i >= target {
				break
			}
			space = true
			continue
		}
		if space || i == 0 {
			w.skipSpace()
			space = false
		}
		if i >= target {
			break
		}
		if !w.take(r) {
			return n.place
		}
	}
	if space {
		w.skipSpace()
	}
	return place{src: n.src, line: w.line, col: w.col(), width: 1}
}

// offsetOf is the byte offset of line and col (1-based) in s.
func offsetOf(s string, line, col int) int {
	offset := 0
	for ; line > 1; line-- {
		i := strings.IndexByte(s[offset:], '\n')
		if i < 0 {
			break
		}
		offset += i + 1
	}
	for ; col > 1 && offset < len(s); col-- {
		_, size := utf8.DecodeRuneInString(s[offset:])
		offset += size
	}
	return offset
}

// after is s without its first n characters.
func after(s string, n int) string {
	for ; n > 0 && s != ""; n-- {
		_, size := utf8.DecodeRuneInString(s)
		s = s[size:]
	}
	return s
}

// walker reads the spelling of a scalar in its file.
type walker struct {
	src   *source
	line  int
	rest  string // of that line
	style style
}

// begin moves to the first character of the scalar's text.
func (w *walker) begin() bool {
	for strings.HasPrefix(w.rest, "&") || strings.HasPrefix(w.rest, "!") {
		_, rest, found := strings.Cut(w.rest, " ")
		if !found {
			return false
		}
		w.rest = strings.TrimLeft(rest, " ")
	}
	switch w.style {
	case block:
		w.rest = ""
		return true
	case single, double:
		if w.rest == "" {
			return false
		}
		w.rest = w.rest[1:]
	}
	return true
}

// skipSpace moves over white space and line ends.
func (w *walker) skipSpace() {
	for {
		w.rest = strings.TrimLeft(w.rest, " \t\r")
		switch {
		case w.style == double && strings.HasPrefix(w.rest, `\n`), w.style == double && strings.HasPrefix(w.rest, `\t`):
			w.rest = w.rest[2:]
		case w.style == double && w.rest == `\`:
			w.rest = ""
		case w.rest == "" && w.line < len(w.src.lines):
			w.line++
			w.rest = w.src.lines[w.line-1]
		default:
			return
		}
	}
}

// take moves over one character, which must be r or its escape.
func (w *walker) take(r rune) bool {
	if w.style == double && strings.HasPrefix(w.rest, `\`) {
		if len(w.rest) < 2 || rune(w.rest[1]) != r || (r != '"' && r != '\\' && r != '/') {
			return false
		}
		w.rest = w.rest[2:]
		return true
	}
	if w.style == single && r == '\'' {
		if !strings.HasPrefix(w.rest, "''") {
			return false
		}
		w.rest = w.rest[2:]
		return true
	}
	got, size := utf8.DecodeRuneInString(w.rest)
	if got != r {
		return false
	}
	w.rest = w.rest[size:]
	return true
}

func (w *walker) col() int {
	line := w.src.lines[w.line-1]
	return utf8.RuneCountInString(line) - utf8.RuneCountInString(w.rest) + 1
}

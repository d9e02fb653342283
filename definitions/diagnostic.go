package definitions

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Severity is how bad a finding is.
type Severity string

// The severities. A project with an Error is not loaded; a Warning says what
// will happen instead of what may have been meant.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Diagnostic is one finding about a file, at a place in it.
type Diagnostic struct {
	File     string   `json:"file"`
	Line     int      `json:"line"` // 1-based; 0 when it is about the whole file
	Col      int      `json:"col"`  // 1-based, in characters
	Width    int      `json:"width"`
	Severity Severity `json:"severity"`
	Message  string   `json:"message"`
	Hint     string   `json:"hint,omitempty"` // what to do
	Rule     string   `json:"rule"`           // stable name of what was checked
	Source   string   `json:"source,omitempty"`
}

// String is the first line of the printed form: file:line:col: severity: message.
func (d Diagnostic) String() string {
	var b strings.Builder
	b.WriteString(d.File)
	if d.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", d.Line, d.Col)
	}
	fmt.Fprintf(&b, ": %s: %s", d.Severity, d.Message)
	return b.String()
}

// Diagnostics are the findings of one load, by file and place.
type Diagnostics []Diagnostic

// Errors reports whether at least one finding is an error.
func (d Diagnostics) Errors() bool {
	return slices.ContainsFunc(d, func(one Diagnostic) bool { return one.Severity == Error })
}

// Print writes each finding with its source line, a caret under the place and
// what to do about it. A writer that fails is the caller's to notice; nothing
// is written after its first error.
func (d Diagnostics) Print(w io.Writer) {
	var b bytes.Buffer
	for _, one := range d {
		one.print(&b)
	}
	// The caller owns w and sees its errors; there is nobody else to tell.
	_, _ = w.Write(b.Bytes())
}

func (d Diagnostic) print(b *bytes.Buffer) {
	fmt.Fprintln(b, d.String())
	if d.Line > 0 && d.Source != "" {
		number := fmt.Sprintf("%5d", d.Line)
		source, col := window(d.Source, d.Col)
		fmt.Fprintf(b, "%s | %s\n", number, source)
		fmt.Fprintf(b, "%s | %s%s\n", strings.Repeat(" ", len(number)), margin(source, col), carets(source, col, d.Width))
	}
	if d.Hint != "" {
		fmt.Fprintf(b, "      = %s\n", d.Hint)
	}
}

// window cuts a long line around the column that matters.
func window(line string, col int) (string, int) {
	runes := []rune(line)
	if len(runes) <= maxSourceWidth {
		return line, col
	}
	start := max(0, min(col-1-maxSourceWidth/2, len(runes)-maxSourceWidth))
	return string(runes[start : start+maxSourceWidth]), col - start
}

// margin is as wide as the line up to the column, tabs kept as tabs.
func margin(line string, col int) string {
	var b strings.Builder
	for _, r := range line {
		if col--; col <= 0 {
			break
		}
		if r == '\t' {
			b.WriteRune('\t')
		} else {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

func carets(line string, col, width int) string {
	rest := utf8.RuneCountInString(line) - (col - 1)
	return strings.Repeat("^", max(1, min(width, rest)))
}

// findings collects diagnostics while a load goes on.
type findings struct {
	list    []Diagnostic
	seen    map[Diagnostic]bool
	dropped int
	stored  bool // of a definition that an earlier release took, and on which executions may run
}

// failf adds an error. The hint says what to do and may be empty.
func (f *findings) failf(at place, rule, hint, format string, args ...any) {
	f.add(at, Error, rule, hint, fmt.Sprintf(format, args...))
}

// warnf adds a warning.
func (f *findings) warnf(at place, rule, hint, format string, args ...any) {
	f.add(at, Warning, rule, hint, fmt.Sprintf(format, args...))
}

func (f *findings) add(at place, severity Severity, rule, hint, message string) {
	d := Diagnostic{
		Line: at.line, Col: at.col, Width: max(at.width, 1),
		Severity: severity, Message: message, Hint: hint, Rule: rule,
	}
	if at.src != nil {
		d.File, d.Source = at.src.name, at.src.line(at.line)
	}
	if f.seen[d] {
		return // an agent that two tasks use is wrong only once
	}
	if len(f.list) >= MaxDiagnostics && severity != Error || f.full() {
		f.dropped++
		return
	}
	if f.seen == nil {
		f.seen = make(map[Diagnostic]bool)
	}
	f.seen[d] = true
	f.list = append(f.list, d)
}

// full reports whether nothing more is kept, so that nobody need look for a
// place or a suggestion.
func (f *findings) full() bool { return len(f.list) >= 2*MaxDiagnostics }

// sorted returns the findings by file and place, at most MaxDiagnostics of
// them, errors before warnings when some must go.
func (f *findings) sorted() Diagnostics {
	list := slices.Clone(f.list)
	dropped := f.dropped
	if len(list) > MaxDiagnostics {
		slices.SortStableFunc(list, func(a, b Diagnostic) int { return cmp.Compare(a.Severity, b.Severity) })
		dropped += len(list) - MaxDiagnostics
		list = list[:MaxDiagnostics]
	}
	slices.SortStableFunc(list, func(a, b Diagnostic) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Col, b.Col), cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Message, b.Message))
	})
	if dropped > 0 {
		last := list[len(list)-1]
		list = append(list, Diagnostic{
			File: last.File, Severity: last.Severity, Rule: "too-many",
			Message: fmt.Sprintf("%d more findings are not shown", dropped),
			Hint:    "repair the first ones and look again",
		})
	}
	return list
}

// quoted repeats a value of the file in a message, shortened.
func quoted(s string) string {
	return fmt.Sprintf("%q", shortened(s, maxQuoted))
}

// shortened is at most so many characters of a text.
func shortened(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// print writes a result: as JSON for programs, else as the table that a person reads.
func (a *app) print(value any, table func(*rows)) error {
	if a.output == "json" {
		return writeJSON(a.out, value)
	}
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	table(&rows{w})
	if err := w.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(b.String()) {
		// An empty last cell leaves blanks that a terminal would wrap.
		if _, err := fmt.Fprintln(a.out, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// writeJSON writes a value indented, with < and & as they are.
func writeJSON(w io.Writer, value any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(value)
}

// writeLine writes a value as one line of NDJSON.
func writeLine(w io.Writer, value any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(value)
}

// rows writes the lines of a table. What a cell says comes from users, so
// control characters, which could move the cursor or split a row, are dropped.
type rows struct{ w io.Writer }

func (r *rows) row(cells ...any) {
	for i, cell := range cells {
		if i > 0 {
			fmt.Fprint(r.w, "\t")
		}
		fmt.Fprint(r.w, plain(fmt.Sprint(cell)))
	}
	fmt.Fprintln(r.w)
}

// field writes a named value, unless there is none.
func (r *rows) field(name string, value any) {
	if text := plain(fmt.Sprint(value)); text != "" {
		fmt.Fprintf(r.w, "%s\t%s\n", name, text)
	}
}

func plain(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\t':
			return ' '
		case c < ' ' || (c >= 0x7f && c < 0xa0):
			return -1
		}
		return c
	}, text)
}

// compact is a JSON value on one line, "" when it is absent or null.
func compact(value json.RawMessage) string {
	if len(value) == 0 || string(value) == "null" {
		return ""
	}
	var b bytes.Buffer
	if err := json.Compact(&b, value); err != nil {
		return string(value)
	}
	return b.String()
}

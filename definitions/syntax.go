package definitions

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"sort"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

var (
	parserLine       = regexp.MustCompile(`^yaml: (?:line \d+: )?(.*)$`)
	unquotedTemplate = regexp.MustCompile(`^\s*(?:- )*(?:[^\s#"'][^"'#]*?:\s+|- )(\{\{)`)
	missingSpace     = regexp.MustCompile(`^\s*(?:- )?[A-Za-z_][A-Za-z0-9_-]*(:)[^\s:/]`)
)

// syntaxError reports a file that is no YAML. The parser knows the line where
// the surrounding mapping began, or none, and no column; so the line is found
// by parsing the beginning of the file, and the usual mistakes by their look.
func syntaxError(src *source, content []byte, err error, f *findings) {
	message := parserMessage(err)
	line := brokenLine(content, message)
	line = max(1, min(line, len(src.lines)))
	for n := line; n > max(0, line-linesBack); n-- {
		if at, hint := mistake(src, n); hint != "" {
			f.failf(at, "syntax", hint, "this is not YAML: %s", message)
			return
		}
	}
	f.failf(firstWord(src, line), "syntax", hintFor(message), "this is not YAML: %s", message)
}

// parserMessage is the parser's message without its line.
func parserMessage(err error) string {
	if m := parserLine.FindStringSubmatch(err.Error()); m != nil {
		return m[1]
	}
	return err.Error()
}

// brokenLine is the number of the first line with which the file fails as it
// does as a whole. Every longer beginning fails in the same way, because the
// parser stops there.
func brokenLine(content []byte, message string) int {
	ends := []int{0}
	for i, b := range content {
		if b == '\n' {
			ends = append(ends, i+1)
		}
	}
	if ends[len(ends)-1] < len(content) {
		ends = append(ends, len(content))
	}
	return sort.Search(len(ends)-1, func(n int) bool {
		err := parses(content[:ends[n]])
		return err != nil && parserMessage(err) == message
	})
}

// parses returns the parser's error.
func parses(content []byte) error {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		if _, err := decode(decoder); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// mistake recognises the usual ones in a line.
func mistake(src *source, n int) (place, string) {
	line := src.lines[n-1]
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	if i := strings.IndexByte(indent, '\t'); i >= 0 && strings.TrimSpace(line) != "" {
		return place{src: src, line: n, col: i + 1, width: 1}, "indent with spaces: YAML does not allow tabs there"
	}
	if m := unquotedTemplate.FindStringSubmatchIndex(line); m != nil {
		return place{src: src, line: n, col: utf8.RuneCountInString(line[:m[2]]) + 1, width: 2}, `put a value that starts with {{ into quotes: "{{ … }}"`
	}
	if m := missingSpace.FindStringSubmatchIndex(line); m != nil {
		return place{src: src, line: n, col: utf8.RuneCountInString(line[:m[2]]) + 1, width: 1}, "put a space after the colon"
	}
	return place{}, ""
}

func firstWord(src *source, line int) place {
	text := src.lines[line-1]
	indent := len(text) - len(strings.TrimLeft(text, " "))
	return place{src: src, line: line, col: indent + 1, width: max(1, utf8.RuneCountInString(strings.TrimSpace(text)))}
}

// hintFor says what the parser's words mean for the file.
func hintFor(message string) string {
	switch {
	case strings.Contains(message, "mapping values are not allowed"):
		return "a text that contains `: ` must be quoted, and the keys of one mapping start in the same column"
	case strings.Contains(message, "did not find expected key"), strings.Contains(message, "did not find expected '-' indicator"):
		return "the lines of one mapping or list start in the same column; look at the indentation here and above"
	case strings.Contains(message, "could not find expected ':'"):
		return "write `key: value` with a space after the colon"
	case strings.Contains(message, "unexpected end of stream"), strings.Contains(message, "found unexpected document indicator"):
		return "a quote or a bracket is opened and never closed"
	case strings.Contains(message, "unknown anchor"):
		return "define the anchor with &name before *name refers to it, or quote a text that starts with *"
	case strings.Contains(message, "control characters"), strings.Contains(message, "UTF-8"), strings.Contains(message, "UTF-16"):
		return "save the file as UTF-8 text"
	}
	return "look at the quotes and the indentation here and above"
}

package expression

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Go templates cannot spell `.tasks.wait-for-decision` or `.items.0`. Before a
// string is parsed, the segments of dotted paths inside its actions are written
// with two letters that nobody uses; after parsing they are read back. Text,
// string literals, numbers and comments are left as they are.
const (
	hyphenLetter = 'ꟷ' // stands for a hyphen inside a segment
	digitLetter  = 'ꟸ' // stands before a segment that starts with a digit

	leftDelimiter  = "{{"
	rightDelimiter = "}}"
)

var unspell = strings.NewReplacer(string(hyphenLetter), "-", string(digitLetter), "")

// hasActions reports whether a string is a template at all.
func hasActions(s string) bool { return strings.Contains(s, leftDelimiter) }

// respell writes the paths of a template so that Go's parser can read them.
func respell(s string) (string, *PositionError) {
	var b strings.Builder
	b.Grow(len(s) + 16)
	rest := s
	for {
		before, action, found := strings.Cut(rest, leftDelimiter)
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		b.WriteString(leftDelimiter)
		t := tokens{text: action, out: &b}
		if bad := t.action(); bad >= 0 {
			line, col := position(s, len(s)-len(action)+bad)
			return "", &PositionError{Line: line, Col: col,
				Message: "this letter is not allowed in a name", Hint: "use index with the name in quotes"}
		}
		rest = action[t.at:]
	}
}

// tokens copies one action, respelling its paths.
type tokens struct {
	text string
	at   int
	out  *strings.Builder
}

// action copies up to and including the right delimiter, or to the end of a
// text that lacks one: the parser will say so. It returns where a letter stands
// that we need ourselves, or -1.
func (t *tokens) action() int {
	if commented(t.text) {
		if i := strings.Index(t.text, "*/"); i >= 0 {
			t.copy(i + 2)
		}
	}
	for t.at < len(t.text) {
		rest := t.text[t.at:]
		switch c := rest[0]; {
		case strings.HasPrefix(rest, rightDelimiter):
			t.copy(len(rightDelimiter))
			return -1
		case c == '"' || c == '\'' || c == '`':
			t.copy(quoted(rest, c))
		case c == '.' && startsName(rest[1:]):
			t.path()
		case c == '$' || c == ')':
			t.copy(1)
			if c == '$' {
				t.copy(nameLength(t.text[t.at:], false))
			}
			if next := t.text[t.at:]; len(next) > 1 && next[0] == '.' && (startsName(next[1:]) || isDigit(next[1])) {
				t.path()
			}
		case c == hyphenLetterByte && reserved(rest):
			return t.at
		case isDigit(c):
			t.copy(numberLength(rest))
		case startsName(rest):
			t.copy(nameLength(rest, false))
		default:
			_, size := utf8.DecodeRuneInString(rest)
			t.copy(size)
		}
	}
	return -1
}

// commented reports whether an action is a comment, with or without trim marker.
func commented(s string) bool {
	if len(s) > 2 && s[0] == '-' && strings.IndexByte(" \t\r\n", s[1]) >= 0 {
		s = s[2:]
	}
	return strings.HasPrefix(s, "/*")
}

// numberLength is the length of the number that starts here, exponent and all.
func numberLength(s string) int {
	for i := 1; i < len(s); i++ {
		c := s[i]
		sign := (c == '-' || c == '+') && strings.IndexByte("eEpP", s[i-1]) >= 0
		if !sign && c != '.' && c != '_' && !isDigit(c) && !('a' <= c|0x20 && c|0x20 <= 'z') {
			return i
		}
	}
	return len(s)
}

// hyphenLetterByte is the first byte of both of our letters.
const hyphenLetterByte = 0xEA

func reserved(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return r == hyphenLetter || r == digitLetter
}

func (t *tokens) copy(n int) {
	t.out.WriteString(t.text[t.at : t.at+n])
	t.at += n
}

// path copies a run of dotted segments.
func (t *tokens) path() {
	for t.at+1 < len(t.text) && t.text[t.at] == '.' {
		n := nameLength(t.text[t.at+1:], true)
		if n == 0 {
			return
		}
		segment := t.text[t.at+1 : t.at+1+n]
		t.out.WriteByte('.')
		if isDigit(segment[0]) {
			t.out.WriteRune(digitLetter)
		}
		t.out.WriteString(strings.ReplaceAll(segment, "-", string(hyphenLetter)))
		t.at += 1 + n
	}
}

// quoted is the length of the literal that starts here, to the end of the text
// when it is not closed.
func quoted(s string, quote byte) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quote != '`':
			i++
		case s[i] == quote:
			return i + 1
		}
	}
	return len(s)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func startsName(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return (r == '_' || unicode.IsLetter(r)) && !reserved(s)
}

// nameLength is the length of the name that starts here. Inside a path a name
// may hold hyphens, but not end with one.
func nameLength(s string, hyphens bool) int {
	n := 0
	for i, r := range s {
		switch {
		case r == hyphenLetter || r == digitLetter:
			return n
		case r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			n = i + utf8.RuneLen(r)
		case r == '-' && hyphens && i > 0:
		default:
			return n
		}
	}
	return n
}

// position is line and column of a byte of a text, both from 1.
func position(s string, at int) (line, col int) {
	before := s[:min(at, len(s))]
	line = 1 + strings.Count(before, "\n")
	before = before[strings.LastIndexByte(before, '\n')+1:]
	return line, 1 + utf8.RuneCountInString(before)
}

// positionIn is the position in the original of a byte of a respelled text.
func positionIn(respelled string, at int) (line, col int) {
	return position(unspell.Replace(respelled[:min(at, len(respelled))]), len(respelled))
}

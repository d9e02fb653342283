package expression

import (
	"fmt"
	"html"
	"slices"
	"strings"
	"text/template"
	"unicode"
	"unicode/utf8"

	"github.com/signalbox/signalbox/workflow"
)

// textFunctions work on text; other values are read as they print.
var textFunctions = []*function{
	{name: "print", least: 0, most: -1, sealed: true, run: printAll("", "")},
	{name: "println", least: 0, most: -1, sealed: true, run: printAll(" ", "\n")},
	{name: "cat", least: 1, most: -1, sealed: true, run: printAll(" ", "")},
	{name: "printf", least: 1, most: -1, sealed: true, run: printf, usage: `as in {{ printf "%s-%d" .name .number }}`},
	{name: "toString", least: 1, most: 1, sealed: true, run: printAll("", "")},
	{name: "trim", least: 1, most: 1, sealed: true, run: onSecret("trim")},
	{name: "upper", least: 1, most: 1, run: onText(strings.ToUpper)},
	{name: "lower", least: 1, most: 1, run: onText(strings.ToLower)},
	{name: "title", least: 1, most: 1, run: onText(title)},
	{name: "untitle", least: 1, most: 1, run: onText(untitle)},
	{name: "nospace", least: 1, most: 1, run: onText(func(s string) string { return strings.Join(strings.Fields(s), "") })},
	{name: "initials", least: 1, most: 1, run: onText(initials)},
	{name: "swapcase", least: 1, most: 1, run: onText(swapCase)},
	{name: "snakecase", least: 1, most: 1, run: onText(func(s string) string { return strings.Join(words(s), "_") })},
	{name: "kebabcase", least: 1, most: 1, run: onText(func(s string) string { return strings.Join(words(s), "-") })},
	{name: "camelcase", least: 1, most: 1, run: onText(camelCase)},
	{name: "html", least: 1, most: 1, run: onText(html.EscapeString)},
	{name: "js", least: 1, most: 1, run: onText(template.JSEscapeString)},
	{name: "quote", least: 1, most: -1, run: quoteAll('"')},
	{name: "squote", least: 1, most: -1, run: quoteAll('\'')},
	{name: "trimAll", least: 2, most: 2, run: onTexts(func(s []string) (any, error) { return strings.Trim(s[1], s[0]), nil })},
	{name: "trimPrefix", least: 2, most: 2, run: onTexts(func(s []string) (any, error) { return strings.TrimPrefix(s[1], s[0]), nil })},
	{name: "trimSuffix", least: 2, most: 2, run: onTexts(func(s []string) (any, error) { return strings.TrimSuffix(s[1], s[0]), nil })},
	{name: "contains", least: 2, most: 2, run: onTexts(func(s []string) (any, error) { return strings.Contains(s[1], s[0]), nil })},
	{name: "hasPrefix", least: 2, most: 2, run: onTexts(func(s []string) (any, error) { return strings.HasPrefix(s[1], s[0]), nil })},
	{name: "hasSuffix", least: 2, most: 2, run: onTexts(func(s []string) (any, error) { return strings.HasSuffix(s[1], s[0]), nil })},
	{name: "replace", least: 3, most: 3, usage: `as in {{ .text | replace "from" "to" }}`, run: replaceAll},
	{name: "repeat", least: 2, most: 2, usage: `as in {{ repeat 3 "ab" }}`, run: repeatText},
	{name: "plural", least: 3, most: 3, run: plural},
	{name: "substr", least: 3, most: 3, usage: `as in {{ substr 0 5 .text }}`, run: substring},
	{name: "trunc", least: 2, most: 2, run: truncate},
	{name: "abbrev", least: 2, most: 2, run: abbreviate},
	{name: "wrap", least: 2, most: 2, run: wrapText},
	{name: "indent", least: 2, most: 2, run: indentText("")},
	{name: "nindent", least: 2, most: 2, run: indentText("\n")},
	{name: "split", least: 2, most: 2, run: splitText},
	{name: "splitList", least: 2, most: 2, run: splitList},
	{name: "splitn", least: 3, most: 3, run: splitSome},
	{name: "join", least: 2, most: 2, usage: `as in {{ .items | join ", " }}`, run: joinTexts},
	{name: "sortAlpha", least: 1, most: 1, run: sortTexts},
	{name: "toStrings", least: 1, most: 1, run: func(r *run, a []any) (any, error) { return r.textList(a[0]) }},
}

// piece is a value as masked or plain text, whatever the run produces.
func (r *run) piece(v any) (s string, secret bool, err error) {
	if held, ok := v.(sealed); ok {
		return string(held), true, nil
	}
	s, err = r.textOf(v)
	return s, false, err
}

// printAll joins values. When a secret is among them, the rest is written as
// masked text as well.
func printAll(between, after string) func(*run, []any) (any, error) {
	return func(r *run, a []any) (any, error) {
		pieces, secrets, masked := make([]string, len(a)), make([]bool, len(a)), false
		for i, v := range a {
			s, secret, err := r.piece(v)
			if err != nil {
				return nil, err
			}
			pieces[i], secrets[i], masked = s, secret, masked || secret
		}
		if !masked {
			return r.produced(strings.Join(pieces, between) + after)
		}
		for i := range pieces {
			if !secrets[i] {
				pieces[i] = seal(pieces[i])
			}
		}
		s := strings.Join(pieces, between) + after
		return sealed(s), r.made(len(s))
	}
}

func quoteAll(mark byte) func(*run, []any) (any, error) {
	return func(r *run, a []any) (any, error) {
		var b []byte
		for _, v := range a {
			if v == nil {
				continue
			}
			s, err := r.textOf(v)
			if err != nil {
				return nil, err
			}
			if len(b) > 0 {
				b = append(b, ' ')
			}
			if mark == '"' {
				b = appendString(b, s)
			} else {
				b = append(append(append(b, mark), s...), mark)
			}
		}
		return r.produced(string(b))
	}
}

func title(s string) string {
	before := ' '
	return strings.Map(func(c rune) rune {
		start := unicode.IsSpace(before)
		before = c
		if start {
			return unicode.ToTitle(c)
		}
		return c
	}, s)
}

func untitle(s string) string {
	before := ' '
	return strings.Map(func(c rune) rune {
		start := unicode.IsSpace(before)
		before = c
		if start {
			return unicode.ToLower(c)
		}
		return c
	}, s)
}

func initials(s string) string {
	var b strings.Builder
	for _, w := range strings.Fields(s) {
		c, _ := utf8.DecodeRuneInString(w)
		b.WriteRune(c)
	}
	return b.String()
}

func swapCase(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsUpper(c) {
			return unicode.ToLower(c)
		}
		return unicode.ToUpper(c)
	}, s)
}

// words splits a name at spaces, marks and changes from lower to upper case.
func words(s string) []string {
	var out []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			out = append(out, strings.ToLower(string(word)))
			word = word[:0]
		}
	}
	before := rune(0)
	for _, c := range s {
		switch {
		case !unicode.IsLetter(c) && !unicode.IsDigit(c):
			flush()
		case unicode.IsUpper(c) && !unicode.IsUpper(before):
			flush()
			word = append(word, c)
		default:
			word = append(word, c)
		}
		before = c
	}
	flush()
	return out
}

func camelCase(s string) string {
	var b strings.Builder
	for _, w := range words(s) {
		b.WriteString(title(w))
	}
	return b.String()
}

func replaceAll(r *run, a []any) (any, error) {
	s, err := r.texts(a...)
	if err != nil {
		return nil, err
	}
	grown := len(s[2]) + strings.Count(s[2], s[0])*(len(s[1])-len(s[0]))
	if err := r.made(grown); err != nil {
		return nil, err
	}
	return strings.ReplaceAll(s[2], s[0], s[1]), nil
}

func repeatText(r *run, a []any) (any, error) {
	n, err := bounded(a[0], "the count", 0, workflow.MaxValue)
	if err != nil {
		return nil, err
	}
	s, err := r.textOf(a[1])
	if err != nil {
		return nil, err
	}
	if err := r.made(n * len(s)); err != nil { // both at most 1 MiB: no overflow
		return nil, err
	}
	return strings.Repeat(s, n), nil
}

func plural(r *run, a []any) (any, error) {
	n, err := integer(a[2])
	if err != nil {
		return nil, err
	}
	if n == 1 {
		return a[0], nil
	}
	return a[1], nil
}

// substring counts in characters; an end below zero means to the end.
func substring(r *run, a []any) (any, error) {
	from, err := integer(a[0])
	if err != nil {
		return nil, err
	}
	to, err := integer(a[1])
	if err != nil {
		return nil, err
	}
	s, err := r.textOf(a[2])
	if err != nil {
		return nil, err
	}
	runes := []rune(s)
	size := int64(len(runes))
	if to < 0 || to > size {
		to = size
	}
	from = max(0, min(from, to))
	return r.produced(string(runes[from:to]))
}

// truncate keeps the first n characters, or the last ones when n is negative.
func truncate(r *run, a []any) (any, error) {
	n, err := integer(a[0])
	if err != nil {
		return nil, err
	}
	s, err := r.textOf(a[1])
	if err != nil {
		return nil, err
	}
	runes := []rune(s)
	size := int64(len(runes))
	switch {
	case n >= 0 && n < size:
		runes = runes[:n]
	case n < 0 && n > -size:
		runes = runes[size+n:]
	}
	return r.produced(string(runes))
}

func abbreviate(r *run, a []any) (any, error) {
	n, err := bounded(a[0], "the width", 4, workflow.MaxValue)
	if err != nil {
		return nil, err
	}
	s, err := r.textOf(a[1])
	if err != nil {
		return nil, err
	}
	if runes := []rune(s); len(runes) > n {
		s = string(runes[:n-3]) + "..."
	}
	return r.produced(s)
}

func wrapText(r *run, a []any) (any, error) {
	width, err := bounded(a[0], "the width", 1, workflow.MaxValue)
	if err != nil {
		return nil, err
	}
	s, err := r.textOf(a[1])
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	col := 0
	for i, w := range strings.Fields(s) {
		n := utf8.RuneCountInString(w)
		switch {
		case i == 0:
		case col+1+n > width:
			b.WriteByte('\n')
			col = 0
		default:
			b.WriteByte(' ')
			col++
		}
		b.WriteString(w)
		col += n
	}
	return r.produced(b.String())
}

func indentText(before string) func(*run, []any) (any, error) {
	return func(r *run, a []any) (any, error) {
		n, err := bounded(a[0], "the indentation", 0, maxWidth)
		if err != nil {
			return nil, err
		}
		s, err := r.textOf(a[1])
		if err != nil {
			return nil, err
		}
		if err := r.made(len(s) + n*(1+strings.Count(s, "\n"))); err != nil {
			return nil, err
		}
		pad := strings.Repeat(" ", n)
		return before + pad + strings.ReplaceAll(s, "\n", "\n"+pad), nil
	}
}

func splitList(r *run, a []any) (any, error) {
	s, err := r.texts(a...)
	if err != nil {
		return nil, err
	}
	return r.parts(strings.Split(s[1], s[0]))
}

// parts makes a list of texts that were cut out of one.
func (r *run) parts(s []string) (any, error) {
	out := make([]any, len(s))
	for i := range s {
		out[i] = s[i]
	}
	return out, r.step(len(s) / copiedItems)
}

// splitText is sprig's split: an object with the keys _0, _1, ...
func splitText(r *run, a []any) (any, error) { return splitInto(r, a[0], a[1], -1) }

func splitSome(r *run, a []any) (any, error) {
	n, err := bounded(a[1], "the count", 0, maxItems)
	if err != nil {
		return nil, err
	}
	return splitInto(r, a[0], a[2], n)
}

func splitInto(r *run, by, v any, n int) (any, error) {
	s, err := r.texts(by, v)
	if err != nil {
		return nil, err
	}
	pieces := strings.SplitN(s[1], s[0], n)
	if err := r.step(len(pieces)); err != nil {
		return nil, err
	}
	m := make(map[string]any, len(pieces))
	for i, piece := range pieces {
		m[fmt.Sprintf("_%d", i)] = piece
	}
	return m, nil
}

// textList reads a list as texts; a single value is a list of one.
func (r *run) textList(v any) (any, error) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	s, err := r.texts(list...)
	if err != nil {
		return nil, err
	}
	return r.parts(s)
}

func joinTexts(r *run, a []any) (any, error) {
	by, err := r.textOf(a[0])
	if err != nil {
		return nil, err
	}
	list, ok := a[1].([]any)
	if !ok {
		list = []any{a[1]}
	}
	size := len(by) * len(list)
	if err := r.made(size); err != nil {
		return nil, err
	}
	var b strings.Builder
	for i, v := range list {
		s, err := r.textOf(v)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteString(by)
		}
		b.WriteString(s)
		if b.Len() > workflow.MaxValue {
			return nil, errTooLarge
		}
	}
	return r.produced(b.String())
}

func sortTexts(r *run, a []any) (any, error) {
	v, err := r.textList(a[0])
	if err != nil {
		return nil, err
	}
	list := v.([]any)
	if err := r.step(len(list)); err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(x, y any) int { return strings.Compare(x.(string), y.(string)) })
	return list, nil
}

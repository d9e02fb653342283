package expression

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"

	"github.com/signalbox/signalbox/workflow"
)

// patternFunctions are regular expressions in RE2 syntax, which never takes
// more than time proportional to text times pattern.
var patternFunctions = []*function{
	{name: "regexMatch", least: 2, most: 2, check: checkPattern, usage: `as in {{ regexMatch "^[a-z]+$" .text }}`,
		run: withPattern(func(_ *run, p *pattern, s string, _ []any) (any, error) { return p.MatchString(s), nil })},
	{name: "regexFind", least: 2, most: 2, check: checkPattern,
		run: withPattern(func(_ *run, p *pattern, s string, _ []any) (any, error) { return p.FindString(s), nil })},
	{name: "regexFindAll", least: 3, most: 3, check: checkPattern, run: withPattern(findAll)},
	{name: "regexSplit", least: 3, most: 3, check: checkPattern, run: withPattern(splitAll)},
	{name: "regexReplaceAll", least: 3, most: 3, check: checkPattern, run: withPattern(replacePattern(false))},
	{name: "regexReplaceAllLiteral", least: 3, most: 3, check: checkPattern, run: withPattern(replacePattern(true))},
	{name: "regexQuoteMeta", least: 1, most: 1, run: onText(regexp.QuoteMeta)},
}

// pattern is a compiled regular expression and how many instructions it has.
type pattern struct {
	*regexp.Regexp
	size int
}

// patterns remembers the last few that were compiled, because most templates
// use one pattern over and over. It is replaced whole when it is full.
var patterns = struct {
	sync.Mutex
	known map[string]*pattern
}{known: map[string]*pattern{}}

func compilePattern(source string) (*pattern, error) {
	if len(source) > maxPatternBytes {
		return nil, fmt.Errorf("the pattern has %d bytes, at most %d are read", len(source), maxPatternBytes)
	}
	patterns.Lock()
	p := patterns.known[source]
	patterns.Unlock()
	if p != nil {
		return p, nil
	}
	re, err := regexp.Compile(source)
	if err != nil {
		return nil, fmt.Errorf("the pattern does not compile: %w", err)
	}
	tree, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("the pattern does not compile: %w", err)
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, fmt.Errorf("the pattern does not compile: %w", err)
	}
	p = &pattern{Regexp: re, size: len(prog.Inst)}
	patterns.Lock()
	if len(patterns.known) >= maxPatterns {
		clear(patterns.known)
	}
	patterns.known[source] = p
	patterns.Unlock()
	return p, nil
}

func checkPattern(args []any) error {
	source, ok := args[0].(string)
	if !ok {
		return nil
	}
	_, err := compilePattern(source)
	return err
}

// withPattern reads the pattern, which comes first, and the text, which is the
// second argument, and charges for matching one against the other. Compiling
// costs as many steps as the pattern has instructions, whether it is remembered
// or not, so that the same template always costs the same.
func withPattern(f func(r *run, p *pattern, s string, rest []any) (any, error)) func(*run, []any) (any, error) {
	return func(r *run, a []any) (any, error) {
		s, err := r.texts(a[:2]...)
		if err != nil {
			return nil, err
		}
		p, err := compilePattern(s[0])
		if err != nil {
			return nil, err
		}
		if err := r.step(p.size + len(s[1])*p.size/regexWork); err != nil {
			return nil, err
		}
		return f(r, p, s[1], a[2:])
	}
}

func howMany(v any) (int, error) {
	n, err := integer(v)
	return int(max(-1, min(n, maxItems))), err
}

func findAll(r *run, p *pattern, s string, rest []any) (any, error) {
	n, err := howMany(rest[0])
	if err != nil {
		return nil, err
	}
	return r.parts(p.FindAllString(s, n))
}

func splitAll(r *run, p *pattern, s string, rest []any) (any, error) {
	n, err := howMany(rest[0])
	if err != nil {
		return nil, err
	}
	return r.parts(p.Split(s, n))
}

// replacePattern makes the result piece by piece, so that a replacement that
// multiplies is stopped before it has grown.
func replacePattern(plainly bool) func(*run, *pattern, string, []any) (any, error) {
	return func(r *run, p *pattern, s string, rest []any) (any, error) {
		by, err := r.textOf(rest[0])
		if err != nil {
			return nil, err
		}
		var b strings.Builder
		var piece []byte
		from := 0
		for _, m := range p.FindAllStringSubmatchIndex(s, -1) {
			b.WriteString(s[from:m[0]])
			if plainly {
				b.WriteString(by)
			} else {
				piece = p.ExpandString(piece[:0], by, s, m)
				b.Write(piece)
			}
			from = m[1]
			if b.Len() > workflow.MaxValue {
				return nil, errTooLarge
			}
			if err := r.step(1); err != nil {
				return nil, err
			}
		}
		b.WriteString(s[from:])
		return r.produced(b.String())
	}
}

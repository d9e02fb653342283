package expression

import (
	"container/list"
	"fmt"
	"strings"
	"sync"

	"cel.dev/cel-go/common/ast"
)

// patchwork is a condition with template actions. They are rendered first, each
// value as a CEL literal, or as part of the CEL string that it stands in; so a
// value can never become code. The few texts that come out are kept compiled.
type patchwork struct {
	program    *program
	references []Reference
	skeleton   *ast.AST // what is around the actions; nil when they choose or repeat CEL source

	mu    sync.Mutex
	known map[string]*list.Element
	order list.List // of *checked, the one used last in front
}

func newPatchwork(source string) (*patchwork, error) {
	program, mistakes := compile(source)
	if len(mistakes) > 0 {
		return nil, joinMistakes(mistakes)
	}
	p := &patchwork{program: program, references: program.references, known: map[string]*list.Element{}}
	env, err := dialect()
	if err != nil {
		return nil, fmt.Errorf("set up CEL: %w", err)
	}
	if skeleton, ok := skeletonOf(source); ok {
		tree, issues := env.Parse(skeleton)
		if issues != nil && issues.Err() != nil {
			return nil, celMistakes(skeleton, issues)
		}
		p.skeleton = tree.NativeRep()
		p.references = append(p.references, celReferences(tree.NativeRep())...)
	}
	return p, nil
}

// skeletonOf puts a stand-in of the same length for every action, so that what
// is around them can be parsed at load. It reports false for actions that
// choose or repeat CEL source: what those make is known only later.
func skeletonOf(source string) (string, bool) {
	var b strings.Builder
	var inside quotes
	for rest := source; ; {
		before, action, found := strings.Cut(rest, leftDelimiter)
		inside.follow(before)
		b.WriteString(before)
		if !found {
			return b.String(), true
		}
		if blockWord.MatchString(action) || commented(action) {
			return "", false
		}
		var copied strings.Builder
		t := tokens{text: action, out: &copied}
		if t.action() >= 0 {
			return "", false
		}
		stand := "null"
		if inside.open() {
			stand = "text"
		}
		b.WriteString(stand)
		for _, c := range (leftDelimiter + action[:t.at])[len(stand):] {
			if c == '\n' {
				b.WriteByte('\n')
			} else {
				b.WriteByte(' ')
			}
		}
		rest = action[t.at:]
	}
}

// compile renders the condition in a scope and compiles what came out, unless
// it is known already.
func (p *patchwork) compile(r *run) (*checked, error) {
	w := &celWriter{}
	r.writer = w
	r.out, r.vars = r.out[:0], r.vars[:0]
	err := r.enter(&p.program.main, view{part: partRoot})
	r.writer = nil
	if err != nil {
		return nil, err
	}
	source := string(r.out)
	p.mu.Lock()
	if known, ok := p.known[source]; ok {
		p.order.MoveToFront(known)
		p.mu.Unlock()
		return known.Value.(*checked), nil
	}
	p.mu.Unlock()
	compiled, err := check(source)
	if err != nil {
		return nil, fmt.Errorf("rendered to %s: %w", shorten(source, MaxReasonBytes/2), err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.known[source]; ok {
		return known.Value.(*checked), nil
	}
	p.known[source] = p.order.PushFront(compiled)
	if p.order.Len() > maxPrograms {
		last := p.order.Remove(p.order.Back()).(*checked)
		delete(p.known, last.source)
	}
	return compiled, nil
}

// celWriter shapes printed values for CEL.
type celWriter struct{ inside quotes }

func (w *celWriter) literal(r *run, text string) error {
	w.inside.follow(text)
	return r.write(text)
}

func (w *celWriter) print(r *run, v any) error {
	if part, ok := v.(view); ok {
		m, err := r.whole(part)
		if err != nil {
			return err
		}
		v = m
	}
	if !w.inside.open() {
		if gone, ok := v.(*absent); ok {
			return r.missing(gone)
		}
		b, err := encode(nil, v, nil) // JSON is CEL
		if err != nil {
			return err
		}
		if b[0] == '-' {
			return r.write("(" + string(b) + ")") // x-{{ .y }} is no decrement
		}
		return r.write(string(b))
	}
	s, err := r.textOf(v)
	if err != nil {
		return err
	}
	if w.inside.raw {
		if strings.ContainsAny(s, "'\"\\\n\r") {
			return fmt.Errorf("%.40q cannot stand inside a raw string", s)
		}
		return r.write(s)
	}
	quoted := string(appendString(nil, s))
	return r.write(strings.ReplaceAll(quoted[1:len(quoted)-1], "'", `\'`))
}

// quotes follows whether CEL source is inside a string literal.
type quotes struct {
	mark string // the quotes that close it: ", ', """ or '''; "" outside
	raw  bool
	last byte // before the place where we are, to see the r of a raw string
}

func (q *quotes) open() bool { return q.mark != "" }

func (q *quotes) follow(s string) {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case q.mark == "" && (c == '"' || c == '\''):
			q.mark, q.raw = string(c), q.last|0x20 == 'r'
			if triple := strings.Repeat(q.mark, 3); strings.HasPrefix(s[i:], triple) {
				q.mark = triple
				i += 2
			}
		case q.mark == "" && strings.HasPrefix(s[i:], "//"):
			if end := strings.IndexByte(s[i:], '\n'); end >= 0 {
				i += end
			} else {
				i = len(s) - 1
			}
		case q.mark != "" && c == '\\' && !q.raw:
			i++
		case q.mark != "" && strings.HasPrefix(s[i:], q.mark):
			i += len(q.mark) - 1
			q.mark, q.raw = "", false
			c = 0
		}
		q.last = c
	}
}

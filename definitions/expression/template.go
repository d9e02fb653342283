package expression

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// Template is a compiled tree of values whose strings may hold actions. It is
// immutable and safe for concurrent use.
type Template struct {
	env        *environment
	masked     bool
	pieces     []piece
	static     workflow.Value // the rendered value, when nothing in it depends on a scope
	literal    *string        // the tree, when it is one string without actions
	references []Reference
}

// piece is a run of finished JSON, and the string that comes after it.
type piece struct {
	json    []byte
	program *program // nil for the last piece
	pointer string
}

var _ workflow.Template = (*Template)(nil)

// NewTemplate compiles a tree as decoded from YAML: every string in it may hold
// Go template actions, keys are taken as they are. All mistakes are reported at
// once, as one *PositionError or several joined by errors.Join.
//
// What it renders may hold secrets of env in the clear: whatever is written to
// a state or a history must come from NewMaskedTemplate.
func NewTemplate(tree any, env Env) (*Template, error) { return newTemplate(tree, env, false) }

// NewMaskedTemplate is NewTemplate for values that are written down: `.env.X`
// of a secret renders as a placeholder, which Unmask replaces just before work
// is done, and the functions b64enc, urlquery, sha256sum and trim of it are
// put off until then.
//
// It takes `.input`, `.with`, `.task.with` and `.tasks.X.input` as rendered by
// a masked template, so that a task's request may pass on the secrets in its
// `with`; all other data is escaped, so that no payload can forge a placeholder.
func NewMaskedTemplate(tree any, env Env) (*Template, error) { return newTemplate(tree, env, true) }

func newTemplate(tree any, env Env, masked bool) (*Template, error) {
	b := &builder{masked: masked}
	if s, ok := tree.(string); ok && !hasActions(s) {
		b.literal = &s
	}
	if err := b.add(tree, "", 0); err != nil {
		b.mistakes = append(b.mistakes, err)
	}
	if len(b.mistakes) > 0 {
		return nil, joinMistakes(b.mistakes)
	}
	t := &Template{env: newEnvironment(env), masked: masked, pieces: b.pieces, literal: b.literal, references: b.references}
	if len(b.pieces) == 0 {
		t.static = bytes.Clone(b.json)
		return t, nil
	}
	t.pieces = append(t.pieces, piece{json: bytes.Clone(b.json)})
	return t, nil
}

// builder flattens a tree into pieces.
type builder struct {
	masked     bool
	json       []byte // finished JSON since the last piece
	size       int    // of all finished JSON
	nodes      int
	pieces     []piece
	references []Reference
	literal    *string
	mistakes   []*PositionError
}

func (b *builder) add(v any, pointer string, depth int) *PositionError {
	b.nodes++
	switch {
	case depth > MaxDepth:
		return &PositionError{Line: 1, Col: 1, Message: errTooDeep.Error(), String: pointer}
	case b.nodes > maxTreeNodes:
		return &PositionError{Line: 1, Col: 1, Message: fmt.Sprintf("this holds more than %d values", maxTreeNodes), String: pointer}
	case b.size+len(b.json) > workflow.MaxValue:
		return &PositionError{Line: 1, Col: 1, Message: errTooLarge.Error(), String: pointer}
	}
	switch v := v.(type) {
	case string:
		return b.text(v, pointer)
	case map[string]any:
		return b.object(v, pointer, depth)
	case []any:
		b.json = append(b.json, '[')
		for i, inner := range v {
			if i > 0 {
				b.json = append(b.json, ',')
			}
			if err := b.add(inner, pointer+"/"+strconv.Itoa(i), depth+1); err != nil {
				return err
			}
		}
		b.json = append(b.json, ']')
		return nil
	}
	scalar, err := scalarOf(v)
	if err == nil {
		b.json, err = encode(b.json, scalar, nil)
	}
	if err != nil {
		return &PositionError{Line: 1, Col: 1, Message: err.Error(), String: pointer}
	}
	return nil
}

func (b *builder) object(m map[string]any, pointer string, depth int) *PositionError {
	b.json = append(b.json, '{')
	for i, k := range sortedKeys(m) {
		if i > 0 {
			b.json = append(b.json, ',')
		}
		name := k
		if b.masked {
			name = seal(k)
		}
		b.json = append(appendString(b.json, name), ':')
		if err := b.add(m[k], pointer+"/"+pointerToken.Replace(k), depth+1); err != nil {
			return err
		}
	}
	b.json = append(b.json, '}')
	return nil
}

var pointerToken = strings.NewReplacer("~", "~0", "/", "~1")

// text adds a string. Mistakes in it are collected, and do not stop the rest.
func (b *builder) text(s, pointer string) *PositionError {
	if !hasActions(s) {
		if b.masked {
			s = seal(s)
		}
		b.json = appendString(b.json, s)
		return nil
	}
	p, mistakes := compile(s)
	for _, m := range mistakes {
		m.String = pointer
		if len(b.mistakes) < maxMistakes {
			b.mistakes = append(b.mistakes, m)
		}
	}
	if len(mistakes) > 0 {
		return nil
	}
	for _, ref := range p.references {
		ref.String = pointer
		b.references = append(b.references, ref)
	}
	b.pieces = append(b.pieces, piece{json: bytes.Clone(b.json), program: p, pointer: pointer})
	b.size += len(b.json)
	b.json = b.json[:0]
	return nil
}

// scalarOf reads what YAML and JSON decoders give for a single value.
func scalarOf(v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, int64, float64:
		return v, nil
	case int:
		return int64(v), nil
	case int32:
		return int64(v), nil
	case uint64:
		if v > math.MaxInt64 {
			return float64(v), nil
		}
		return int64(v), nil
	case uint:
		return scalarOf(uint64(v))
	case float32:
		return float64(v), nil
	case json.Number:
		return decode([]byte(v))
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano), nil
	}
	return nil, fmt.Errorf("a %T has no JSON form; keys must be texts and values text, numbers, true, false, null, lists or objects", v)
}

// References lists what the template refers to, as far as it is known without
// rendering, in the order of the strings of the tree.
func (t *Template) References() []Reference { return t.references }

// Literal is the text of a template that is one string without actions.
func (t *Template) Literal() (string, bool) {
	if t.literal == nil {
		return "", false
	}
	return *t.literal, true
}

// Render evaluates the template in a scope. It ends within MaxSteps steps and
// workflow.MaxValue bytes; an error says which string, where in it, and what to
// do, and is a *PositionError unless the scope itself is damaged. The value
// must not be changed by the caller.
func (t *Template) Render(scope *workflow.Scope) (v workflow.Value, err error) {
	if t.static != nil {
		return t.static, nil
	}
	defer guard(&err)
	r := newRun(scope, t.env, t.masked)
	defer r.free()
	size := 0
	for i := range t.pieces {
		size += len(t.pieces[i].json) + 32
	}
	out := make([]byte, 0, size)
	for i := range t.pieces {
		p := &t.pieces[i]
		out = append(out, p.json...)
		if p.program == nil {
			break
		}
		r.total = len(out)
		if out, err = r.render(p.program, out); err != nil {
			return nil, inString(err, p.pointer)
		}
		r.settle()
		if len(out) > workflow.MaxValue {
			return nil, inString(errTooLarge, p.pointer)
		}
	}
	return out, nil
}

// inString says in which string of the tree an error happened.
func inString(err error, pointer string) error {
	at, ok := err.(*PositionError)
	if !ok {
		at = &PositionError{Line: 1, Col: 1, Message: err.Error()}
	}
	at.String = pointer
	return at
}

// render appends the value of one string to a JSON text.
func (r *run) render(p *program, out []byte) ([]byte, error) {
	root := view{part: partRoot}
	if p.lone != nil {
		r.dot, r.base = root, 0
		r.vars = append(r.vars[:0], root)
		f, err := p.lone.find(r)
		if err == nil {
			out, err = r.append(out, f)
		}
		return out, p.lone.wrap(err)
	}
	if p.single != nil && p.main.slots == 1 {
		r.dot, r.base = root, 0
		r.vars = append(r.vars[:0], root)
		if p.inner != nil {
			v, err := p.inner.eval(r)
			switch v.(type) {
			case view, []any, map[string]any:
				return r.appendSingle(out, v, p)
			}
			if err != nil {
				return out, err
			}
		}
		v, err := p.single.eval(r)
		if err != nil {
			return out, err
		}
		return r.appendSingle(out, v, p)
	}
	r.out, r.vars = r.out[:0], r.vars[:0]
	if err := r.enter(&p.main, root); err != nil {
		return out, err
	}
	return appendString(out, string(r.out)), nil
}

// append writes what a lone reference found, with the JSON type that it has.
func (r *run) append(out []byte, f found) ([]byte, error) {
	if f.text != nil && !(mayHoldBrackets(f.text) && (f.sealed || r.masked)) {
		if err := r.step(len(f.text) / scanBytes); err != nil {
			return out, err
		}
		return appendCompact(out, f.text)
	}
	v, err := r.open(f)
	if err != nil {
		return out, err
	}
	return r.appendValue(out, v)
}

func (r *run) appendValue(out []byte, v any) ([]byte, error) {
	switch inner := v.(type) {
	case *absent:
		return out, r.missing(inner)
	case view:
		m, err := r.whole(inner)
		if err != nil {
			return out, err
		}
		v = m
	}
	before := len(out)
	var escape func(string) string
	if r.masked {
		escape = seal
	}
	out, err := encode(out, v, escape)
	return out, firstError(err, r.made(len(out)-before))
}

// appendSingle writes what the only pipeline of a string gave: lists and
// objects, and texts that are JSON of them, become structure; everything else
// is text.
func (r *run) appendSingle(out []byte, v any, p *program) ([]byte, error) {
	at := p.main.stmts
	var where place
	before, after := "", ""
	for _, s := range at {
		switch s := s.(type) {
		case *print:
			where = s.place
		case literal:
			if where.line == 0 {
				before += s.text
			} else {
				after += s.text
			}
		}
	}
	switch s := v.(type) {
	case *absent, view, []any, map[string]any:
		out, err := r.appendValue(out, s)
		return out, where.wrap(err)
	case string:
		if isStructure(s) {
			out, err := r.append(out, found{ok: true, text: workflow.Value(strings.TrimSpace(s))})
			return out, where.wrap(err)
		}
	}
	r.out = append(r.out[:0], before...)
	if err := r.print(v); err != nil {
		return out, where.wrap(err)
	}
	return appendString(out, string(r.out)+after), nil
}

// isStructure reports whether a text is the JSON of a list or an object.
func isStructure(s string) bool {
	s = strings.TrimSpace(s)
	if s == "" || s[0] != '{' && s[0] != '[' {
		return false
	}
	_, err := decode([]byte(s)) // also bounds its depth
	return err == nil
}

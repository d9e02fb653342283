package expression

import (
	"fmt"

	"github.com/signalbox/signalbox/workflow"
)

// expr is a compiled piece of a pipeline.
type expr interface {
	eval(r *run) (any, error)
}

// place is where a node stands in its string, both from 1.
type place struct{ line, col int }

// wrap says where an error happened, unless somebody deeper said it already.
func (p place) wrap(err error) error {
	switch e := err.(type) {
	case nil, *PositionError:
		return err
	case *hinted:
		return &PositionError{Line: p.line, Col: p.col, Message: e.message, Hint: e.hint}
	}
	return &PositionError{Line: p.line, Col: p.col, Message: err.Error(), cause: err}
}

type constant struct{ value any }

func (c constant) eval(r *run) (any, error) { return c.value, r.step(1) }

// start is where a path begins.
type start uint8

const (
	fromDot start = iota
	fromVariable
	fromExpr
)

// path is a reference: `.a.b`, `$x.a`, `(f x).a`, or just `.` and `$x`.
type path struct {
	place
	start start
	slot  int    // fromVariable
	inner expr   // fromExpr
	from  string // how the start is written
	names []string
}

func (p *path) find(r *run) (found, error) {
	if err := r.step(1); err != nil {
		return found{}, p.wrap(err)
	}
	var base any
	switch p.start {
	case fromDot:
		base = r.dot
	case fromVariable:
		base = r.vars[r.base+p.slot]
	case fromExpr:
		var err error
		if base, err = p.inner.eval(r); err != nil {
			return found{}, err
		}
	}
	f, err := r.lookup(base, p.names, p.from)
	return f, p.wrap(err)
}

func (p *path) eval(r *run) (any, error) {
	f, err := p.find(r)
	if err != nil {
		return nil, err
	}
	v, err := r.open(f)
	return v, p.wrap(err)
}

// call is a function with its arguments.
type call struct {
	place
	fn   *function
	args []expr
}

func (c *call) eval(r *run) (result any, err error) {
	if err := r.step(1); err != nil {
		return nil, c.wrap(err)
	}
	base := len(r.args)
	defer func() {
		clear(r.args[base:])
		r.args = r.args[:base]
	}()
	for _, arg := range c.args {
		v, err := arg.eval(r)
		if err != nil {
			return nil, err
		}
		if v, err = c.fn.accept(r, v); err != nil {
			return nil, c.wrap(err)
		}
		r.args = append(r.args, v)
	}
	result, err = c.fn.run(r, r.args[base:])
	if err != nil {
		if _, ok := err.(*hinted); !ok {
			err = fmt.Errorf("%s: %w", c.fn.name, err)
		}
		return nil, c.wrap(err)
	}
	return result, nil
}

// choice is `and` or `or`: it evaluates no further than it must.
type choice struct {
	until bool // the truth that decides: false for and, true for or
	args  []expr
}

func (c *choice) eval(r *run) (v any, err error) {
	for _, arg := range c.args {
		if v, err = arg.eval(r); err != nil {
			return nil, err
		}
		if r.truth(v) == c.until {
			break
		}
	}
	return v, r.step(1)
}

// format is the one method that values have: `now.Format "2006-01-02"`.
type format struct {
	place
	inner  *path
	layout expr
}

func (f *format) eval(r *run) (any, error) {
	v, err := f.inner.eval(r)
	if err != nil {
		return nil, err
	}
	layout, err := f.layout.eval(r)
	if err != nil {
		return nil, err
	}
	m, isTime := v.(moment)
	s, isText := layout.(string)
	if !isTime || !isText {
		return nil, f.wrap(fmt.Errorf("Format needs a time and a layout, not %s and %s", kindName(v), kindName(layout)))
	}
	return m.Time.Format(s), f.wrap(r.made(len(s)))
}

// control is how a statement ended.
type control uint8

const (
	next control = iota
	stopLoop
	nextTurn
)

// stmt is a compiled piece of a template's text.
type stmt interface {
	exec(r *run) (control, error)
}

func (r *run) exec(body []stmt) (control, error) {
	for _, s := range body {
		if err := r.step(1); err != nil {
			return next, err
		}
		if c, err := s.exec(r); err != nil || c != next {
			return c, err
		}
	}
	return next, nil
}

type literal struct{ text, sealed string }

func (l literal) exec(r *run) (control, error) {
	if r.writer != nil {
		return next, r.writer.literal(r, l.text)
	}
	if r.masked {
		return next, r.write(l.sealed)
	}
	return next, r.write(l.text)
}

// print writes the value of a pipeline.
type print struct {
	place
	value expr
}

func (p *print) exec(r *run) (control, error) {
	v, err := p.value.eval(r)
	if err != nil {
		return next, err
	}
	if r.writer != nil {
		return next, p.wrap(r.writer.print(r, v))
	}
	return next, p.wrap(r.print(v))
}

// write appends to the string being rendered, within its bound.
func (r *run) write(s string) error {
	if r.total+len(r.out)+len(s) > workflow.MaxValue {
		return errTooLarge
	}
	r.out = append(r.out, s...)
	return r.step(len(s) / stepBytes)
}

func (r *run) print(v any) error {
	if s, ok := v.(sealed); ok {
		return r.write(string(s))
	}
	s, err := r.textOf(v)
	if err != nil {
		return err
	}
	if r.masked {
		s = seal(s)
	}
	return r.write(s)
}

// assign sets a variable and prints nothing.
type assign struct {
	slot  int
	value expr
}

func (a *assign) exec(r *run) (control, error) {
	v, err := a.value.eval(r)
	r.vars[r.base+a.slot] = v
	return next, err
}

// branch is `if` or `with`.
type branch struct {
	with       bool
	slot       int // variable that is set to the value, -1 for none
	value      expr
	yes, other []stmt
}

func (b *branch) exec(r *run) (control, error) {
	v, err := b.value.eval(r)
	if err != nil {
		return next, err
	}
	if b.slot >= 0 {
		r.vars[r.base+b.slot] = v
	}
	if !r.truth(v) {
		return r.exec(b.other)
	}
	if !b.with {
		return r.exec(b.yes)
	}
	before := r.dot
	r.dot = v
	c, err := r.exec(b.yes)
	r.dot = before
	return c, err
}

// loop is `range`.
type loop struct {
	place
	key, element int // slots, -1 for none
	value        expr
	body, other  []stmt
}

func (l *loop) exec(r *run) (control, error) {
	v, err := l.value.eval(r)
	if err != nil {
		return next, err
	}
	if part, ok := v.(view); ok {
		if v, err = r.whole(part); err != nil {
			return next, l.wrap(err)
		}
	}
	before := r.dot
	turns, err := l.turns(r, v)
	r.dot = before
	if err != nil {
		return next, l.wrap(err)
	}
	if turns == 0 {
		return r.exec(l.other)
	}
	return next, nil
}

// turns goes over a value and says how many turns it took.
func (l *loop) turns(r *run, v any) (int, error) {
	switch v := v.(type) {
	case nil:
		return 0, nil
	case *absent:
		return 0, r.missing(v)
	case int64:
		for i := range v {
			if stop, err := l.turn(r, i, i); stop || err != nil {
				return 1, err
			}
		}
		return int(min(max(v, 0), 1)), nil
	case []any:
		for i, element := range v {
			if stop, err := l.turn(r, int64(i), element); stop || err != nil {
				return 1, err
			}
		}
		return len(v), nil
	case map[string]any:
		for _, key := range sortedKeys(v) {
			if stop, err := l.turn(r, key, v[key]); stop || err != nil {
				return 1, err
			}
		}
		return len(v), nil
	}
	return 0, fmt.Errorf("range goes over a list, an object or a number, not %s", kindName(v))
}

func (l *loop) turn(r *run, key, element any) (stop bool, err error) {
	if err := r.step(1); err != nil {
		return true, err
	}
	r.dot = element
	if l.key >= 0 {
		r.vars[r.base+l.key] = key
	}
	if l.element >= 0 {
		r.vars[r.base+l.element] = element
	}
	c, err := r.exec(l.body)
	return c == stopLoop, err
}

type jump struct{ to control }

func (j jump) exec(*run) (control, error) { return j.to, nil }

// body is a template that others can call.
type body struct {
	name  string
	stmts []stmt
	slots int
}

// invoke is `template`.
type invoke struct {
	place
	body *body
	arg  expr // nil passes nothing
}

func (i *invoke) exec(r *run) (control, error) {
	var arg any
	if i.arg != nil {
		var err error
		if arg, err = i.arg.eval(r); err != nil {
			return next, err
		}
	}
	if r.calls++; r.calls > maxCalls {
		return next, i.wrap(&spent{fmt.Sprintf("templates call each other more than %d levels deep, the last one %q; a template must not call itself without end", maxCalls, i.body.name)})
	}
	dot, base := r.dot, r.base
	err := r.enter(i.body, arg)
	r.dot, r.base = dot, base
	r.calls--
	return next, err
}

// enter runs a body in a frame of its own.
func (r *run) enter(b *body, dot any) error {
	start := len(r.vars)
	for range b.slots {
		r.vars = append(r.vars, nil)
	}
	r.base, r.dot = start, dot
	r.vars[start] = dot
	_, err := r.exec(b.stmts)
	clear(r.vars[start:])
	r.vars = r.vars[:start]
	return err
}

package expression

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/signalbox/signalbox/workflow"
)

// spent is the error of a run that has used up its budget: it would go on without end,
// or make something without bounds.
type spent struct{ message string }

func (e *spent) Error() string { return e.message }

var (
	errBudget = &spent{fmt.Sprintf("the template did more than %d steps; loop over less, or let a tool do this work", MaxSteps)}

	errTooLarge = &spent{fmt.Sprintf("the result is larger than %d bytes; pass on less, or a link to it", workflow.MaxValue)}
)

// environment is an Env made ready: its names sorted, for suggestions.
type environment struct {
	public, secret map[string]string
	names          []string
	version        string
}

func newEnvironment(env Env) *environment {
	e := &environment{public: env.Public, secret: env.Secret, version: env.Version}
	for name := range env.Public {
		e.names = append(e.names, name)
	}
	for name := range env.Secret {
		if _, both := env.Public[name]; !both {
			e.names = append(e.names, name)
		}
	}
	slices.Sort(e.names)
	return e
}

// run is one evaluation: the scope it looks at, what it has spent, and what it
// has decoded so far.
type run struct {
	scope  *workflow.Scope
	env    *environment
	masked bool // secrets stay placeholders

	steps   int
	calls   int  // templates that are calling each other right now
	total   int  // bytes rendered before the current string
	touched bool // a placeholder has been made or read
	changed bool // a function has changed a decoded value

	dot  any
	vars []any // of every frame
	base int   // where the current frame starts
	args []any // of the functions being called

	out    []byte // the string being rendered
	writer writer // who shapes what is printed; nil for ordinary text

	seen []reading
}

// writer shapes what a template prints into something other than plain text.
type writer interface {
	literal(r *run, text string) error
	print(r *run, v any) error
}

// reading remembers that a JSON text was looked into: searched the first few
// times, decoded when it is asked again.
type reading struct {
	text     workflow.Value
	searches int
	value    any
	decoded  bool
}

var runs = sync.Pool{New: func() any { return new(run) }}

func newRun(scope *workflow.Scope, env *environment, masked bool) *run {
	r := runs.Get().(*run)
	r.scope, r.env, r.masked = scope, env, masked
	return r
}

// free gives a run back. What it has decoded is let go.
func (r *run) free() {
	clear(r.vars[:cap(r.vars)])
	clear(r.args[:cap(r.args)])
	clear(r.seen)
	*r = run{vars: r.vars[:0], args: r.args[:0], seen: r.seen[:0], out: r.out[:0]}
	if cap(r.out) > maxKeptOut {
		r.out = nil
	}
	runs.Put(r)
}

// step spends n steps of the budget.
func (r *run) step(n int) error {
	r.steps += n
	if r.steps > MaxSteps {
		return errBudget
	}
	return nil
}

// made spends what a function's result of n bytes costs.
func (r *run) made(n int) error {
	if n > workflow.MaxValue {
		return errTooLarge
	}
	return r.step(n / stepBytes)
}

// settle forgets what has been decoded if a function has changed some of it:
// the next string sees the scope as it is.
func (r *run) settle() {
	if r.changed {
		clear(r.seen)
		r.seen, r.changed = r.seen[:0], false
	}
}

// open is the value that was found, decoded if it was JSON text.
func (r *run) open(f found) (any, error) {
	if f.text == nil {
		return f.value, nil
	}
	for i := range r.seen {
		if same(r.seen[i].text, f.text) {
			if r.seen[i].decoded {
				return r.seen[i].value, nil
			}
			break
		}
	}
	if err := r.step(1 + len(f.text)/scanBytes); err != nil {
		return nil, err
	}
	v, err := decode(f.text)
	if err != nil {
		return nil, fmt.Errorf("the value cannot be read: %w", err)
	}
	if f.sealed && mayHoldBrackets(f.text) {
		v = r.readSealed(v)
	}
	r.remember(f.text, v)
	return v, nil
}

func (r *run) remember(text workflow.Value, v any) {
	for i := range r.seen {
		if same(r.seen[i].text, text) {
			r.seen[i].value, r.seen[i].decoded = v, true
			return
		}
	}
	if len(r.seen) < maxDecoded {
		r.seen = append(r.seen, reading{text: text, value: v, decoded: true})
	}
}

// same reports whether two texts are one and the same piece of memory.
func same(a, b workflow.Value) bool {
	return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0]
}

// into looks for a name inside JSON text: by searching it, and by decoding the
// whole when the same text is asked again and again.
func (r *run) into(f found, name string) (found, error) {
	at := -1
	for i := range r.seen {
		if same(r.seen[i].text, f.text) {
			at = i
			break
		}
	}
	switch {
	case at >= 0 && (r.seen[at].decoded || r.seen[at].searches >= maxSearches):
		v, err := r.open(f)
		if err != nil {
			return found{}, err
		}
		return r.below(v, name)
	case at >= 0:
		r.seen[at].searches++
	case len(r.seen) < maxDecoded:
		r.seen = append(r.seen, reading{text: f.text, searches: 1})
	}
	if err := r.step(1 + len(f.text)/scanBytes); err != nil {
		return found{}, err
	}
	inner, ok := member(f.text, name)
	if !ok {
		if index, err := strconv.Atoi(name); err == nil && index >= 0 {
			inner, ok = element(f.text, index)
		}
	}
	return found{ok: ok, text: inner, sealed: f.sealed}, nil
}

// below looks for a name inside a decoded value.
func (r *run) below(v any, name string) (found, error) {
	switch v := v.(type) {
	case map[string]any:
		inner, ok := v[name]
		return found{ok: ok, value: inner}, nil
	case []any:
		if i, err := strconv.Atoi(name); err == nil && 0 <= i && i < len(v) {
			return plain(v[i]), nil
		}
	case view:
		return r.member(v, name), nil
	case moment:
		return v.member(name), nil
	}
	return found{}, nil
}

// lookup walks a path from a value. What is not there comes back as *absent.
func (r *run) lookup(start any, path []string, from string) (found, error) {
	f := plain(start)
	if a, ok := start.(*absent); ok && len(path) > 0 {
		return plain(a), nil
	}
	for i, name := range path {
		var next found
		var err error
		if f.text != nil {
			next, err = r.into(f, name)
		} else {
			next, err = r.below(f.value, name)
		}
		if err != nil {
			return found{}, err
		}
		if !next.ok {
			return plain(&absent{from: from, path: path, at: i, holder: f}), nil
		}
		f = next
	}
	return f, nil
}

// absent stands for what a path did not find. Functions that can live with it
// take it as an empty value; everything else turns it into its error.
type absent struct {
	from   string // how the path starts: "" for the context, "$x" for a variable
	path   []string
	at     int   // index of the segment that was not found
	holder found // where it was looked for
}

// name is the whole path as a person writes it.
func (a *absent) name(upTo int) string {
	var b []byte
	b = append(b, a.from...)
	for _, s := range a.path[:upTo] {
		b = append(append(b, '.'), s...)
	}
	return string(b)
}

// missing is the error of an absent value: which path, where it ended, and the
// name that was probably meant.
func (r *run) missing(a *absent) error {
	whole, key := a.name(len(a.path)), a.path[a.at]
	message := fmt.Sprintf("%s: no such key", whole)
	if a.at < len(a.path)-1 {
		message = fmt.Sprintf("%s: no such key %q in %s", whole, key, either(a.name(a.at), "the context"))
	}
	hint := `use "| default ..." where it may be missing`
	switch kind := r.kindOfFound(a.holder); kind {
	case "object":
		if near := workflow.Nearest(key, r.namesOf(a.holder)); near != "" {
			hint = fmt.Sprintf("did you mean %s.%s?", a.name(a.at), near)
		} else if v, ok := a.holder.value.(view); ok && v.part == partTasks {
			hint = fmt.Sprintf("task %q has not run at this point; %s", key, hint)
		}
	case "list":
		hint = "a list is read by number, as in .items.0; " + hint
	default:
		message = fmt.Sprintf("%s: %s is %s and has no keys", whole, either(a.name(a.at), "this"), kind)
	}
	return &hinted{message: message, hint: hint}
}

// hinted is an error with what to do about it.
type hinted struct{ message, hint string }

func (e *hinted) Error() string { return e.message + "; " + e.hint }

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (r *run) kindOfFound(f found) string {
	if f.text == nil {
		return kindName(f.value)
	}
	d := decoder{text: f.text}
	switch d.peek() {
	case '{':
		return "object"
	case '[':
		return "list"
	case '"':
		return "text"
	case 'n':
		return "null"
	case 't', 'f':
		return "true or false"
	}
	return "a number"
}

func (r *run) namesOf(f found) []string {
	if f.text != nil {
		return names(f.text)
	}
	switch v := f.value.(type) {
	case map[string]any:
		return sortedKeys(v)
	case view:
		return r.names(v)
	}
	return nil
}

// guard turns a panic inside a function into an error.
func guard(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("an expression broke inside: %v; this is a defect of Signalbox, please report it", p)
	}
}

var errNoTime = errors.New("the time is not known here")

package expression

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/signalbox/signalbox/workflow"
)

var _ workflow.Explainer = (*Condition)(nil)

// Explain is the condition in one line with the values of the scope in the
// places of the names that it knows: `signal.payload.amount <= 500` for
// `signal.payload.amount <= workflow.input.limit`. What the scope does not have
// yet - the signal that is to come - stays as it is written. It never fails, is
// at most MaxExplanationBytes long and never holds a secret.
func (c *Condition) Explain(scope *workflow.Scope) (text string) {
	if c.always {
		return ""
	}
	plainly := shorten(strings.Join(strings.Fields(c.source), " "), MaxExplanationBytes)
	defer func() {
		if recover() != nil {
			text = plainly // it explains; whoever judges reports the defect
		}
	}()
	r := newRun(scope, c.env, false)
	defer r.free()
	compiled := c.compiled
	if compiled == nil {
		var err error
		if compiled, err = c.patchwork.compile(r); err != nil {
			return c.env.scrub(plainly) // its templates want a signal that is not there
		}
	}
	f := filling{explanation: explanation{run: r, checked: compiled}, source: []rune(compiled.source)}
	return shorten(c.env.scrub(f.fill()), MaxExplanationBytes)
}

// filling replaces names by their values in the text of a condition, not in its
// tree: a person recognises what was written, comprehensions included.
type filling struct {
	explanation
	source []rune
	spots  []spot
}

// spot is a place of the source and what stands there instead.
type spot struct {
	from, to int
	text     string
}

func (f *filling) fill() string {
	f.walk(f.checked.ast.NativeRep().Expr(), nil)
	slices.SortFunc(f.spots, func(a, b spot) int { return cmp.Compare(a.from, b.from) })
	var b strings.Builder
	at := 0
	for _, s := range f.spots {
		if s.from < at {
			continue // a macro shows the same place twice
		}
		b.WriteString(string(f.source[at:s.from]))
		b.WriteString(s.text)
		at = s.to
	}
	b.WriteString(string(f.source[at:]))
	return strings.Join(strings.Fields(b.String()), " ")
}

// walk finds the names, except those that a comprehension binds.
func (f *filling) walk(e ast.Expr, bound []string) {
	if len(f.spots) >= maxSpots || e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly() {
		return // has(...) asks for a name and not for its value
	}
	if root, names, ident, ok := chain(e); ok && !slices.Contains(bound, root) {
		f.name(root, names, ident)
		return
	}
	for _, child := range children(e) {
		f.walk(child, bound)
	}
	if e.Kind() == ast.ComprehensionKind {
		c := e.AsComprehension()
		f.walk(c.IterRange(), bound)
		inner := append(slices.Clone(bound), c.IterVar(), c.IterVar2(), c.AccuVar())
		f.walk(c.LoopCondition(), inner)
		f.walk(c.LoopStep(), inner)
	}
}

// name notes the value of one name, when it is one that a line can show.
func (f *filling) name(root string, names []string, ident int64) {
	at, ok := f.checked.ast.NativeRep().SourceInfo().GetOffsetRange(ident)
	if !ok {
		return
	}
	end := f.extent(int(at.Start), root, names)
	if end < 0 {
		return
	}
	value := f.valueOf(root, names)
	if value == "" {
		return
	}
	f.spots = append(f.spots, spot{int(at.Start), end, value})
}

// extent is where the name ends that begins at a place of the source, -1 when it
// is not written there: names come apart into .name and ["name"].
func (f *filling) extent(at int, root string, names []string) int {
	at = f.skip(at, root)
	for _, name := range names {
		if at < 0 {
			return -1
		}
		at = f.blank(at)
		switch {
		case at < len(f.source) && f.source[at] == '.':
			at = f.skip(f.blank(at+1), name)
		case at < len(f.source) && f.source[at] == '[':
			closing := slices.Index(f.source[at:], ']')
			if closing < 0 || strings.Contains(name, "]") {
				return -1
			}
			at += closing + 1
		default:
			return -1
		}
	}
	return at
}

func (f *filling) skip(at int, word string) int {
	end := at + len([]rune(word))
	if at < 0 || end > len(f.source) || string(f.source[at:end]) != word {
		return -1
	}
	return end
}

func (f *filling) blank(at int) int {
	for at < len(f.source) && strings.ContainsRune(" \t\r\n", f.source[at]) {
		at++
	}
	return at
}

// valueOf is the value of a name as a condition would have it written, "" where
// the name says more: for an object, and for what is not there yet.
func (f *filling) valueOf(root string, names []string) string {
	whole := f.run.rootMember(root)
	if !whole.ok {
		return ""
	}
	if root == "env" && (len(names) == 0 || f.secretName(names[0])) {
		return hiddenValue
	}
	found, err := f.run.lookup(view{part: partRoot}, append([]string{root}, names...), "")
	if err != nil {
		return ""
	}
	if gone, missing := found.value.(*absent); missing {
		return fmt.Sprintf("(%s is missing)", strings.TrimPrefix(gone.name(gone.at+1), "."))
	}
	v, ok := f.run.celValue(found).(ref.Val)
	if !ok {
		v = adapter{}.NativeToValue(f.run.celValue(found))
	}
	if _, object := v.(traits.Mapper); object {
		return ""
	}
	return shorten(f.write(v, 0), maxReasonValue)
}

func (f *filling) secretName(name string) bool {
	_, secret := f.run.env.secret[name]
	return secret
}

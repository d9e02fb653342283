package expression

import (
	"errors"
	"fmt"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
	"cel.dev/cel-go/parser"

	"github.com/signalbox/signalbox/workflow"
)

// explanation says why a condition is false: it evaluates all of it once more,
// keeping the value of every part, and walks down to the parts that decided.
type explanation struct {
	run     *run
	checked *checked
	state   interpreter.EvalState
	lines   []string
	size    int // of lines, so that the work ends with the room for it
}

// explain is the reason for a result that is not true.
func (e *explanation) explain(out ref.Val, failure error) string {
	if failure != nil && overBudget(failure) {
		return fmt.Sprintf("judging costs more than %d: loop over less", MaxCost)
	}
	program, err := e.checked.explainer()
	if err == nil {
		_, details, _ := program.Eval(activation{e.run}) // its error is the one that is explained
		if details != nil {
			e.state = details.State()
		}
	}
	root := e.checked.ast.NativeRep().Expr()
	if e.state != nil {
		if failure == nil && out.Type() != types.BoolType {
			return fmt.Sprintf("%s is %s, neither true nor false", e.text(root), e.show(root, out))
		}
		e.falsehood(root)
	}
	if len(e.lines) > 0 {
		return strings.Join(e.lines, "; ")
	}
	if failure != nil {
		return fmt.Sprintf("%s: %s", e.text(root), failure)
	}
	return e.text(root) + " is false"
}

// overBudget reports whether an error is that of a budget, CEL's or that of templates.
func overBudget(err error) bool {
	var out *spent
	return errors.As(err, &out) || strings.Contains(err.Error(), "cost limit exceeded")
}

func (e *explanation) say(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	e.lines = append(e.lines, line)
	e.size += len(line)
}

func (e *explanation) value(x ast.Expr) (ref.Val, bool) { return e.state.Value(x.ID()) }

// falsehood walks down to the parts that made x false.
func (e *explanation) falsehood(x ast.Expr) {
	if e.size > MaxReasonBytes {
		return
	}
	v, known := e.value(x)
	if known && types.IsError(v) {
		e.failure(x)
		return
	}
	if x.Kind() != ast.CallKind {
		e.say("%s is false", e.text(x))
		return
	}
	call := x.AsCall()
	switch name := call.FunctionName(); name {
	case operators.LogicalAnd:
		e.falseOnes(call.Args())
	case operators.LogicalOr:
		for _, arg := range call.Args() {
			e.falsehood(arg)
		}
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals, operators.In:
		sign, _ := operators.FindReverseBinaryOperator(name)
		left, right := call.Args()[0], call.Args()[1]
		e.say("%s: %s %s %s is false", e.text(x), e.shown(left), sign, e.shown(right))
	case operators.LogicalNot:
		e.say("%s: %s is true", e.text(x), e.text(call.Args()[0]))
	default:
		e.callIsFalse(x, call)
	}
}

// falseOnes explains the false parts of a conjunction. Where none is false, one
// has failed.
func (e *explanation) falseOnes(parts []ast.Expr) {
	before := len(e.lines)
	for _, part := range parts {
		if v, ok := e.value(part); ok && v == types.False {
			e.falsehood(part)
		}
	}
	if len(e.lines) > before {
		return
	}
	for _, part := range parts {
		if v, ok := e.value(part); ok && v != types.True {
			e.falsehood(part)
		}
	}
}

func (e *explanation) callIsFalse(x ast.Expr, call ast.CallExpr) {
	if !call.IsMemberFunction() {
		e.say("%s is false", e.text(x))
		return
	}
	args := make([]string, len(call.Args()))
	for i, arg := range call.Args() {
		args[i] = e.shown(arg)
	}
	e.say("%s: %s.%s(%s) is false", e.text(x), e.shown(call.Target()), call.FunctionName(), strings.Join(args, ", "))
}

// failure walks down to the part that could not be evaluated.
func (e *explanation) failure(x ast.Expr) {
	v, _ := e.value(x)
	if root, names, _, ok := chain(x); ok {
		e.missingPath(root, names, v)
		return
	}
	said := false
	for _, child := range children(x) {
		if inner, ok := e.value(child); ok && types.IsError(inner) && e.size <= MaxReasonBytes {
			e.failure(child)
			said = true
		}
	}
	if said {
		return
	}
	message := fmt.Sprint(v)
	if strings.Contains(message, "no such overload") && x.Kind() == ast.CallKind {
		message = "this does not go with " + e.kinds(x.AsCall())
	}
	e.say("%s: %s", e.text(x), message)
}

// missingPath says which part of a path is not there.
func (e *explanation) missingPath(root string, names []string, v ref.Val) {
	whole := strings.Join(append([]string{root}, names...), ".")
	f, err := e.run.lookup(view{part: partRoot}, append([]string{root}, names...), "")
	if err != nil {
		e.say("%s: %s", whole, err)
		return
	}
	gone, ok := f.value.(*absent)
	if !ok {
		e.say("%s: %v", whole, v)
		return
	}
	if gone.at == 0 {
		e.say("%s: there is no %s here", whole, root)
		return
	}
	end := strings.TrimPrefix(gone.name(gone.at+1), ".")
	kind := e.run.kindOfFound(gone.holder)
	if kind != "object" {
		e.say("%s: no such key, %s is %s", end, strings.TrimPrefix(gone.name(gone.at), "."), kind)
		return
	}
	if near := workflow.Nearest(gone.path[gone.at], e.run.namesOf(gone.holder)); near != "" {
		e.say("%s: no such key (there is %q)", end, near)
		return
	}
	e.say("%s: no such key", end)
}

// kinds names the kinds of a call's arguments.
func (e *explanation) kinds(call ast.CallExpr) string {
	args := call.Args()
	if call.IsMemberFunction() {
		args = append([]ast.Expr{call.Target()}, args...)
	}
	out := make([]string, len(args))
	for i, arg := range args {
		out[i] = "something unknown"
		if v, ok := e.value(arg); ok {
			out[i] = celKind(v)
		} else if arg.Kind() == ast.LiteralKind {
			out[i] = celKind(arg.AsLiteral())
		}
	}
	return strings.Join(out, " and ")
}

func celKind(v ref.Val) string {
	switch v.(type) {
	case types.String:
		return "text"
	case types.Int, types.Uint:
		return "a whole number"
	case types.Double:
		return "a number with a fraction"
	case types.Bool:
		return "true or false"
	case types.Null:
		return "null"
	case traits.Lister:
		return "a list"
	case traits.Mapper:
		return "an object"
	}
	return v.Type().TypeName()
}

// text is the source of a part, as CEL writes it.
func (e *explanation) text(x ast.Expr) string {
	if known, ok := e.checked.texts.Load(x.ID()); ok {
		return known.(string)
	}
	s, err := parser.Unparse(x, e.checked.ast.NativeRep().SourceInfo())
	if err != nil {
		return "the condition"
	}
	s = shorten(strings.Join(strings.Fields(s), " "), MaxReasonBytes/2)
	e.checked.texts.Store(x.ID(), s)
	return s
}

// shown is the value of a part, ready for a reason.
func (e *explanation) shown(x ast.Expr) string {
	if x.Kind() == ast.LiteralKind {
		return e.show(x, x.AsLiteral())
	}
	v, ok := e.value(x)
	if !ok {
		return e.text(x)
	}
	return e.show(x, v)
}

func (e *explanation) show(x ast.Expr, v ref.Val) string {
	if e.secretive(x) {
		return hiddenValue
	}
	return shorten(e.write(v, 0), maxReasonValue)
}

// secretive reports whether a part reads the environment in a way that may be
// a secret.
func (e *explanation) secretive(x ast.Expr) bool {
	if len(e.run.env.secret) == 0 {
		return false
	}
	if root, names, _, ok := chain(x); ok {
		if root != "env" {
			return false
		}
		if len(names) == 0 {
			return true
		}
		_, secret := e.run.env.secret[names[0]]
		return secret
	}
	if x.Kind() == ast.IdentKind {
		return x.AsIdent() == "env"
	}
	for _, child := range children(x) {
		if e.secretive(child) {
			return true
		}
	}
	return x.Kind() == ast.ComprehensionKind && e.secretive(x.AsComprehension().IterRange())
}

// write is a value as JSON, as far as there is room for it.
func (e *explanation) write(v ref.Val, depth int) string {
	switch v := v.(type) {
	case types.String:
		return string(appendString(nil, shorten(e.run.env.scrub(string(v)), maxReasonValue)))
	case types.Int:
		return fmt.Sprint(int64(v))
	case types.Double:
		return string(appendFloat(nil, float64(v)))
	case types.Bool:
		return fmt.Sprint(bool(v))
	case types.Null:
		return "null"
	case traits.Lister:
		if depth > maxReasonDepth {
			return "[...]"
		}
		var b strings.Builder
		b.WriteByte('[')
		for it, first := v.Iterator(), true; it.HasNext() == types.True && b.Len() < maxReasonValue; first = false {
			if !first {
				b.WriteString(", ")
			}
			b.WriteString(e.write(it.Next(), depth+1))
		}
		b.WriteByte(']')
		return b.String()
	case traits.Mapper:
		return fmt.Sprintf("an object of %v", v.Size())
	}
	return fmt.Sprint(v)
}

package expression

import (
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// grounds says why a condition holds. It comes after a judgement that was made,
// on the way of every signal that is taken: values of names are looked up, and
// only for the rest everything is evaluated once more.
func (e *explanation) grounds() (text string) {
	root := e.checked.ast.NativeRep().Expr()
	defer func() {
		if recover() != nil {
			text = e.text(root) + " is true" // that it holds is settled
		}
	}()
	e.truth(root)
	return strings.Join(e.lines, "; ")
}

// truth walks down to the parts that made x true.
func (e *explanation) truth(x ast.Expr) {
	if e.size > MaxReasonBytes {
		return
	}
	if x.Kind() != ast.CallKind {
		e.say("%s is true", e.text(x))
		return
	}
	call := x.AsCall()
	switch name := call.FunctionName(); name {
	case operators.LogicalAnd:
		for _, arg := range call.Args() {
			e.truth(arg)
		}
	case operators.LogicalOr:
		for _, arg := range call.Args() {
			if v, ok := e.known(arg); ok && v == types.True {
				e.truth(arg)
				return
			}
		}
		e.say("%s is true", e.text(x))
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals, operators.In:
		sign, _ := operators.FindReverseBinaryOperator(name)
		left, right := call.Args()[0], call.Args()[1]
		e.say("%s: %s %s %s is true", e.text(x), e.seen(left), sign, e.seen(right))
	case operators.LogicalNot:
		e.say("%s: %s is false", e.text(x), e.text(call.Args()[0]))
	default:
		e.callIsTrue(x, call)
	}
}

func (e *explanation) callIsTrue(x ast.Expr, call ast.CallExpr) {
	if !call.IsMemberFunction() {
		e.say("%s is true", e.text(x))
		return
	}
	args := make([]string, len(call.Args()))
	for i, arg := range call.Args() {
		args[i] = e.seen(arg)
	}
	e.say("%s: %s.%s(%s) is true", e.text(x), e.seen(call.Target()), call.FunctionName(), strings.Join(args, ", "))
}

// seen is shown of a part whose value may have to be found first.
func (e *explanation) seen(x ast.Expr) string {
	v, ok := e.known(x)
	if !ok {
		return e.text(x)
	}
	return e.show(x, v)
}

// known is the value of a part: as it is written, looked up, or evaluated.
func (e *explanation) known(x ast.Expr) (ref.Val, bool) {
	if x.Kind() == ast.LiteralKind {
		return x.AsLiteral(), true
	}
	if root, names, _, ok := chain(x); ok && (x.Kind() != ast.SelectKind || !x.AsSelect().IsTestOnly()) {
		found, err := e.run.lookup(view{part: partRoot}, append([]string{root}, names...), "")
		if _, gone := found.value.(*absent); err != nil || gone {
			return nil, false
		}
		return adapter{}.NativeToValue(e.run.celValue(found)), true
	}
	if e.state == nil {
		program, err := e.checked.explainer()
		if err != nil {
			return nil, false
		}
		_, details, _ := program.Eval(activation{e.run}) // parts that decided nothing may fail
		if details == nil {
			return nil, false
		}
		e.state = details.State()
	}
	return e.value(x)
}

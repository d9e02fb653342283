package expression

import (
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/parser"

	"github.com/signalbox/signalbox/workflow"
)

// Correlation is the equality of a condition that an index can find its wait by.
type Correlation struct {
	condition *Condition
	skeleton  []equality // of a condition with template actions: what stands there before they are rendered
	volatile  bool
}

var _ workflow.Correlation = (*Correlation)(nil)

// equality is a part of a condition without which it cannot be true: a part of
// the signal equals something that does not depend on the signal.
type equality struct {
	path     string // of the signal's side
	source   string // of the other side
	constant bool   // the other side is written out
	volatile bool   // the other side may change while the wait is open
	program  func() (cel.Program, error)
}

// Correlation returns the equality of the condition to index its wait by, nil
// when it has none. A constant is none, because all waits of that kind share it:
// `signal.payload.status == "ready"` finds nobody among others. Template actions
// make what looks like a constant differ from wait to wait, so those count.
func (c *Condition) Correlation() *Correlation {
	switch {
	case c.compiled != nil:
		if best := choose(c.compiled.equalities(), nil); best != nil {
			return &Correlation{condition: c, volatile: best.volatile}
		}
	case c.patchwork != nil && c.patchwork.skeleton != nil:
		still, volatile := stillness(c.patchwork.program.references)
		found := equalities(c.patchwork.skeleton)
		if still && len(found) > 0 {
			return &Correlation{condition: c, skeleton: found, volatile: volatile || slices.ContainsFunc(found, func(e equality) bool { return e.volatile })}
		}
	}
	return nil
}

// Volatile reports whether the key may change while the wait is open.
func (k *Correlation) Volatile() bool { return k.volatile }

// Key is the path of the signal's side and the value of the other. Whatever goes
// wrong leaves the wait without a key: it is found by its name.
func (k *Correlation) Key(scope *workflow.Scope) (path, key string) {
	defer func() {
		if recover() != nil { // the condition itself will say what is wrong when it is judged
			path, key = "", ""
		}
	}()
	r := newRun(scope, k.condition.env, true)
	defer r.free()
	compiled := k.condition.compiled
	if compiled == nil {
		var err error
		if compiled, err = k.condition.patchwork.compile(r); err != nil {
			return "", ""
		}
	}
	best := choose(compiled.equalities(), k.skeleton)
	if best == nil {
		return "", ""
	}
	program, err := best.program()
	if err != nil {
		return "", ""
	}
	out, _, err := program.Eval(activation{r})
	if err != nil || r.touched { // a secret must not get into an index
		return "", ""
	}
	if key = keyOf(out); key == "" {
		return "", ""
	}
	return best.path, key
}

// choose takes the first equality whose other side stays as it is, or else the
// first. A skeleton shows which constants are rendered.
func choose(found, skeleton []equality) *equality {
	var best *equality
	for i := range found {
		e := &found[i]
		if e.constant && (i >= len(skeleton) || skeleton[i].path != e.path || skeleton[i].source == e.source) {
			continue
		}
		if best == nil || best.volatile && !e.volatile {
			best = e
		}
	}
	return best
}

// equalities finds them once.
func (c *checked) equalities() []equality {
	c.equal.Do(func() { c.equals = equalities(c.ast.NativeRep()) })
	return c.equals
}

func equalities(tree *ast.AST) []equality {
	var found []equality
	var walk func(e ast.Expr)
	walk = func(e ast.Expr) {
		if e.Kind() != ast.CallKind {
			return
		}
		switch call := e.AsCall(); call.FunctionName() {
		case operators.LogicalAnd:
			for _, part := range call.Args() {
				walk(part)
			}
		case operators.Equals:
			left, right := call.Args()[0], call.Args()[1]
			if path := signalPath(left); path != "" {
				found = appendEquality(found, path, tree, right)
			} else if path := signalPath(right); path != "" {
				found = appendEquality(found, path, tree, left)
			}
		}
	}
	walk(tree.Expr())
	return found
}

func appendEquality(found []equality, path string, tree *ast.AST, side ast.Expr) []equality {
	still, volatile := stillness(celReferences(ast.NewAST(side, tree.SourceInfo())))
	source, err := parser.Unparse(side, tree.SourceInfo())
	if !still || err != nil {
		return found
	}
	return append(found, equality{
		path: path, source: source, volatile: volatile, constant: side.Kind() == ast.LiteralKind,
		program: sync.OnceValues(func() (cel.Program, error) { return sideProgram(source) }),
	})
}

// sideProgram computes one side of an equality.
func sideProgram(source string) (cel.Program, error) {
	env, err := dialect()
	if err != nil {
		return nil, err
	}
	tree, issues := env.Compile(source)
	if issues != nil && issues.Err() != nil {
		return nil, issues.Err()
	}
	return env.Program(tree, cel.CostTracking(sizes{}), cel.CostLimit(MaxCost), cel.OptimizeRegex(boundedMatches))
}

// stillness reports whether references are known when a wait opens, and whether
// they may change before it closes. The environment is none of them: a secret
// must not be stored, and may be another one after a restart.
func stillness(refs []Reference) (still, volatile bool) {
	for _, ref := range refs {
		switch ref.Root {
		case "input", "with", "trigger", "workflow_id", "workflow_exec_id":
		case "tasks", "task":
			volatile = true
		case "workflow":
			if len(ref.Path) == 0 || !slices.Contains([]string{"input", "id", "exec_id", "started_at"}, ref.Path[0]) {
				return false, false
			}
		default:
			return false, false
		}
	}
	return true, volatile
}

// signalPath is the path of a part of the signal that a message can be indexed
// by, "" for anything else.
func signalPath(e ast.Expr) string {
	var names []string
	for {
		switch e.Kind() {
		case ast.IdentKind:
			slices.Reverse(names)
			return pathInSignal(e.AsIdent(), names)
		case ast.SelectKind:
			if e.AsSelect().IsTestOnly() {
				return "" // has(...)
			}
			names = append(names, e.AsSelect().FieldName())
			e = e.AsSelect().Operand()
		case ast.CallKind:
			call := e.AsCall()
			if call.FunctionName() != operators.Index {
				return ""
			}
			name, ok := constantText(call.Args()[1])
			if !ok {
				return ""
			}
			names = append(names, name)
			e = call.Args()[0]
		default:
			return ""
		}
	}
}

func pathInSignal(root string, names []string) string {
	if root != "signal" {
		return ""
	}
	switch whole := strings.Join(names, "."); {
	case whole == "correlation_id", whole == "metadata.correlation_id":
		return workflow.CorrelationPath
	case len(names) > 1 && names[0] == "payload":
		return workflow.PathOf(names[1:])
	}
	return ""
}

// keyOf is the key of a computed side, "" for what no message can equal or what
// is no scalar.
func keyOf(v ref.Val) string {
	switch v := v.(type) {
	case types.String:
		return workflow.KeyText(string(v))
	case types.Int:
		return workflow.KeyText(int64(v))
	case types.Uint:
		return workflow.KeyText(uint64(v))
	case types.Double:
		return workflow.KeyText(float64(v))
	case types.Bool:
		return workflow.KeyText(bool(v))
	case types.Null:
		return workflow.KeyText(nil)
	}
	return ""
}

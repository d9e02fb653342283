package expression

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"
	"cel.dev/cel-go/interpreter"

	"github.com/signalbox/signalbox/workflow"
)

// conditionRoots are the variables of conditions. All are dyn: what they hold
// is known only when a signal comes.
var conditionRoots = []string{
	"signal", "workflow", "tasks", "input", "with", "env", "processor", "trigger", "payload", "output", "task", "collected",
}

// dialect is the CEL that conditions are written in. It is made once, because
// making it costs some milliseconds.
var dialect = sync.OnceValues(func() (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.CustomTypeAdapter(adapter{}),
		ext.Strings(),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.EnableMacroCallTracking(),
		cel.ParserExpressionSizeLimit(MaxStringBytes),
		cel.ParserRecursionLimit(maxNesting),
	}
	for _, name := range conditionRoots {
		options = append(options, cel.Variable(name, cel.DynType))
	}
	return cel.NewEnv(options...)
})

// checked is one compiled condition.
type checked struct {
	source  string
	ast     *cel.Ast
	program cel.Program

	equal  sync.Once // found the equalities
	equals []equality

	explainer func() (cel.Program, error) // evaluates everything, to say why
	texts     sync.Map                    // source of the parts shown in reasons, by id
}

// check compiles CEL source.
func check(source string) (*checked, error) {
	env, err := dialect()
	if err != nil {
		return nil, fmt.Errorf("set up CEL: %w", err)
	}
	tree, issues := env.Compile(source)
	if issues != nil && issues.Err() != nil {
		return nil, celMistakes(source, issues)
	}
	if out := tree.OutputType(); !out.IsExactType(cel.BoolType) && !out.IsExactType(cel.DynType) {
		return nil, &PositionError{Line: 1, Col: 1,
			Message: fmt.Sprintf("a condition is true or false, but this is of type %s", out),
			Hint:    `compare it with something, as in signal.payload.status == "ready"`}
	}
	if mistakes := costly(tree.NativeRep()); len(mistakes) > 0 {
		return nil, joinMistakes(mistakes)
	}
	options := []cel.ProgramOption{cel.CostTracking(sizes{}), cel.CostLimit(MaxCost), cel.OptimizeRegex(boundedMatches)}
	program, err := env.Program(tree, options...)
	if err != nil {
		return nil, &PositionError{Line: 1, Col: 1, Message: plainMessage(err.Error())}
	}
	return &checked{source: source, ast: tree, program: program,
		explainer: sync.OnceValues(func() (cel.Program, error) {
			return env.Program(tree, append(options, cel.EvalOptions(cel.OptExhaustiveEval))...)
		})}, nil
}

// costly finds what CEL charges for only after it is done: functions whose
// result can be as large as the product of their arguments, searches that take
// as long, patterns that come with the data, and loops without an order.
func costly(tree *ast.AST) []*PositionError {
	var mistakes []*PositionError
	refuse := func(e ast.Expr, hint, message string, args ...any) {
		at := tree.SourceInfo().GetStartLocation(e.ID())
		mistakes = append(mistakes, &PositionError{Line: max(1, at.Line()), Col: at.Column() + 1, Message: fmt.Sprintf(message, args...), Hint: hint})
	}
	ast.PostOrderVisit(tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if len(mistakes) >= maxMistakes {
			return
		}
		if e.Kind() == ast.ComprehensionKind && writesObject(e.AsComprehension().IterRange()) {
			refuse(e.AsComprehension().IterRange(), "go over a list", "the keys of an object that is written out come in no order")
		}
		if e.Kind() != ast.CallKind {
			return
		}
		call := e.AsCall()
		switch name := call.FunctionName(); name {
		case "replace", "join", "format":
			refuse(e, "shape texts in a template, or compare with startsWith, endsWith, contains or matches", "%s cannot be used in a condition", name)
		case "indexOf", "lastIndexOf":
			if s, ok := constantText(call.Args()[0]); !ok || len(s) > maxPatternBytes {
				refuse(e, "use contains", "what %s searches for must be written out, in at most %d bytes", name, maxPatternBytes)
			}
		case "matches":
			s, ok := constantText(call.Args()[len(call.Args())-1])
			if !ok {
				refuse(e, `as in signal.payload.email.matches("^[^@]+@example.org$")`, "the pattern of matches must be written out")
			} else if _, err := compilePattern(s); err != nil {
				refuse(e, "", "matches: %s", err)
			}
		}
	}))
	return mistakes
}

func writesObject(e ast.Expr) (written bool) {
	ast.PostOrderVisit(e, ast.NewExprVisitor(func(inner ast.Expr) {
		written = written || inner.Kind() == ast.MapKind
	}))
	return written
}

func constantText(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return string(s), ok
}

// boundedMatches matches a pattern that was compiled at load against texts that
// are not too long for it.
var boundedMatches = &interpreter.RegexOptimization{
	Function: "matches", RegexIndex: 1,
	Factory: func(call interpreter.InterpretableCall, source string) (interpreter.InterpretableCall, error) {
		p, err := compilePattern(source)
		if err != nil {
			return nil, err
		}
		return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), func(values ...ref.Val) ref.Val {
			s, ok := values[0].(types.String)
			if !ok {
				return types.NoSuchOverloadErr()
			}
			if len(s)*p.size > maxMatchWork {
				return types.NewErr("the text is too long for this pattern: %d bytes times %d instructions is more than %d", len(s), p.size, maxMatchWork)
			}
			return types.Bool(p.MatchString(string(s)))
		}), nil
	},
}

// sizes charges calls for the size of what they take and give, also where CEL
// learns only at run time which function it is and would charge for nothing.
type sizes struct{}

// CallCost is the cost of a call on something large, nil to let CEL decide.
func (sizes) CallCost(function, _ string, args []ref.Val, result ref.Val) *uint64 {
	var total uint64
	for _, v := range args {
		total += sizeCost(v)
	}
	total += sizeCost(result)
	if function == "matches" && len(args) == 2 {
		s, isText := args[0].(types.String)
		source, isPattern := args[1].(types.String)
		if isText && isPattern {
			if p, err := compilePattern(string(source)); err == nil {
				total += uint64(len(s) * p.size / matchWorkPerCost)
			}
		}
	}
	if total == 0 {
		return nil
	}
	total++
	return &total
}

func sizeCost(v ref.Val) uint64 {
	switch v := v.(type) {
	case types.String:
		return uint64(len(v) / bytesPerCost)
	case types.Bytes:
		return uint64(len(v) / bytesPerCost)
	case *celObject:
		return 0
	case traits.Sizer:
		if n, ok := v.Size().(types.Int); ok {
			return uint64(n / elementsPerCost)
		}
	}
	return 0
}

// celMistakes turns CEL's complaints into ours.
func celMistakes(source string, issues *cel.Issues) error {
	var mistakes []*PositionError
	for _, e := range issues.Errors() {
		if len(mistakes) == maxMistakes {
			break
		}
		at := &PositionError{Line: e.Location.Line(), Col: e.Location.Column() + 1, Message: plainMessage(e.Message)}
		at.Line, at.Col = max(1, at.Line), max(1, at.Col)
		at.Hint = celHint(source, at)
		mistakes = append(mistakes, at)
		if strings.HasPrefix(e.Message, "Syntax error") {
			break // what follows a syntax error is its echo
		}
	}
	return joinMistakes(mistakes)
}

var (
	undeclared = regexp.MustCompile(`undeclared reference to '([^']*)'( \(.*\))?`)
	overload   = regexp.MustCompile(`found no matching overload for '([^']*)' applied to '([^']*)'`)
	operator   = regexp.MustCompile(`^_?([^_\w]+)_?$`)
	expecting  = regexp.MustCompile(` expecting \{.*`)
	infix      = regexp.MustCompile(`([\w.\[\]"']+)\s+(matches|contains|startsWith|endsWith)\s+("[^"]*"|'[^']*'|[\w.]+)`)
	hyphenated = regexp.MustCompile(`\btasks\.\w+-\w`)
	wordy      = regexp.MustCompile(`(?i)\b(and|or|not)\b`)
	assigned   = regexp.MustCompile(`[^=!<>]=[^=]`)
)

func plainMessage(m string) string {
	m = undeclared.ReplaceAllString(m, "unknown name '$1'")
	if found := overload.FindStringSubmatch(m); found != nil {
		name := found[1]
		if op := operator.FindStringSubmatch(name); op != nil {
			name = op[1]
		}
		m = fmt.Sprintf("'%s' cannot work on %s", name, found[2])
	}
	return strings.TrimSpace(expecting.ReplaceAllString(m, ""))
}

// celHint says what was probably meant.
func celHint(source string, at *PositionError) string {
	syntax := strings.HasPrefix(at.Message, "Syntax error")
	if name, ok := strings.CutPrefix(at.Message, "unknown name '"); ok {
		name = strings.TrimSuffix(name, "'")
		switch {
		case hyphenated.MatchString(source):
			return `write ids with underscores, as in tasks.wait_for_decision, or tasks["wait-for-decision"]`
		case workflow.Nearest(name, conditionRoots) != "":
			return fmt.Sprintf("did you mean %s?", workflow.Nearest(name, conditionRoots))
		case slices.Contains([]string{"and", "or", "not"}, strings.ToLower(name)):
			return "write && for and, || for or, ! for not"
		}
		return "a condition knows " + strings.Join(conditionRoots, ", ") + "; put texts into quotes"
	}
	if !syntax {
		return ""
	}
	if m := infix.FindStringSubmatch(source); m != nil {
		return fmt.Sprintf("write %s.%s(%s)", m[1], m[2], m[3])
	}
	switch {
	case hyphenated.MatchString(source):
		return `write ids with underscores, as in tasks.wait_for_decision, or tasks["wait-for-decision"]`
	case assigned.MatchString(source):
		return "compare with == instead of ="
	case wordy.MatchString(source):
		return "write && for and, || for or, ! for not"
	}
	return ""
}

// celReferences lists the paths of an expression that start at a root.
func celReferences(tree *ast.AST) []Reference {
	var refs []Reference
	var walk func(e ast.Expr, bound []string)
	walk = func(e ast.Expr, bound []string) {
		if root, names, ident, ok := chain(e); ok && !slices.Contains(bound, root) {
			at := tree.SourceInfo().GetStartLocation(ident)
			refs = append(refs, Reference{Root: root, Path: names, Line: at.Line(), Col: at.Column() + 1})
			return
		}
		for _, child := range children(e) {
			walk(child, bound)
		}
		if e.Kind() == ast.ComprehensionKind {
			c := e.AsComprehension()
			walk(c.IterRange(), bound)
			walk(c.AccuInit(), bound)
			inner := append(slices.Clone(bound), c.IterVar(), c.IterVar2(), c.AccuVar())
			walk(c.LoopCondition(), inner)
			walk(c.LoopStep(), inner)
			walk(c.Result(), inner)
		}
	}
	walk(tree.Expr(), nil)
	return refs
}

// chain reads `a.b["c"].d` as a root and its path, with the id of the root.
func chain(e ast.Expr) (root string, names []string, ident int64, ok bool) {
	for {
		switch e.Kind() {
		case ast.IdentKind:
			slices.Reverse(names)
			return e.AsIdent(), names, e.ID(), slices.Contains(conditionRoots, e.AsIdent())
		case ast.SelectKind:
			names = append(names, e.AsSelect().FieldName())
			e = e.AsSelect().Operand()
		case ast.CallKind:
			call := e.AsCall()
			if call.FunctionName() != "_[_]" || call.Args()[1].Kind() != ast.LiteralKind {
				return "", nil, 0, false
			}
			names = append(names, fmt.Sprint(call.Args()[1].AsLiteral().Value()))
			e = call.Args()[0]
		default:
			return "", nil, 0, false
		}
	}
}

// children are the parts of an expression, except those of a comprehension,
// which bind names of their own.
func children(e ast.Expr) []ast.Expr {
	switch e.Kind() {
	case ast.CallKind:
		call := e.AsCall()
		if call.IsMemberFunction() {
			return append([]ast.Expr{call.Target()}, call.Args()...)
		}
		return call.Args()
	case ast.SelectKind:
		return []ast.Expr{e.AsSelect().Operand()}
	case ast.ListKind:
		return e.AsList().Elements()
	case ast.MapKind:
		var out []ast.Expr
		for _, entry := range e.AsMap().Entries() {
			out = append(out, entry.AsMapEntry().Key(), entry.AsMapEntry().Value())
		}
		return out
	}
	return nil
}

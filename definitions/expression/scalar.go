package expression

import (
	"errors"
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/signalbox/signalbox/workflow"
)

// Scalar is a compiled CEL expression that gives a text, a number, true, false
// or null. It is immutable and safe for concurrent use.
type Scalar struct {
	source     string
	env        *environment
	program    cel.Program
	references []Reference
}

var _ workflow.Template = (*Scalar)(nil)

// NewScalar compiles CEL source over what a condition sees. A mistake is a
// *PositionError, several are joined by errors.Join.
func NewScalar(source string, env Env) (*Scalar, error) {
	if len(source) > MaxStringBytes {
		return nil, &PositionError{Line: 1, Col: 1, Message: fmt.Sprintf("this expression has %d bytes, at most %d are read", len(source), MaxStringBytes)}
	}
	dialect, err := dialect()
	if err != nil {
		return nil, fmt.Errorf("set up CEL: %w", err)
	}
	tree, issues := dialect.Compile(source)
	if issues != nil && issues.Err() != nil {
		return nil, celMistakes(source, issues)
	}
	if mistakes := costly(tree.NativeRep()); len(mistakes) > 0 {
		return nil, joinMistakes(mistakes)
	}
	program, err := dialect.Program(tree, cel.CostTracking(sizes{}), cel.CostLimit(MaxCost), cel.OptimizeRegex(boundedMatches))
	if err != nil {
		return nil, &PositionError{Line: 1, Col: 1, Message: plainMessage(err.Error())}
	}
	return &Scalar{source: source, env: newEnvironment(env), program: program, references: celReferences(tree.NativeRep())}, nil
}

// References lists what the expression refers to.
func (s *Scalar) References() []Reference { return s.references }

// Render computes the expression. Its error is one line and holds no secret.
func (s *Scalar) Render(scope *workflow.Scope) (v workflow.Value, err error) {
	defer func() {
		if p := recover(); p != nil {
			v, err = nil, fmt.Errorf("the expression broke inside: %v; this is a defect of Signalbox, please report it", p)
		}
	}()
	r := newRun(scope, s.env, false)
	defer r.free()
	out, _, err := s.program.Eval(activation{r})
	if err != nil {
		return nil, errors.New(s.env.scrub(shorten(fmt.Sprintf("%s: %s", s.source, err), MaxReasonBytes)))
	}
	value, ok := plainScalar(out)
	if !ok {
		return nil, fmt.Errorf("%s is %s, and must be a text or a number", shorten(s.source, MaxReasonBytes/2), celKind(out))
	}
	return encode(nil, value, nil)
}

// plainScalar is a CEL value as one that encodes to JSON.
func plainScalar(v ref.Val) (any, bool) {
	switch v := v.(type) {
	case types.String:
		return string(v), true
	case types.Int:
		return int64(v), true
	case types.Double:
		return float64(v), true
	case types.Bool:
		return bool(v), true
	case types.Null:
		return nil, true
	}
	return nil, false
}

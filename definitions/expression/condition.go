package expression

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/common/types"

	"github.com/signalbox/signalbox/workflow"
)

// Condition is a compiled CEL expression that is true or false. It is
// immutable and safe for concurrent use.
type Condition struct {
	source     string
	env        *environment
	always     bool     // an empty condition holds always
	compiled   *checked // nil when the source holds template actions
	patchwork  *patchwork
	references []Reference
}

var _ workflow.Condition = (*Condition)(nil)

// NewCondition compiles CEL source over signal, workflow, tasks, task, input,
// with, env, processor, trigger, payload, output and collected. Template actions in it are
// rendered first, their values becoming CEL literals. An empty source always
// holds. A mistake is a *PositionError, several are joined by errors.Join.
func NewCondition(source string, env Env) (*Condition, error) {
	c := &Condition{source: source, env: newEnvironment(env)}
	if strings.TrimSpace(source) == "" {
		c.always = true
		return c, nil
	}
	if len(source) > MaxStringBytes {
		return nil, &PositionError{Line: 1, Col: 1, Message: fmt.Sprintf("this condition has %d bytes, at most %d are read", len(source), MaxStringBytes)}
	}
	if hasActions(source) {
		p, err := newPatchwork(source)
		if err != nil {
			return nil, err
		}
		c.patchwork, c.references = p, p.references
		return c, nil
	}
	compiled, err := check(source)
	if err != nil {
		return nil, err
	}
	c.compiled = compiled
	c.references = celReferences(compiled.ast.NativeRep())
	return c, nil
}

// Source is the condition as it was written.
func (c *Condition) Source() string { return c.source }

// References lists what the condition refers to, as far as it is known without
// judging.
func (c *Condition) References() []Reference { return c.references }

// Judge evaluates the condition in a scope, at a cost of at most MaxCost.
// Whatever goes wrong makes it false; what was stopped by its budget is endless, too. The reason is one line of at most
// MaxReasonBytes bytes, with the values that decided, and never holds a secret;
// of a condition that holds it is made when the scope asks for its grounds.
func (c *Condition) Judge(scope *workflow.Scope) (verdict workflow.Verdict) {
	if c.always {
		return workflow.Verdict{Holds: true}
	}
	defer func() {
		if p := recover(); p != nil {
			verdict = workflow.Verdict{Reason: shorten(fmt.Sprintf("the condition broke inside: %v; this is a defect of Signalbox, please report it", p), MaxReasonBytes)}
		}
	}()
	r := newRun(scope, c.env, false)
	defer r.free()
	compiled := c.compiled
	if compiled == nil {
		var err error
		if compiled, err = c.patchwork.compile(r); err != nil {
			return workflow.Verdict{Endless: overBudget(err), Reason: c.env.scrub(shorten(err.Error(), MaxReasonBytes))}
		}
	}
	out, _, err := compiled.program.Eval(activation{r})
	e := explanation{run: r, checked: compiled}
	if err == nil && out == types.True {
		verdict.Holds = true
		if scope.Grounds {
			verdict.Reason = shorten(c.env.scrub(e.grounds()), MaxReasonBytes)
		}
		return verdict
	}
	reason := e.explain(out, err)
	return workflow.Verdict{Endless: err != nil && overBudget(err), Reason: shorten(c.env.scrub(reason), MaxReasonBytes)}
}

// scrub blots out the secrets in a text.
func (e *environment) scrub(s string) string {
	for _, name := range e.names {
		secret, ok := e.secret[name]
		if !ok || len(secret) < minScrubbed {
			continue
		}
		s = strings.ReplaceAll(s, secret, hiddenValue)
		if quoted := string(appendString(nil, secret)); len(quoted) > 2 {
			s = strings.ReplaceAll(s, quoted[1:len(quoted)-1], hiddenValue)
		}
	}
	return s
}

const hiddenValue = "***"

// shorten cuts a text to at most size bytes, at the end of a character.
func shorten(s string, size int) string {
	if len(s) <= size {
		return s
	}
	const more = "..."
	cut := size - len(more)
	for cut > 0 && s[cut]&0xC0 == 0x80 {
		cut--
	}
	return s[:cut] + more
}

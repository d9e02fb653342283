package definitions

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/signalbox/signalbox/definitions/expression"
	"github.com/signalbox/signalbox/workflow"
)

// What the expressions of each place can see, besides what is always there.
var (
	seenAlways      = []string{"workflow", "tasks", "task", "env", "trigger"}
	seenByTask      = seenAlways
	seenByWork      = slices.Concat(seenAlways, []string{"input", "with"})
	seenByProcessor = slices.Concat(seenByWork, []string{"signal"})
	seenByWait      = slices.Concat(seenByWork, []string{"signal", "processor"})
	seenByQuorum    = slices.Concat(seenByWork, []string{"signal", "collected"})
	seenByUntil     = slices.Concat(seenByWork, []string{"collected"})
	seenByOutputs   = slices.Concat(seenByWork, []string{"output"})
	seenByWaitEnd   = slices.Concat(seenByWait, []string{"output"})
	seenByFilter    = []string{"payload", "signal", "env", "trigger"}
	seenByResult    = slices.Concat(seenAlways, []string{"workflow_id", "workflow_exec_id", "status", "output"})
)

// sight is from where an expression looks.
type sight struct {
	owner   *draft   // the task it belongs to; nil for the workflow
	sees    []string // the roots that have a value there
	itself  bool     // it may look at its own task
	anyTime bool     // it does not run between tasks, so their order says nothing
}

// use is one reference of one expression.
type use struct {
	sight
	in  *node // the value that it is written in
	ref expression.Reference
}

// newTemplate compiles a tree: plainly, or with secrets masked.
type newTemplate func(tree any, env expression.Env) (*expression.Template, error)

// The two ways. What is rendered masked is stored in the state.
var (
	plainTemplate  newTemplate = expression.NewTemplate
	maskedTemplate newTemplate = expression.NewMaskedTemplate
)

// template compiles a value whose texts may hold actions; nil for an absent or
// wrong one, which is reported.
func (c *compiler) template(n *node, env expression.Env, compile newTemplate, from sight) workflow.Template {
	if n == nil || n.kind == broken {
		return nil
	}
	t, err := compile(n.tree(), env)
	if err != nil {
		c.expressionError(n, "template", err)
		n.texts(func(leaf *node) {
			// The references of the texts that do compile may be wrong too.
			if t, err := compile(leaf.text, env); err == nil {
				c.noteUses(leaf, t.References(), from)
			}
		})
		return nil
	}
	c.noteUses(n, t.References(), from)
	return t
}

// noteUses keeps what an expression refers to until all tasks are known.
func (c *compiler) noteUses(n *node, refs []expression.Reference, from sight) {
	for _, ref := range refs {
		c.uses = append(c.uses, use{from, n, ref})
	}
}

// spot is where a reference is written. Finding it costs the length of the
// text, so it is done for those that are reported only.
func (u use) spot() place {
	n := u.in.pointer(u.ref.String)
	at := n.inside(u.ref.Line, u.ref.Col)
	if at != n.place {
		at.width = len(u.ref.Root) + 1
		for _, segment := range u.ref.Path {
			at.width += len(segment) + 1
		}
	}
	return at
}

const seeReference = "docs/yaml.md says what templates and conditions can do"

// expressionError reports each mistake of an expression at its place inside of
// the texts of a value, when it knows one.
func (c *compiler) expressionError(n *node, rule string, err error) {
	inside := mistakes(err)
	if len(inside) == 0 {
		c.findings.failf(n.place, rule, seeReference, "%s", err)
	}
	for _, m := range inside {
		c.findings.failf(n.pointer(m.String).inside(m.Line, m.Col), rule, cmp.Or(m.Hint, seeReference), "%s", m.Message)
	}
}

// mistakes takes a joined error apart.
func mistakes(err error) []*expression.PositionError {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*expression.PositionError
		for _, one := range joined.Unwrap() {
			all = append(all, mistakes(one)...)
		}
		return all
	}
	var one *expression.PositionError
	if errors.As(err, &one) {
		return []*expression.PositionError{one}
	}
	return nil
}

// condition compiles CEL; nil for an absent or wrong one, which is reported.
func (c *compiler) condition(n *node, env expression.Env, from sight) workflow.Condition {
	if n == nil || n.kind == broken {
		return nil
	}
	if strings.TrimSpace(n.str()) == "" {
		return nil // the reference system takes an empty condition as true
	}
	condition, err := expression.NewCondition(n.str(), env)
	if err != nil {
		c.expressionError(n, "condition", err)
		return nil
	}
	c.noteUses(n, condition.References(), from)
	return condition
}

// scalar compiles a template, or a CEL expression that gives one value; nil for
// an absent or wrong one, which is reported.
func (c *compiler) scalar(n *node, env expression.Env, from sight) workflow.Template {
	if n == nil || n.kind == broken {
		return nil
	}
	if isTemplate(n.str()) {
		return c.template(textNode(n.place, n.str()).spelled(n), env, plainTemplate, from)
	}
	compiled, err := expression.NewScalar(n.str(), env)
	if err != nil {
		c.expressionError(n, "expression", err)
		return nil
	}
	c.noteUses(n, compiled.References(), from)
	return compiled
}

// duration compiles a length of time. One without actions is checked now, by
// the reading that the core will use.
func (c *compiler) duration(n *node, env expression.Env, from sight) workflow.Template {
	if n == nil || n.kind == broken {
		return nil
	}
	if s := n.str(); !isTemplate(s) {
		if _, err := workflow.ParseDuration(s); err != nil {
			c.findings.badDuration(n, err)
			return nil
		}
		n = textNode(n.place, s)
	}
	return c.template(n, env, plainTemplate, from)
}

// limit compiles how long something may take, which must be some time.
func (c *compiler) limit(n *node, env expression.Env, from sight) workflow.Template {
	c.checkLimit(n)
	return c.duration(n, env, from)
}

// checkLimit reports a literal time within which nothing can happen.
func (c *compiler) checkLimit(n *node) {
	if n == nil || n.kind == broken || c.findings.stored {
		return
	}
	if d, err := workflow.ParseDuration(n.str()); err == nil && d == 0 {
		c.findings.failf(n.place, "duration", "write how long it may take, such as 30s, or remove it", "this must be more than zero: with %s the time is over at once", quoted(n.str()))
	}
}

// badDuration reports a text that is no length of time. The error says both
// what is wrong and what to write.
func (f *findings) badDuration(n *node, err error) {
	message, hint, found := strings.Cut(err.Error(), ": ")
	if !found {
		hint = "choose a shorter time"
	}
	if n.kind == number {
		hint = "write the unit, as in " + quoted(n.str()+"s")
	}
	f.failf(n.place, "duration", hint, "%s", message)
}

// schemaDoc finds the JSON Schema that a field holds or names; nil for none. What
// the project lists may name one that each workflow defines for itself.
func (c *compiler) schemaDoc(n *node) *node {
	if n == nil || n.kind == broken || n.kind == mapping {
		return n
	}
	found := c.lookup("schemas", n.str())
	if found == nil && c.workflow != nil {
		c.findings.failf(n.place, "unknown-schema", c.suggestResource(n.str(), "schemas"), "no schema has the id %s", quoted(n.str()))
	}
	return found
}

// schema compiles the JSON Schema that a field holds or names.
func (c *compiler) schema(n *node) workflow.Schema {
	doc := c.schemaDoc(n)
	if doc == nil || doc.kind == broken {
		return nil
	}
	compiled, err := expression.NewSchema(doc.without("id").tree())
	if err != nil {
		c.schemaErrors(doc, err)
		return nil
	}
	return compiled
}

// input compiles the schema of what an execution is started with, whose defaults
// are filled in: one that breaks its own schema refuses whoever leaves it out.
func (c *compiler) input(n *node) workflow.Schema {
	compiled := c.schema(n)
	schema, ok := compiled.(*expression.Schema)
	if !ok || c.findings.stored {
		return compiled
	}
	doc := c.schemaDoc(n)
	for _, v := range schema.WrongDefaults() {
		c.findings.failf(doc.pointer(v.Pointer).place, "default", "write one that conforms, or remove it", "the default breaks the schema of its own property, so that no start could leave it out: %s", v.Message)
	}
	return compiled
}

const schemaHint = "look at the JSON Schema reference, draft 2020-12"

func (c *compiler) schemaErrors(doc *node, err error) {
	inside := mistakes(err)
	if len(inside) == 0 {
		c.findings.failf(doc.place, "schema", schemaHint, "the schema does not compile: %s", err)
	}
	for _, m := range inside {
		c.findings.failf(doc.pointer(m.String).place, "schema", cmp.Or(m.Hint, schemaHint), "%s", m.Message)
	}
}

// checkUses reports references to what does not exist, or not there.
func (c *compiler) checkUses() {
	before := make(map[*draft]map[*draft]bool)
	for _, u := range c.uses {
		switch {
		case c.findings.full():
			return
		case u.ref.Root == "":
		case !slices.Contains(expression.Roots(), u.ref.Root):
			c.findings.failf(u.spot(), "unknown-reference", didYouMean(u.ref.Root, expression.Roots()), "nothing is called .%s", u.ref.Root)
		case !slices.Contains(u.sees, u.ref.Root):
			c.findings.warnf(u.spot(), "nothing-there", whereSeen(u.ref.Root), ".%s has no value here", u.ref.Root)
		case u.ref.Root == "tasks":
			c.checkTaskUse(u, before)
		default:
			c.checkField(u)
		}
	}
}

// checkField warns of a name that a root of a fixed shape never has. It is no
// error, because `has` and `default` make something of what is not there.
func (c *compiler) checkField(u use) {
	fields, inFilter := expression.Fields(u.ref.Root), slices.Contains(u.sees, "payload")
	if u.ref.Root == "signal" && inFilter {
		fields = []string{"payload"}
	}
	if len(fields) == 0 || len(u.ref.Path) == 0 || slices.Contains(fields, u.ref.Path[0]) {
		return
	}
	name := u.ref.Path[0]
	hint := didYouMean(name, fields)
	switch {
	case u.ref.Root != "signal":
	case inFilter && workflow.Nearest(name, fields) == "":
		hint = "the filter of a trigger sees the payload of its event, and nothing else of it"
	case !inFilter && (name == "id" || name == "name"):
		hint = "did you mean " + quoted("metadata.signal_"+name) + "?"
	}
	c.findings.warnf(u.spot(), "unknown-field", hint, "a %s has no %s", u.ref.Root, quoted(name))
}

func whereSeen(root string) string {
	switch root {
	case "signal":
		return "a signal is seen by a wait's condition, processor and outputs; later tasks find it as .tasks.WAIT.result"
	case "processor":
		return "a processor's result is seen by the condition and the outputs of its wait"
	case "output":
		return "an output is seen by `outputs` and `on_success.next`; later tasks find it as .tasks.TASK.output"
	case "collected":
		return "what a wait collected is seen by its `veto`, `collect.until` and outputs; other tasks find it as .tasks.WAIT.collected, later ones as .tasks.WAIT.output.collected"
	case "payload":
		return "a payload is seen by the filter of a trigger; tasks find it as .trigger.payload or .workflow.input"
	case "input", "with":
		return "a task's input is seen by its work, once `with` is rendered; the workflow's is .workflow.input"
	}
	return "look at docs/yaml.md for what each place sees"
}

// taskFields are what an expression can ask of a task.
var taskFields = []string{"id", "type", "input", "output", "status", "error", "result", "outputs", "collected"}

// checkTaskUse checks one reference to a task.
func (c *compiler) checkTaskUse(u use, before map[*draft]map[*draft]bool) {
	if len(u.ref.Path) == 0 {
		return
	}
	target := c.byID[folded(u.ref.Path[0])]
	if target == nil && c.workflow != nil {
		c.findings.failf(u.spot(), "unknown-task", c.suggestTask(u.ref.Path[0]), "no task is called %s", quoted(u.ref.Path[0]))
		return
	}
	if len(u.ref.Path) > 1 && !slices.Contains(taskFields, u.ref.Path[1]) {
		c.findings.warnf(u.spot(), "unknown-field", didYouMean(u.ref.Path[1], taskFields), "a task has no %s", quoted(u.ref.Path[1]))
		return
	}
	owner := u.owner
	if u.anyTime || owner == nil || target == owner || target.processorOf == owner && owner != nil {
		if target == owner && owner != nil && !u.itself && !c.ancestors(owner, before)[owner] {
			c.findings.warnf(u.spot(), "nothing-there", "look at .input, or at the task before", "the task %s looks at itself before it has run", quoted(owner.id))
		}
		return
	}
	if owner.processorOf != nil {
		owner = owner.processorOf
	}
	if target.processorOf != nil {
		target = target.processorOf
	}
	if target != owner && !c.ancestors(owner, before)[target] {
		c.findings.warnf(u.spot(), "comes-later", "add "+quoted(target.id)+" to the `depends_on` of "+quoted(owner.id)+", or list it before",
			"nothing makes task %s run before task %s, so there may be no value", quoted(target.id), quoted(owner.id))
	}
}

// suggestTask is the hint for a task that does not exist.
func (c *compiler) suggestTask(id string) string {
	if c.findings.full() {
		return "add it"
	}
	return didYouMean(id, c.ids())
}

// ids lists every task, for suggestions.
func (c *compiler) ids() []string {
	var ids []string
	for d := range maps.Values(c.byID) {
		ids = append(ids, d.id)
	}
	slices.Sort(ids)
	return ids
}

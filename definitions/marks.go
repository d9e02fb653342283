package definitions

import "github.com/signalbox/signalbox/workflow"

// seenByMarks is what the key and the labels of an execution can look at: what
// there is before it starts.
var seenByMarks = []string{"workflow", "trigger", "env", "input"}

// What a start gets whose unique key is taken.
const (
	getExisting = "existing"
	getRefused  = "refuse"
)

// key compiles what the workflow says about the keys of its executions. A key is
// written down, so it is rendered without the secrets.
func (c *compiler) key(n *node) *workflow.KeySpec {
	if n == nil || n.kind == broken {
		return nil
	}
	value := n
	spec := &workflow.KeySpec{}
	if n.isMap() {
		value = n.get("value")
		spec.Unique = n.get("unique").isTrue()
		spec.Refuse = n.get("when_taken").str() == getRefused
		if n.has("when_taken") && !spec.Unique {
			c.findings.warnf(n.keyOf("when_taken"), "no-effect", "add `unique: true`", "a key that is not unique is never taken")
		}
		if value == nil && !spec.Unique {
			c.findings.failf(n.place, "required", "add `value:` with a template, `unique: true`, or both", "the key says neither what it is nor that it is unique")
			return nil
		}
	}
	if value == nil || value.kind == broken {
		return spec
	}
	env := c.env
	env.Secret = nil
	spec.Value = c.template(textNode(value.place, value.str()).spelled(value), env, plainTemplate, sight{sees: seenByMarks, anyTime: true})
	return spec
}

// labels compiles the labels that every execution of the workflow gets.
func (c *compiler) labels(n *node) workflow.Template {
	if n == nil || n.kind != mapping || len(n.entries) == 0 {
		return nil
	}
	if len(n.entries) > workflow.MaxLabels {
		c.findings.failf(n.place, "limit", "keep those that somebody filters by; data belongs into the input", "an execution has at most %d labels", workflow.MaxLabels)
		return nil
	}
	for _, e := range n.entries {
		if wrong := workflow.CheckLabelName(e.key.text); wrong != "" {
			c.findings.failf(e.key.place, "label", "name it in a short word, like `region`", "%s", wrong)
		}
		switch e.value.kind {
		case list, mapping:
			c.findings.failf(e.value.place, "type", "write one text, a template may be in it", "the label %s must be a text, this is %s", quoted(e.key.text), e.value.kind)
		}
	}
	env := c.env
	env.Secret = nil
	return c.template(n, env, plainTemplate, sight{sees: seenByMarks, anyTime: true})
}

func keyLanguage() *shape {
	return &shape{name: keyShape, title: "a key", doc: "What an execution is about, in your own words, like an order's number: it is found and signalled by it.", fields: []*field{
		{name: "value", forms: asText, meaning: template, mistaken: []string{"template", "name", "id", "expression"}, doc: "The key, from the input or from what triggered the execution. Without it, or when it renders to nothing, an execution has the key that its start names, or none.", example: "{{ .workflow.input.order_id }}"},
		{name: "unique", forms: asTruth, mistaken: []string{"exclusive", "single"}, doc: "At most one live execution of the workflow has a key."},
		{name: "when_taken", forms: asText, values: []string{getExisting, getRefused}, mistaken: []string{"on_conflict", "if_taken", "policy"}, doc: "What a second start gets while the key is taken: `existing`, the live execution (the default), or `refuse`, a 409 that names it."},
	}}
}

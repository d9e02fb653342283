package definitions

import (
	"slices"
	"strings"

	"github.com/signalbox/signalbox/workflow"
)

// checker reads a mapping strictly by the table of fields. It reports what does
// not fit and returns what does, with every alias replaced by the name of its
// field and without what has no effect, so that compiling knows one spelling
// and the content hash does not depend on the others.
type checker struct {
	findings *findings
}

// check reads a mapping as a shape.
func (c *checker) check(n *node, s *shape) *node {
	taskType := anyType
	if s.name == taskShape {
		taskType = c.taskType(n)
	}
	out := *n
	out.entries = make([]entry, 0, len(n.entries))
	seen := make(map[*field]*node, len(n.entries))
	for _, e := range n.entries {
		f := s.byName[e.key.text]
		switch {
		case f == nil:
			c.unknown(e.key, s, taskType)
			continue
		case seen[f] != nil:
			c.findings.failf(e.key.place, "duplicate-key", "keep one of the two", "%s and %s mean the same", quoted(seen[f].text), quoted(e.key.text))
			continue
		case e.value.kind == null:
			continue // nothing written is nothing said
		}
		seen[f] = e.key
		if value := c.field(f, e.key, e.value, taskType); value != nil {
			key := *e.key
			key.text = f.name
			out.entries = append(out.entries, entry{&key, value})
		}
	}
	for _, f := range s.fields {
		if f.required && seen[f] == nil {
			c.findings.failf(n.place, "required", c.why(f), "%s needs %s", s.title, quoted(f.name))
		}
	}
	return &out
}

func (c *checker) why(f *field) string {
	if f.example != "" {
		return "add it, for example `" + f.name + ": " + f.example + "`. " + f.doc
	}
	return "add it. " + f.doc
}

// What stands for the type of a task whose type is none of this release.
const (
	laterType   = "later"
	unknownType = "?"
	anyType     = "" // not a task
)

// taskType finds out which fields belong to a task before its type is checked.
func (c *checker) taskType(n *node) string {
	t := n.get("type")
	if t == nil || t.kind == null {
		return "basic"
	}
	if slices.Contains(laterTaskTypes, t.str()) {
		return laterType
	}
	if !slices.Contains(taskTypes, t.str()) {
		return unknownType
	}
	return t.str()
}

func (c *checker) unknown(key *node, s *shape, taskType string) {
	if strings.HasPrefix(key.text, "$") {
		c.directive(key)
		return
	}
	if taskType == laterType {
		return // one message about its type is enough
	}
	if c.findings.full() {
		return
	}
	hint := didYouMean(key.text, s.names(taskType))
	if meant := s.meant(key.text, taskType); meant != "" {
		hint = "did you mean " + quoted(meant) + "?"
	}
	c.findings.failf(key.place, "unknown-key", hint, "%s has no field %s", s.title, quoted(key.text))
}

// directive refuses keys such as $use, which the reference system had once.
func (c *checker) directive(key *node) {
	c.findings.failf(key.place, "directive", "refer to things by their id, as in `agent: writer`, `tool: mailer` or `input: order_schema`",
		"unsupported directive key %s", quoted(key.text))
}

// field reads one value. It returns nil for one that has no effect.
func (c *checker) field(f *field, key, value *node, taskType string) *node {
	switch {
	case f.later != "":
		if taskType != laterType && taskType != unknownType {
			c.findings.failf(key.place, "not-in-this-release", f.later, "%s is not in this release", quoted(key.text))
		}
		return nil
	case f.unused != "":
		c.findings.warnf(key.place, "no-effect", f.unused, "%s has no effect", quoted(key.text))
		return nil
	case !f.fits(taskType) && taskType != laterType && taskType != unknownType:
		c.findings.failf(key.place, "wrong-type-of-task", misplaced(f, taskType), "a task of type %s has no %s", taskType, quoted(f.name))
		return nil
	}
	return c.value(f, key.text, value)
}

func misplaced(f *field, taskType string) string {
	if taskType == "basic" {
		return "add `type: " + f.kinds[0] + "` to the task, or remove it"
	}
	return "it belongs to a task of type " + joinOr(f.kinds)
}

// value reads a value that must have one of the field's forms.
func (c *checker) value(f *field, name string, n *node) *node {
	if n.kind == broken {
		return n
	}
	if f.forms&formOf(n.kind, f.forms) == 0 {
		c.mistyped(f, name, n)
		return &node{place: n.place, kind: broken}
	}
	switch n.kind {
	case mapping:
		if f.named {
			return c.items(f, name, unnamed(n))
		}
		if key := f.misspelt(n); key != nil {
			c.unknown(key, language[f.altShape], anyType)
			return &node{place: n.place, kind: broken}
		}
		if s := f.shapeOf(n); s != nil {
			return c.check(n, s)
		}
	case list:
		if f.items != nil {
			return c.items(f, name, n)
		}
	default:
		c.oneOf(f, name, n)
		return n
	}
	if f.meaning != schemaRef {
		c.free(n)
	}
	return n
}

// unnamed writes a mapping of names as the list that it stands for.
func unnamed(n *node) *node {
	out := &node{place: n.place, kind: list}
	for _, e := range n.entries {
		item := e.value
		if item.isMap() && !item.has("name") {
			item = item.with("name", e.key)
		}
		out.items = append(out.items, item)
	}
	return out
}

func (c *checker) items(f *field, name string, n *node) *node {
	out := *n
	out.items = make([]*node, 0, len(n.items))
	for _, item := range n.items {
		if item.kind == null {
			c.findings.failf(item.place, "type", "write it, or remove the dash", "an item of %s is empty", quoted(name))
			continue
		}
		out.items = append(out.items, c.value(f.items, "an item of "+name, item))
	}
	return &out
}

// free looks for directives where the inside belongs to the user.
func (c *checker) free(n *node) {
	for _, e := range n.entries {
		switch e.key.text {
		case "$use", "$ref", "$merge", "$ptr":
			c.directive(e.key)
		}
		c.free(e.value)
	}
	for _, item := range n.items {
		c.free(item)
	}
}

// formOf is the form that a value has. Any scalar will do for a text.
func formOf(k kind, allowed form) form {
	switch k {
	case list:
		return asList
	case mapping:
		return asMap
	case number:
		return asNumber | asText
	case boolean:
		return asTruth | asText
	}
	return asText
}

func (c *checker) mistyped(f *field, name string, n *node) {
	hint := ""
	switch {
	case n.kind == text && f.forms&asMap != 0 && strings.Contains(n.text, ":"):
		hint = "put a space after the colon"
	case n.kind == mapping && f.forms&asList != 0:
		hint = "start each item with a dash: `- id: …`"
	case f.forms&asText != 0 && n.kind == list:
		hint = "write one value instead of a list"
	case f.example != "":
		hint = "for example `" + f.example + "`"
	case f.forms == asMap:
		hint = "write `key: value` on lines of their own, further indented"
	default:
		hint = "write " + f.forms.describe() + " instead"
	}
	c.findings.failf(n.place, "type", hint, "%s must be %s, this is %s", quoted(name), f.forms.describe(), n.kind)
}

func (c *checker) oneOf(f *field, name string, n *node) {
	if f.values == nil || slices.Contains(f.values, n.text) {
		return
	}
	switch {
	case slices.Contains(laterTaskTypes, n.text) && slices.Contains(f.values, "basic"):
		c.findings.failf(n.place, "not-in-this-release", "this release runs tasks of type "+joinOr(f.values)+"; branch with `condition` or a template in `on_success.next`, run side by side with `depends_on`",
			"tasks of type %s are not in this release", quoted(n.text))
	case f.name == "type" && slices.Equal(f.values, []string{"signal"}) && (n.text == "webhook" || n.text == "schedule"):
		c.findings.failf(n.place, "not-in-this-release", "use `type: signal` and let whoever receives the webhook or keeps the time post the event to /api/v0/events",
			"triggers of type %s are not in this release", quoted(n.text))
	default:
		hint := didYouMean(n.text, f.values)
		if near := workflow.Nearest(n.text, laterTaskTypes); near != "" && slices.Contains(f.values, "basic") && workflow.Nearest(n.text, f.values) == "" {
			hint = "did you mean " + quoted(near) + "? It is not in this release; " + hint
		}
		c.findings.failf(n.place, "value", hint, "%s cannot be %s", quoted(name), quoted(n.text))
	}
}

package definitions

import (
	"github.com/signalbox/signalbox/workflow"
)

// extension compiles what moves the deadline of a wait; nil for nothing.
func (c *compiler) extension(d *draft) *workflow.Extension {
	n := d.node.get("extend_on")
	if n == nil || n.kind == broken {
		return nil
	}
	if !n.isMap() {
		n = mapNode(n.place, "wait_for", textNode(n.place, n.str()).spelled(n))
	}
	if !d.node.has("timeout") && !d.node.has("deadline") {
		c.findings.failf(d.node.keyOf("extend_on"), "required", "add `timeout:` or `deadline:`", "the wait %s has no deadline that could be moved", quoted(d.id))
	}
	x := &workflow.Extension{Max: c.whole(n.get("max"), 1, workflow.MaxExtensions, workflow.DefaultExtensions)}
	by := n.get("by")
	if by == nil {
		by = d.node.get("timeout")
	}
	if by == nil {
		c.findings.failf(n.place, "required", "add `by:` with a duration such as 1d", "`extend_on` does not say how far the deadline of %s moves", quoted(d.id))
	}
	x.By = c.duration(by, d.env, sight{owner: d, sees: seenByQuorum})
	if n.has("schema") && !n.has("wait_for") {
		c.findings.failf(n.keyOf("schema"), "contradiction", "write it beside `wait_for` of the wait", "the signals of the wait have its own schema")
	}
	name := n.get("wait_for")
	if name != nil && !isTemplate(name.str()) {
		c.checkName(name, "the name of the signal")
	}
	x.Hold = workflow.Hold{
		Name:      c.template(name, d.env, plainTemplate, sight{owner: d, sees: seenByWork}),
		Condition: c.condition(n.get("condition"), d.env, sight{owner: d, sees: seenByQuorum}),
		Schema:    c.schema(n.get("schema")),
	}
	return x
}

// reminders compiles the ladder of a wait.
func (c *compiler) reminders(d *draft) []workflow.Reminder {
	items := d.node.get("remind").list()
	if len(items) > workflow.MaxReminders {
		c.findings.failf(items[workflow.MaxReminders].place, "limit", "let the task or whoever takes the event go on by itself", "a wait has at most %d reminders", workflow.MaxReminders)
		items = items[:workflow.MaxReminders]
	}
	var ladder []workflow.Reminder
	for i, n := range items {
		if n.kind == mapping {
			ladder = append(ladder, c.reminder(d, n, d.reminds[i]))
		}
	}
	return ladder
}

func (c *compiler) reminder(d *draft, n *node, task *draft) workflow.Reminder {
	at := sight{owner: d, sees: seenByWork}
	switch {
	case n.has("after") == n.has("before"):
		c.findings.failf(n.place, "required", "write `after: 1d` from the opening on, or `before: 2h` of the deadline", "a reminder has one of `after` and `before`")
	case n.has("before") && !d.node.has("timeout") && !d.node.has("deadline"):
		c.findings.failf(n.keyOf("before"), "required", "add `timeout:` or `deadline:`, or write `after`", "the wait %s has no deadline to come before", quoted(d.id))
	}
	if n.has("event") == n.has("task") {
		c.findings.failf(n.place, "required", "write `event:` with its name, or `task:` with the id of a task", "a reminder sends one event or runs one task")
	}
	r := workflow.Reminder{After: c.duration(n.get("after"), d.env, at), Before: c.duration(n.get("before"), d.env, at)}
	if n.has("event") {
		r.Event = c.event(d, n.get("event"), sight{owner: d, sees: seenByUntil})
	}
	if task != nil {
		r.Task = task.id
	}
	return r
}

// event compiles what is sent: a name, or `id` and `payload`.
func (c *compiler) event(d *draft, signal *node, at sight) *workflow.SignalSpec {
	name := signal
	if signal.isMap() {
		name = signal.get("id")
	}
	if name != nil && !isTemplate(name.str()) {
		c.checkName(name, "the name of the event")
	}
	if name != nil && name.kind != broken {
		name = textNode(name.place, name.str()).spelled(name)
	}
	payload := signal.get("payload")
	if payload != nil && payload.kind != broken && !c.findings.stored && !payload.isMap() && !isTemplate(payload.str()) {
		c.findings.failf(payload.place, "value", "write a mapping, as in `payload: { amount: 5 }`, or one template that gives an object", "the payload of an event is an object, this is %s", payload.kind)
	}
	return &workflow.SignalSpec{
		Name:    c.template(name, d.env, plainTemplate, at),
		Payload: c.template(payload, d.env, plainTemplate, at),
	}
}

// reminded are the tasks that the reminders of a wait run.
func (c *compiler) reminded() map[*draft]bool {
	targets := make(map[*draft]bool)
	for _, d := range c.drafts {
		for _, to := range d.reminds {
			targets[to] = true
		}
	}
	delete(targets, nil)
	return targets
}

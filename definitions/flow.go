package definitions

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/signalbox/signalbox/definitions/expression"
	"github.com/signalbox/signalbox/workflow"
)

// draft is one task on its way into a definition.
type draft struct {
	id          string
	node        *node
	kind        workflow.Kind
	listed      bool
	processorOf *draft
	processors  map[string]*draft // of a wait, by the name of the branch; "" for one without branches
	env         expression.Env
	task        *workflow.Task // nil when it could not be compiled

	next      *draft // where on_success goes, when that is known
	anyNext   bool   // on_success goes where a template says
	hasNext   bool   // there is an on_success
	onError   *draft
	onTimeout *draft
	onVeto    *draft
	reminds   []*draft // what each reminder runs, nil for those that send an event
	depends   bool     // it says itself what it comes after
	dependsOn []*draft

	// The outcome of ordering.
	after    []*draft
	root     bool
	handler  bool // runs only because another task failed or timed out
	final    bool
	reminder bool // runs only because a wait reminds
}

// at is the place of one of the task's fields, or of the task.
func (d *draft) at(field string) place {
	if n := d.node.get(field); n != nil {
		return n.place
	}
	return d.node.place
}

// folded is the spelling under which an id is found: `a-b` and `a_b` are one.
func folded(id string) string { return strings.ReplaceAll(id, "_", "-") }

// collect finds every task: listed ones, inline handlers and processors.
func (c *compiler) collect() {
	tasks := c.workflow.get("tasks")
	if tasks.isList() && len(tasks.items) == 0 {
		c.findings.failf(tasks.place, "required", "list at least one task", "the workflow has no tasks")
	}
	var listed []*draft
	for _, n := range tasks.list() {
		if n.kind != mapping {
			continue
		}
		id := ""
		if c.checkID(n, "a task") {
			id = n.get("id").str()
		} else {
			c.dangling = true
		}
		d := &draft{id: id, node: n, listed: true}
		c.adopt(d)
		listed = append(listed, d)
	}
	for _, d := range listed {
		c.inline(d)
	}
	if len(c.byID) > MaxTasks || len(c.drafts) > MaxTasks {
		c.findings.failf(tasks.place, "limit", "split the workflow; a `signal` task can start the next one", "the workflow has %d tasks, at most %d are possible", max(len(c.byID), len(c.drafts)), MaxTasks)
		c.drafts, c.dangling = c.drafts[:min(len(c.drafts), MaxTasks)], true
	}
}

// adopt takes a task in under its id.
func (c *compiler) adopt(d *draft) {
	d.kind = workflow.Basic
	if t := d.node.get("type"); t != nil {
		d.kind = workflow.Kind(t.str())
	}
	if d.env.Public == nil {
		d.env = c.env
	}
	if own := d.node.get("env"); own != nil {
		c.checkEnv(own)
		d.env.Public = maps.Clone(d.env.Public)
		maps.Copy(d.env.Public, envOf(own))
	}
	if d.processorOf == nil {
		c.drafts = append(c.drafts, d)
	}
	if d.id == "" {
		return
	}
	at := d.at("id")
	if other := c.byID[folded(d.id)]; other == nil {
		c.byID[folded(d.id)] = d
	} else if other.id == d.id {
		c.findings.failf(at, "duplicate-id", "give one of them another id", "the task %s is already there, in line %d", quoted(d.id), other.node.line)
	} else {
		c.findings.failf(at, "duplicate-id", "give one of them another id: expressions find a task under both spellings", "the task %s can be taken for %s in line %d", quoted(d.id), quoted(other.id), other.node.line)
	}
}

// inline takes in the tasks that are written inside of another one.
func (c *compiler) inline(d *draft) {
	for _, way := range []struct{ field, suffix string }{{"on_error", "-on-error"}, {"on_timeout", "-on-timeout"}, {"on_veto", "-on-veto"}} {
		n := d.node.get(way.field)
		if !n.isMap() || n.has("next") {
			continue
		}
		child := c.child(d, n, way.suffix)
		switch way.field {
		case "on_error":
			d.onError = child
		case "on_timeout":
			d.onTimeout = child
		default:
			d.onVeto = child
		}
		c.adopt(child)
		c.inline(child)
	}
	c.inlineProcessor(d, d.node, "", "-processor")
	for _, b := range d.branches().list() {
		if name := branchName(b).str(); name != "" {
			c.inlineProcessor(d, b, name, "-"+name+"-processor")
		}
	}
}

// inlineProcessor takes in what looks at the signals of a wait, or of a branch of one.
func (c *compiler) inlineProcessor(d *draft, holds *node, branch, suffix string) {
	n := holds.get("processor")
	if !n.isMap() || d.processors[branch] != nil {
		return
	}
	child := c.child(d, n, suffix)
	child.processorOf = d
	if d.processors == nil {
		d.processors = make(map[string]*draft)
	}
	d.processors[branch] = child
	c.adopt(child)
}

// child is an inline task, with an id of its own or one that derives from its owner's.
func (c *compiler) child(owner *draft, n *node, suffix string) *draft {
	if n.has("id") {
		c.checkID(n, "a task")
		return &draft{id: n.get("id").str(), node: n, env: owner.env}
	}
	id := owner.id + suffix
	if len(id) > workflow.MaxNameBytes {
		c.findings.failf(n.place, "id", "give it a short id of its own", "the id that derives for this task is longer than %d bytes", workflow.MaxNameBytes)
	}
	return &draft{id: id, node: n, env: owner.env}
}

// connect resolves what tasks say about each other.
func (c *compiler) connect() {
	for _, d := range c.drafts {
		c.connectSuccess(d)
		if d.onError == nil {
			on := d.node.get("on_error")
			if on == nil {
				on = d.node.get("config").get("on_error")
			}
			d.onError = c.target(on, "on_error")
		}
		if d.onTimeout == nil {
			d.onTimeout = c.timeoutTarget(d)
		}
		if d.onVeto == nil {
			d.onVeto = c.target(d.node.get("on_veto"), "on_veto")
		}
		for _, n := range d.node.get("remind").list() {
			d.reminds = append(d.reminds, c.target(n.get("task"), "remind.task"))
		}
		if dep := d.node.get("depends_on"); dep != nil && dep.kind != broken {
			d.depends = true
			c.connectDependencies(d, dep)
		}
	}
	c.onError = c.target(c.workflow.get("config").get("on_error"), "config.on_error")
}

// nextOf is the id inside of a transition, in either form.
func nextOf(n *node) *node {
	if n.isMap() {
		return n.get("next")
	}
	return n
}

func (c *compiler) connectSuccess(d *draft) {
	next := nextOf(d.node.get("on_success"))
	if next.str() == "" {
		return
	}
	d.hasNext = true
	if isTemplate(next.str()) {
		d.anyNext = true
		return
	}
	d.next = c.target(next, "on_success")
}

func (c *compiler) connectDependencies(d *draft, dep *node) {
	names := dep.list()
	if !dep.isList() {
		names = []*node{dep}
	}
	for _, n := range names {
		before := c.target(n, "depends_on")
		switch {
		case before == nil:
		case before == d:
			c.dangling = true
			c.findings.failf(n.place, "cycle", "remove it", "the task %s depends on itself", quoted(d.id))
		case slices.Contains(d.dependsOn, before):
			c.findings.warnf(n.place, "duplicate-key", "remove it", "%s is already there", quoted(n.str()))
		default:
			d.dependsOn = append(d.dependsOn, before)
		}
	}
}

// target finds the task that a transition names; nil when there is none, which
// is reported.
func (c *compiler) target(n *node, field string) *draft {
	n = nextOf(n)
	if n == nil || n.kind == broken || n.kind == null {
		return nil
	}
	if isTemplate(n.str()) {
		c.findings.failf(n.place, "dangling-id", "write the id; only `on_success.next` may be a template", "%s cannot be a template", field)
		return nil
	}
	d := c.byID[folded(n.str())]
	switch {
	case d == nil:
		c.dangling = true
		c.findings.failf(n.place, "dangling-id", c.suggestTask(n.str()), "%s names no task %s", field, quoted(n.str()))
	case d.processorOf != nil:
		c.dangling = true
		c.findings.failf(n.place, "dangling-id", "name the wait "+quoted(d.processorOf.id)+" instead", "%s names %s, which runs only as the processor of a wait", field, quoted(n.str()))
		return nil
	}
	return d
}

// timeoutTarget finds where on_timeout goes. A name that no task has is only a
// warning, because the reference system's own examples have it; the warning
// says what happens then.
func (c *compiler) timeoutTarget(d *draft) *draft {
	n := nextOf(d.node.get("on_timeout"))
	if n == nil || n.kind == broken || isTemplate(n.str()) || c.byID[folded(n.str())] != nil {
		return c.target(n, "on_timeout")
	}
	hint := "add a task with that id"
	if near := workflow.Nearest(n.str(), c.ids()); near != "" {
		hint += ", or did you mean " + quoted(near) + "?"
	}
	if d.kind == workflow.Wait && !d.expires() {
		c.findings.warnf(n.place, "dangling-timeout", hint,
			"on_timeout names no task %s; the wait has no timeout, so it never times out; if it did, the execution would end TIMED_OUT", quoted(n.str()))
	} else {
		c.findings.warnf(n.place, "dangling-timeout", hint, "on_timeout names no task %s; when the time is over, the execution ends TIMED_OUT", quoted(n.str()))
	}
	return nil
}

// order lowers the listed order and depends_on into what each task comes
// after. Handlers - tasks that run only because another failed or timed out -
// have no place in the listed order. As soon as one other task says on_success,
// nothing follows merely because it is listed next.
func (c *compiler) order() {
	c.findHandlers()
	explicit := false
	for _, d := range c.drafts {
		d.after = d.dependsOn
		explicit = explicit || d.listed && !d.handler && d.hasNext
	}
	var last *draft
	for _, d := range c.drafts {
		if !d.listed || d.handler {
			continue
		}
		switch {
		case d.depends:
			d.root = len(d.dependsOn) == 0 && d.node.get("depends_on").isEmptyList()
		case last == nil:
			d.root = true
		case !explicit:
			d.after = []*draft{last}
		}
		last = d
	}
	needed := make(map[*draft]bool)
	for _, d := range c.drafts {
		for _, before := range d.after {
			needed[before] = true
		}
	}
	targets, reminded := c.failureTargets(), c.reminded()
	for _, d := range c.drafts {
		d.reminder = d.handler && reminded[d] && !targets[d]
		d.final = d.node.get("final").isTrue() || d.handler && targets[d] && !reminded[d] && !d.hasNext && !needed[d]
	}
}

func (n *node) isEmptyList() bool { return n.isList() && len(n.items) == 0 }

// failureTargets are the tasks that some task goes to when it does not end well.
func (c *compiler) failureTargets() map[*draft]bool {
	targets := map[*draft]bool{c.onError: true}
	for _, d := range c.drafts {
		for _, to := range []*draft{d.onError, d.onTimeout, d.onVeto} {
			if to != d { // trying again is no reason to run in the first place
				targets[to] = true
			}
		}
	}
	delete(targets, nil)
	return targets
}

// findHandlers marks the tasks that are only the target of a failure, a timeout
// or a reminder, and those that only such a task leads to and that are listed after
// it. A handler that leads back to a task listed before it leaves that one
// where it is, and the first task listed always starts.
func (c *compiler) findHandlers() {
	targets := c.failureTargets()
	maps.Copy(targets, c.reminded())
	aimed := make(map[*draft]bool)
	rank := make(map[*draft]int)
	for i, d := range c.drafts {
		rank[d] = i
		if d.next != nil {
			aimed[d.next] = true
		}
	}
	for d := range targets {
		d.handler = !d.depends && !aimed[d] && d != c.drafts[0]
	}
	for changed := true; changed; {
		changed = false
		for _, d := range c.drafts {
			next := d.next
			if !d.handler || next == nil || next.handler || next.depends || next == c.drafts[0] || c.mainAims(next) {
				continue
			}
			if targets[next] || !next.listed || d.listed && rank[next] > rank[d] {
				next.handler, changed = true, true
			}
		}
	}
	c.warnEarlyHandlers(rank)
}

// warnEarlyHandlers points at handlers that are listed before all the tasks
// that lead to them, as if they were meant to run in the listed order too.
func (c *compiler) warnEarlyHandlers(rank map[*draft]int) {
	first := make(map[*draft]*draft)
	for _, d := range c.drafts {
		for _, to := range []*draft{d.onError, d.onTimeout, d.onVeto} {
			if to != nil && first[to] == nil {
				first[to] = d
			}
		}
	}
	for _, d := range c.drafts {
		from := first[d]
		if d.listed && d.handler && from != nil && from.listed && rank[d] < rank[from] && rank[d] > 0 {
			c.findings.warnf(d.at("id"), "early-handler", "to run it in the listed order as well, add `depends_on: ["+c.drafts[rank[d]-1].id+"]`",
				"the task %s runs only when %s fails or times out, although it is listed before", quoted(d.id), quoted(from.id))
		}
	}
}

// mainAims reports whether a task that is no handler goes on to this one.
func (c *compiler) mainAims(target *draft) bool {
	return slices.ContainsFunc(c.drafts, func(d *draft) bool { return d.next == target && !d.handler })
}

// nextTask finds the task whose id a template renders, in either spelling.
type nextTask struct {
	workflow.Template
	ids map[string]string // by folded id
}

// Render renders the id and corrects its spelling.
func (t nextTask) Render(scope *workflow.Scope) (workflow.Value, error) {
	v, err := t.Template.Render(scope)
	if err != nil {
		return nil, err
	}
	var id string
	if json.Unmarshal(v, &id) != nil {
		return v, nil // not a text: the core says so, with the task's name
	}
	if known := t.ids[folded(strings.TrimSpace(id))]; known != "" {
		return workflow.ValueOf(known), nil
	}
	return v, nil
}

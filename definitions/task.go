package definitions

import (
	"math"
	"slices"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// task compiles one task. Its flow is known by now.
func (c *compiler) task(d *draft) {
	n := d.node
	switch d.kind {
	case workflow.Basic, workflow.Wait, workflow.Emit:
	default:
		return // reported by its type
	}
	at := sight{owner: d, sees: seenByTask}
	t := &workflow.Task{
		ID: d.id, Kind: d.kind, Final: d.final, Reminds: d.reminder,
		Sleep: c.duration(n.get("sleep"), d.env, at),
	}
	for _, before := range d.after {
		t.After = append(t.After, before.id)
	}
	if d.onError != nil {
		t.OnError = d.onError.id
	}
	if d.onTimeout != nil {
		t.OnTimeout = d.onTimeout.id
	}
	if d.onVeto != nil {
		t.OnVeto = d.onVeto.id
	}
	t.OnSuccess = c.onSuccess(d)
	switch d.kind {
	case workflow.Basic:
		t.Condition = c.condition(n.get("condition"), d.env, at)
		c.basic(d, t, c.worker(d))
	case workflow.Wait:
		c.wait(d, t)
	case workflow.Emit:
		t.Condition = c.condition(n.get("condition"), d.env, at)
		c.emit(d, t)
	}
	d.task = t
}

func (c *compiler) onSuccess(d *draft) workflow.Template {
	next := nextOf(d.node.get("on_success"))
	switch {
	case d.next != nil:
		return c.template(textNode(next.place, d.next.id), d.env, plainTemplate, sight{owner: d})
	case d.anyNext:
		inner := c.template(next, d.env, plainTemplate, sight{owner: d, sees: seenByOutputs, itself: true})
		if inner == nil {
			return nil
		}
		ids := make(map[string]string)
		for key, target := range c.byID {
			if target.processorOf == nil {
				ids[key] = target.id
			}
		}
		return nextTask{inner, ids}
	}
	return nil
}

// basic compiles work that an executor does, of a task or of a processor.
func (c *compiler) basic(d *draft, t *workflow.Task, w worker) {
	n := d.node
	sees := seenByWork
	if d.processorOf != nil {
		sees = seenByProcessor
	}
	at := sight{owner: d, sees: sees}
	t.With = c.template(w.with, d.env, maskedTemplate, sight{owner: d, sees: without(sees, "input", "with")})
	t.Work = &workflow.Work{
		Executor: w.executor, AgentID: w.agent, ActionID: w.action, ToolID: w.tool,
		Request: c.template(w.request, d.env, maskedTemplate, at),
	}
	t.Outputs = c.template(n.get("outputs"), d.env, plainTemplate, sight{owner: d, sees: slices.Concat(sees, []string{"output"}), itself: true})
	t.Retry = c.retry(n)
	timeout := n.get("timeout")
	for _, fallback := range []*node{
		n.get("config").get("start_to_close_timeout"), w.timeout,
		c.workflow.get("config").get("start_to_close_timeout"),
	} {
		if timeout == nil {
			timeout = fallback
		}
	}
	t.Timeout = c.limit(timeout, d.env, at)
}

// without returns a list of roots without some of them.
func without(roots []string, drop ...string) []string {
	return slices.DeleteFunc(slices.Clone(roots), func(r string) bool { return slices.Contains(drop, r) })
}

func firstOf(n *node, keys ...string) string {
	for _, key := range keys {
		if n.has(key) {
			return key
		}
	}
	return ""
}

// spelled gives a node the spelling of another, so that places inside of it are found.
func (n *node) spelled(like *node) *node {
	n.style = like.style
	return n
}

// processor compiles the work that looks at each signal of a wait. What it is
// given always has the signal. It is nil where there is none.
func (c *compiler) processor(d *draft) *workflow.Task {
	if d == nil {
		return nil
	}
	d.kind = workflow.Basic
	w := c.worker(d)
	switch {
	case w.with == nil:
		w.with = mapNode(d.node.place, "signal", textNode(place{}, "{{ .signal }}"))
		w.request = w.request.with("with", textNode(place{}, inputReference))
	case w.with.isMap() && !w.with.has("signal"):
		w.with = w.with.with("signal", textNode(place{}, "{{ .signal }}"))
	}
	t := &workflow.Task{ID: d.id, Kind: workflow.Basic}
	c.basic(d, t, w)
	if wait := d.processorOf.node; !d.node.has("retry_policy") && !d.node.has("retries") && !d.node.get("config").has("retry_policy") {
		t.Retry = c.retry(wait)
	}
	d.task = t
	return t
}

// emit compiles a task that sends an event.
func (c *compiler) emit(d *draft, t *workflow.Task) {
	n := d.node
	at := sight{owner: d, sees: seenByWork}
	t.With = c.template(n.get("with"), d.env, maskedTemplate, sight{owner: d, sees: seenByTask})
	t.Outputs = c.template(n.get("outputs"), d.env, plainTemplate, sight{owner: d, sees: seenByOutputs, itself: true})
	signal := n.get("signal")
	if signal == nil {
		c.findings.failf(n.place, "required", "add `signal:` with the `id` of the event and its `payload`", "the task %s does not say which event it sends", quoted(d.id))
	}
	t.Signal = c.event(d, signal, at)
}

// retry finds the nearest policy - the task's, its config's, the workflow's -
// and fills it with the defaults. Without any there is no retry.
func (c *compiler) retry(n *node) workflow.Retry {
	policy := n.get("retry_policy")
	for _, outer := range []*node{n.get("config").get("retry_policy"), c.workflow.get("config").get("retry_policy")} {
		if policy == nil {
			policy = outer
		}
	}
	retries := n.get("retries")
	if policy == nil && retries == nil {
		return workflow.Retry{}
	}
	r := workflow.Retry{
		Attempts:    c.whole(policy.get("maximum_attempts"), 1, workflow.MaxRetries, defaultAttempts),
		Initial:     c.interval(policy.get("initial_interval"), defaultInitial),
		Coefficient: c.coefficient(policy.get("backoff_coefficient")),
		Maximum:     c.interval(policy.get("maximum_interval"), defaultMaximum),
	}
	if retries != nil {
		r.Attempts = 1 + c.whole(retries, 0, workflow.MaxRetries-1, defaultAttempts-1)
		if own := n.get("retry_policy").get("maximum_attempts"); own != nil {
			c.findings.warnf(own.place, "no-effect", "remove one of the two", "`retries` of the task decides, not `maximum_attempts`")
		}
	}
	if !policy.has("maximum_interval") {
		r.Maximum = max(r.Maximum, r.Initial)
	}
	if r.Maximum < r.Initial {
		c.findings.failf(policy.get("maximum_interval").place, "value", "make it at least as long", "the longest hold is shorter than the first")
	}
	for _, code := range policy.get("non_retryable_error_types").list() {
		if code.str() != "" {
			r.NonRetryable = append(r.NonRetryable, code.str())
		}
	}
	return r
}

// whole reads an integer between two bounds.
func (c *compiler) whole(n *node, low, high, standard int) int {
	if n == nil || n.kind == broken {
		return standard
	}
	i, ok := n.number.(int64)
	if !ok || i < int64(low) || i > int64(high) {
		c.findings.failf(n.place, "value", "write a number without a fraction, and within these bounds", "this must be a whole number from %d to %d", low, high)
		return standard
	}
	return int(i)
}

func (c *compiler) coefficient(n *node) float64 {
	if n == nil || n.kind == broken {
		return defaultCoefficient
	}
	f, ok := n.number.(float64)
	if i, whole := n.number.(int64); whole {
		f, ok = float64(i), true
	}
	if !ok || f < 1 || f > maxCoefficient || math.IsNaN(f) {
		c.findings.failf(n.place, "value", "write 1 for equal holds, 2 to double them", "the backoff coefficient must be between 1 and %d", maxCoefficient)
		return defaultCoefficient
	}
	return f
}

// interval reads a literal duration.
func (c *compiler) interval(n *node, standard time.Duration) time.Duration {
	if n == nil || n.kind == broken {
		return standard
	}
	d, err := workflow.ParseDuration(n.str())
	if err != nil {
		c.findings.badDuration(n, err)
		return standard
	}
	return d
}

package definitions

import (
	"slices"
	"time"

	"github.com/signalbox/signalbox/definitions/expression"
	"github.com/signalbox/signalbox/workflow"
)

// branches are what a wait with `any` or `all` holds for, nil for any other wait.
func (d *draft) branches() *node {
	for _, key := range []string{"any", "all"} {
		if n := d.node.get(key); n.isList() {
			return n
		}
	}
	return nil
}

// awaited are the names that open waits of the task may have, templates too.
func (d *draft) awaited() []*node {
	own := d.node.get("wait_for")
	var names []*node
	for _, b := range d.branches().list() {
		if n := b.get("wait_for"); n != nil {
			names = append(names, n)
		} else if own != nil {
			names = append(names, own)
		}
	}
	if d.branches() == nil && own != nil {
		names = append(names, own)
	}
	switch extend := d.node.get("extend_on"); {
	case extend.isMap() && extend.has("wait_for"):
		names = append(names, extend.get("wait_for"))
	case extend.str() != "":
		names = append(names, extend)
	}
	return names
}

// branchName is what a branch is called: the name of its signal, unless it has
// one of its own.
func branchName(n *node) *node {
	if own := n.get("name"); own != nil || isTemplate(n.get("wait_for").str()) {
		return own
	}
	return n.get("wait_for")
}

// prepared reports whether a processor's result can be seen from there: from a
// branch its own, from the wait also those of its branches.
func (d *draft) prepared(n *node) bool {
	return n.has("processor") || n == d.node && slices.ContainsFunc(d.branches().list(), d.prepared)
}

// expires reports whether the wait, or a branch of it, can time out.
func (d *draft) expires() bool {
	return d.node.has("timeout") || d.node.has("deadline") ||
		slices.ContainsFunc(d.branches().list(), func(b *node) bool { return b.has("timeout") || b.has("deadline") })
}

// wait compiles a wait. Without a timeout it holds until its signal comes.
func (c *compiler) wait(d *draft, t *workflow.Task) {
	n := d.node
	at := sight{owner: d, sees: seenByWork}
	t.Wait = &workflow.WaitSpec{Deadline: c.moment(n.get("deadline"), d.env, at)}
	t.With = c.template(n.get("with"), d.env, maskedTemplate, sight{owner: d, sees: seenByTask})
	t.Timeout = c.limit(n.get("timeout"), d.env, at)
	c.bothDeadlines(n)
	branches := d.branches()
	if !n.has("wait_for") && branches == nil {
		c.findings.failf(n.place, "required", "add `wait_for:` with the name of the signal, or `any:` or `all:` with several", "the wait %s does not say what it waits for", quoted(d.id))
	}
	t.Wait.Extend, t.Wait.Remind = c.extension(d), c.reminders(d)
	t.Wait.Hold = c.hold(d, n)
	t.Wait.Processor = c.processor(d.processors[""])
	end := seenByWaitEnd
	if !d.prepared(n) {
		end = without(end, "processor")
	}
	if branches != nil {
		c.branched(d, t.Wait, branches)
	}
	if branches != nil || t.Wait.Quorum != nil || t.Wait.Extend != nil {
		end = append(slices.Clone(end), "collected")
	}
	t.Outputs = c.template(n.get("outputs"), d.env, plainTemplate, sight{owner: d, sees: end, itself: true})
	if !d.prepared(n) && (n.has("retries") || n.has("retry_policy")) {
		c.findings.warnf(n.keyOf(firstOf(n, "retries", "retry_policy")), "no-effect", "remove it: a wait holds until its signal comes or its time is over", "the wait %s does no work that could be repeated", quoted(d.id))
	}
	if d.onVeto != nil && !vetoed(n) && !slices.ContainsFunc(branches.list(), vetoed) {
		c.findings.warnf(n.keyOf("on_veto"), "no-effect", "add `veto:` with the condition, or remove it", "nothing can veto the wait %s", quoted(d.id))
	}
}

func vetoed(n *node) bool { return n.has("veto") }

func (c *compiler) bothDeadlines(n *node) {
	if n.has("timeout") && n.has("deadline") {
		c.findings.failf(n.keyOf("deadline"), "contradiction", "keep one of the two", "`timeout` and `deadline` both say when the wait is over")
	}
}

// hold compiles what one open wait takes: of a wait, or of a branch of one.
func (c *compiler) hold(d *draft, n *node) workflow.Hold {
	at := sight{owner: d, sees: seenByWork}
	name := n.get("wait_for")
	if name != nil && !isTemplate(name.str()) {
		c.checkName(name, "the name of the signal")
	}
	if name != nil && name.kind != broken {
		name = textNode(name.place, name.str()).spelled(name)
	}
	judge := seenByWait
	if !d.prepared(n) {
		judge = without(judge, "processor")
	}
	h := workflow.Hold{
		Name:      c.template(name, d.env, plainTemplate, at),
		Correlate: c.scalar(n.get("correlate"), d.env, at),
		Condition: c.condition(n.get("condition"), d.env, sight{owner: d, sees: judge}),
		Schema:    c.schema(n.get("schema")),
		Quorum:    c.quorum(d, n),
	}
	h.Index = indexOf(d, &h)
	return h
}

// indexOf is the equality of the condition that the wait can be found by. A
// signal that vetoes or extends need not meet the condition, so a wait that
// knows such signals is found by its name.
func indexOf(d *draft, h *workflow.Hold) workflow.Correlation {
	condition, ok := h.Condition.(*expression.Condition)
	if !ok || h.Quorum != nil && h.Quorum.Veto != nil || d.node.get("extend_on").has("condition") {
		return nil
	}
	if index := condition.Correlation(); index != nil {
		return index
	}
	return nil
}

// branched compiles the branches of a wait. What they leave out they take from it.
func (c *compiler) branched(d *draft, spec *workflow.WaitSpec, branches *node) {
	n := d.node
	if n.has("any") && n.has("all") {
		c.findings.failf(n.keyOf("all"), "contradiction", "keep one of the two; `count` under `any` asks for so many of the branches", "`any` and `all` contradict each other")
	}
	for _, key := range []string{"processor", "collect"} {
		if n.has(key) {
			c.findings.failf(n.keyOf(key), "contradiction", "write it inside of each branch that it is for", "a wait with branches has no %s of its own", quoted(key))
		}
	}
	items := branches.list()
	switch {
	case len(items) == 0:
		c.findings.failf(branches.place, "required", "name what to wait for, as in `paid: { wait_for: payment }`", "the wait %s has no branches", quoted(d.id))
	case len(items) > workflow.MaxBranches:
		c.findings.failf(items[workflow.MaxBranches].place, "limit", "use one `wait_for` with a `count` and `distinct_by`", "a wait has at most %d branches", workflow.MaxBranches)
		items = items[:workflow.MaxBranches]
	}
	spec.Need = c.branchesNeeded(d, len(items))
	whole := spec.Hold
	spec.Hold = workflow.Hold{}
	known := make(map[string]bool)
	for _, b := range items {
		if b.kind != mapping {
			continue
		}
		if branch := c.branch(d, b, whole, known); branch != nil {
			spec.Branches = append(spec.Branches, branch)
		}
	}
}

// branchesNeeded compiles how many branches are enough.
func (c *compiler) branchesNeeded(d *draft, branches int) workflow.Template {
	count := d.node.get("count")
	switch {
	case d.node.has("all") && count != nil:
		c.findings.failf(d.node.keyOf("count"), "contradiction", "write `any` with `count` for so many of the branches, or `count` inside of a branch for so many signals", "`all` asks for every branch and `count` for some")
		return nil
	case d.node.has("all"):
		return nil
	case count == nil:
		return c.template(textNode(d.node.place, "1"), d.env, plainTemplate, sight{owner: d})
	}
	if i, whole := count.number.(int64); count.kind != broken && !isTemplate(count.str()) && (!whole || i < 1 || i > int64(branches)) {
		c.findings.failf(count.place, "value", "write how many of the branches are enough", "the wait has %d branches, so `count` must be a whole number from 1 to %d", branches, branches)
		return nil
	}
	return c.template(count, d.env, plainTemplate, sight{owner: d, sees: seenByWork})
}

func (c *compiler) branch(d *draft, n *node, whole workflow.Hold, known map[string]bool) *workflow.Branch {
	c.bothDeadlines(n)
	at := sight{owner: d, sees: seenByWork}
	name := branchName(n)
	id := name.str()
	switch {
	case id == "":
		c.findings.failf(n.place, "required", "add `name:`", "a branch needs a name")
		return nil
	case !goodID.MatchString(id):
		c.findings.failf(name.place, "id", "use letters, digits and . _ : - only, as in "+quoted(suggestID(id)), "%s cannot be the name of a branch", quoted(id))
		return nil
	case id == workflow.ExtendBranch:
		c.findings.failf(name.place, "id", "choose another one", "%s is the name of the wait that listens for extensions", quoted(id))
		return nil
	case len(id) > workflow.MaxNameBytes:
		c.findings.failf(name.place, "id", "choose a shorter one", "the name of a branch has %d bytes, at most %d are possible", len(id), workflow.MaxNameBytes)
		return nil
	case known[id]:
		c.findings.failf(name.place, "duplicate-id", "give one of them another name", "the branch %s is already there", quoted(id))
		return nil
	}
	known[id] = true
	b := &workflow.Branch{ID: id, Hold: c.hold(d, n), Timeout: c.limit(n.get("timeout"), d.env, at), Deadline: c.moment(n.get("deadline"), d.env, at)}
	if !n.has("wait_for") {
		b.Name = whole.Name
		if !d.node.has("wait_for") {
			c.findings.failf(n.place, "required", "add `wait_for:` to the branch, or to the wait for all of its branches", "the branch %s does not say what it waits for", quoted(id))
		}
	}
	b.Processor = c.processor(d.processors[id])
	if !n.has("condition") {
		b.Condition = whole.Condition
		c.unprepared(d, n, id)
	}
	if !n.has("schema") {
		b.Schema = whole.Schema
	}
	if !n.has("correlate") {
		b.Correlate = whole.Correlate
	}
	b.Quorum = inherited(b.Quorum, whole.Quorum, n)
	b.Index = indexOf(d, &b.Hold)
	return b
}

// unprepared warns of a branch that has no processor and takes over a condition
// which looks at the result of one.
func (c *compiler) unprepared(d *draft, n *node, id string) {
	condition := d.node.get("condition")
	looks := slices.ContainsFunc(c.uses, func(u use) bool { return u.in == condition && u.ref.Root == "processor" })
	if looks && d.prepared(d.node) && !n.has("processor") {
		c.findings.warnf(n.place, "nothing-there", "give the branch a `condition` or a `processor` of its own",
			"the branch %s has no processor, and the condition that it takes from the wait looks at what one gives", quoted(id))
	}
}

// inherited fills a branch's quorum with what it leaves out of the wait's.
func inherited(own, whole *workflow.Quorum, n *node) *workflow.Quorum {
	if whole == nil || whole.Distinct == nil && whole.Veto == nil && whole.Weigh == nil && whole.Weights == nil {
		return own
	}
	if own == nil {
		own = &workflow.Quorum{Count: anyOne}
	}
	if !n.has("distinct_by") {
		own.Distinct, own.Across = whole.Distinct, true
	}
	if !n.has("veto") {
		own.Veto = whole.Veto
	}
	if !n.has("weights") {
		own.Weigh, own.Weights = whole.Weigh, whole.Weights
	}
	return own
}

// anyOne is the count of a wait that any signal which counts satisfies.
var anyOne workflow.Template = literal("1")

// literal is a template without actions.
type literal string

// Render returns the literal.
func (l literal) Render(*workflow.Scope) (workflow.Value, error) { return workflow.Value(l), nil }

// quorum compiles how many signals are enough and which of them count; nil when
// the first one is.
func (c *compiler) quorum(d *draft, n *node) *workflow.Quorum {
	if !slices.ContainsFunc([]string{"count", "distinct_by", "weights", "veto", "collect"}, n.has) {
		return nil
	}
	q := &workflow.Quorum{
		Distinct: c.scalar(n.get("distinct_by"), d.env, sight{owner: d, sees: seenByQuorum}),
		Veto:     c.condition(n.get("veto"), d.env, sight{owner: d, sees: seenByQuorum}),
	}
	if until := n.get("collect").get("until"); until != nil {
		q.Until = c.condition(until, d.env, sight{owner: d, sees: seenByUntil})
		if n.has("count") {
			c.findings.failf(n.keyOf("count"), "contradiction", "keep one of the two; `until` can count with size(collected)", "`count` and `collect.until` both say when it is enough")
		}
	}
	if d.branches() == nil || n != d.node {
		q.Count = c.count(d, n)
	}
	if q.Until == nil && q.Count == nil {
		q.Count = anyOne
	}
	c.weights(d, n, q)
	return q
}

// count compiles a number of signals or a sum of weights.
func (c *compiler) count(d *draft, n *node) workflow.Template {
	count := n.get("count")
	if count == nil || count.kind == broken {
		return nil
	}
	if !isTemplate(count.str()) {
		w, err := workflow.ParseWeight(count.str())
		switch {
		case err != nil:
			c.findings.failf(count.place, "value", "write a number such as 3", "%s", err)
			return nil
		case w == 0 || w%workflow.One != 0 && !n.has("weights"):
			c.findings.failf(count.place, "value", "write a whole number from 1 on", "so many signals cannot come: %s", count.str())
			return nil
		case w > workflow.MaxCollected*workflow.One && !n.has("weights"):
			c.findings.failf(count.place, "limit", "count them where they come from", "a wait collects at most %d signals", workflow.MaxCollected)
			return nil
		}
	}
	return c.template(count, d.env, plainTemplate, sight{owner: d, sees: seenByWork})
}

// weights compiles what each signal counts: an expression, or a number by the
// value of distinct_by.
func (c *compiler) weights(d *draft, n *node, q *workflow.Quorum) {
	weights := n.get("weights")
	if !weights.isMap() {
		q.Weigh = c.scalar(weights, d.env, sight{owner: d, sees: seenByQuorum})
		return
	}
	if !n.has("distinct_by") && !d.node.has("distinct_by") {
		c.findings.failf(n.keyOf("weights"), "required", "add `distinct_by:`, such as signal.payload.role, or write `weights` as an expression", "a mapping of weights is by the value of `distinct_by`, which is not there")
	}
	q.Weights = make(map[string]workflow.Weight, len(weights.entries))
	for _, e := range weights.entries {
		w, err := workflow.ParseWeight(e.value.str())
		if err != nil {
			c.findings.failf(e.value.place, "value", "write a number such as 2", "the weight of %s: %s", quoted(e.key.text), err)
			continue
		}
		q.Weights[e.key.text] = w
	}
}

// moment compiles a duration or a time. One without actions is checked now.
func (c *compiler) moment(n *node, env expression.Env, from sight) workflow.Template {
	if n == nil || n.kind == broken {
		return nil
	}
	if s := n.str(); !isTemplate(s) {
		c.checkLimit(n)
		_, wrong := workflow.ParseDuration(s)
		if _, err := time.Parse(time.RFC3339, s); err != nil && wrong != nil {
			c.findings.failf(n.place, "deadline", "write a duration such as 2h, or a time with its zone such as 2027-01-31T18:00:00Z", "%s is neither a duration nor a time", quoted(s))
			return nil
		}
		n = textNode(n.place, s)
	}
	return c.template(n, env, plainTemplate, from)
}

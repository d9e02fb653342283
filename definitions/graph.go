package definitions

import (
	"slices"
	"strings"

	"github.com/signalbox/signalbox/workflow"
)

// checkFlow reports what can never run, what runs for ever, and what nothing starts.
func (c *compiler) checkFlow() {
	if len(c.drafts) == 0 {
		return
	}
	circles := cycles(c.drafts, func(d *draft) []*draft { return d.after })
	for _, cycle := range circles {
		c.findings.failf(cycle[0].at("depends_on"), "cycle", "remove one of these dependencies", "tasks depend on each other in a circle: %s", circle(cycle))
	}
	if len(circles) > 0 || c.dangling {
		return // what follows would only follow from that
	}
	if !slices.ContainsFunc(c.drafts, func(d *draft) bool { return d.root }) {
		c.findings.failf(c.drafts[0].node.place, "no-start", "give a task `depends_on: []`, or let the first task depend on nothing", "no task starts with the execution")
		return
	}
	for _, cycle := range cycles(c.drafts, busyEdges) {
		c.findings.warnf(cycle[0].at("on_success"), "busy-loop", "put a wait or a `sleep` into the circle, or a condition that ends it",
			"tasks follow each other in a circle without holding: %s", circle(cycle))
	}
	c.checkReach()
	c.checkFinal()
}

// circle writes a circle of tasks.
func circle(cycle []*draft) string {
	var b strings.Builder
	for _, d := range cycle {
		b.WriteString(d.id + " -> ")
	}
	return b.String() + cycle[0].id
}

// busyEdges are the ways from a task that never holds for anything.
func busyEdges(d *draft) []*draft {
	if d.holds() {
		return nil
	}
	var to []*draft
	for _, next := range []*draft{d.next, d.onError} {
		if next != nil && !next.holds() {
			to = append(to, next)
		}
	}
	return to
}

// holds reports whether the task waits for anything but work.
func (d *draft) holds() bool { return d.kind == workflow.Wait || d.node.has("sleep") }

// cycles returns one circle of each group of tasks that lead to each other,
// in the order of the tasks.
func cycles(all []*draft, edges func(*draft) []*draft) [][]*draft {
	const (
		fresh = iota
		open
		done
	)
	state := make(map[*draft]int, len(all))
	var trail []*draft
	var found [][]*draft
	var visit func(d *draft)
	visit = func(d *draft) {
		state[d] = open
		trail = append(trail, d)
		for _, to := range edges(d) {
			switch state[to] {
			case fresh:
				visit(to)
			case open:
				found = append(found, slices.Clone(trail[slices.Index(trail, to):]))
			}
		}
		trail = trail[:len(trail)-1]
		state[d] = done
	}
	for _, d := range all {
		if state[d] == fresh {
			visit(d)
		}
	}
	return found
}

// checkReach warns about tasks that nothing leads to.
func (c *compiler) checkReach() {
	reached := make(map[*draft]bool)
	for changed := true; changed; {
		changed = false
		reach := func(d *draft) {
			if d != nil && !reached[d] {
				reached[d], changed = true, true
			}
		}
		for _, d := range c.drafts {
			if d.root || len(d.after) > 0 && !slices.ContainsFunc(d.after, func(b *draft) bool { return !reached[b] || b.alwaysFinal() }) {
				reach(d)
			}
			if !reached[d] {
				continue
			}
			reach(d.onError)
			reach(d.onTimeout)
			reach(d.onVeto)
			for _, to := range d.reminds {
				reach(to)
			}
			reach(c.onError)
			if d.alwaysFinal() {
				continue
			}
			reach(d.next)
			if d.anyNext {
				return // it may lead to any task
			}
		}
	}
	for _, d := range c.drafts {
		if !reached[d] {
			c.unreachable(d)
		}
	}
}

// alwaysFinal reports whether the execution ends whenever the task has run.
func (d *draft) alwaysFinal() bool { return d.final && !d.node.has("condition") }

func (c *compiler) unreachable(d *draft) {
	hint := "name it in the `on_success` of the task before it, or give it `depends_on`: as soon as one task has `on_success`, the listed order starts nothing but the first task"
	for _, before := range d.after {
		if before.alwaysFinal() {
			hint = "the execution ends after " + quoted(before.id) + ", which is final"
		} else {
			hint = "it comes after " + quoted(before.id) + ", which never runs itself, or not without ending the execution"
		}
	}
	c.findings.warnf(d.at("id"), "unreachable", hint, "the task %s never runs: nothing leads to it", quoted(d.id))
}

// checkFinal warns about transitions that a final task never follows.
func (c *compiler) checkFinal() {
	for _, d := range c.drafts {
		if d.node.get("final").isTrue() && d.hasNext && d.alwaysFinal() {
			c.findings.warnf(d.at("on_success"), "no-effect", "remove `final` or `on_success`", "the execution ends after task %s, so its on_success is never followed", quoted(d.id))
		}
	}
}

// ancestors are the tasks that may have run before a task: there is a way from
// them to it. They are computed once per task.
func (c *compiler) ancestors(d *draft, known map[*draft]map[*draft]bool) map[*draft]bool {
	if set := known[d]; set != nil {
		return set
	}
	set := make(map[*draft]bool)
	todo := []*draft{d}
	everywhere := false
	for len(todo) > 0 {
		now := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		add := func(before *draft) {
			if !set[before] {
				set[before] = true
				todo = append(todo, before)
			}
		}
		for _, before := range now.after {
			add(before)
		}
		for _, from := range c.sources()[now] {
			add(from)
		}
		if now == c.onError {
			for _, from := range c.drafts {
				add(from)
			}
		}
		if everywhere {
			continue
		}
		everywhere = true
		for _, from := range c.drafts {
			if from.anyNext {
				add(from)
			}
		}
	}
	known[d] = set
	return set
}

// sources are the tasks that go on to a task by a transition.
func (c *compiler) sources() map[*draft][]*draft {
	if c.sourcesOf == nil {
		c.sourcesOf = make(map[*draft][]*draft)
		for _, d := range c.drafts {
			for _, to := range append([]*draft{d.next, d.onError, d.onTimeout, d.onVeto}, d.reminds...) {
				if to != nil {
					c.sourcesOf[to] = append(c.sourcesOf[to], d)
				}
			}
		}
	}
	return c.sourcesOf
}

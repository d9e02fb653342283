package definitions

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/signalbox/signalbox/definitions/expression"
	"github.com/signalbox/signalbox/workflow"
)

// compiler turns one workflow, as a tree of nodes, into a definition. It works
// on whatever is left of a broken file, so that everything wrong is found at once.
type compiler struct {
	findings  *findings
	workflow  *node // in canonical spelling
	resources *resources
	inherited map[string][]*node // what the workflow uses of the resources around it
	env       expression.Env

	drafts  []*draft          // every task: the listed ones in order, then the inline ones
	byID    map[string]*draft // by folded id, processors included
	onError *draft
	uses    []use

	dangling  bool // some task does not exist that another one names
	sourcesOf map[*draft][]*draft
}

// newCompiler prepares a workflow for compiling inside of the resources around it.
func newCompiler(n *node, around *resources, secret map[string]string, f *findings) *compiler {
	checked := (&checker{findings: f}).check(n, language[workflowShape])
	c := &compiler{
		findings:  f,
		inherited: make(map[string][]*node),
		byID:      make(map[string]*draft),
	}
	c.workflow = c.canonical(checked, around)
	c.resources = &resources{owner: c.workflow, parent: around}
	c.env = expression.Env{
		Public:  envOf(c.workflow.get("config").get("env")),
		Secret:  secret,
		Version: c.workflow.get("version").str(),
	}
	return c
}

// canonical gives every setting its one place: `input` and `env` in config,
// the name as id, and what the workflow inherits in its own config.
func (c *compiler) canonical(wf *node, around *resources) *node {
	if wf.has("name") {
		if !wf.has("id") {
			c.findings.warnf(wf.keyOf("name"), "name-as-id", "write `id:` instead of `name:`", "a workflow has an id, not a name; %s is taken as its id", quoted(wf.get("name").str()))
			wf = wf.with("id", wf.get("name"))
		}
		wf = wf.without("name")
	}
	config := wf.get("config")
	if !config.isMap() {
		config = mapNode(wf.place)
	}
	if input := wf.get("input"); input != nil {
		if config.has("input") {
			c.findings.failf(wf.keyOf("input"), "duplicate-key", "keep one of the two", `"input" and "config.input" mean the same`)
		}
		config = config.with("input", input)
	}
	env := overlay(wf.get("env"), config.get("env"))
	for r := around; r != nil; r = r.parent {
		outer := r.owner.get("config")
		env = overlay(env, r.owner.get("env"), outer.get("env"))
		for _, name := range []string{"retry_policy", "start_to_close_timeout"} {
			if value := outer.get(name); value != nil && !config.has(name) {
				config = config.with(name, value)
			}
		}
	}
	if env != nil {
		config = config.with("env", env)
	}
	wf = wf.without("input", "env", "resource", "config")
	if len(config.entries) > 0 {
		wf = wf.with("config", config)
	}
	return wf
}

// overlay merges environments, the first one that has a name decides. It
// returns nil when none of them is a mapping.
func overlay(layers ...*node) *node {
	var out *node
	known := make(map[string]bool)
	for _, layer := range layers {
		if !layer.isMap() {
			continue
		}
		if out == nil {
			out = &node{place: layer.place, kind: mapping}
		}
		for _, e := range layer.entries {
			if !known[e.key.text] {
				known[e.key.text] = true
				out.entries = append(out.entries, e)
			}
		}
	}
	return out
}

// envOf is an environment as texts.
func envOf(n *node) map[string]string {
	env := make(map[string]string)
	for _, e := range n.pairs() {
		if len(env) == MaxVariables {
			break // reported by checkEnv
		}
		env[e.key.text] = e.value.str()
	}
	return env
}

// pairs returns the entries of a mapping, nothing for anything else.
func (n *node) pairs() []entry {
	if n == nil {
		return nil
	}
	return n.entries
}

// checkEnv reports values that are no texts, and templates that nobody renders.
func (c *compiler) checkEnv(n *node) {
	if len(n.pairs()) > MaxVariables {
		c.findings.failf(n.place, "limit", "pass what is data as the input of the workflow", "an environment has at most %d variables", MaxVariables)
		return
	}
	for _, e := range n.pairs() {
		switch e.value.kind {
		case list, mapping, null:
			c.findings.failf(e.value.place, "type", "put it into quotes, or write one value", "the variable %s must be a text, this is %s", quoted(e.key.text), e.value.kind)
		default:
			if strings.Contains(e.value.text, "{{") {
				c.findings.warnf(e.value.place, "env-template", "use the template where the variable is used", "the variable %s is taken as it is: templates in it are not rendered", quoted(e.key.text))
			}
		}
	}
}

// compile returns the definition, complete only when nothing was wrong.
func (c *compiler) compile() *workflow.Definition {
	wf := c.workflow
	if id := wf.get("id"); c.checkID(wf, "a workflow") && (id.str() == "." || id.str() == "..") {
		c.findings.failf(id.place, "id", "choose another one: clients take it out of an address", "%s cannot be the id of a workflow", quoted(id.str()))
	}
	c.checkEnv(wf.get("config").get("env"))
	checkResources(wf, c.findings)
	c.checkSelectors()
	if !c.findings.stored {
		c.checkDefinitions()
	}
	def := &workflow.Definition{
		ID:          wf.get("id").str(),
		Version:     wf.get("version").str(),
		Description: wf.get("description").str(),
		Input:       c.input(wf.get("config").get("input")),
		Outputs:     c.outputs(wf),
		Triggers:    c.triggers(),
		Key:         c.key(wf.get("key")),
		Labels:      c.labels(wf.get("labels")),
	}
	c.collect()
	c.connect()
	c.order()
	for _, d := range c.drafts {
		c.task(d)
	}
	c.checkFlow()
	c.checkUses()
	c.lower(def)
	return def.Link()
}

// outputs compiles the result of the workflow.
func (c *compiler) outputs(wf *node) workflow.Template {
	n := wf.get("outputs")
	if n.isMap() && len(n.entries) == 0 {
		c.findings.failf(n.place, "required", "name what the workflow results in, or remove it for the outputs of all tasks", `"outputs" is empty`)
		return nil
	}
	return c.template(n, c.env, plainTemplate, sight{sees: seenByResult, anyTime: true})
}

func (c *compiler) triggers() []workflow.Trigger {
	items := c.workflow.get("triggers").list()
	if len(items) > MaxTriggers {
		c.findings.failf(items[MaxTriggers].place, "limit", "merge names that share a prefix into `prefix.*` or `prefix.**`", "a workflow has at most %d triggers", MaxTriggers)
		items = items[:MaxTriggers]
	}
	var out []workflow.Trigger
	var names []triggerName
	for _, n := range items {
		if n.kind != mapping {
			continue
		}
		name := n.get("name")
		if t := n.get("type").str(); t == "webhook" || t == "schedule" {
			continue // reported by its type
		}
		if name == nil {
			c.findings.failf(n.place, "required", "add `name:` with the name of the event", "a trigger needs \"name\"")
			continue
		}
		if c.checkPattern(name) {
			c.checkOverlap(name, n.has("filter"), names)
			names = append(names, triggerName{name.str(), n.has("filter")})
		}
		out = append(out, workflow.Trigger{
			Name:   name.str(),
			Schema: c.schema(n.get("schema")),
			Filter: c.condition(n.get("filter"), c.env, sight{sees: seenByFilter, anyTime: true}),
		})
	}
	return out
}

// checkName checks the literal name of a signal or event.
func (c *compiler) checkName(n *node, what string) {
	s := n.str()
	switch {
	case n.kind == broken:
	case s == "":
		c.findings.failf(n.place, "name", "write the name", "%s is empty", what)
	case len(s) > workflow.MaxNameBytes:
		c.findings.failf(n.place, "name", "choose a shorter one", "%s has %d bytes, at most %d are possible", what, len(s), workflow.MaxNameBytes)
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		c.findings.failf(n.place, "name", "write it in one line", "%s contains control characters", what)
	}
}

var goodID = regexp.MustCompile(`^[A-Za-z0-9._:-]+$`)

// checkID checks the id of a workflow or task; false when it cannot be used.
func (c *compiler) checkID(n *node, what string) bool {
	id := n.get("id")
	switch s := id.str(); {
	case id == nil:
		c.findings.failf(n.place, "required", "add `id:` with a name that stays the same", "%s needs \"id\"", what)
		return false
	case id.kind == broken:
		return false
	case len(s) > workflow.MaxNameBytes:
		c.findings.failf(id.place, "id", "choose a shorter one", "the id of %s has %d bytes, at most %d are possible", what, len(s), workflow.MaxNameBytes)
		return false
	case !goodID.MatchString(s):
		c.findings.failf(id.place, "id", "use letters, digits and . _ : - only, as in "+quoted(suggestID(s)), "%s cannot be an id", quoted(s))
		return false
	}
	return true
}

var badRun = regexp.MustCompile(`[^A-Za-z0-9._:-]+`)

func suggestID(s string) string {
	if id := strings.Trim(badRun.ReplaceAllString(s, "-"), "-"); id != "" {
		return id
	}
	return "my-task"
}

// lower writes the tasks and their order into the definition.
func (c *compiler) lower(def *workflow.Definition) {
	names := make(map[string]bool)
	for _, d := range c.drafts {
		if d.processorOf != nil || d.task == nil {
			continue
		}
		def.Tasks = append(def.Tasks, d.task)
		if d.root {
			def.Roots = append(def.Roots, d.id)
		}
		if d.kind != workflow.Wait {
			continue
		}
		for _, n := range d.awaited() {
			if name := n.str(); isTemplate(name) {
				def.AwaitsAny = true
			} else if name != "" {
				names[name] = true
			}
		}
	}
	def.Awaits = slices.Sorted(maps.Keys(names))
	if c.onError != nil {
		def.OnError = c.onError.id
	}
}

// isTemplate reports whether a text has actions.
func isTemplate(s string) bool { return strings.Contains(s, "{{") }

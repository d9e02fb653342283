package definitions

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox/signalbox/executors/rules"
	"github.com/signalbox/signalbox/workflow"
)

// worker is who does the work of a task, and the request that an executor gets.
type worker struct {
	executor            string
	agent, action, tool string
	with                *node // what the work is given, defaults merged in
	request             *node
	timeout             *node // of the tool; nil for none
}

// inputReference shows the rendered `with` to the request: it is rendered once.
const inputReference = "{{ .input }}"

// worker finds out who works for a task and reports when that is nobody, or two.
func (c *compiler) worker(d *draft) worker {
	n := d.node
	agent, tool, prompt := n.get("agent"), n.get("tool"), n.get("prompt")
	switch {
	case tool != nil && agent != nil:
		c.findings.failf(n.keyOf("tool"), "two-executors", "keep one of the two, or make two tasks of it", "the task %s has both an agent and a tool", quoted(d.id))
	case tool != nil && prompt != nil:
		c.findings.failf(n.keyOf("prompt"), "two-executors", "a prompt is for an agent or a model; give a tool its input in `with`", "the task %s has both a tool and a prompt", quoted(d.id))
	case tool == nil && agent == nil && prompt == nil:
		c.findings.failf(d.at("id"), "no-executor", "add `agent:`, `tool:` or `prompt:`; `tool: echo` gives its `with` back", "the task %s does no work", quoted(d.id))
	}
	if tool != nil {
		return c.toolWork(d, tool)
	}
	return c.agentWork(d, agent)
}

// agentWork describes a question to a model: of an agent, or a direct one.
func (c *compiler) agentWork(d *draft, ref *node) worker {
	n := d.node
	agent, id := c.agent(d, ref)
	action := c.action(d, agent, id)
	w := worker{executor: "agent", agent: id, action: action.get("id").str()}
	w.with = defaults(n.get("with"), action.get("with"), agent.get("with"))
	if prompt := action.get("prompt"); ref != nil && n.get("prompt") == nil && prompt == nil && !n.has("action") {
		c.findings.failf(ref.place, "no-executor", askHint(agent), "the task %s does not say what the agent is asked", quoted(d.id))
	}
	output := n.get("output")
	if output == nil {
		output = action.get("output")
	}
	input := n.get("input")
	if input == nil {
		input = action.get("input")
	}
	w.request = mapNode(n.place,
		"agent", mapNode(n.place, "id", textNode(place{}, id), "instructions", agent.get("instructions")),
		"model", c.modelFor(d, agent),
		"prompt", n.get("prompt"),
		"action", actionRequest(action),
		"with", inputOf(w.with),
		"schema", c.schemaRequest(output),
		"input_schema", c.schemaRequest(input),
	)
	return w
}

func askHint(agent *node) string {
	var ids []string
	for _, a := range agent.get("actions").list() {
		ids = append(ids, a.get("id").str())
	}
	if len(ids) == 0 {
		return "add a `prompt:`"
	}
	return "add a `prompt:`, or an `action:`: " + joinOr(ids)
}

func actionRequest(action *node) *node {
	if action == nil {
		return nil
	}
	return mapNode(action.place, "id", action.get("id"), "prompt", action.get("prompt"))
}

func inputOf(with *node) *node {
	if with == nil {
		return nil
	}
	return textNode(place{}, inputReference)
}

// agent finds the agent of a task. One that nobody defined still answers a
// prompt, with a warning that says how.
func (c *compiler) agent(d *draft, ref *node) (agent *node, id string) {
	if ref == nil || ref.kind == broken {
		return nil, ""
	}
	id = ref.str()
	if ref.isMap() {
		id = ref.get("id").str()
		if !only(ref) {
			return ref, id
		}
	}
	if found := c.lookup("agents", id); found != nil {
		return found, id
	}
	if !d.node.has("prompt") || d.node.has("action") {
		c.findings.failf(ref.place, "unknown-agent", c.suggestResource(id, "agents"), "no agent has the id %s", quoted(id))
		return nil, id
	}
	hint := "define it under `agents:`"
	if near := workflow.Nearest(id, c.known("agents")); near != "" {
		hint += ", or did you mean " + quoted(near) + "?"
	}
	c.findings.warnf(ref.place, "undefined-agent", hint,
		"no agent has the id %s; the prompt goes to %s, without instructions, in the name of %s", quoted(id), c.standIn(), quoted(id))
	return nil, id
}

// standIn says which model answers when nothing names one.
func (c *compiler) standIn() string {
	if m := c.defaultModel(); m != nil {
		return "the default model " + strings.Trim(m.get("provider").str()+":"+m.get("model").str(), ":")
	}
	return "the model of the environment, or else to the built-in mock provider"
}

func (c *compiler) action(d *draft, agent *node, agentID string) *node {
	ref := d.node.get("action")
	if ref == nil || ref.kind == broken {
		return nil
	}
	var ids []string
	for _, a := range agent.get("actions").list() {
		if a.get("id").str() == ref.str() {
			return a
		}
		ids = append(ids, a.get("id").str())
	}
	switch {
	case agent != nil:
		c.findings.failf(ref.place, "unknown-action", didYouMean(ref.str(), ids), "the agent %s has no action %s", quoted(agentID), quoted(ref.str()))
	case !d.node.has("agent"):
		c.findings.failf(ref.place, "unknown-action", "add `agent:`, or write the question as `prompt:`", "an action belongs to an agent, and the task %s has none", quoted(d.id))
	}
	return nil
}

// modelFields are what an executor needs to know of a model.
var modelFields = []string{"provider", "model", "api_url", "api_key", "params"}

// modelFor resolves the model of a question: the task's, the agent's, the
// default one. Without any the executor decides from its environment.
func (c *compiler) modelFor(d *draft, agent *node) *node {
	for _, ref := range []*node{d.node.get("model_config"), agent.get("model")} {
		if ref == nil || ref.kind == broken {
			continue
		}
		if m := c.modelOf(ref); m != nil {
			return modelRequest(m)
		}
		return nil
	}
	m := c.defaultModel()
	if m == nil && c.anyModel() {
		c.findings.warnf(d.at("id"), "no-default-model", "mark one of `models` with `default: true`, or name one here", "the task %s names no model and none is the default: the environment decides, or else the mock provider answers", quoted(d.id))
	}
	return modelRequest(m)
}

func (c *compiler) modelOf(ref *node) *node {
	if ref.isMap() {
		if only(ref) {
			return c.namedModel(ref.get("id"))
		}
		if !ref.has("provider") && !ref.has("api_url") {
			if named := c.model(ref.get("model").str()); named != nil {
				return defaults(ref, named)
			}
			if c.workflow == nil {
				return ref
			}
			c.findings.failf(ref.place, "required", "add `provider:`, for example `provider: openai`", "a model needs \"provider\"")
		}
		return ref
	}
	return c.namedModel(ref)
}

// namedModel finds a model by its id, its name or as provider:model. What the
// project lists may name one that each workflow defines for itself.
func (c *compiler) namedModel(ref *node) *node {
	if found := c.model(ref.str()); found != nil {
		return found
	}
	if provider, model, ok := strings.Cut(ref.str(), ":"); ok && provider != "" && model != "" && !isTemplate(ref.str()) {
		return mapNode(ref.place, "provider", textNode(ref.place, provider), "model", textNode(ref.place, model))
	}
	if c.workflow == nil {
		return nil
	}
	hint := "write it as provider:model, or define it under `models:`"
	if near := workflow.Nearest(ref.str(), c.known("models")); near != "" {
		hint = "did you mean " + quoted(near) + "? Otherwise " + hint
	}
	c.findings.failf(ref.place, "unknown-model", hint, "no model has the id %s", quoted(ref.str()))
	return nil
}

func modelRequest(m *node) *node {
	if m == nil {
		return nil
	}
	request := &node{place: m.place, kind: mapping}
	for _, e := range m.entries {
		if slices.Contains(modelFields, e.key.text) {
			request.entries = append(request.entries, e)
		}
	}
	return request
}

// defaults fills what a mapping leaves out from others, the first one decides.
// A template in the place of the mapping is left as it is.
func defaults(layers ...*node) *node {
	if layers[0] != nil && !layers[0].isMap() {
		return layers[0]
	}
	return overlay(layers...)
}

// toolWork describes a call of a tool.
func (c *compiler) toolWork(d *draft, ref *node) worker {
	tool, id := c.tool(ref)
	w := worker{executor: "tool", tool: id, timeout: tool.get("timeout")}
	w.with = defaults(d.node.get("with"), tool.get("with"))
	if d.node.has("action") {
		c.findings.failf(d.node.keyOf("action"), "unknown-action", "remove it, or use an agent", "a tool has no actions")
	}
	if tool == nil {
		return w
	}
	spec, output := c.toolSpec(tool, id)
	if own := d.node.get("output"); own != nil {
		output = own
	}
	input := d.node.get("input")
	if input == nil {
		input = tool.get("input")
	}
	w.request = mapNode(d.node.place,
		"tool", spec,
		"with", inputOf(w.with),
		"schema", c.schemaRequest(output),
		"input_schema", c.schemaRequest(input),
	)
	return w
}

// toolSpec is a tool as its executor gets it, and the schema of its answer.
func (c *compiler) toolSpec(tool *node, id string) (spec, output *node) {
	kind := c.toolType(tool, id)
	if !c.findings.stored {
		c.checkToolTimeout(tool.get("timeout"))
		c.checkLiterals(tool, kind)
	}
	output, special := toolOutput(tool, kind)
	spec = mapNode(tool.place, "id", textNode(place{}, id), "type", textNode(place{}, kind), "output", special)
	for _, e := range tool.entries {
		if slices.Contains(toolFields[kind], e.key.text) || e.key.text == "timeout" {
			spec.entries = append(spec.entries, e)
		}
	}
	return spec, output
}

// checkToolTimeout checks how long a call may take, also where the task has a
// timeout that decides. An executor takes a mere number for seconds.
func (c *compiler) checkToolTimeout(n *node) {
	if seconds, err := strconv.ParseFloat(n.str(), 64); err != nil || seconds <= 0 {
		c.limit(n, c.env, definedWork)
	}
}

// checkLiterals asks the rules of the executors about what a tool says without
// templates. What those render to is known only at the call.
func (c *compiler) checkLiterals(tool *node, kind string) {
	argv, command := tool.get("argv"), tool.get("command")
	switch kind {
	case "http":
		if n := tool.get("method"); isLiteral(n) && n.str() != "" {
			_, err := rules.Method(n.str())
			c.breaks(n, err)
		}
		if n := tool.get("url"); isLiteral(n) {
			_, err := rules.URL(n.str())
			c.breaks(n, err)
		}
		c.checkExpect(tool.get("expect"))
	case "process":
		if (argv == nil) == (command == nil) || argv != nil && argv.kind == broken || command != nil && command.kind == broken {
			return // reported
		}
		words := make([]string, len(argv.list()))
		for i, item := range argv.list() {
			if item.kind == broken {
				return
			}
			words[i] = item.str()
		}
		_, err := rules.Argv(words, command.str())
		c.breaks(cmp.Or(argv, command), err)
	}
}

// checkExpect checks each status that an http tool expects.
func (c *compiler) checkExpect(n *node) {
	items := n.list()
	switch {
	case n == nil || n.kind == broken:
		return
	case !n.isList():
		items = []*node{n}
	case len(items) == 0:
		_, err := rules.Expect(nil)
		c.breaks(n, err)
	}
	for _, item := range items {
		if !isLiteral(item) {
			continue
		}
		word, err := json.Marshal(item.tree())
		if err == nil && item.kind == text {
			word = []byte(item.text)
		}
		if err == nil {
			_, err = rules.Expect([]string{string(word)})
		}
		c.breaks(item, err)
	}
}

// isLiteral reports whether a value is there and holds no template.
func isLiteral(n *node) bool {
	if n == nil || n.kind == broken {
		return false
	}
	literal := true
	n.texts(func(leaf *node) { literal = literal && !isTemplate(leaf.text) })
	return literal
}

// breaks reports a literal that the executors would refuse.
func (c *compiler) breaks(n *node, err error) {
	var rule *rules.Broken
	if errors.As(err, &rule) {
		c.findings.failf(n.place, "tool", rule.Do, "%s", shortened(rule.What, maxSourceWidth))
	}
}

// toolFields are the fields of each type of tool that its executor reads.
var toolFields = map[string][]string{
	"http":    {"method", "url", "headers", "body", "expect"},
	"process": {"argv", "command", "cwd", "env"},
}

// tool finds the tool of a task: an inline one, a defined one, a built-in one.
func (c *compiler) tool(ref *node) (tool *node, id string) {
	if ref.kind == broken {
		return nil, ""
	}
	id = ref.str()
	if ref.isMap() {
		id = ref.get("id").str()
		if !only(ref) {
			return ref, id
		}
	}
	found := c.lookup("tools", id)
	if found != nil && !only(found) {
		return found, id
	}
	if slices.Contains(builtInTools, id) {
		return mapNode(ref.place, "id", textNode(ref.place, id), "type", textNode(ref.place, id)), id
	}
	if found != nil {
		c.unexplained(found, id)
		return nil, id
	}
	c.findings.failf(ref.place, "unknown-tool", c.suggestResource(id, "tools", builtInTools...), "no tool has the id %s", quoted(id))
	return nil, id
}

// toolType finds out how a tool works and reports what it lacks for that.
func (c *compiler) toolType(tool *node, id string) string {
	kind := tool.get("type").str()
	switch {
	case tool.has("type"):
	case tool.has("url"):
		kind = "http"
	case tool.has("argv"), tool.has("command"):
		kind = "process"
	case slices.Contains(builtInTools, id):
		kind = id
	default:
		c.unexplained(tool, id)
	}
	if kind == "http" && !tool.has("url") {
		c.findings.failf(tool.place, "required", "add `url:`", "the http tool %s needs \"url\"", quoted(id))
	}
	if kind == "process" && tool.has("argv") == tool.has("command") {
		c.findings.failf(tool.place, "required", "write the program and its arguments as the list `argv`, or a line for the shell as `command`", "the process tool %s needs one of \"argv\" and \"command\"", quoted(id))
	}
	for other, fields := range toolFields {
		for _, name := range fields {
			if other != kind && slices.Contains(toolTypes, kind) && tool.has(name) && !slices.Contains(toolFields[kind], name) {
				c.findings.warnf(tool.keyOf(name), "no-effect", "remove it, or change the type to "+other, "a tool of type %s does not read %s", kind, quoted(name))
			}
		}
	}
	return kind
}

func (c *compiler) unexplained(tool *node, id string) {
	c.findings.failf(tool.place, "required", "add `type: http` with `url`, or `type: process` with `argv`; functions of a TypeScript runtime are not in this release", "the tool %s does not say how it works", quoted(id))
}

// toolOutput tells the schema that the answer must have from what `output`
// says to two types of tool: the answer of a transform, the format of a process.
func toolOutput(tool *node, kind string) (schema, special *node) {
	schema, special = tool.get("output"), nil
	if s := schema.str(); kind == "transform" || kind == "process" && (s == "text" || s == "json") {
		schema, special = nil, schema
	}
	if explicit := tool.get("output_schema"); explicit != nil {
		schema = explicit
	}
	return schema, special
}

// schemaRequest is a schema for an executor. Its texts are no templates, so
// braces in them are kept from being taken for actions.
func (c *compiler) schemaRequest(ref *node) *node {
	if c.schema(ref) == nil {
		return nil
	}
	return verbatim(c.schemaDoc(ref).without("id"))
}

func verbatim(n *node) *node {
	out := *n
	if n.kind == text && isTemplate(n.text) {
		out.text = strings.ReplaceAll(n.text, "{{", `{{"{{"}}`)
	}
	out.items = make([]*node, len(n.items))
	for i, item := range n.items {
		out.items[i] = verbatim(item)
	}
	out.entries = make([]entry, len(n.entries))
	for i, e := range n.entries {
		out.entries[i] = entry{e.key, verbatim(e.value)}
	}
	return &out
}

package definitions

import (
	"cmp"
	"slices"
)

// resources are the agents, tools, schemas and models that one mapping
// defines, and those of the mapping around it: workflow, document, project.
type resources struct {
	owner  *node
	parent *resources
}

// resourceLists are the fields that hold resources.
var resourceLists = []string{"schemas", "agents", "tools", "models"}

// only reports whether a mapping has nothing but an id, so that it may merely
// name a resource that is defined further out.
func only(n *node) bool { return n.isMap() && len(n.entries) == 1 && n.has("id") }

// lookup finds a resource by its id, the nearest definition first, and notes it
// when it is inherited, so that the bundle can hold it.
func (c *compiler) lookup(listName, id string) *node {
	var named *node
	for r := c.resources; r != nil; r = r.parent {
		for _, item := range r.owner.get(listName).list() {
			if !item.isMap() || item.get("id").str() != id {
				continue
			}
			if only(item) {
				named = cmp.Or(named, item)
				continue
			}
			c.inherit(r, listName, item)
			return item
		}
	}
	if named != nil {
		c.inherit(nil, listName, named)
	}
	return named
}

// inherit notes that a resource from outside of the workflow is used.
func (c *compiler) inherit(from *resources, listName string, item *node) {
	if from == c.resources || slices.Contains(c.resources.owner.get(listName).list(), item) {
		return
	}
	if !slices.Contains(c.inherited[listName], item) {
		c.inherited[listName] = append(c.inherited[listName], item)
	}
}

// known lists the ids of a kind of resource.
func (c *compiler) known(listName string) []string {
	var ids []string
	for r := c.resources; r != nil; r = r.parent {
		for _, item := range r.owner.get(listName).list() {
			if id := item.get("id").str(); id != "" {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// model finds a model by its id or by its name at its provider.
func (c *compiler) model(name string) *node {
	if found := c.lookup("models", name); found != nil {
		return found
	}
	for r := c.resources; r != nil; r = r.parent {
		for _, item := range r.owner.get("models").list() {
			if item.get("model").str() == name {
				c.inherit(r, "models", item)
				return item
			}
		}
	}
	return nil
}

// defaultModel finds the nearest model that is marked as the default.
func (c *compiler) defaultModel() *node {
	for r := c.resources; r != nil; r = r.parent {
		for _, item := range r.owner.get("models").list() {
			if item.get("default").isTrue() {
				c.inherit(r, "models", item)
				return item
			}
		}
	}
	return nil
}

// anyModel reports whether some model is defined at all.
func (c *compiler) anyModel() bool {
	for r := c.resources; r != nil; r = r.parent {
		if len(r.owner.get("models").list()) > 0 {
			return true
		}
	}
	return false
}

// checkResources reports what is wrong with the lists of one mapping, used or not.
func checkResources(owner *node, f *findings) {
	for _, listName := range resourceLists {
		seen := make(map[string]place)
		var standard *node
		items := owner.get(listName).list()
		if len(items) > MaxResources {
			f.failf(items[MaxResources].place, "limit", "remove those that nobody uses", "%q has more than %d items", listName, MaxResources)
			items = items[:MaxResources]
		}
		for _, item := range items {
			id := item.get("id")
			if item.isMap() && listName != "models" && id == nil {
				f.failf(item.place, "required", "add an id, so that it can be named", "this one of %q has no \"id\"", listName)
			}
			if id.str() != "" {
				if first, twice := seen[id.str()]; twice {
					f.failf(id.place, "duplicate-id", "give one of them another id", "%q has %s twice, first in line %d", listName, quoted(id.str()), first.line)
				}
				seen[id.str()] = id.place
			}
			if !item.get("default").isTrue() {
				continue
			}
			if standard != nil {
				f.failf(item.keyOf("default"), "duplicate-default", "mark one model only", "a second model is marked as the default, the first is in line %d", standard.line)
			}
			standard = item
		}
	}
}

// checkDefinitions compiles each definition that the nearest mapping lists, so
// that one which no task uses yet is no less right. What a task finds wrong
// with the same one is the same finding. Nothing counts as used by it.
func (c *compiler) checkDefinitions() {
	inherited := c.inherited
	defer func() { c.inherited = inherited }()
	c.inherited = make(map[string][]*node)
	check := map[string]func(*node){"schemas": func(n *node) { c.schema(n) }, "agents": c.checkAgent, "tools": c.checkTool, "models": c.checkModel}
	for _, listName := range resourceLists {
		items := c.resources.owner.get(listName).list()
		for _, item := range items[:min(len(items), MaxResources)] {
			if item.isMap() {
				check[listName](item)
			}
		}
	}
}

// Whoever uses a definition may be a task or a processor, which sees more.
var (
	definedWith = sight{sees: without(seenByProcessor, "input", "with"), anyTime: true}
	definedWork = sight{sees: seenByProcessor, anyTime: true}
)

func (c *compiler) checkAgent(n *node) {
	c.template(n.get("with"), c.env, maskedTemplate, definedWith)
	c.template(n.get("instructions"), c.env, maskedTemplate, definedWork)
	if ref := n.get("model"); ref != nil && ref.kind != broken {
		c.checkModel(c.modelOf(ref))
	}
	for _, action := range n.get("actions").list() {
		c.template(action.get("with"), c.env, maskedTemplate, definedWith)
		c.template(action.get("prompt"), c.env, maskedTemplate, definedWork)
		c.schema(action.get("input"))
		c.schema(action.get("output"))
	}
}

// checkTool checks a listed tool. One that is only named may be defined further
// out; in the list of a project also by the workflows that use it.
func (c *compiler) checkTool(n *node) {
	id := n.get("id").str()
	if only(n) {
		if c.workflow != nil {
			c.tool(n)
		}
		return
	}
	spec, output := c.toolSpec(n, id)
	c.template(n.get("with"), c.env, maskedTemplate, definedWith)
	c.template(spec, c.env, maskedTemplate, definedWork)
	c.schema(output)
	c.schema(n.get("input"))
}

func (c *compiler) checkModel(n *node) {
	c.template(modelRequest(n), c.env, maskedTemplate, definedWork)
}

// suggestResource is the hint for a resource that nobody defines.
func (c *compiler) suggestResource(id, listName string, more ...string) string {
	if c.findings.full() {
		return "define it"
	}
	hint := didYouMean(id, slices.Concat(c.known(listName), more))
	if hint == "" {
		return "define it under `" + listName + ":`"
	}
	return hint
}

// checkSelectors reports names in a workflow's lists that nothing defines.
func (c *compiler) checkSelectors() {
	for _, listName := range resourceLists {
		items := c.resources.owner.get(listName).list()
		for _, item := range items[:min(len(items), MaxResources)] {
			if item.kind != text || c.lookup(listName, item.text) != nil || listName == "tools" && slices.Contains(builtInTools, item.text) {
				continue
			}
			c.findings.failf(item.place, "unknown-"+listName, c.suggestResource(item.text, listName), "%q names %s, which nothing defines", listName, quoted(item.text))
		}
	}
}

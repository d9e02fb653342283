package definitions

import (
	"slices"

	"github.com/signalbox/signalbox/workflow"
)

// form is a set of the ways in which a value may be written.
type form uint8

const (
	asText form = 1 << iota // any scalar, taken as it is written
	asNumber
	asTruth
	asList
	asMap
)

// anything is a value whose inside belongs to the user.
const anything = asText | asNumber | asTruth | asList | asMap

// meaning is what the text of a field is, for the editor schema and the reference.
type meaning string

const (
	template  meaning = "template"  // may hold {{ }} actions
	object    meaning = "object"    // a mapping that may hold actions, or one action that gives an object
	duration  meaning = "duration"  // 30s, 5 minutes, PT5M
	condition meaning = "condition" // CEL
	scalar    meaning = "scalar"    // a template, or CEL that gives a text or a number
	schemaRef meaning = "schema"    // a JSON Schema, or the id of one
	taskRef   meaning = "task id"
)

// field is one key that a shape knows. The one table of fields in language.go
// drives the strict reader, the suggestions, the editor schema and docs/yaml.md.
type field struct {
	name    string
	aliases []string // other spellings that are understood
	forms   form
	shape   string // of the mapping form; "" leaves the inside to the user
	// When the mapping has the key altKey, its shape is altShape instead.
	altKey, altShape string
	items            *field // what each element of the list form is; nil leaves it to the user
	named            bool   // the mapping form is the list with the name of each element as its key
	meaning          meaning
	values           []string // the only values allowed
	required         bool
	kinds            []string // the task types that have this field; nil for all
	doc              string   // one sentence
	example          string

	mistaken []string // what people write when they mean this field; suggested, never accepted
	later    string   // not in this release: what to do instead; using it is an error
	unused   string   // understood and without effect: why; using it is a warning
}

// shape is a mapping of known keys.
type shape struct {
	name   string
	title  string // as a person calls it, with its article
	doc    string
	fields []*field
	byName map[string]*field // aliases too
}

// language holds every shape by name.
var language = index(shapes())

func index(list []*shape) map[string]*shape {
	all := make(map[string]*shape, len(list))
	for _, s := range list {
		s.byName = make(map[string]*field, len(s.fields))
		for _, f := range s.fields {
			for _, name := range append([]string{f.name}, f.aliases...) {
				if s.byName[name] != nil {
					panic("definitions: the shape " + s.name + " has the field " + name + " twice")
				}
				s.byName[name] = f
			}
		}
		all[s.name] = s
	}
	return all
}

// names lists the fields to suggest, those of a task type only when it is given.
func (s *shape) names(taskType string) []string {
	var names []string
	for _, f := range s.fields {
		if f.later == "" && f.unused == "" && f.fits(taskType) {
			names = append(names, f.name)
		}
	}
	return names
}

// fits reports whether a task of that type has the field.
func (f *field) fits(taskType string) bool {
	return f.kinds == nil || taskType == anyType || taskType == unknownType || slices.Contains(f.kinds, taskType)
}

// meant finds the field that a wrong key was most likely meant to be.
func (s *shape) meant(key, taskType string) string {
	for _, f := range s.fields {
		if slices.Contains(f.mistaken, key) {
			return f.name
		}
	}
	var known []string
	for _, f := range s.fields {
		if f.fits(taskType) && f.later == "" {
			known = append(known, f.name)
			known = append(known, f.aliases...)
		}
	}
	return workflow.Nearest(key, known)
}

// shapeOf is the shape of this mapping under the field, nil when its inside
// belongs to the user.
func (f *field) shapeOf(n *node) *shape {
	if f.altKey != "" && n.has(f.altKey) {
		return language[f.altShape]
	}
	return language[f.shape]
}

// misspelt finds the key of a mapping that was meant as altKey: the near miss in one
// that has nothing of the field's own shape.
func (f *field) misspelt(n *node) *node {
	own, other := language[f.shape], language[f.altShape]
	if f.altKey == "" || n.has(f.altKey) || slices.ContainsFunc(n.entries, func(e entry) bool { return own.byName[e.key.text] != nil }) {
		return nil
	}
	for _, e := range n.entries {
		if other.meant(e.key.text, anyType) == f.altKey {
			return e.key
		}
	}
	return nil
}

// describe lists the forms for a message.
func (f form) describe() string {
	var parts []string
	for _, one := range []struct {
		form form
		name string
	}{{asText, "a text"}, {asNumber, "a number"}, {asTruth, "true or false"}, {asList, "a list"}, {asMap, "a mapping"}} {
		if f&one.form != 0 {
			parts = append(parts, one.name)
		}
	}
	return joinOr(parts)
}

func joinOr(parts []string) string {
	switch len(parts) {
	case 0:
		return ""
	case 1:
		return parts[0]
	}
	out := parts[0]
	for _, p := range parts[1 : len(parts)-1] {
		out += ", " + p
	}
	return out + " or " + parts[len(parts)-1]
}

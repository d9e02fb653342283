package definitions

import (
	"encoding/json"
	"slices"
)

// SchemaURL names the draft of the schema that Schema returns.
const SchemaURL = "https://json-schema.org/draft/2020-12/schema"

// Schema returns the JSON Schema of the YAML, for editors. It comes from the
// table of fields that the reader itself works by.
func Schema() []byte {
	defs := make(map[string]any, len(language))
	for name, s := range language {
		defs[name] = s.jsonSchema()
	}
	root := map[string]any{
		"$schema":     SchemaURL,
		"title":       "Signalbox",
		"description": "A workflow, or a project with workflows.",
		"if":          map[string]any{"required": []string{"tasks"}},
		"then":        refTo(workflowShape),
		"else":        refTo(projectShape),
		"$defs":       defs,
	}
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic("definitions: the table of fields does not encode: " + err.Error()) // it holds texts, lists and maps only
	}
	return append(text, '\n')
}

func refTo(shape string) map[string]any { return map[string]any{"$ref": "#/$defs/" + shape} }

func (s *shape) jsonSchema() map[string]any {
	properties := make(map[string]any)
	var required []string
	for _, f := range s.fields {
		if f.later != "" {
			continue
		}
		properties[f.name] = f.jsonSchema("")
		for _, alias := range f.aliases {
			properties[alias] = f.jsonSchema("The same as `" + f.name + "`. ")
		}
		if f.required && f.aliases == nil {
			required = append(required, f.name)
		}
	}
	out := map[string]any{"type": "object", "description": s.doc, "properties": properties, "additionalProperties": false}
	if required != nil {
		out["required"] = required
	}
	return out
}

// jsonSchema describes one field; before goes in front of its description.
func (f *field) jsonSchema(before string) map[string]any {
	out := f.form()
	if doc := before + f.doc; doc != "" {
		out["description"] = doc
	}
	if f.unused != "" {
		out["deprecated"] = true
		out["description"] = "Has no effect: " + f.unused + "."
	}
	if f.example != "" && f.forms&asText != 0 {
		out["examples"] = []string{f.example}
	}
	return out
}

// form is the schema of the ways to write a field.
func (f *field) form() map[string]any {
	if f.forms == anything {
		return map[string]any{}
	}
	var ways []any
	if f.forms&asText != 0 {
		way := map[string]any{"type": []string{"string", "number", "boolean"}}
		if f.values != nil {
			way = map[string]any{"enum": slices.Clone(f.values)}
		}
		ways = append(ways, way)
	}
	if f.forms&asNumber != 0 {
		ways = append(ways, map[string]any{"type": "number"})
	}
	if f.forms&asTruth != 0 {
		ways = append(ways, map[string]any{"type": "boolean"})
	}
	if f.forms&asList != 0 {
		way := map[string]any{"type": "array"}
		if f.items != nil {
			way["items"] = f.items.jsonSchema("")
		}
		ways = append(ways, way)
	}
	if f.forms&asMap != 0 {
		ways = append(ways, f.mapForm())
	}
	ways = append(ways, map[string]any{"type": "null"})
	return map[string]any{"anyOf": ways}
}

func (f *field) mapForm() map[string]any {
	switch {
	case f.named:
		return map[string]any{"type": "object", "additionalProperties": f.items.jsonSchema("")}
	case f.shape == "":
		return map[string]any{"type": "object"}
	case f.altKey == "":
		return refTo(f.shape)
	}
	return map[string]any{
		"if":   map[string]any{"required": []string{f.altKey}},
		"then": refTo(f.altShape),
		"else": refTo(f.shape),
	}
}

package expression

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/signalbox/signalbox/workflow"
)

// Schema is a compiled JSON Schema, draft 2020-12 unless the document names
// another. It is immutable and safe for concurrent use; checks against one
// schema take turns.
type Schema struct {
	compiled *jsonschema.Schema
	defaults *defaults // nil when no property has a default
	meter    meter
}

var _ workflow.Schema = (*Schema)(nil)

// schemaURL is what `$ref: "#/..."` is relative to. Nothing is ever loaded.
const schemaURL = "signalbox://schema"

// NewSchema compiles a JSON Schema as decoded from YAML or JSON. References
// stay inside the document, formats are asserted. The error names the place in
// the document and what is wrong there.
func NewSchema(doc any) (*Schema, error) {
	n := normalizer{}
	clean, err := n.normalize(doc, "", 0)
	if err != nil {
		return nil, err
	}
	switch clean.(type) {
	case map[string]any, bool:
	default:
		return nil, fmt.Errorf("a schema is an object or true or false, not %s", kindName(clean))
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	c.UseLoader(noLoader{})
	if err := c.AddResource(schemaURL, clean); err != nil {
		return nil, schemaMistake(err)
	}
	compiled, err := c.Compile(schemaURL)
	if err != nil {
		return nil, schemaMistake(err)
	}
	s := &Schema{compiled: compiled, defaults: defaultsOf(clean, 0)}
	s.meter.install(compiled, map[*jsonschema.Schema]bool{})
	return s, nil
}

// noLoader refuses every document but the one that is being compiled.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s is outside of this schema; put it under $defs and refer to it as \"#/$defs/name\"", strings.TrimPrefix(url, schemaURL+"/"))
}

// normalizer copies a document into the values that JSON has, within bounds.
type normalizer struct{ nodes int }

func (n *normalizer) normalize(v any, pointer string, depth int) (any, error) {
	n.nodes++
	if depth > MaxDepth {
		return nil, fmt.Errorf("%s: the schema nests deeper than %d levels", pointer, MaxDepth)
	}
	if n.nodes > maxSchemaNodes {
		return nil, fmt.Errorf("the schema holds more than %d values", maxSchemaNodes)
	}
	switch v := v.(type) {
	case string:
		return v, nil
	case []any:
		out := make([]any, len(v))
		for i := range v {
			inner, err := n.normalize(v[i], fmt.Sprintf("%s/%d", pointer, i), depth+1)
			if err != nil {
				return nil, err
			}
			out[i] = inner
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, k := range sortedKeys(v) {
			inner, err := n.normalize(v[k], pointer+"/"+pointerToken.Replace(k), depth+1)
			if err != nil {
				return nil, err
			}
			out[k] = inner
		}
		return out, nil
	}
	scalar, err := scalarOf(v)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", either(pointer, "/"), err)
	}
	return scalar, nil
}

// schemaMistake says what is wrong with a schema document, without the URL
// that only we know.
func schemaMistake(err error) error {
	var invalid *jsonschema.SchemaValidationError
	var wrong *jsonschema.ValidationError
	if errors.As(err, &invalid) && errors.As(invalid.Err, &wrong) {
		list := violations(wrong)
		texts := make([]string, len(list))
		for i, v := range list {
			texts[i] = either(v.Pointer, "/") + ": " + v.Message
		}
		return fmt.Errorf("this is no JSON Schema: %s", strings.Join(texts, "; "))
	}
	var outside *jsonschema.LoadURLError
	if errors.As(err, &outside) {
		return fmt.Errorf("the schema refers to something else: %w", outside.Err)
	}
	text := strings.NewReplacer(schemaURL+"#", "", schemaURL, "the schema").Replace(err.Error())
	return fmt.Errorf("this is no JSON Schema: %s", text)
}

// meter counts how many schemas are applied while one value is checked, and
// stops documents whose references multiply. The library calls the format of a
// schema before it goes into its parts, so that is where the count is.
type meter struct {
	sync.Mutex
	work int
}

var errSchemaWork = fmt.Errorf("checking this value applies more than %d schemas; the schema's references multiply", maxSchemaWork)

func (m *meter) install(s *jsonschema.Schema, done map[*jsonschema.Schema]bool) {
	if s == nil || done[s] {
		return
	}
	done[s] = true
	format := jsonschema.Format{Validate: func(any) error { return nil }}
	if s.Format != nil {
		format = *s.Format
	}
	inner := format.Validate
	format.Validate = func(v any) error {
		if m.work++; m.work > maxSchemaWork {
			panic(errSchemaWork)
		}
		return inner(v)
	}
	s.Format = &format
	for _, part := range parts(s) {
		m.install(part, done)
	}
}

// parts are the schemas that a schema applies.
func parts(s *jsonschema.Schema) []*jsonschema.Schema {
	out := []*jsonschema.Schema{
		s.Ref, s.RecursiveRef, s.Not, s.If, s.Then, s.Else, s.PropertyNames, s.UnevaluatedProperties,
		s.Contains, s.Items2020, s.UnevaluatedItems, s.ContentSchema,
	}
	if s.DynamicRef != nil {
		out = append(out, s.DynamicRef.Ref)
	}
	out = slices.Concat(out, s.AllOf, s.AnyOf, s.OneOf, s.PrefixItems)
	for _, p := range s.Properties {
		out = append(out, p)
	}
	for _, p := range s.PatternProperties {
		out = append(out, p)
	}
	for _, p := range s.DependentSchemas {
		out = append(out, p)
	}
	loose := []any{s.AdditionalProperties, s.Items, s.AdditionalItems}
	for _, p := range s.Dependencies {
		loose = append(loose, p)
	}
	for _, p := range loose {
		switch p := p.(type) {
		case *jsonschema.Schema:
			out = append(out, p)
		case []*jsonschema.Schema:
			out = append(out, p...)
		}
	}
	return out
}

// Check returns what is wrong with v, at most maxViolations places sorted by
// pointer, and nothing when it conforms. An absent v is checked as null.
func (s *Schema) Check(v workflow.Value) []workflow.Violation {
	if v == nil {
		v = workflow.Value("null")
	}
	s.meter.Lock()
	defer s.meter.Unlock()
	s.meter.work = 0
	return s.check(s.compiled, v)
}

// check checks a value against a part of the schema. Its meter is locked and goes on.
func (s *Schema) check(part *jsonschema.Schema, v workflow.Value) (list []workflow.Violation) {
	value, err := decode(v)
	if err != nil {
		return []workflow.Violation{{Message: err.Error()}}
	}
	defer func() {
		if p := recover(); p != nil {
			list = []workflow.Violation{{Message: fmt.Sprint(p)}}
		}
	}()
	err = part.Validate(value)
	if err == nil {
		return nil
	}
	var wrong *jsonschema.ValidationError
	if !errors.As(err, &wrong) {
		return []workflow.Violation{{Message: err.Error()}}
	}
	return violations(wrong)
}

// printer writes the library's messages; it is safe for concurrent use.
var printer = sync.OnceValue(func() *message.Printer { return message.NewPrinter(language.English) })

// violations flattens the library's tree of causes.
func violations(wrong *jsonschema.ValidationError) []workflow.Violation {
	list := leaves(wrong, nil)
	slices.SortFunc(list, func(a, b workflow.Violation) int {
		if c := strings.Compare(a.Pointer, b.Pointer); c != 0 {
			return c
		}
		return strings.Compare(a.Message, b.Message)
	})
	list = slices.Compact(list)
	return list[:min(len(list), maxViolations)]
}

// leaves collects the causes that have no cause of their own. A choice of
// schemas that all fail is one violation: which of them was meant is unknown.
func leaves(wrong *jsonschema.ValidationError, list []workflow.Violation) []workflow.Violation {
	at := pointerOf(wrong.InstanceLocation)
	switch wrong.ErrorKind.(type) {
	case *kind.AnyOf, *kind.OneOf:
		if len(wrong.Causes) == 0 {
			break
		}
		var branches []string
		for _, cause := range wrong.Causes {
			for _, leaf := range leaves(cause, nil) {
				branches = append(branches, strings.TrimPrefix(strings.TrimPrefix(leaf.Pointer, at)+" "+leaf.Message, " "))
			}
		}
		slices.Sort(branches)
		branches = slices.Compact(branches)
		return append(list, workflow.Violation{Pointer: at,
			Message: shorten("none of the allowed forms matches: "+strings.Join(branches, ", or "), MaxReasonBytes)})
	}
	if len(wrong.Causes) == 0 {
		return append(list, workflow.Violation{Pointer: at, Message: shorten(wrong.ErrorKind.LocalizedString(printer()), MaxReasonBytes)})
	}
	for _, cause := range wrong.Causes {
		list = leaves(cause, list)
	}
	return list
}

func pointerOf(location []string) string {
	var b strings.Builder
	for _, token := range location {
		b.WriteByte('/')
		b.WriteString(pointerToken.Replace(token))
	}
	return b.String()
}

// defaults are the defaults of an object's properties.
type defaults struct {
	values map[string]workflow.Value
	inside map[string]*defaults
}

// defaultsOf collects the defaults of `properties`, level by level.
func defaultsOf(schema any, depth int) *defaults {
	doc, _ := schema.(map[string]any)
	properties, _ := doc["properties"].(map[string]any)
	d := &defaults{values: map[string]workflow.Value{}, inside: map[string]*defaults{}}
	for name, p := range properties {
		property, ok := p.(map[string]any)
		if !ok || depth > MaxDepth {
			continue
		}
		if v, ok := property["default"]; ok {
			if text, err := encode(nil, v, nil); err == nil {
				d.values[name] = text
			}
		}
		if inside := defaultsOf(property, depth+1); inside != nil {
			d.inside[name] = inside
		}
	}
	if len(d.values) == 0 && len(d.inside) == 0 {
		return nil
	}
	return d
}

// Default returns v with the defaults of the schema's properties filled in,
// also inside objects that are there or have a default themselves. An absent v
// counts as an empty object when there is something to fill in; what is no
// object is returned as it is.
func (s *Schema) Default(v workflow.Value) workflow.Value {
	if s.defaults == nil {
		return v
	}
	if v == nil {
		v = workflow.Value("{}")
	}
	return s.defaults.fill(v)
}

// WrongDefaults lists the defaults that Default fills in and that break what the
// schema says of their own property: whoever leaves such a property out is
// refused for it. The pointers lead to the defaults within the schema.
func (s *Schema) WrongDefaults() []workflow.Violation {
	s.meter.Lock()
	defer s.meter.Unlock()
	s.meter.work = 0
	return s.defaults.wrong(s, s.compiled, "")
}

func (d *defaults) wrong(s *Schema, of *jsonschema.Schema, pointer string) (list []workflow.Violation) {
	if d == nil || of == nil {
		return nil
	}
	for _, name := range sortedKeys(of.Properties) {
		at := pointer + "/properties/" + pointerToken.Replace(name)
		value, has := d.values[name]
		if inside := d.inside[name]; inside != nil {
			deeper := inside.wrong(s, of.Properties[name], at)
			list = append(list, deeper...)
			has = has && len(deeper) == 0 // a default is filled in with those inside of it
			value = inside.fill(value)
		}
		if !has {
			continue
		}
		found := s.check(of.Properties[name], value)
		if s.meter.work > maxSchemaWork {
			return list // so much work says nothing about a default
		}
		for _, v := range found {
			list = append(list, workflow.Violation{Pointer: at + "/default" + v.Pointer, Message: v.Message})
		}
	}
	return list
}

func (d *defaults) fill(v workflow.Value) workflow.Value {
	var object map[string]json.RawMessage
	if trimmed := bytes.TrimSpace(v); len(trimmed) == 0 || trimmed[0] != '{' || json.Unmarshal(v, &object) != nil {
		return v
	}
	changed := false
	for name, value := range d.values {
		if _, there := object[name]; !there {
			object[name], changed = value, true
		}
	}
	for name, inside := range d.inside {
		before, there := object[name]
		if !there {
			continue
		}
		after := inside.fill(workflow.Value(before))
		if !bytes.Equal(before, after) {
			object[name], changed = json.RawMessage(after), true
		}
	}
	if !changed {
		return v
	}
	out := []byte{'{'}
	for i, name := range sortedKeys(object) {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(appendString(out, name), ':'), bytes.TrimSpace(object[name])...)
	}
	return append(out, '}')
}

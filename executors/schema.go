package executors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/signalbox/signalbox/workflow"
)

// schemaCache remembers compiled schemas by their text: the same few come with
// every job of a project.
type schemaCache struct {
	mu       sync.Mutex
	compiled map[string]*jsonschema.Schema
}

func newSchemaCache() *schemaCache {
	return &schemaCache{compiled: make(map[string]*jsonschema.Schema)}
}

// noLoader refuses every reference out of the schema itself: a schema must not
// make the node read files or call addresses.
type noLoader struct{}

// Load refuses.
func (noLoader) Load(address string) (any, error) {
	return nil, fmt.Errorf("a schema may refer to parts of itself only, not to %q", address)
}

// get compiles a schema, or returns the one compiled before.
func (c *schemaCache) get(doc workflow.Value) (*jsonschema.Schema, error) {
	c.mu.Lock()
	known := c.compiled[string(doc)]
	c.mu.Unlock()
	if known != nil {
		return known, nil
	}
	tree, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		return nil, permanent(CodeSchemaInvalid, "the schema is not JSON: %v", err)
	}
	const name = "urn:schema" // a plain name would be taken for a file of the working directory
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	compiler.UseLoader(noLoader{})
	if err := compiler.AddResource(name, tree); err != nil {
		return nil, brokenSchema(err)
	}
	made, err := compiler.Compile(name)
	if err != nil {
		return nil, brokenSchema(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.compiled) >= MaxSchemas {
		clear(c.compiled) // compiling anew is cheap; knowing which one is old is not worth a list
	}
	c.compiled[string(doc)] = made
	return made, nil
}

// brokenSchema is the failure of a schema that is none.
func brokenSchema(err error) *Failure {
	why := excerpt(err.Error())
	var broken *jsonschema.SchemaValidationError
	if errors.As(err, &broken) {
		why = listed(violations(broken.Err))
	}
	return permanent(CodeSchemaInvalid, "the schema cannot be used: %s; correct it in the YAML", why)
}

// check returns what is wrong with a value, nothing when it conforms or when
// there is no schema.
func (c *schemaCache) check(doc, v workflow.Value) ([]workflow.Violation, error) {
	if absent(doc) {
		return nil, nil
	}
	schema, err := c.get(doc)
	if err != nil {
		return nil, err
	}
	if len(v) == 0 {
		v = workflow.Value("null")
	}
	tree, err := jsonschema.UnmarshalJSON(bytes.NewReader(v))
	if err != nil {
		return nil, permanent(CodeOutputNotJSON, "the value to check is not JSON: %v", err)
	}
	return violations(schema.Validate(tree)), nil
}

// violations flattens an error of the validator to its leaves, at most MaxViolations.
func violations(err error) []workflow.Violation {
	if err == nil {
		return nil
	}
	var tree *jsonschema.ValidationError
	if !errors.As(err, &tree) {
		return []workflow.Violation{{Message: excerpt(err.Error())}}
	}
	var found []workflow.Violation
	var walk func(*jsonschema.OutputUnit)
	walk = func(unit *jsonschema.OutputUnit) {
		if len(found) >= MaxViolations {
			return
		}
		if len(unit.Errors) == 0 && unit.Error != nil {
			found = append(found, workflow.Violation{Pointer: unit.InstanceLocation, Message: excerpt(unit.Error.String())})
		}
		for i := range unit.Errors {
			walk(&unit.Errors[i])
		}
	}
	walk(tree.DetailedOutput())
	return found
}

// listed puts violations into one line for a message.
func listed(found []workflow.Violation) string {
	parts := make([]string, len(found))
	for i, v := range found {
		where := v.Pointer
		if where == "" {
			where = "the whole value"
		}
		parts[i] = where + ": " + v.Message
	}
	return strings.Join(parts, "; ")
}

// brokenInput is the failure of an input that breaks its schema.
func brokenInput(what string, found []workflow.Violation) *Failure {
	f := permanent(CodeInputInvalid, "%s: `with` breaks the input schema: %s; correct what the task passes", what, listed(found))
	f.Details = map[string]any{"violations": details(found)}
	return f
}

// brokenOutput is the failure of an output that breaks its schema. Another
// attempt may give another output.
func brokenOutput(what string, found []workflow.Violation) *Failure {
	f := passing(CodeOutputInvalid, "%s: the output breaks its schema: %s; correct the schema, or what produces the output", what, listed(found))
	f.Details = map[string]any{"violations": details(found)}
	return f
}

// details puts violations into the plain shape that failures carry.
func details(found []workflow.Violation) []any {
	list := make([]any, len(found))
	for i, v := range found {
		list[i] = map[string]any{"pointer": v.Pointer, "message": v.Message}
	}
	return list
}

// decodeJSON reads exactly one JSON value, numbers kept as they are written.
func decodeJSON(v []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(v))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return nil, err
	}
	if dec.More() {
		return nil, errors.New("something follows the JSON value")
	}
	return tree, nil
}

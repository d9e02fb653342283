package expression

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

func schemaOf(t *testing.T, doc string) (*Schema, error) {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(doc), &v); err != nil {
		t.Fatal(err)
	}
	return NewSchema(v)
}

func TestSchemaChecks(t *testing.T) {
	const doc = `{"type":"object","required":["amount"],"additionalProperties":false,"properties":{
		"amount":{"type":"number","minimum":1},"email":{"type":"string","format":"email"},
		"kind":{"enum":["a","b"]},"a/b":{"type":"string"},
		"id":{"anyOf":[{"type":"string"},{"type":"integer"}]},
		"lines":{"type":"array","items":{"$ref":"#/$defs/line"}}},
		"$defs":{"line":{"type":"object","required":["sku"],"properties":{"sku":{"type":"string"}}}}}`
	s, err := schemaOf(t, doc)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ value, want string }{
		{`{"amount":5}`, `[]`},
		{`{"amount":5.5,"email":"a@b.org","kind":"a","id":7,"lines":[{"sku":"x"}]}`, `[]`},
		{`{"amount":"5"}`, `[{/amount got string, want number}]`},
		{`{}`, `[{ missing property 'amount'}]`},
		{`{"amount":0}`, `[{/amount minimum: got 0, want 1}]`},
		{`{"amount":5,"email":"nobody"}`, `[{/email 'nobody' is not valid email: missing @}]`},
		{`{"amount":5,"x":1}`, `[{ additional properties 'x' not allowed}]`},
		{`{"amount":5,"a/b":1}`, `[{/a~1b got number, want string}]`},
		{`{"amount":5,"lines":[{"sku":"x"},{}]}`, `[{/lines/1 missing property 'sku'}]`},
		{`{"amount":5,"id":true}`, `[{/id none of the allowed forms matches: got boolean, want integer, or got boolean, want string}]`},
		{`{"amount":"x","kind":"c"}`, `[{/amount got string, want number} {/kind value must be one of 'a', 'b'}]`},
		{`[]`, `[{ got array, want object}]`},
		{`{"amount":`, `[{ not valid JSON at byte 10}]`},
		{``, `[{ got null, want object}]`},
	} {
		var v workflow.Value
		if c.value != "" {
			v = workflow.Value(c.value)
		}
		if got := fmt.Sprint(s.Check(v)); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.value, got, c.want)
		}
	}
}

func TestSchemaDefaults(t *testing.T) {
	s, err := schemaOf(t, `{"type":"object","properties":{"a":{"default":1},"b":{"type":"object","default":{},"properties":{"c":{"default":"x"}}},"d":{"type":"string"}}}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ value, want string }{
		{``, `{"a":1,"b":{"c":"x"}}`},
		{`{}`, `{"a":1,"b":{"c":"x"}}`},
		{`{"a":2,"big":12345678901234567890}`, `{"a":2,"b":{"c":"x"},"big":12345678901234567890}`},
		{`{"a":null,"b":{"c":"y"}}`, `{"a":null,"b":{"c":"y"}}`},
		{`{"b":5}`, `{"a":1,"b":5}`},
		{`[1]`, `[1]`},
	} {
		var v workflow.Value
		if c.value != "" {
			v = workflow.Value(c.value)
		}
		if got := string(s.Default(v)); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.value, got, c.want)
		}
	}
	plain, err := schemaOf(t, `{"type":"object"}`)
	if err != nil {
		t.Fatal(err)
	}
	if got := plain.Default(nil); got != nil {
		t.Errorf("an absent value became %s", got)
	}
}

// TestWrongDefaults finds the defaults that no start could live with, and none that
// only what surrounds them could make wrong.
func TestWrongDefaults(t *testing.T) {
	for _, c := range []struct{ doc, want string }{
		{`{"properties":{"amount":{"type":"number","default":"x"}}}`, `[{/properties/amount/default got string, want number}]`},
		{`{"properties":{"a/b":{"properties":{"c":{"enum":["x"],"default":null}}}}}`, `[{/properties/a~1b/properties/c/default value must be 'x'}]`},
		{`{"properties":{"o":{"default":{"n":{"m":"1"}},"properties":{"n":{"properties":{"m":{"type":"integer"}}}}}}}`, `[{/properties/o/default/n/m got string, want integer}]`},
		{`{"properties":{"o":{"default":{},"required":["n"],"properties":{"n":{"default":1}}}}}`, `[]`},
		{`{"properties":{"o":{"default":{},"required":["n"]}}}`, `[{/properties/o/default missing property 'n'}]`},
		{`{"properties":{"a":{"$ref":"#/$defs/n","default":"x"}},"$defs":{"n":{"type":"number"}}}`, `[{/properties/a/default got string, want number}]`},
		{`{"required":["b"],"minProperties":3,"properties":{"a":{"default":1}},"if":{"not":{"required":["b"]}},"then":{"properties":{"a":{"const":2}}}}`, `[]`},
		{`{"items":{"properties":{"a":{"type":"number","default":"x"}}}}`, `[]`}, // not filled in
		{`{"default":5,"type":"object"}`, `[]`},
	} {
		s, err := schemaOf(t, c.doc)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(s.WrongDefaults()); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.doc, got, c.want)
		}
	}
}

func TestSchemaMistakes(t *testing.T) {
	for _, c := range []struct{ doc, want string }{
		{`{"type":"nmber"}`, `/type: `},
		{`{"$ref":"other.json"}`, `outside of this schema`},
		{`{"$ref":"https://example.org/x.json"}`, `https://example.org/x.json is outside of this schema`},
		{`{"$ref":"file:///etc/passwd"}`, `outside of this schema`},
		{`{"$ref":"#/$defs/nope"}`, `/$defs/nope`},
		{`{"pattern":"("}`, `/pattern`},
		{`5`, `a schema is an object`},
		{strings.Repeat(`{"not":`, MaxDepth+2) + `true` + strings.Repeat(`}`, MaxDepth+2), `nests deeper`},
	} {
		_, err := schemaOf(t, c.doc)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s\n got %v\nwant %s", c.doc, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), schemaURL) {
			t.Errorf("%.60s: the error shows a made-up URL: %v", c.doc, err)
		}
	}
}

// TestSchemaMultiplies checks that references which double at every level are
// stopped: 2^40 applications would take for ever.
func TestSchemaMultiplies(t *testing.T) {
	var defs []string
	for i := range 40 {
		defs = append(defs, fmt.Sprintf(`"d%d":{"allOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]}`, i, i+1, i+1))
	}
	for _, leaf := range []string{`{"type":"object"}`, `{"type":"string"}`} {
		s, err := schemaOf(t, `{"$ref":"#/$defs/d0","$defs":{`+strings.Join(defs, ",")+`,"d40":`+leaf+`}}`)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		got := s.Check(workflow.Value(`{}`))
		if len(got) != 1 || !strings.Contains(got[0].Message, "references multiply") {
			t.Errorf("got %v", got)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("it took %s to stop", took)
		}
	}
}

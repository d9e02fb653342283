package executors

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/signalbox/signalbox/workflow"
)

// mocked is a request that the mock provider answers.
func mocked(params, schema string) Job {
	r := `{"agent":{"id":"a"},"prompt":"Process the decision: approved","model":{"provider":"mock"`
	if params != "" {
		r += `,"params":` + params
	}
	r += `}`
	if schema != "" {
		r += `,"schema":` + schema
	}
	return jobFor(r + `}`)
}

func TestMockAnswers(t *testing.T) {
	t.Parallel()
	agent := hands(t, Options{})["agent"]
	for _, c := range []struct{ name, schema, want string }{
		{"no schema", ``, `{"response":"Mock response for: Process the decision: approved"}`},
		{"types", `{"type":"object","properties":{"s":{"type":"string"},"i":{"type":"integer"},"n":{"type":"number"},"b":{"type":"boolean"},"z":{"type":"null"},"l":{"type":"array","items":{"type":"string"}}}}`,
			`{"b":true,"i":0,"l":["mock l"],"n":0,"s":"mock s","z":null}`},
		{"what the schema names", `{"type":"object","properties":{"c":{"const":{"a":1}},"d":{"default":"x","type":"string"},"e":{"enum":["no","yes"]},"x":{"examples":[7]}}}`,
			`{"c":{"a":1},"d":"x","e":"no","x":7}`},
		{"bounds", `{"type":"object","properties":{"min":{"type":"integer","minimum":3},"above":{"type":"integer","exclusiveMinimum":3},"max":{"type":"number","maximum":-2.5},"step":{"type":"integer","minimum":10,"multipleOf":7},"between":{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1}}}`,
			`{"above":4,"between":0.5,"max":-2.5,"min":3,"step":14}`},
		{"texts", `{"type":"object","properties":{"id":{"type":"string","minLength":10},"s":{"type":"string","maxLength":3},"at":{"type":"string","format":"date-time"},"mail":{"type":"string","format":"email"},"code":{"type":"string","pattern":"^[A-Z]{3}-\\d{2,4}$"}}}`,
			`{"at":"2000-01-01T00:00:00Z","code":"AAA-00","id":"mock id...","mail":"mock@example.com","s":"moc"}`},
		{"nested", `{"type":"object","required":["items"],"properties":{"items":{"type":"array","minItems":2,"items":{"type":"object","properties":{"sku":{"type":"string"}},"required":["sku"]}}}}`,
			`{"items":[{"sku":"mock sku"},{"sku":"mock sku"}]}`},
		{"required without properties", `{"type":"object","required":["why"]}`, `{"why":"mock why"}`},
		{"references", `{"type":"object","properties":{"a":{"$ref":"#/$defs/address"}},"$defs":{"address":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}`,
			`{"a":{"city":"mock city"}}`},
		{"allOf and oneOf", `{"allOf":[{"type":"object","required":["a"],"properties":{"a":{"type":"integer"}}},{"required":["b"],"properties":{"b":{"oneOf":[{"type":"boolean"},{"type":"string"}]}}}]}`,
			`{"a":0,"b":true}`},
		{"unique items", `{"type":"array","uniqueItems":true,"minItems":3,"items":{"enum":["a","b","c"]}}`, `["a","b","c"]`},
		{"nullable", `{"type":"object","properties":{"v":{"type":["null","integer"]}}}`, `{"v":0}`},
		{"a tuple", `{"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}],"items":false}`, `[0,"mock value"]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 3 {
				if got := must(t, agent, mocked("", c.schema)); got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
			}
		})
	}
}

// The prompt is in the answer, whole: instructions, action, prompt and input.
func TestMockIsHonest(t *testing.T) {
	t.Parallel()
	agent := hands(t, Options{})["agent"]
	got := must(t, agent, jobFor(`{"agent":{"id":"a","instructions":"You judge."},"model":{"provider":"mock"},"action":{"id":"x","prompt":"Judge it."},"prompt":"Process with error for testing, slow, duration: 5m","with":{"n":1}}`))
	want := `{"response":"Mock response for: You judge. Judge it.\n\nProcess with error for testing, slow, duration: 5m\n\nInput: {\"n\":1}"}`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestMockFails(t *testing.T) {
	t.Parallel()
	agent := hands(t, Options{})["agent"]
	if f := mustFail(t, agent, mocked(`{"fail":"no luck"}`, ""), CodeMockFailure, "no luck"); f.Permanent {
		t.Error("the short form is permanent")
	}
	if f := mustFail(t, agent, mocked(`{"fail":{"message":"never","code":"MODEL_STATUS","permanent":true}}`, ""), CodeModelStatus, "never"); !f.Permanent {
		t.Error("permanent is ignored")
	}
	must(t, agent, mocked(`{"fail":""}`, ""))
	job := mocked(`{"fail":{"message":"at first","attempts":2}}`, "")
	for attempt, fails := range map[int]bool{1: true, 2: true, 3: false} {
		job.Attempt = attempt
		if _, f := try(t, agent, job); (f != nil) != fails {
			t.Errorf("attempt %d: failure is %v", attempt, f)
		}
	}
	mustFail(t, agent, mocked(`{"fail":[1]}`, ""), CodeModelConfig, "params")
	mustFail(t, agent, mocked(`{"delay":"a while"}`, ""), CodeModelConfig, "a while")
	mustFail(t, agent, mocked("", `{"type":"object","required":["a"],"properties":{"a":{"type":"integer","minimum":3,"maximum":2}}}`), CodeMockFailure, "give the schema a default")
	// Schemas that have no finite value, or a huge one, come to an end.
	mustFail(t, agent, mocked("", `{"type":"object","required":["next"],"properties":{"next":{"$ref":"#"}}}`), CodeMockFailure, "parts")
	mustFail(t, agent, mocked("", `{"type":"array","minItems":1000000000,"items":{"type":"string"}}`), CodeMockFailure, "parts")
	mustFail(t, agent, mocked("", `{"type":"array","contains":{"type":"string"},"minContains":1000000000}`), CodeMockFailure, "parts")
	mustFail(t, agent, mocked("", `{"type":"object","minProperties":1000000000}`), CodeMockFailure, "parts")
	mustFail(t, agent, mocked("", `{"type":"array","minItems":1000,"items":{"type":"string","minLength":60000}}`), CodeMockFailure, "parts")
}

func TestMockDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		agent := hands(t, Options{})["agent"]
		began := time.Now()
		must(t, agent, mocked(`{"delay":"90ms"}`, ""))
		if took := time.Since(began); took != 90*time.Millisecond {
			t.Errorf("the delay took %s", took)
		}
		job := mocked(`{"delay":"1h"}`, "")
		job.Timeout = time.Second
		mustFail(t, agent, job, CodeTimeout, "1s")
		if took := time.Since(began); took != 1090*time.Millisecond {
			t.Errorf("the timeout came after %s", took)
		}
	})
}

// Whatever schema of the supported kind is asked for, the mock's value conforms
// to it, and is the same each time.
func TestMockConforms(t *testing.T) {
	t.Parallel()
	schemas := newSchemaCache()
	rapid.Check(t, func(t *rapid.T) {
		schema := workflow.ValueOf(drawSchema(t, 3))
		first, err := mockValue(schema)
		if err != nil {
			t.Fatalf("%s: %v", schema, err)
		}
		found, err := schemas.check(schema, first)
		if err != nil {
			t.Fatalf("%s: %v", schema, err)
		}
		if len(found) > 0 {
			t.Fatalf("%s does not conform to %s: %s", first, schema, listed(found))
		}
		second, err := mockValue(schema)
		if err != nil || string(first) != string(second) {
			t.Fatalf("%s gives %s and then %s (%v)", schema, first, second, err)
		}
	})
}

// drawSchema draws a schema that has a value.
func drawSchema(t *rapid.T, depth int) map[string]any {
	kinds := []string{"string", "integer", "number", "boolean", "null", "enum", "const"}
	if depth > 0 {
		kinds = append(kinds, "object", "object", "array", "allOf", "anyOf")
	}
	count := rapid.IntRange(0, 4)
	switch kind := rapid.SampledFrom(kinds).Draw(t, "kind"); kind {
	case "string":
		least := rapid.IntRange(0, 40).Draw(t, "minLength")
		switch rapid.IntRange(0, 2).Draw(t, "sort") {
		case 0:
			return map[string]any{"type": kind, "pattern": rapid.SampledFrom([]string{"^[a-z]+$", `^\d{4}-\d{2}$`, "^(red|green)$", "x|y", "^[^a-z]?[A-F0-9]{8}$", `^\w+@\w+\.com$`}).Draw(t, "pattern")}
		case 1:
			return map[string]any{"type": kind, "format": rapid.SampledFrom([]string{"date", "date-time", "email", "uri", "uuid", "ipv4", "ipv6", "time", "hostname", "duration"}).Draw(t, "format")}
		}
		return map[string]any{"type": kind, "minLength": least, "maxLength": least + rapid.IntRange(0, 9).Draw(t, "room")}
	case "integer", "number":
		low := rapid.IntRange(-1000, 1000).Draw(t, "low")
		s := map[string]any{"type": kind, "minimum": low, "maximum": low + rapid.IntRange(20, 90).Draw(t, "room")}
		if rapid.Bool().Draw(t, "steps") {
			s["multipleOf"] = rapid.IntRange(1, 20).Draw(t, "step")
		}
		return s
	case "enum":
		return map[string]any{"enum": rapid.SliceOfN(rapid.String(), 1, 4).Draw(t, "enum")}
	case "const":
		return map[string]any{"const": rapid.Int().Draw(t, "const")}
	case "object":
		properties := map[string]any{}
		names := []string{}
		for _, name := range []string{"a", "b/c", "d~e", "f g"}[:count.Draw(t, "properties")] {
			properties[name] = drawSchema(t, depth-1)
			names = append(names, name)
		}
		return map[string]any{"type": kind, "properties": properties, "required": names[:rapid.IntRange(0, len(names)).Draw(t, "required")], "additionalProperties": false}
	case "array":
		return map[string]any{"type": kind, "items": drawSchema(t, depth-1), "minItems": count.Draw(t, "minItems")}
	case "allOf":
		return map[string]any{"allOf": []any{drawSchema(t, 0)}}
	case "anyOf":
		return map[string]any{"anyOf": []any{drawSchema(t, depth-1), drawSchema(t, depth-1)}}
	default:
		return map[string]any{"type": kind}
	}
}

// FuzzMock holds the mock to its bounds for any schema at all.
func FuzzMock(f *testing.F) {
	for _, seed := range []string{`{"type":"object","required":["a"]}`, `{"minimum":1e999999}`, `{"$ref":"#"}`, `{"allOf":[{"$ref":"#"},{"$ref":"#"},{"$ref":"#"}]}`, `{"pattern":"((a{9}){9}){9}","type":"string"}`, `[]`, `true`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, schema string) {
		v, err := mockValue(workflow.Value(schema))
		if err == nil && !json.Valid(v) {
			t.Errorf("%q gives %q", schema, v)
		}
		if len(v) > 16*MaxMockParts*mockTextPart {
			t.Errorf("%q gives %d bytes", schema, len(v))
		}
	})
}

func TestMockReadsPatterns(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{"^abc$": "abc", "[0-9]{3}": "000", "(a|b)+c?": "m"[:0] + "a", "(": "", ".": "m", `^\p{Greek}$`: "Ͱ"} {
		if got := matching(pattern); got != want {
			t.Errorf("%s gives %q, want %q", pattern, got, want)
		}
	}
	if got := matching(strings.Repeat("(a{1000})", 200)); len(got) > MaxMockText+1000 {
		t.Errorf("a pattern gives %d bytes", len(got))
	}
}

package executors

import (
	"encoding/json"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox/signalbox/workflow"
)

// mockValue makes a value that conforms to a schema, always the same one. What
// the schema names is taken first: const, default, the first example, the first
// of an enum; the rest is made from types and bounds. Combinations that it
// cannot satisfy are found by the caller, who checks the value.
func mockValue(schema workflow.Value) (workflow.Value, error) {
	root, err := decodeJSON(schema)
	if err != nil {
		return nil, permanent(CodeSchemaInvalid, "the schema is not JSON: %v", err)
	}
	m := &mocker{root: root}
	v := m.value(root, "value", 0)
	if m.parts > MaxMockParts {
		return nil, permanent(CodeMockFailure, "the mock provider stopped after %d parts of a value; lower minItems or the number of properties", MaxMockParts)
	}
	return workflow.ValueOf(v), nil
}

// mocker makes one value.
type mocker struct {
	root  any
	parts int // made so far
}

// value makes a value for a schema; name is the property that it is for.
func (m *mocker) value(schema any, name string, depth int) any {
	if m.parts++; m.parts > MaxMockParts {
		return nil
	}
	s, ok := schema.(map[string]any)
	if !ok {
		return "mock " + name // true and false: anything, or nothing that could be made
	}
	s = m.whole(s, 0)
	if v, named := namedValue(s); named {
		return v
	}
	switch kindOf(s) {
	case "object":
		return m.object(s, depth)
	case "array":
		return m.array(s, name, depth)
	case "integer":
		return number(s, true)
	case "number":
		return number(s, false)
	case "boolean":
		return true
	case "null":
		return nil
	}
	made := mockText(s, name)
	m.parts += len(made) / mockTextPart
	return made
}

// namedValue is the value that a schema names itself.
func namedValue(s map[string]any) (any, bool) {
	for _, key := range []string{"const", "default"} {
		if v, ok := s[key]; ok {
			return v, true
		}
	}
	for _, key := range []string{"examples", "enum"} {
		if list, ok := s[key].([]any); ok && len(list) > 0 {
			return list[0], true
		}
	}
	return nil, false
}

// whole resolves references and merges what allOf, anyOf and oneOf add: all of
// the first, the first of the others.
func (m *mocker) whole(s map[string]any, depth int) map[string]any {
	if depth > MaxMockDepth {
		return s
	}
	merged := maps.Clone(s)
	add := func(part any) {
		m.parts++
		if p, ok := part.(map[string]any); ok && m.parts <= MaxMockParts {
			merge(merged, m.whole(p, depth+1))
		}
	}
	if ref, ok := s["$ref"].(string); ok {
		delete(merged, "$ref")
		add(m.resolve(ref))
	}
	if all, ok := s["allOf"].([]any); ok {
		for _, part := range all {
			add(part)
		}
	}
	for _, key := range []string{"anyOf", "oneOf"} {
		if choice, ok := s[key].([]any); ok && len(choice) > 0 {
			add(choice[0])
		}
	}
	return merged
}

// merge adds what from says to into. Properties and required lists are joined.
func merge(into, from map[string]any) {
	for key, value := range from {
		switch old := into[key].(type) {
		case nil:
			into[key] = value
		case map[string]any:
			if more, ok := value.(map[string]any); ok && key == "properties" {
				joined := maps.Clone(old)
				maps.Copy(joined, more)
				into[key] = joined
			}
		case []any:
			if more, ok := value.([]any); ok && key == "required" {
				into[key] = slices.Concat(old, more)
			}
		}
	}
}

// resolve follows a reference inside of the schema: #/$defs/address.
func (m *mocker) resolve(ref string) any {
	path, local := strings.CutPrefix(ref, "#")
	if !local {
		return nil
	}
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	node := m.root
	for part := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if part == "" {
			continue
		}
		object, ok := node.(map[string]any)
		if !ok {
			return nil
		}
		node = object[unescape.Replace(part)]
	}
	return node
}

// kindOf is the type that a schema names, or the one that its keywords speak of.
func kindOf(s map[string]any) string {
	switch t := s["type"].(type) {
	case string:
		return t
	case []any:
		for _, one := range t {
			if name, ok := one.(string); ok && name != "null" {
				return name
			}
		}
		return "null"
	}
	for _, hint := range []struct{ keyword, kind string }{
		{"properties", "object"}, {"required", "object"}, {"additionalProperties", "object"}, {"minProperties", "object"},
		{"items", "array"}, {"prefixItems", "array"}, {"minItems", "array"}, {"contains", "array"},
		{"minimum", "number"}, {"maximum", "number"}, {"multipleOf", "number"}, {"exclusiveMinimum", "number"}, {"exclusiveMaximum", "number"},
	} {
		if _, ok := s[hint.keyword]; ok {
			return hint.kind
		}
	}
	return "string"
}

// object makes an object with every property, or, where it is deep or bounded,
// with those that are required.
func (m *mocker) object(s map[string]any, depth int) any {
	properties, _ := s["properties"].(map[string]any)
	names := map[string]bool{}
	if required, ok := s["required"].([]any); ok {
		for _, name := range required {
			if name, ok := name.(string); ok {
				names[name] = true
			}
		}
	}
	most := intOf(s, "maxProperties", math.MaxInt32)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if depth < MaxMockDepth && len(names) < most && properties[name] != false {
			names[name] = true
		}
	}
	object := make(map[string]any, len(names))
	for _, name := range slices.Sorted(maps.Keys(names)) {
		schema, known := properties[name]
		if !known {
			schema = s["additionalProperties"]
		}
		object[name] = m.value(schema, name, depth+1)
	}
	for i := 1; len(object) < intOf(s, "minProperties", 0) && m.parts <= MaxMockParts; i++ {
		name := "mock" + strconv.Itoa(i)
		object[name] = m.value(s["additionalProperties"], name, depth+1)
	}
	return object
}

// array makes a list as short as the schema allows, but with one element where
// it may have one, so that whoever reads it finds something.
func (m *mocker) array(s map[string]any, name string, depth int) any {
	prefix, _ := s["prefixItems"].([]any)
	least := max(intOf(s, "minItems", 0), min(len(prefix), intOf(s, "maxItems", len(prefix))))
	if depth < MaxMockDepth && least == 0 && s["items"] != nil && intOf(s, "maxItems", 1) > 0 {
		least = 1
	}
	list := []any{}
	if contains, ok := s["contains"]; ok && len(prefix) == 0 {
		for i := 0; i < intOf(s, "minContains", 1) && m.parts <= MaxMockParts; i++ {
			list = append(list, m.value(contains, name, depth+1))
		}
	}
	for i := len(list); i < least && m.parts <= MaxMockParts; i++ {
		item := s["items"]
		if i < len(prefix) {
			item = prefix[i]
		}
		v := m.value(item, name, depth+1)
		if s["uniqueItems"] == true {
			v = distinct(v, i, item)
		}
		list = append(list, v)
	}
	return list
}

// distinct varies the i-th of equal values where there is an obvious way to.
func distinct(v any, i int, item any) any {
	schema, _ := item.(map[string]any)
	if choices, ok := schema["enum"].([]any); ok && i < len(choices) {
		return choices[i]
	}
	switch v := v.(type) {
	case string:
		if i > 0 {
			return v + " " + strconv.Itoa(i)
		}
	case json.Number:
		if r, ok := new(big.Rat).SetString(v.String()); ok {
			step := ratOf(schema, "multipleOf", big.NewRat(1, 1))
			return numberText(r.Add(r, step.Mul(step, big.NewRat(int64(i), 1))))
		}
	case bool:
		return v != (i > 0)
	}
	return v
}

// number makes the number of a schema that is nearest to zero from above.
func number(s map[string]any, whole bool) any {
	step := ratOf(s, "multipleOf", nil)
	if whole && (step == nil || !step.IsInt()) {
		step = big.NewRat(1, 1)
	}
	v := new(big.Rat)
	if low := ratOf(s, "minimum", nil); low != nil && low.Cmp(v) > 0 {
		v.Set(low)
	}
	above := ratOf(s, "exclusiveMinimum", nil)
	if above != nil && above.Cmp(v) >= 0 {
		v.Add(above, middle(above, s, step))
	}
	if high := ratOf(s, "maximum", nil); high != nil && high.Cmp(v) < 0 {
		v.Set(high)
	}
	if below := ratOf(s, "exclusiveMaximum", nil); below != nil && below.Cmp(v) <= 0 {
		v.Sub(below, orOne(step))
	}
	if step != nil && step.Sign() > 0 {
		v = onGrid(v, step, s)
	}
	return numberText(v)
}

// middle is how far above an exclusive minimum to go: one step, or half the way
// to the maximum when there is less room than that.
func middle(above *big.Rat, s map[string]any, step *big.Rat) *big.Rat {
	up := orOne(step)
	for _, key := range []string{"maximum", "exclusiveMaximum"} {
		if high := ratOf(s, key, nil); high != nil && step == nil {
			room := new(big.Rat).Sub(high, above)
			if room.Cmp(up) <= 0 {
				up = room.Mul(room, big.NewRat(1, 2))
			}
		}
	}
	return up
}

// onGrid moves v to a multiple of step: up, or down where up is too high.
func onGrid(v, step *big.Rat, s map[string]any) *big.Rat {
	count := new(big.Rat).Quo(v, step)
	floor := new(big.Int).Div(count.Num(), count.Denom())
	down := new(big.Rat).Mul(new(big.Rat).SetInt(floor), step)
	if down.Cmp(v) == 0 {
		return v
	}
	up := new(big.Rat).Add(down, step)
	if high := ratOf(s, "maximum", nil); high != nil && up.Cmp(high) > 0 {
		return down
	}
	return up
}

func orOne(step *big.Rat) *big.Rat {
	if step != nil {
		return new(big.Rat).Set(step)
	}
	return big.NewRat(1, 1)
}

// numberText writes a number as JSON, whole ones without a point.
func numberText(r *big.Rat) any {
	if r.IsInt() {
		return json.Number(r.Num().String())
	}
	digits, exact := r.FloatPrec()
	if !exact {
		digits = mockDigits
	}
	return json.Number(r.FloatString(digits))
}

// ratOf reads a number of a schema.
func ratOf(s map[string]any, key string, otherwise *big.Rat) *big.Rat {
	n, ok := s[key].(json.Number)
	if !ok || len(n) > maxMockNumber {
		return otherwise
	}
	f, err := n.Float64()
	if err != nil || math.Abs(f) > maxMockSize || f != 0 && math.Abs(f) < 1/maxMockSize {
		return otherwise
	}
	r, ok := new(big.Rat).SetString(n.String())
	if !ok {
		return otherwise
	}
	return r
}

// intOf reads a count of a schema.
func intOf(s map[string]any, key string, otherwise int) int {
	r := ratOf(s, key, nil)
	if r == nil || !r.IsInt() || !r.Num().IsInt64() {
		return otherwise
	}
	return int(min(r.Num().Int64(), math.MaxInt32))
}

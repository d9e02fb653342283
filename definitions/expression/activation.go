package expression

import (
	"fmt"
	"reflect"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// activation gives CEL the variables of a scope, decoded as far as they are
// asked for.
type activation struct{ run *run }

var _ cel.Activation = activation{}

// Parent is none.
func (a activation) Parent() cel.Activation { return nil }

// ResolveName shows an absent variable as an empty object, so that has() and
// "no such key" work everywhere.
func (a activation) ResolveName(name string) (any, bool) {
	f := a.run.rootMember(name)
	if !f.ok {
		return map[string]any{}, true
	}
	return a.run.celValue(f), true
}

// celValue is what was found as CEL takes it: an object stays as it is until
// somebody looks into it.
func (r *run) celValue(f found) any {
	if f.text != nil && !(f.sealed && mayHoldBrackets(f.text)) {
		if d := (decoder{text: f.text}); d.peek() == '{' {
			return &celObject{run: r, found: f}
		}
	}
	v, err := r.open(f)
	if err != nil {
		return types.NewErr("%s", err.Error())
	}
	if _, ok := v.(view); ok {
		return &celObject{run: r, found: f}
	}
	return v
}

// adapter makes CEL values of ours. Objects become ones whose keys are gone
// through in order: with Go's maps, the same signal could be judged differently
// each time.
type adapter struct{}

var _ types.Adapter = adapter{}

// NativeToValue is the only thing an adapter does.
func (a adapter) NativeToValue(v any) ref.Val {
	switch v := v.(type) {
	case map[string]any:
		return &celObject{found: plain(v)}
	case []any:
		return types.NewDynamicList(a, v)
	}
	return types.DefaultTypeAdapter.NativeToValue(v)
}

// celObject shows a part of the scope, or JSON text of an object, as a CEL map.
type celObject struct {
	run   *run
	found found
}

var _ traits.Mapper = (*celObject)(nil)

// Find looks up one name.
func (c *celObject) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return nil, false
	}
	var inner found
	var err error
	if c.found.text != nil {
		inner, err = c.run.into(c.found, string(name))
	} else {
		inner, err = c.run.below(c.found.value, string(name))
	}
	if err != nil {
		return types.NewErr("%s", err.Error()), false
	}
	if !inner.ok {
		return nil, false
	}
	return adapter{}.NativeToValue(c.run.celValue(inner)), true
}

// Get is Find with an error for what is not there.
func (c *celObject) Get(key ref.Val) ref.Val {
	v, ok := c.Find(key)
	if ok || v != nil {
		return v
	}
	return types.NewErr("no such key: %v", key.Value())
}

// Contains reports whether there is such a name.
func (c *celObject) Contains(key ref.Val) ref.Val {
	_, ok := c.Find(key)
	return types.Bool(ok)
}

// all is the whole object as a Go map; a damaged one is empty.
func (c *celObject) all() map[string]any {
	if m, ok := c.found.value.(map[string]any); ok {
		return m
	}
	v, err := c.run.open(c.found)
	if part, ok := v.(view); ok && err == nil {
		v, err = c.run.whole(part)
	}
	m, ok := v.(map[string]any)
	if err != nil || !ok {
		return map[string]any{}
	}
	return m
}

// plain is the whole object as CEL's own map, for what does not go by order.
func (c *celObject) plain() traits.Mapper { return types.NewStringInterfaceMap(adapter{}, c.all()) }

// Iterator goes over the names, sorted.
func (c *celObject) Iterator() traits.Iterator {
	return types.NewStringList(adapter{}, sortedKeys(c.all())).Iterator()
}

// Size is the number of names that are there.
func (c *celObject) Size() ref.Val {
	part, ok := c.found.value.(view)
	if !ok {
		return types.Int(len(c.all()))
	}
	n := 0
	for _, name := range c.run.names(part) {
		if c.run.member(part, name).ok {
			n++
		}
	}
	return types.Int(n)
}

// ConvertToNative is what CEL asks of every value.
func (c *celObject) ConvertToNative(to reflect.Type) (any, error) {
	return c.plain().ConvertToNative(to)
}

// ConvertToType is what CEL asks of every value.
func (c *celObject) ConvertToType(to ref.Type) ref.Val {
	switch to {
	case types.MapType:
		return c
	case types.TypeType:
		return types.MapType
	}
	return types.NewErr("type conversion error from map to %s", to.TypeName())
}

// Equal compares with another map.
func (c *celObject) Equal(other ref.Val) ref.Val { return c.plain().Equal(other) }

// Type is map.
func (c *celObject) Type() ref.Type { return types.MapType }

// Value is the whole object as a Go map.
func (c *celObject) Value() any { return c.all() }

// String is how it prints in messages.
func (c *celObject) String() string { return fmt.Sprintf("an object of %v", c.Size()) }

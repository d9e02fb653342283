package expression

import (
	"fmt"
	"reflect"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// activation gives CEL the variables of a scope, decoded when they are asked for.
type activation struct{ run *run }

var _ cel.Activation = activation{}

func (a activation) Parent() cel.Activation { return nil }

// ResolveName shows an absent variable as an empty object, so that has() and
// "no such key" work everywhere.
func (a activation) ResolveName(name string) (any, bool) {
	f := a.run.rootMember(name)
	if !f.ok {
		return map[string]any{}, true
	}
	v, err := a.run.open(f)
	if err != nil {
		return types.NewErr("%s", err.Error()), true
	}
	return a.run.native(v), true
}

// native is a value as CEL takes it.
func (r *run) native(v any) any {
	switch v := v.(type) {
	case view:
		return celView{r, v}
	case moment:
		return types.Timestamp{Time: v.Time}
	}
	return v
}

// celView shows a part of the scope as a CEL map.
type celView struct {
	run  *run
	view view
}

var _ traits.Mapper = celView{}

// Find looks up one name.
func (c celView) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return nil, false
	}
	f := c.run.member(c.view, string(name))
	if !f.ok {
		return nil, false
	}
	v, err := c.run.open(f)
	if err != nil {
		return types.NewErr("%s", err.Error()), false
	}
	return types.DefaultTypeAdapter.NativeToValue(c.run.native(v)), true
}

// Get is Find with an error for what is not there.
func (c celView) Get(key ref.Val) ref.Val {
	v, ok := c.Find(key)
	switch {
	case ok:
		return v
	case v != nil:
		return v
	}
	return types.NewErr("no such key: %v", key.Value())
}

// Contains reports whether there is such a name.
func (c celView) Contains(key ref.Val) ref.Val {
	_, ok := c.Find(key)
	return types.Bool(ok)
}

// all is the whole part as an ordinary map; a damaged one is empty.
func (c celView) all() traits.Mapper {
	v, err := c.run.whole(c.view)
	m, ok := v.(map[string]any)
	if err != nil || !ok {
		m = map[string]any{}
	}
	return types.NewStringInterfaceMap(types.DefaultTypeAdapter, m)
}

// Iterator goes over the names.
func (c celView) Iterator() traits.Iterator { return c.all().Iterator() }

// Size is the number of names that are there.
func (c celView) Size() ref.Val {
	n := 0
	for _, name := range c.run.names(c.view) {
		if c.run.member(c.view, name).ok {
			n++
		}
	}
	return types.Int(n)
}

// ConvertToNative is what CEL asks of every value.
func (c celView) ConvertToNative(to reflect.Type) (any, error) { return c.all().ConvertToNative(to) }

// ConvertToType is what CEL asks of every value.
func (c celView) ConvertToType(to ref.Type) ref.Val {
	if to == types.MapType {
		return c
	}
	if to == types.TypeType {
		return types.MapType
	}
	return types.NewErr("type conversion error from map to %s", to.TypeName())
}

// Equal compares with another map.
func (c celView) Equal(other ref.Val) ref.Val { return c.all().Equal(other) }

// Type is map.
func (c celView) Type() ref.Type { return types.MapType }

// Value is the whole part as a Go map.
func (c celView) Value() any { return c.all().Value() }

// String is what it prints as in messages.
func (c celView) String() string { return fmt.Sprintf("object of %d", c.Size().(types.Int)) }

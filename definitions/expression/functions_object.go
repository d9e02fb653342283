package expression

import (
	"fmt"
	"slices"
)

// objectFunctions make and take objects (dicts). Only set, unset, merge and
// mergeOverwrite change the one that they are given, as in sprig.
var objectFunctions = []*function{
	{name: "dict", least: 0, most: -1, sealed: true, usage: `as in {{ dict "a" 1 "b" 2 }}`, run: dict},
	{name: "get", least: 2, most: 2, views: true, sealed: true, run: func(r *run, a []any) (any, error) {
		name, err := r.textOf(a[1])
		if err != nil {
			return nil, err
		}
		f, err := r.below(a[0], name)
		if err != nil || !f.ok {
			return "", err // sprig gives an empty text for what is not there
		}
		return r.open(f)
	}},
	{name: "hasKey", least: 2, most: 2, absent: true, views: true, sealed: true, run: func(r *run, a []any) (any, error) {
		name, err := r.textOf(a[1])
		if err != nil {
			return nil, err
		}
		f, err := r.below(a[0], name)
		return f.ok, err
	}},
	{name: "set", least: 3, most: 3, sealed: true, usage: `as in {{ $d := set $d "key" "value" }}`, run: setKey},
	{name: "unset", least: 2, most: 2, sealed: true, run: unsetKey},
	{name: "keys", least: 1, most: -1, sealed: true, run: keys},
	{name: "values", least: 1, most: 1, sealed: true, run: values},
	{name: "pick", least: 1, most: -1, sealed: true, run: pick(true)},
	{name: "omit", least: 1, most: -1, sealed: true, run: pick(false)},
	{name: "pluck", least: 1, most: -1, sealed: true, run: pluck},
	{name: "dig", least: 3, most: -1, absent: true, views: true, sealed: true, usage: `as in {{ dig "a" "b" "otherwise" .object }}`, run: dig},
	{name: "merge", least: 1, most: -1, sealed: true, run: mergeAll(false)},
	{name: "mergeOverwrite", least: 1, most: -1, sealed: true, run: mergeAll(true)},
	{name: "deepCopy", least: 1, most: 1, sealed: true, run: func(r *run, a []any) (any, error) { return r.copyOf(a[0]) }},
}

func objectOf(v any) (map[string]any, error) {
	if m, ok := v.(map[string]any); ok {
		return m, nil
	}
	return nil, fmt.Errorf("an object is needed, not %s", kindName(v))
}

func dict(r *run, a []any) (any, error) {
	if len(a)%2 != 0 {
		return nil, fmt.Errorf("keys and values come in pairs, there are %d arguments", len(a))
	}
	m := make(map[string]any, len(a)/2)
	for i := 0; i < len(a); i += 2 {
		key, err := r.textOf(a[i])
		if err != nil {
			return nil, err
		}
		m[key] = a[i+1]
	}
	return m, nil
}

// setKey puts in a copy of the value, so that no object can contain itself.
func setKey(r *run, a []any) (any, error) {
	m, err := objectOf(a[0])
	if err != nil {
		return nil, err
	}
	key, err := r.textOf(a[1])
	if err != nil {
		return nil, err
	}
	v, err := r.copyOf(a[2])
	if err != nil {
		return nil, err
	}
	r.changed = true
	m[key] = v
	return m, nil
}

func unsetKey(r *run, a []any) (any, error) {
	m, err := objectOf(a[0])
	if err != nil {
		return nil, err
	}
	key, err := r.textOf(a[1])
	if err != nil {
		return nil, err
	}
	r.changed = true
	delete(m, key)
	return m, nil
}

// keys are sorted, so that the same objects give the same list.
func keys(r *run, a []any) (any, error) {
	out := []any{}
	for _, v := range a {
		m, err := objectOf(v)
		if err != nil {
			return nil, err
		}
		if err := r.step(len(m)); err != nil {
			return nil, err
		}
		for _, k := range sortedKeys(m) {
			out = append(out, k)
		}
	}
	return out, nil
}

func values(r *run, a []any) (any, error) {
	m, err := objectOf(a[0])
	if err != nil {
		return nil, err
	}
	out := make([]any, 0, len(m))
	for _, k := range sortedKeys(m) {
		out = append(out, m[k])
	}
	return out, r.step(len(m))
}

func pick(wanted bool) func(*run, []any) (any, error) {
	return func(r *run, a []any) (any, error) {
		m, err := objectOf(a[0])
		if err != nil {
			return nil, err
		}
		names, err := r.texts(a[1:]...)
		if err != nil {
			return nil, err
		}
		out := make(map[string]any)
		for k, v := range m {
			if slices.Contains(names, k) == wanted {
				out[k] = v
			}
		}
		return out, r.step(len(m) * max(1, len(names)) / walkedItems)
	}
}

func pluck(r *run, a []any) (any, error) {
	name, err := r.textOf(a[0])
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, v := range a[1:] {
		m, err := objectOf(v)
		if err != nil {
			return nil, err
		}
		if inner, ok := m[name]; ok {
			out = append(out, inner)
		}
	}
	return out, nil
}

func dig(r *run, a []any) (any, error) {
	v, otherwise := a[len(a)-1], a[len(a)-2]
	names, err := r.texts(a[:len(a)-2]...)
	if err != nil {
		return nil, err
	}
	f, err := r.lookup(v, names, "")
	if err != nil {
		return nil, err
	}
	if v, err = r.open(f); isAbsent(v) {
		return otherwise, err
	}
	return v, err
}

func mergeAll(overwrite bool) func(*run, []any) (any, error) {
	return func(r *run, a []any) (any, error) {
		into, err := objectOf(a[0])
		if err != nil {
			return nil, err
		}
		r.changed = true
		for _, v := range a[1:] {
			from, err := objectOf(v)
			if err != nil {
				return nil, err
			}
			if err := r.merge(into, from, overwrite); err != nil {
				return nil, err
			}
		}
		return into, nil
	}
}

// merge copies into one object what it lacks of another, level by level.
func (r *run) merge(into, from map[string]any, overwrite bool) error {
	for _, k := range sortedKeys(from) {
		if err := r.step(1); err != nil {
			return err
		}
		ours, both := into[k]
		inner, isObject := ours.(map[string]any)
		theirs, areObjects := from[k].(map[string]any)
		switch {
		case both && isObject && areObjects:
			if err := r.merge(inner, theirs, overwrite); err != nil {
				return err
			}
		case !both || overwrite || !r.truth(ours):
			v, err := r.copyOf(from[k])
			if err != nil {
				return err
			}
			into[k] = v
		}
	}
	return nil
}

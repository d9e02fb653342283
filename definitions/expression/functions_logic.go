package expression

import (
	"errors"
	"fmt"
)

// logicFunctions choose between values. Most of them can live with a missing one.
var logicFunctions = []*function{
	{name: "default", least: 2, most: 2, absent: true, views: true, sealed: true, usage: `as in {{ .value | default "x" }}`,
		run: func(r *run, a []any) (any, error) {
			if r.truth(a[1]) {
				return a[1], nil
			}
			return a[0], nil
		}},
	{name: "coalesce", least: 1, most: -1, absent: true, views: true, sealed: true,
		run: func(r *run, a []any) (any, error) {
			for _, v := range a {
				if r.truth(v) {
					return v, nil
				}
			}
			return nil, nil
		}},
	{name: "empty", least: 1, most: 1, absent: true, views: true, sealed: true,
		run: func(r *run, a []any) (any, error) { return !r.truth(a[0]), nil }},
	{name: "not", least: 1, most: 1, absent: true, views: true, sealed: true,
		run: func(r *run, a []any) (any, error) { return !r.truth(a[0]), nil }},
	{name: "ternary", least: 3, most: 3, absent: true, views: true, sealed: true, usage: `as in {{ .flag | ternary "yes" "no" }}`,
		run: func(r *run, a []any) (any, error) {
			if r.truth(a[2]) {
				return a[0], nil
			}
			return a[1], nil
		}},
	{name: "all", least: 1, most: -1, absent: true, views: true, sealed: true,
		run: func(r *run, a []any) (any, error) {
			for _, v := range a {
				if !r.truth(v) {
					return false, nil
				}
			}
			return true, nil
		}},
	{name: "any", least: 1, most: -1, absent: true, views: true, sealed: true,
		run: func(r *run, a []any) (any, error) {
			for _, v := range a {
				if r.truth(v) {
					return true, nil
				}
			}
			return false, nil
		}},
	{name: "required", least: 2, most: 2, absent: true, views: true, sealed: true, usage: `as in {{ .value | required "a value is needed" }}`,
		run: func(r *run, a []any) (any, error) {
			if a[1] == nil || a[1] == "" || isAbsent(a[1]) {
				return nil, failWith(r, a[0])
			}
			return a[1], nil
		}},
	{name: "fail", least: 1, most: 1,
		run: func(r *run, a []any) (any, error) { return nil, failWith(r, a[0]) }},
	{name: "kindOf", least: 1, most: 1, absent: true, views: true, sealed: true,
		run: func(_ *run, a []any) (any, error) { return reflectKind(a[0]), nil }},
	{name: "kindIs", least: 2, most: 2, absent: true, views: true, sealed: true, usage: `as in {{ kindIs "string" .value }}`,
		run: func(_ *run, a []any) (any, error) { return a[0] == reflectKind(a[1]), nil }},
	{name: "typeOf", least: 1, most: 1, absent: true, views: true, sealed: true,
		run: func(_ *run, a []any) (any, error) { return typeOf(a[0]), nil }},
	{name: "typeIs", least: 2, most: 2, absent: true, views: true, sealed: true,
		run: func(_ *run, a []any) (any, error) { return a[0] == typeOf(a[1]), nil }},
	{name: "eq", least: 2, most: -1, usage: "as in {{ if eq .a .b }}", run: equals},
	{name: "ne", least: 2, most: 2,
		run: func(r *run, a []any) (any, error) {
			same, err := equals(r, a)
			return same == false, err
		}},
	{name: "deepEqual", least: 2, most: 2, run: equals},
	{name: "lt", least: 2, most: 2, run: ordered(func(c int) bool { return c < 0 })},
	{name: "le", least: 2, most: 2, run: ordered(func(c int) bool { return c <= 0 })},
	{name: "gt", least: 2, most: 2, run: ordered(func(c int) bool { return c > 0 })},
	{name: "ge", least: 2, most: 2, run: ordered(func(c int) bool { return c >= 0 })},
}

func isAbsent(v any) bool {
	_, ok := v.(*absent)
	return ok
}

func failWith(r *run, message any) error {
	s, err := r.textOf(message)
	if err != nil {
		return err
	}
	return errors.New(s)
}

func typeOf(v any) string {
	switch kind := reflectKind(v); kind {
	case "slice":
		return "[]interface {}"
	case "map":
		return "map[string]interface {}"
	case "invalid":
		return "<nil>"
	default:
		return kind
	}
}

// equals is true when the first value equals any of the others.
func equals(r *run, a []any) (any, error) {
	for _, other := range a[1:] {
		if err := sameKind(a[0], other); err != nil {
			return nil, err
		}
		same, err := r.equal(a[0], other)
		if same || err != nil {
			return same, err
		}
	}
	return false, nil
}

// sameKind refuses to compare what can never be equal, because that is a
// mistake more often than a question: eq .count "5".
func sameKind(a, b any) error {
	if a == nil || b == nil || kindName(a) == kindName(b) {
		return nil
	}
	return &hinted{
		message: fmt.Sprintf("%s and %s are never equal", kindName(a), kindName(b)),
		hint:    "turn one into the other with toString or int",
	}
}

func ordered(holds func(int) bool) func(*run, []any) (any, error) {
	return func(_ *run, a []any) (any, error) {
		c, err := compare(a[0], a[1])
		return err == nil && holds(c), err
	}
}

package expression

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// listFunctions make and take lists. None changes the list that it is given.
var listFunctions = []*function{
	{name: "list", least: 0, most: -1, sealed: true, run: func(_ *run, a []any) (any, error) { return slices.Clone(a), nil }},
	{name: "len", least: 1, most: 1, sealed: true, run: length},
	{name: "index", least: 1, most: -1, absent: true, views: true, sealed: true, usage: `as in {{ index .tasks "my-task" "output" }}`, run: index},
	{name: "slice", least: 1, most: 3, sealed: true, run: sliceOf},
	{name: "first", least: 1, most: 1, sealed: true, run: onList(func(l []any) (any, error) { return at(l, 0), nil })},
	{name: "last", least: 1, most: 1, sealed: true, run: onList(func(l []any) (any, error) { return at(l, len(l)-1), nil })},
	{name: "rest", least: 1, most: 1, sealed: true, run: onList(func(l []any) (any, error) { return slices.Clone(l[min(1, len(l)):]), nil })},
	{name: "initial", least: 1, most: 1, sealed: true, run: onList(func(l []any) (any, error) { return slices.Clone(l[:max(0, len(l)-1)]), nil })},
	{name: "reverse", least: 1, most: 1, sealed: true, run: onList(func(l []any) (any, error) {
		l = slices.Clone(l)
		slices.Reverse(l)
		return l, nil
	})},
	{name: "append", least: 2, most: 2, sealed: true, run: func(_ *run, a []any) (any, error) {
		l, err := listOf(a[0])
		return append(slices.Clone(l), a[1]), err
	}},
	{name: "prepend", least: 2, most: 2, sealed: true, run: func(_ *run, a []any) (any, error) {
		l, err := listOf(a[0])
		return append([]any{a[1]}, l...), err
	}},
	{name: "concat", least: 1, most: -1, sealed: true, run: concat},
	{name: "compact", least: 1, most: 1, sealed: true, run: func(r *run, a []any) (any, error) {
		l, err := listOf(a[0])
		return slices.DeleteFunc(slices.Clone(l), func(v any) bool { return !r.truth(v) }), err
	}},
	{name: "uniq", least: 1, most: 1, run: uniq},
	{name: "without", least: 2, most: -1, run: without},
	{name: "has", least: 2, most: 2, usage: `as in {{ has "x" .items }}`, run: has},
	{name: "chunk", least: 2, most: 2, sealed: true, run: chunk},
	{name: "until", least: 1, most: 1, run: func(_ *run, a []any) (any, error) { return count(int64(0), a[0], int64(1)) }},
	{name: "untilStep", least: 3, most: 3, run: func(_ *run, a []any) (any, error) { return count(a[0], a[1], a[2]) }},
	{name: "seq", least: 1, most: 3, run: sequence},
}

func listOf(v any) ([]any, error) {
	switch v := v.(type) {
	case []any:
		return v, nil
	case nil:
		return nil, nil
	}
	return nil, fmt.Errorf("a list is needed, not %s", kindName(v))
}

func onList(f func([]any) (any, error)) func(*run, []any) (any, error) {
	return func(_ *run, a []any) (any, error) {
		l, err := listOf(a[0])
		if err != nil {
			return nil, err
		}
		return f(l)
	}
}

func at(l []any, i int) any {
	if i < 0 || i >= len(l) {
		return nil
	}
	return l[i]
}

// length counts bytes of a text, as Go templates do, and entries of the rest.
func length(_ *run, a []any) (any, error) {
	switch v := a[0].(type) {
	case nil:
		return int64(0), nil
	case string:
		return int64(len(v)), nil
	case []any:
		return int64(len(v)), nil
	case map[string]any:
		return int64(len(v)), nil
	}
	return nil, fmt.Errorf("%s has no length", kindName(a[0]))
}

// index looks into lists and objects by numbers and names. What is not there
// is missing, exactly as in a dotted path.
func index(r *run, a []any) (any, error) {
	v := a[0]
	for i, key := range a[1:] {
		if isAbsent(key) {
			return nil, r.missing(key.(*absent))
		}
		if isAbsent(v) {
			return v, nil
		}
		name, err := r.textOf(key)
		if err != nil {
			return nil, err
		}
		if l, ok := v.([]any); ok {
			n, err := integer(key)
			if err != nil {
				return nil, fmt.Errorf("a list is read by number: %w", err)
			}
			if n < 0 || n >= int64(len(l)) {
				return nil, fmt.Errorf("there is no element %d in a list of %d", n, len(l))
			}
		}
		f, err := r.below(v, name)
		if err != nil {
			return nil, err
		}
		if !f.ok {
			names, err := r.texts(a[1 : i+2]...)
			if err != nil {
				return nil, err
			}
			return &absent{from: "(index ...)", path: names, at: i, holder: plain(v)}, nil
		}
		if v, err = r.open(f); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func sliceOf(r *run, a []any) (any, error) {
	size := 0
	switch v := a[0].(type) {
	case string:
		size = len(v)
	case []any:
		size = len(v)
	case nil:
		return []any{}, nil
	default:
		return nil, fmt.Errorf("%s cannot be sliced", kindName(a[0]))
	}
	from, to := 0, size
	var err error
	if len(a) > 1 {
		if from, err = bounded(a[1], "the start", 0, int64(size)); err != nil {
			return nil, err
		}
	}
	if len(a) > 2 {
		if to, err = bounded(a[2], "the end", int64(from), int64(size)); err != nil {
			return nil, err
		}
	}
	if l, ok := a[0].([]any); ok {
		return slices.Clone(l[from:to]), nil
	}
	s := a[0].(string)
	if !utf8.ValidString(s[from:to]) {
		return nil, fmt.Errorf("bytes %d to %d cut a character in two; use substr, which counts characters", from, to)
	}
	return r.produced(s[from:to])
}

func concat(r *run, a []any) (any, error) {
	out := []any{}
	for _, v := range a {
		l, err := listOf(v)
		if err != nil {
			return nil, err
		}
		if err := r.step(len(l) / copiedItems); err != nil {
			return nil, err
		}
		out = append(out, l...)
	}
	return out, nil
}

func (r *run) holds(l []any, v any) (bool, error) {
	for _, other := range l {
		same, err := r.equal(v, other)
		if same || err != nil {
			return same, err
		}
	}
	return false, nil
}

func uniq(r *run, a []any) (any, error) {
	l, err := listOf(a[0])
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, v := range l {
		known, err := r.holds(out, v)
		if err != nil {
			return nil, err
		}
		if !known {
			out = append(out, v)
		}
	}
	return out, nil
}

func without(r *run, a []any) (any, error) {
	l, err := listOf(a[0])
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, v := range l {
		drop, err := r.holds(a[1:], v)
		if err != nil {
			return nil, err
		}
		if !drop {
			out = append(out, v)
		}
	}
	return out, nil
}

func has(r *run, a []any) (any, error) {
	l, err := listOf(a[1])
	if err != nil {
		return nil, err
	}
	return r.holds(l, a[0])
}

func chunk(_ *run, a []any) (any, error) {
	n, err := bounded(a[0], "the size", 1, maxItems)
	if err != nil {
		return nil, err
	}
	l, err := listOf(a[1])
	if err != nil {
		return nil, err
	}
	out := []any{}
	for part := range slices.Chunk(l, n) {
		out = append(out, slices.Clone(part))
	}
	return out, nil
}

// count makes the numbers from start until, but not with, stop.
func count(start, stop, by any) (any, error) {
	from, err := bounded(start, "the start", -maxCount, maxCount)
	if err != nil {
		return nil, err
	}
	to, err := bounded(stop, "the end", -maxCount, maxCount)
	if err != nil {
		return nil, err
	}
	step, err := bounded(by, "the step", -maxCount, maxCount)
	if err != nil {
		return nil, err
	}
	if stop, ok := stop.(int64); ok && stop < 0 && by == int64(1) && from == 0 {
		step = -1 // until -3 counts down, as in sprig
	}
	if step == 0 || (to-from)/step > maxItems {
		return nil, fmt.Errorf("this makes more than %d numbers", maxItems)
	}
	out := []any{}
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		out = append(out, int64(i))
	}
	return out, nil
}

// sequence is seq: last, first last, or first step last, all inclusive.
func sequence(_ *run, a []any) (any, error) {
	var first, by, last any = int64(1), int64(1), a[len(a)-1]
	if len(a) > 1 {
		first = a[0]
	}
	if len(a) > 2 {
		by = a[1]
	}
	end, err := bounded(last, "the end", -maxCount, maxCount)
	if err != nil {
		return nil, err
	}
	step, err := integer(by)
	if err != nil {
		return nil, err
	}
	if step < 0 {
		return count(first, int64(end-1), by)
	}
	return count(first, int64(end+1), by)
}

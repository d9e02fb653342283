package definitions

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// node is one value of a definition with the place where it stands. It comes
// from YAML with places, or from a bundle without. All its methods work on a
// nil node, which is an absent value, so that compiling what is left of a
// broken file needs no checks.
type node struct {
	place
	kind    kind
	style   style
	text    string // a scalar, as text
	number  any    // int64 or float64, of a number
	truth   bool   // of a boolean
	items   []*node
	entries []entry
	flow    bool // written in { } or [ ]
}

// entry is one key of a mapping with its value.
type entry struct {
	key, value *node
}

// kind is what a node holds.
type kind int

const (
	broken  kind = iota // it was wrong and has been reported
	null                // nothing was written
	boolean             // true or false
	number              // an integer or a fraction
	text                // anything else without parts
	list                // [a, b]
	mapping             // key: value
)

// String names the kind as people do.
func (k kind) String() string {
	return [...]string{"something broken", "nothing", "true or false", "a number", "a text", "a list", "a mapping"}[k]
}

// style is how a scalar is written.
type style int

const (
	plain style = iota
	single
	double
	block
)

// get returns the value under a key, or nil.
func (n *node) get(key string) *node {
	if n == nil {
		return nil
	}
	for _, e := range n.entries {
		if e.key.text == key {
			return e.value
		}
	}
	return nil
}

// keyOf returns the key itself, for its place, or the mapping when it has no such key.
func (n *node) keyOf(key string) place {
	if n == nil {
		return place{}
	}
	for _, e := range n.entries {
		if e.key.text == key {
			return e.key.place
		}
	}
	return n.place
}

// has reports whether the key is there, broken or not.
func (n *node) has(key string) bool { return n.get(key) != nil }

// str is the text of a scalar, "" for anything else.
func (n *node) str() string {
	if n == nil || n.kind == broken || n.kind == null {
		return ""
	}
	return n.text
}

// isMap and isList ask for the kind; false for an absent value.
func (n *node) isMap() bool  { return n != nil && n.kind == mapping }
func (n *node) isList() bool { return n != nil && n.kind == list }

// list returns the items of a list, nothing for anything else.
func (n *node) list() []*node {
	if n == nil {
		return nil
	}
	return n.items
}

// at returns the place of a value, nowhere for an absent one.
func (n *node) at() place {
	if n == nil {
		return place{}
	}
	return n.place
}

// isTrue reports whether the value is the boolean true.
func (n *node) isTrue() bool { return n != nil && n.kind == boolean && n.truth }

// tree is the value as templates and schemas take it.
func (n *node) tree() any {
	if n == nil {
		return nil
	}
	switch n.kind {
	case boolean:
		return n.truth
	case number:
		return n.number
	case text:
		return n.text
	case list:
		items := make([]any, len(n.items))
		for i, item := range n.items {
			items[i] = item.tree()
		}
		return items
	case mapping:
		fields := make(map[string]any, len(n.entries))
		for _, e := range n.entries {
			fields[e.key.text] = e.value.tree()
		}
		return fields
	}
	return nil
}

// with returns a copy of a mapping in which key has that value, at the end
// when it is new.
func (n *node) with(key string, value *node) *node {
	if n == nil {
		return nil
	}
	out := *n
	out.entries = slices.Clone(n.entries)
	for i := range out.entries {
		if out.entries[i].key.text == key {
			out.entries[i].value = value
			return &out
		}
	}
	out.entries = append(out.entries, entry{textNode(value.at(), key), value})
	return &out
}

// without returns a copy of a mapping without some keys.
func (n *node) without(keys ...string) *node {
	out := *n
	out.entries = slices.DeleteFunc(slices.Clone(n.entries), func(e entry) bool { return slices.Contains(keys, e.key.text) })
	return &out
}

// pointer follows a JSON pointer as far as it goes.
func (n *node) pointer(path string) *node {
	for _, segment := range strings.Split(strings.TrimPrefix(path, "/"), "/") {
		segment = strings.NewReplacer("~1", "/", "~0", "~").Replace(segment)
		next := n.get(segment)
		if i, err := strconv.Atoi(segment); err == nil && n.isList() && i >= 0 && i < len(n.items) {
			next = n.items[i]
		}
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

// texts calls visit for each text in the value.
func (n *node) texts(visit func(*node)) {
	if n.kind == text {
		visit(n)
	}
	for _, item := range n.items {
		item.texts(visit)
	}
	for _, e := range n.entries {
		e.value.texts(visit)
	}
}

// textNode makes a text that stands at a place.
func textNode(at place, s string) *node { return &node{place: at, kind: text, text: s} }

// mapNode makes a mapping of keys and values; absent values are left out.
func mapNode(at place, pairs ...any) *node {
	n := &node{place: at, kind: mapping}
	for i := 0; i < len(pairs); i += 2 {
		if value := pairs[i+1].(*node); value != nil {
			n.entries = append(n.entries, entry{textNode(at, pairs[i].(string)), value})
		}
	}
	return n
}

// nodeOf makes a node of a decoded JSON value, without places.
func nodeOf(v any) *node {
	switch v := v.(type) {
	case nil:
		return &node{kind: null}
	case bool:
		return &node{kind: boolean, truth: v, text: strconv.FormatBool(v)}
	case json.Number:
		return numberNode(v.String())
	case string:
		return textNode(place{}, v)
	case []any:
		n := &node{kind: list}
		for _, item := range v {
			n.items = append(n.items, nodeOf(item))
		}
		return n
	case map[string]any:
		n := &node{kind: mapping}
		for key, value := range v {
			n.entries = append(n.entries, entry{textNode(place{}, key), nodeOf(value)})
		}
		slices.SortFunc(n.entries, func(a, b entry) int { return cmp.Compare(a.key.text, b.key.text) })
		return n
	}
	return &node{kind: broken}
}

// numberNode makes a number of its JSON text, an integer where it is one.
func numberNode(s string) *node {
	n := &node{kind: number, text: s}
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		n.number = i
	} else if f, err := strconv.ParseFloat(s, 64); err == nil {
		n.number = f
	} else {
		n.kind = broken
	}
	return n
}

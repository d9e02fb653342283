package definitions

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// read parses the documents of one YAML file. What is wrong with it goes to
// the findings; documents that could be read are returned all the same.
func read(src *source, content []byte, f *findings) []*node {
	var docs []*node
	r := &reader{src: src, findings: f}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		doc, err := decode(decoder)
		if errors.Is(err, io.EOF) {
			return docs
		}
		if err != nil {
			syntaxError(src, content, err, f)
			return docs
		}
		if len(doc.Content) == 0 {
			continue
		}
		n := r.convert(doc.Content[0], 1)
		if r.full {
			return nil // half a file would only lead to findings that are none
		}
		if n.kind != null {
			docs = append(docs, n)
		}
	}
}

// decode reads one document. The parser reports some broken files by a panic
// of its own; to whoever wrote the file that is a mistake like any other.
func decode(d *yaml.Decoder) (doc *yaml.Node, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("yaml: the parser gave up: %v", cause)
		}
	}()
	doc = new(yaml.Node)
	return doc, d.Decode(doc)
}

// reader turns the parser's nodes into ours: it expands aliases and merge
// keys, refuses duplicate keys and keeps every bound.
type reader struct {
	src      *source
	findings *findings
	nodes    int
	bytes    int
	open     []*yaml.Node // anchors that are being expanded
	full     bool
}

func (r *reader) at(y *yaml.Node) place {
	width := utf8.RuneCountInString(y.Value)
	switch {
	case y.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		width = 1
	case y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		width += 2
	case y.Kind == yaml.AliasNode:
		width++
	}
	return place{src: r.src, line: y.Line, col: y.Column, width: max(width, 1)}
}

// convert returns nil when a bound of the file is exceeded, which is reported once.
func (r *reader) convert(y *yaml.Node, depth int) *node {
	r.nodes++
	r.bytes += len(y.Value)
	switch {
	case r.full:
		return nil
	case depth > MaxDepth:
		return r.overflow(y, "the nesting is deeper than %d", MaxDepth)
	case r.nodes > MaxNodes:
		return r.overflow(y, "the file has more than %d values, aliases expanded", MaxNodes)
	case r.bytes > MaxTextBytes:
		return r.overflow(y, "the file has more than %d bytes of text, aliases expanded", MaxTextBytes)
	}
	switch y.Kind {
	case yaml.MappingNode:
		return r.mapping(y, depth)
	case yaml.SequenceNode:
		n := &node{place: r.at(y), kind: list, flow: y.Style&yaml.FlowStyle != 0}
		for _, item := range y.Content {
			if one := r.convert(item, depth+1); one != nil {
				n.items = append(n.items, one)
			}
		}
		return n
	case yaml.AliasNode:
		return r.alias(y, depth)
	}
	return r.scalar(y)
}

func (r *reader) overflow(y *yaml.Node, format string, bound int) *node {
	r.full = true
	r.findings.failf(r.at(y), "limit", "split the definition into several files or workflows", format, bound)
	return nil
}

func (r *reader) alias(y *yaml.Node, depth int) *node {
	for _, anchor := range r.open {
		if anchor == y.Alias {
			r.findings.failf(r.at(y), "alias", "remove the alias", "the anchor %s contains itself", quoted(y.Value))
			return &node{place: r.at(y), kind: broken}
		}
	}
	r.open = append(r.open, y.Alias)
	n := r.convert(y.Alias, depth+1)
	r.open = r.open[:len(r.open)-1]
	return n
}

func (r *reader) mapping(y *yaml.Node, depth int) *node {
	n := &node{place: r.at(y), kind: mapping, flow: y.Style&yaml.FlowStyle != 0}
	n.width = 1
	own := make(map[string]*yaml.Node, len(y.Content)/2)
	var merges []*node
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, value := y.Content[i], y.Content[i+1]
		if key.Kind == yaml.AliasNode && key.Alias != nil && key.Alias.Kind == yaml.ScalarNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			return r.complexKey(n, key)
		}
		if key.ShortTag() == "!!merge" {
			if merged := r.convert(value, depth+1); merged != nil {
				merges = append(merges, merged)
			}
			continue
		}
		if first, twice := own[key.Value]; twice {
			r.findings.failf(r.at(key), "duplicate-key", "keep one of the two", "the key %s is already there, in line %d", quoted(key.Value), first.Line)
			continue
		}
		own[key.Value] = key
		if one := r.convert(value, depth+1); one != nil {
			n.entries = append(n.entries, entry{textNode(r.at(key), key.Value), one})
		}
	}
	for _, merged := range merges {
		r.merge(n, merged, own)
	}
	return n
}

// complexKey reports a key that is no text: nearly always a template that
// YAML took for a mapping in a mapping.
func (r *reader) complexKey(n *node, key *yaml.Node) *node {
	n.kind = broken
	if n.flow && key.Kind == yaml.MappingNode {
		r.findings.failf(n.place, "unquoted-template", `put it into quotes: "{{ … }}"`, "a template that starts a value must be quoted, or YAML reads its braces as a mapping")
		return n
	}
	r.findings.failf(r.at(key), "key", "write a plain word as the key", "a key must be a text")
	return n
}

// merge gives a mapping the keys of another, or of a list of others, that it
// does not have itself; known holds those it has.
func (r *reader) merge(n, from *node, known map[string]*yaml.Node) {
	switch from.kind {
	case mapping:
		for _, e := range from.entries {
			if _, has := known[e.key.text]; !has {
				known[e.key.text] = nil
				n.entries = append(n.entries, e)
			}
		}
	case list:
		for _, one := range from.items {
			r.merge(n, one, known)
		}
	case broken:
	default:
		r.findings.failf(from.place, "merge", "write `<<: *anchor` with the anchor of a mapping", "only a mapping can be merged, this is %s", from.kind)
	}
}

func (r *reader) scalar(y *yaml.Node) *node {
	n := &node{place: r.at(y), kind: text, text: y.Value}
	switch {
	case y.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		n.style = block
	case y.Style&yaml.SingleQuotedStyle != 0:
		n.style = single
	case y.Style&yaml.DoubleQuotedStyle != 0:
		n.style = double
	}
	switch tag := y.ShortTag(); tag {
	case "!!str", "!!timestamp":
	case "!!null":
		n.kind = null
	case "!!bool":
		n.kind = boolean
		r.decode(y, n, &n.truth)
	case "!!int", "!!float":
		n.kind = number
		r.decode(y, n, &n.number)
		n.number = r.exact(n)
	default:
		r.findings.failf(n.place, "tag", "remove the tag", "the YAML tag %s has no meaning here", quoted(tag))
		n.kind = broken
	}
	return n
}

func (r *reader) decode(y *yaml.Node, n *node, into any) {
	if err := y.Decode(into); err != nil {
		r.findings.failf(n.place, "type", "put it into quotes if it is meant as a text", "%s is not a value of its type: %v", quoted(y.Value), err)
		n.kind = broken
	}
}

// exact makes one form of each number: int64 where it is a whole one that fits.
func (r *reader) exact(n *node) any {
	switch v := n.number.(type) {
	case int:
		return int64(v)
	case int64:
		return v
	case uint64:
		return float64(v)
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			r.findings.failf(n.place, "type", "write an ordinary number, or put it into quotes", "%s cannot be written as JSON", quoted(n.text))
			n.kind = broken
			return nil
		}
		const exactInteger = 1 << 53
		if v == math.Trunc(v) && math.Abs(v) < exactInteger {
			return int64(v)
		}
		return v
	}
	n.kind = broken
	return nil
}

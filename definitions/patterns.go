package definitions

import (
	"slices"
	"strings"
)

// The name of a trigger is a pattern of segments between dots: `*` stands for
// one segment, `**` at the end for whatever is left, one segment or more.
const (
	anySegment = "*"
	anyRest    = "**"
)

// patterns finds listeners by walking the segments of a name, so that an event
// costs the patterns it could match and not those that there are.
type patterns struct {
	here []Listener // whose pattern ends here
	rest []Listener // whose pattern goes on with anyRest
	next map[string]*patterns
}

func (p *patterns) add(pattern string, l Listener) {
	at := p
	for segment := range strings.SplitSeq(pattern, ".") {
		if segment == anyRest {
			at.rest = append(at.rest, l)
			return
		}
		if at.next == nil {
			at.next = make(map[string]*patterns)
		}
		if at.next[segment] == nil {
			at.next[segment] = new(patterns)
		}
		at = at.next[segment]
	}
	at.here = append(at.here, l)
}

// find appends the listeners of a name, the most literal pattern first.
func (p *patterns) find(found []Listener, name string) []Listener {
	segment, rest, more := strings.Cut(name, ".")
	for _, next := range []*patterns{p.next[segment], p.next[anySegment]} {
		switch {
		case next == nil || next == p.next[anySegment] && segment == "":
		case more:
			found = next.find(found, rest)
		default:
			found = append(found, next.here...)
		}
		if segment == anySegment {
			break // sent as it is, a star is an ordinary segment: do not go the same way twice
		}
	}
	if name != "" {
		found = append(found, p.rest...)
	}
	return found
}

// covers reports whether every name that a second pattern takes is one of the first.
func covers(pattern, other string) bool {
	mine, theirs := strings.Split(pattern, "."), strings.Split(other, ".")
	for i, segment := range mine {
		switch {
		case i >= len(theirs):
			return false
		case segment == anyRest:
			return true
		case segment == theirs[i]:
		case segment != anySegment, theirs[i] == anyRest:
			return false
		}
	}
	return len(mine) == len(theirs)
}

// checkPattern checks the name of a trigger; false when no event can match it.
func (c *compiler) checkPattern(name *node) bool {
	s := name.str()
	segments := strings.Split(s, ".")
	fail := func(hint, message string, args ...any) bool {
		c.findings.failf(name.place, "trigger-name", hint, message, args...)
		return false
	}
	switch {
	case strings.Contains(s, "{{"):
		return fail("write the name as it is, or a pattern like `order.*`, and look at the payload in `filter`", "the name of a trigger cannot be a template: it is known before any execution")
	case !strings.Contains(s, anySegment):
		c.checkName(name, "the name of a trigger")
		return true
	}
	for i, segment := range segments {
		switch {
		case segment == "":
			return fail("write one dot between two segments", "%s has an empty segment, so no event matches it", quoted(s))
		case segment == anyRest && i < len(segments)-1:
			return fail("use `*` for one segment in the middle, as in "+quoted(strings.Join(slices.Concat(segments[:i], []string{anySegment}, segments[i+1:]), ".")),
				"%s has `**` before its end, but it stands for whatever is left", quoted(s))
		case segment != anySegment && segment != anyRest && strings.Contains(segment, anySegment):
			return fail("write the star as a segment of its own, as in `order.*` or `order.*.paid`; `order.**` takes any rest", "%s is no name or pattern", quoted(s))
		}
	}
	c.checkName(name, "the name of a trigger")
	return true
}

// triggerName is what overlaps are looked for in.
type triggerName struct {
	pattern  string
	filtered bool
}

// checkOverlap warns when two triggers of the workflow take the same events. A
// filter says that somebody has thought of it.
func (c *compiler) checkOverlap(name *node, filtered bool, before []triggerName) {
	s := name.str()
	for _, other := range before {
		switch {
		case other.pattern == s:
			c.findings.warnf(name.place, "duplicate-trigger", "remove one unless their filters differ", "the workflow has two triggers for %s: an event may start it twice", quoted(s))
			return
		case !filtered && !other.filtered && (covers(other.pattern, s) || covers(s, other.pattern)):
			c.findings.warnf(name.place, "duplicate-trigger", "remove the narrower one, or give them filters", "the triggers %s and %s both take some events: each may start the workflow twice", quoted(other.pattern), quoted(s))
			return
		}
	}
}

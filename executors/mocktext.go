package executors

import (
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// formats holds one text of each format that schemas can assert.
var formats = map[string]string{
	"date":                  "2000-01-01",
	"date-time":             "2000-01-01T00:00:00Z",
	"duration":              "PT1M",
	"email":                 "mock@example.com",
	"hostname":              "mock.example.com",
	"idn-email":             "mock@example.com",
	"idn-hostname":          "mock.example.com",
	"ipv4":                  "192.0.2.1",
	"ipv6":                  "2001:db8::1",
	"iri":                   "https://example.com/mock",
	"iri-reference":         "/mock",
	"json-pointer":          "/mock",
	"period":                "2000-01-01T00:00:00Z/PT1M",
	"regex":                 "mock",
	"relative-json-pointer": "0/mock",
	"semver":                "1.0.0",
	"time":                  "00:00:00Z",
	"uri":                   "https://example.com/mock",
	"uri-reference":         "/mock",
	"uri-template":          "/mock/{id}",
	"uuid":                  "00000000-0000-4000-8000-000000000000",
}

// mockText makes a string of a schema; name is the property that it is for.
func mockText(s map[string]any, name string) string {
	if format, ok := s["format"].(string); ok {
		if known, ok := formats[format]; ok {
			return known
		}
	}
	if pattern, ok := s["pattern"].(string); ok {
		return matching(pattern)
	}
	made := "mock " + name
	if least := min(intOf(s, "minLength", 0), MaxMockText); utf8.RuneCountInString(made) < least {
		made += strings.Repeat(".", least-utf8.RuneCountInString(made))
	}
	if most := intOf(s, "maxLength", MaxMockText); utf8.RuneCountInString(made) > most {
		made = string([]rune(made)[:max(most, 0)])
	}
	return made
}

// matching makes a short text that matches a pattern, as far as that can be
// read from the pattern itself.
func matching(pattern string) string {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return ""
	}
	var b strings.Builder
	write(&b, tree)
	return b.String()
}

// write adds the shortest text of a part of a pattern, up to MaxMockText bytes.
func write(b *strings.Builder, part *syntax.Regexp) {
	if b.Len() > MaxMockText {
		return
	}
	switch part.Op {
	case syntax.OpLiteral:
		b.WriteString(string(part.Rune))
	case syntax.OpCharClass:
		if len(part.Rune) > 0 {
			b.WriteRune(readable(part.Rune))
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('m')
	case syntax.OpCapture, syntax.OpPlus:
		write(b, part.Sub[0])
	case syntax.OpRepeat:
		for range part.Min {
			write(b, part.Sub[0])
		}
	case syntax.OpConcat:
		for _, sub := range part.Sub {
			write(b, sub)
		}
	case syntax.OpAlternate:
		write(b, part.Sub[0])
	}
}

// readable picks a rune out of the ranges of a class, a letter or digit where
// there is one.
func readable(ranges []rune) rune {
	for _, favourite := range "m0AZa9_-" {
		for i := 0; i+1 < len(ranges); i += 2 {
			if ranges[i] <= favourite && favourite <= ranges[i+1] {
				return favourite
			}
		}
	}
	return ranges[0]
}

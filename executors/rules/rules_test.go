package rules

import (
	"errors"
	"slices"
	"testing"
)

// TestRules gives each rule what keeps it and what breaks it.
func TestRules(t *testing.T) {
	method := func(word string) error { _, err := Method(word); return err }
	address := func(word string) error { _, err := URL(word); return err }
	expect := func(word string) error { _, err := Expect([]string{word}); return err }
	program := func(word string) error { _, err := Argv([]string{word}, ""); return err }
	for _, c := range []struct {
		name      string
		rule      func(string) error
		good, bad []string
	}{
		{"method", method, []string{"GET", "patch", "Options"}, []string{"", "FETCH", "CONNECT", "TRACE", "GET "}},
		{"url", address, []string{"http://x", "HTTPS://x/y?z#a", "https://[::1]:80"}, []string{"", "x", "//x", "https:///y", "ftp://x", "http://x\n", "http://[::1"}},
		{"expect", expect, []string{"200", " 2XX", "599", "100"}, []string{"", "99", "600", "2yy", "20x", "xx2", "-10", "2000"}},
		{"argv", program, []string{"node"}, []string{"", "a\x00b"}},
	} {
		for _, word := range c.good {
			if err := c.rule(word); err != nil {
				t.Errorf("%s %q is refused: %v", c.name, word, err)
			}
		}
		for _, word := range c.bad {
			var rule *Broken
			if err := c.rule(word); !errors.As(err, &rule) || rule.What == "" || rule.Do == "" {
				t.Errorf("%s %q is not refused with what is wrong and what to do: %v", c.name, word, err)
			}
		}
	}
	if argv, err := Argv(nil, "echo 1"); err != nil || !slices.Equal(argv, []string{"sh", "-c", "echo 1"}) {
		t.Errorf("a command is %q, %v", argv, err)
	}
	if s, err := Expect([]string{"201", "4xx"}); err != nil || s.String() != "201 or 4xx" || !s.Has(404) || s.Has(200) {
		t.Errorf("it expects %s, %v", s, err)
	}
}

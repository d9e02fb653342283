package expression

import (
	"fmt"
	"strings"
)

// printf is fmt.Sprintf for the values of expressions: widths are bounded,
// whole numbers go with %d however they were written, and %s takes anything.
// Secrets may stand for %s and %v.
func printf(r *run, a []any) (any, error) {
	layout, ok := a[0].(string)
	if !ok {
		return nil, fmt.Errorf("the first argument is the format, a text, not %s", kindName(a[0]))
	}
	masked := false
	for _, v := range a[1:] {
		_, secret := v.(sealed)
		masked = masked || secret
	}
	var b strings.Builder
	used := 1
	for len(layout) > 0 {
		before, rest, found := strings.Cut(layout, "%")
		writePiece(&b, before, masked)
		if !found {
			break
		}
		directive, verb, after, err := cutDirective(rest)
		if err != nil {
			return nil, err
		}
		layout = after
		if verb == '%' {
			b.WriteByte('%')
			continue
		}
		if used >= len(a) {
			return nil, fmt.Errorf("%%%s has no argument", directive)
		}
		s, secret, err := r.format(directive, verb, a[used])
		if err != nil {
			return nil, err
		}
		used++
		writePiece(&b, s, masked && !secret)
		if err := r.made(b.Len()); err != nil {
			return nil, err
		}
	}
	if used < len(a) {
		return nil, fmt.Errorf("%d arguments, but the format uses %d", len(a)-1, used-1)
	}
	if masked {
		return sealed(b.String()), r.made(b.Len())
	}
	return r.produced(b.String())
}

func writePiece(b *strings.Builder, s string, masked bool) {
	if masked {
		s = seal(s)
	}
	b.WriteString(s)
}

// cutDirective splits what follows a percent sign into flags, width, precision
// and verb, and the rest.
func cutDirective(s string) (directive string, verb byte, after string, err error) {
	digits := 0
	for i := range len(s) {
		c := s[i]
		switch {
		case isDigit(c):
			digits = digits*10 + int(c-'0')
			if digits > maxWidth {
				return "", 0, "", fmt.Errorf("the width in %%%s is larger than %d", s[:i+1], maxWidth)
			}
		case strings.IndexByte("+-# .", c) >= 0:
			digits = 0
		case strings.IndexByte("%sqvdboxXcUeEfFgGt", c) >= 0:
			return s[:i+1], c, s[i+1:], nil
		default:
			return "", 0, "", fmt.Errorf("%%%s is no directive that is known here", s[:i+1])
		}
	}
	return "", 0, "", fmt.Errorf("the format ends inside %%%s", s)
}

// format writes one value by one directive.
func (r *run) format(directive string, verb byte, v any) (s string, secret bool, err error) {
	if held, ok := v.(sealed); ok {
		if directive != "s" && directive != "v" {
			return "", false, errSealed
		}
		return string(held), true, nil
	}
	switch verb {
	case 's', 'q', 'v':
		if s, err = r.textOf(v); err != nil {
			return "", false, err
		}
		if verb == 'v' {
			directive = directive[:len(directive)-1] + "s"
		}
		directive = strings.NewReplacer("+", "", "#", "").Replace(directive)
		return fmt.Sprintf("%"+directive, s), false, nil
	case 't':
		return fmt.Sprintf("%"+directive, r.truth(v)), false, nil
	case 'e', 'E', 'f', 'F', 'g', 'G':
		_, f, _, err := number(v)
		if err != nil {
			return "", false, err
		}
		return fmt.Sprintf("%"+directive, f), false, nil
	case 'x', 'X':
		if text, ok := v.(string); ok {
			return fmt.Sprintf("%"+directive, text), false, nil
		}
	}
	n, _, whole, err := number(v)
	if err != nil {
		return "", false, err
	}
	if !whole {
		return "", false, fmt.Errorf("%%%s needs a whole number; use %%v or %%.2f", directive)
	}
	return fmt.Sprintf("%"+directive, n), false, nil
}

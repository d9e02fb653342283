package expression

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/signalbox/signalbox/workflow"
)

// Masked text is what a masked template renders to. Two rare brackets mark in
// it what is filled in later:
//
//	⟦secret:NAME⟧    the secret of that name
//	⟦b64enc:…⟧       a function of masked text that needs the secret itself
//	⟦(⟧ and ⟦)⟧      the brackets themselves
//
// Whatever does not come from `.env` has its brackets written the third way,
// so nobody can smuggle a placeholder in with a payload and read a secret.
type sealed string

const (
	openBracket  = "⟦"
	closeBracket = "⟧"
	brackets     = openBracket + closeBracket
	openEscaped  = "⟦(⟧"
	closeEscaped = "⟦)⟧"
	secretKind   = "secret"
	jsonKind     = "json"
)

var sealer = strings.NewReplacer(openBracket, openEscaped, closeBracket, closeEscaped)

// seal turns plain text into masked text that means the same.
func seal(s string) string {
	if !strings.Contains(s, openBracket) && !strings.Contains(s, closeBracket) {
		return s
	}
	return sealer.Replace(s)
}

func sealSecret(name string) sealed {
	return sealed(openBracket + secretKind + ":" + seal(name) + closeBracket)
}

// laterFunctions may be applied to a secret: they are carried out with it, just
// before the work is done.
var laterFunctions = map[string]func(string) string{
	"b64enc":    func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"urlquery":  url.QueryEscape,
	"sha256sum": func(s string) string { sum := sha256.Sum256([]byte(s)); return hex.EncodeToString(sum[:]) },
	"trim":      strings.TrimSpace,
	jsonKind: func(s string) string {
		quoted := appendString(nil, s)
		return string(quoted[1 : len(quoted)-1])
	},
}

// readSealed reads decoded masked text. Strings with placeholders become sealed
// where placeholders are kept, and text that shows them elsewhere; all other
// strings mean what they say.
func (r *run) readSealed(v any) any {
	switch v := v.(type) {
	case string:
		if !strings.Contains(v, openBracket) {
			return v
		}
		if s, err := unmask(v, nil, 0); err == nil {
			return s
		}
		if !r.masked {
			return v
		}
		r.touched = true
		return sealed(v)
	case []any:
		for i := range v {
			v[i] = r.readSealed(v[i])
		}
	case map[string]any:
		for k, inner := range v {
			v[k] = r.readSealed(inner)
		}
	}
	return v
}

// mayHoldBrackets reports whether a JSON text can hold a bracket, as it is or
// as an escape.
func mayHoldBrackets(text []byte) bool {
	return bytes.Contains(text, []byte("\xe2\x9f")) || bytes.Contains(text, []byte(`\u27`))
}

// Unmask replaces the placeholders of a value that a masked template rendered
// by the secrets they stand for. It is called once, just before work is done;
// what it returns must not be written anywhere. A name that secret does not
// hold is an error that says which.
func Unmask(v workflow.Value, secret map[string]string) (workflow.Value, error) {
	if !mayHoldBrackets(v) {
		return v, nil
	}
	d := decoder{text: v}
	out := make([]byte, 0, len(v)+len(v)/4)
	for d.at < len(v) {
		quote := bytes.IndexByte(v[d.at:], '"')
		if quote < 0 {
			break
		}
		out = append(out, v[d.at:d.at+quote]...)
		d.at += quote
		start := d.at
		if _, err := d.skipString(); err != nil {
			return nil, fmt.Errorf("unmask a request: %w", err)
		}
		token := v[start:d.at]
		if !mayHoldBrackets(token) {
			out = append(out, token...)
			continue
		}
		var s string
		if err := json.Unmarshal(token, &s); err != nil {
			return nil, fmt.Errorf("unmask a request: %w", err)
		}
		s, err := unmask(s, secret, 0)
		if err != nil {
			return nil, err
		}
		out = appendString(out, s)
	}
	return append(out, v[d.at:]...), nil
}

// unmask reads masked text.
func unmask(s string, secret map[string]string, depth int) (string, error) {
	if depth > maxSealNested {
		return "", fmt.Errorf("a placeholder nests deeper than %d levels", maxSealNested)
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, openBracket)
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		body, after, ok := closing(rest)
		if !ok {
			return "", fmt.Errorf("a placeholder is cut off: %.40q; a masked value must be unmasked whole", openBracket+rest)
		}
		filled, err := fill(body, secret, depth)
		if err != nil {
			return "", err
		}
		b.WriteString(filled)
		s = after
	}
}

// closing splits what follows an opening bracket at the closing one.
func closing(s string) (body, after string, ok bool) {
	level := 1
	for i := 0; i < len(s); {
		switch {
		case strings.HasPrefix(s[i:], openBracket):
			level++
			i += len(openBracket)
		case strings.HasPrefix(s[i:], closeBracket):
			level--
			if level == 0 {
				return s[:i], s[i+len(closeBracket):], true
			}
			i += len(closeBracket)
		default:
			i++
		}
	}
	return "", "", false
}

// fill is what a placeholder of this body stands for.
func fill(body string, secret map[string]string, depth int) (string, error) {
	switch body {
	case "(":
		return openBracket, nil
	case ")":
		return closeBracket, nil
	}
	kind, rest, _ := strings.Cut(body, ":")
	inner, err := unmask(rest, secret, depth+1)
	if err != nil {
		return "", err
	}
	if kind == secretKind {
		value, ok := secret[inner]
		if !ok {
			return "", fmt.Errorf("the secret %s is not known here: put %s=... into the .env file beside the project and retry the task", inner, inner)
		}
		return value, nil
	}
	later, ok := laterFunctions[kind]
	if !ok {
		return "", fmt.Errorf("a placeholder asks for %.40q, which this release does not know", kind)
	}
	return later(inner), nil
}

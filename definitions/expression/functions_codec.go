package expression

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/adler32"
	"strings"
	"unicode/utf8"
)

// codecFunctions write and read other forms of values.
var codecFunctions = []*function{
	{name: "toJson", least: 1, most: 1, sealed: true, run: toJSON},
	{name: "toPrettyJson", least: 1, most: 1, run: toPrettyJSON},
	{name: "fromJson", least: 1, most: 1, usage: `as in {{ (fromJson .text).key }}`, run: fromJSON},
	{name: "b64enc", least: 1, most: 1, sealed: true, run: onSecret("b64enc")},
	{name: "b64dec", least: 1, most: 1, run: decodeWith("base64", func(s string) ([]byte, error) { return base64.StdEncoding.DecodeString(s) })},
	{name: "b32enc", least: 1, most: 1, run: onText(func(s string) string { return base32.StdEncoding.EncodeToString([]byte(s)) })},
	{name: "b32dec", least: 1, most: 1, run: decodeWith("base32", func(s string) ([]byte, error) { return base32.StdEncoding.DecodeString(s) })},
	{name: "urlquery", least: 1, most: -1, sealed: true, run: urlQuery},
	{name: "sha256sum", least: 1, most: 1, sealed: true, run: onSecret("sha256sum")},
	{name: "sha512sum", least: 1, most: 1, run: onText(func(s string) string { sum := sha512.Sum512([]byte(s)); return hex.EncodeToString(sum[:]) })},
	{name: "sha1sum", least: 1, most: 1, run: onText(func(s string) string { sum := sha1.Sum([]byte(s)); return hex.EncodeToString(sum[:]) })},
	{name: "md5sum", least: 1, most: 1, run: onText(func(s string) string { sum := md5.Sum([]byte(s)); return hex.EncodeToString(sum[:]) })},
	{name: "adler32sum", least: 1, most: 1, run: onText(func(s string) string { return fmt.Sprint(adler32.Checksum([]byte(s))) })},
}

// toJSON encodes a value. A text with secrets in it is escaped for JSON when
// the secrets are known, whatever characters they hold.
func toJSON(r *run, a []any) (any, error) {
	held := false
	if r.touched {
		var err error
		if held, err = r.holdsSealed(a[0]); err != nil {
			return nil, err
		}
	}
	if !held {
		b, err := encode(nil, a[0], nil)
		if err != nil {
			return nil, err
		}
		return r.produced(string(b))
	}
	escaped, err := r.escapedLater(a[0])
	if err != nil {
		return nil, err
	}
	b, err := encode(nil, escaped, seal)
	return sealed(b), firstError(err, r.made(len(b)))
}

// escapedLater is a copy of v whose secrets ask to be escaped for JSON.
func (r *run) escapedLater(v any) (any, error) {
	if err := r.step(1); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case sealed:
		return sealed(openBracket + jsonKind + ":" + string(v) + closeBracket), nil
	case []any:
		out := make([]any, len(v))
		for i := range v {
			inner, err := r.escapedLater(v[i])
			if err != nil {
				return nil, err
			}
			out[i] = inner
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			inner, err := r.escapedLater(v[k])
			if err != nil {
				return nil, err
			}
			out[k] = inner
		}
		return out, nil
	}
	return v, nil
}

func toPrettyJSON(r *run, a []any) (any, error) {
	b, err := encode(nil, a[0], nil)
	if err != nil {
		return nil, err
	}
	if err := r.made(len(b) * prettyShare); err != nil {
		return nil, err
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, b, "", "  "); err != nil {
		return nil, err
	}
	return r.produced(pretty.String())
}

func fromJSON(r *run, a []any) (any, error) {
	s, ok := a[0].(string)
	if !ok {
		return a[0], nil // it is decoded already
	}
	if err := r.step(len(s) / stepBytes); err != nil {
		return nil, err
	}
	return decode([]byte(s))
}

func decodeWith(what string, f func(string) ([]byte, error)) func(*run, []any) (any, error) {
	return func(r *run, a []any) (any, error) {
		s, err := r.textOf(a[0])
		if err != nil {
			return nil, err
		}
		b, err := f(strings.TrimSpace(s))
		if err != nil {
			return nil, fmt.Errorf("this is not %s", what)
		}
		if !utf8.Valid(b) {
			return nil, fmt.Errorf("the %s holds bytes that are not text", what)
		}
		return r.produced(string(b))
	}
}

func urlQuery(r *run, a []any) (any, error) {
	if len(a) > 1 {
		joined, err := printAll("", "")(r, a)
		if err != nil {
			return nil, err
		}
		a = []any{joined}
	}
	return onSecret("urlquery")(r, a)
}

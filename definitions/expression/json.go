package expression

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/signalbox/signalbox/workflow"
)

var errTooDeep = fmt.Errorf("the JSON nests deeper than %d levels", MaxDepth)

// decode reads a JSON text into nil, bool, int64, float64, string, []any and
// map[string]any. A number without fraction or exponent that fits is an int64,
// so that 12345678 never turns into 1.2345678e+07.
func decode(text []byte) (any, error) {
	d := decoder{text: text}
	v, err := d.value(0)
	if err != nil {
		return nil, err
	}
	d.space()
	if d.at != len(d.text) {
		return nil, d.broken()
	}
	return v, nil
}

// decoder walks a JSON text. Broken text gives an error, never a panic.
type decoder struct {
	text []byte
	at   int
}

func (d *decoder) broken() error {
	return fmt.Errorf("not valid JSON at byte %d", d.at)
}

func (d *decoder) space() {
	for d.at < len(d.text) {
		switch d.text[d.at] {
		case ' ', '\t', '\n', '\r':
			d.at++
		default:
			return
		}
	}
}

// peek is the next byte after spaces, 0 at the end.
func (d *decoder) peek() byte {
	d.space()
	if d.at < len(d.text) {
		return d.text[d.at]
	}
	return 0
}

func (d *decoder) value(depth int) (any, error) {
	if depth > MaxDepth {
		return nil, errTooDeep
	}
	switch c := d.peek(); {
	case c == '{':
		return d.object(depth)
	case c == '[':
		return d.array(depth)
	case c == '"':
		return d.str()
	case c == '-' || '0' <= c && c <= '9':
		return d.number()
	case d.word("true"):
		return true, nil
	case d.word("false"):
		return false, nil
	case d.word("null"):
		return nil, nil
	}
	return nil, d.broken()
}

func (d *decoder) word(w string) bool {
	if len(d.text)-d.at < len(w) || string(d.text[d.at:d.at+len(w)]) != w {
		return false
	}
	d.at += len(w)
	return true
}

func (d *decoder) object(depth int) (any, error) {
	m := make(map[string]any)
	d.at++
	if d.peek() == '}' {
		d.at++
		return m, nil
	}
	for {
		if d.peek() != '"' {
			return nil, d.broken()
		}
		key, err := d.str()
		if err != nil {
			return nil, err
		}
		if d.peek() != ':' {
			return nil, d.broken()
		}
		d.at++
		if m[key], err = d.value(depth + 1); err != nil {
			return nil, err
		}
		switch d.peek() {
		case ',':
			d.at++
		case '}':
			d.at++
			return m, nil
		default:
			return nil, d.broken()
		}
	}
}

func (d *decoder) array(depth int) (any, error) {
	list := []any{}
	d.at++
	if d.peek() == ']' {
		d.at++
		return list, nil
	}
	for {
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		switch d.peek() {
		case ',':
			d.at++
		case ']':
			d.at++
			return list, nil
		default:
			return nil, d.broken()
		}
	}
}

// str reads the string that starts here. What is plain is copied; escapes and
// broken UTF-8 are left to encoding/json.
func (d *decoder) str() (string, error) {
	start := d.at
	plain, err := d.skipString()
	if err != nil {
		return "", err
	}
	token := d.text[start:d.at]
	inner := token[1 : len(token)-1]
	if plain && utf8.Valid(inner) {
		return string(inner), nil
	}
	var s string
	if json.Unmarshal(token, &s) != nil {
		d.at = start
		return "", d.broken()
	}
	return s, nil
}

// skipString moves past the string that starts here and reports whether it
// holds no escape.
func (d *decoder) skipString() (plain bool, err error) {
	plain = true
	for i := d.at + 1; i < len(d.text); i++ {
		switch c := d.text[i]; {
		case c == '"':
			d.at = i + 1
			return plain, nil
		case c == '\\':
			plain = false
			i++
		case c < ' ':
			return false, d.broken()
		}
	}
	return false, d.broken()
}

func (d *decoder) digits() bool {
	start := d.at
	for d.at < len(d.text) && '0' <= d.text[d.at] && d.text[d.at] <= '9' {
		d.at++
	}
	return d.at > start
}

// number reads the number that starts here by the grammar of JSON.
func (d *decoder) number() (any, error) {
	start, whole := d.at, true
	if d.text[d.at] == '-' {
		d.at++
	}
	zero := d.at < len(d.text) && d.text[d.at] == '0'
	if first := d.at; !d.digits() || zero && d.at > first+1 {
		return nil, d.broken()
	}
	if d.at < len(d.text) && d.text[d.at] == '.' {
		whole = false
		d.at++
		if !d.digits() {
			return nil, d.broken()
		}
	}
	if d.at < len(d.text) && d.text[d.at]|0x20 == 'e' {
		whole = false
		d.at++
		if d.at < len(d.text) && (d.text[d.at] == '+' || d.text[d.at] == '-') {
			d.at++
		}
		if !d.digits() {
			return nil, d.broken()
		}
	}
	token := string(d.text[start:d.at])
	if whole {
		if n, err := strconv.ParseInt(token, 10, 64); err == nil {
			return n, nil
		}
	}
	f, err := strconv.ParseFloat(token, 64)
	if err != nil {
		return nil, fmt.Errorf("the number %.40s does not fit", token)
	}
	return f, nil
}

// skip moves past the value that starts here without looking into it. The text
// is known to be valid JSON; when it is not, skip ends all the same.
func (d *decoder) skip() error {
	depth := 0
	for {
		switch c := d.peek(); c {
		case 0:
			return d.broken()
		case '"':
			if _, err := d.skipString(); err != nil {
				return err
			}
		case '{', '[':
			depth++
			d.at++
			continue
		case '}', ']':
			depth--
			d.at++
		case ',', ':':
			d.at++
			continue
		default:
			for d.at < len(d.text) && bytes.IndexByte(endOfScalar, d.text[d.at]) < 0 {
				d.at++
			}
		}
		if depth <= 0 {
			return nil
		}
	}
}

var endOfScalar = []byte(",:]} \t\r\n\"{[")

// member finds the text of an object's member, the last one of that name as
// decode does. It reports false when text is no object or has no such member.
func member(text []byte, name string) ([]byte, bool) {
	d := decoder{text: text}
	if d.peek() != '{' {
		return nil, false
	}
	d.at++
	var found []byte
	for d.peek() == '"' {
		start := d.at
		plain, err := d.skipString()
		if err != nil {
			return nil, false
		}
		inner := d.text[start+1 : d.at-1]
		same := string(inner) == name
		if !plain || !utf8.Valid(inner) {
			var key string
			same = json.Unmarshal(d.text[start:d.at], &key) == nil && key == name
		}
		if d.peek() != ':' {
			return nil, false
		}
		d.at++
		d.space()
		from := d.at
		if d.skip() != nil {
			return nil, false
		}
		if same {
			found = d.text[from:d.at]
		}
		if d.peek() != ',' {
			break
		}
		d.at++
	}
	return found, found != nil
}

// element finds the text of an array's element.
func element(text []byte, index int) ([]byte, bool) {
	d := decoder{text: text}
	if d.peek() != '[' {
		return nil, false
	}
	d.at++
	for i := 0; ; i++ {
		if c := d.peek(); c == ']' || c == 0 {
			return nil, false
		}
		from := d.at
		if d.skip() != nil {
			return nil, false
		}
		if i == index {
			return d.text[from:d.at], true
		}
		if d.peek() != ',' {
			return nil, false
		}
		d.at++
	}
}

// names lists the keys of an object's text, sorted; nothing when it is none.
func names(text []byte) []string {
	var m map[string]json.RawMessage
	if json.Unmarshal(text, &m) != nil {
		return nil
	}
	return sortedKeys(m)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

var errNoJSON = errors.New("it has no JSON form")

// encode appends the JSON form of v: keys sorted, nothing escaped for HTML.
// seal, when given, turns plain strings into masked text.
func encode(b []byte, v any, seal func(string) string) ([]byte, error) {
	return encodeAt(b, v, seal, 0)
}

func encodeAt(b []byte, v any, seal func(string) string, depth int) ([]byte, error) {
	if depth > MaxDepth {
		return b, errTooDeep
	}
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return b, fmt.Errorf("%v is no JSON number", v)
		}
		return appendFloat(b, v), nil
	case string:
		if seal != nil {
			v = seal(v)
		}
		return appendString(b, v), nil
	case sealed:
		return appendString(b, string(v)), nil
	case moment:
		return appendString(b, v.String()), nil
	case []any:
		return encodeList(b, v, seal, depth)
	case map[string]any:
		return encodeObject(b, v, seal, depth)
	}
	return b, errNoJSON
}

func encodeList(b []byte, list []any, seal func(string) string, depth int) ([]byte, error) {
	b = append(b, '[')
	var err error
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = encodeAt(b, v, seal, depth+1); err != nil {
			return b, err
		}
		if len(b) > workflow.MaxValue {
			return b, errTooLarge
		}
	}
	return append(b, ']'), nil
}

func encodeObject(b []byte, m map[string]any, seal func(string) string, depth int) ([]byte, error) {
	b = append(b, '{')
	var err error
	for i, k := range sortedKeys(m) {
		if i > 0 {
			b = append(b, ',')
		}
		if seal != nil {
			b = appendString(b, seal(k))
		} else {
			b = appendString(b, k)
		}
		b = append(b, ':')
		if b, err = encodeAt(b, m[k], seal, depth+1); err != nil {
			return b, err
		}
		if len(b) > workflow.MaxValue {
			return b, errTooLarge
		}
	}
	return append(b, '}'), nil
}

// appendFloat writes a number as JavaScript does: no exponent for what a
// person would write without one.
func appendFloat(b []byte, f float64) []byte {
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, f, format, -1, 64)
}

const hexDigits = "0123456789abcdef"

// appendString writes a JSON string. Broken UTF-8 becomes U+FFFD.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				b = append(append(b, s[start:i]...), "\ufffd"...)
				start = i + 1
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	return append(append(b, s[start:]...), '"')
}

// appendCompact copies a JSON text without its insignificant spaces.
func appendCompact(b, text []byte) ([]byte, error) {
	buf := bytes.NewBuffer(b)
	if err := json.Compact(buf, text); err != nil {
		return b, fmt.Errorf("not valid JSON: %w", err)
	}
	return buf.Bytes(), nil
}

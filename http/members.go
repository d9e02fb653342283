package http

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/signalbox/signalbox/workflow"
)

// members walks the members of a JSON object that is known to be valid. One whose
// name stood before has no name, so that it is no field that anybody knows, and
// unknown says what is wrong with it.
type members struct {
	rest  []byte
	name  []byte
	value []byte
	loose bool   // there is space between the tokens of the value
	twice []byte // the name that stood before

	met   [maxFields][]byte // the names so far
	count int
}

// open checks a whole body - UTF-8, one JSON value, not nested too deeply, an
// object - and stands before its first member.
func open(body []byte) (m members, err error) {
	if err := checkJSON(body); err != nil {
		return m, err
	}
	m.rest = body
	m.skip()
	if m.rest[0] != '{' {
		return m, refuse(workflow.CodeInvalid, "the body is "+kindOf(m.rest)+", not an object", "send a JSON object")
	}
	m.rest = m.rest[1:]
	return m, nil
}

// checkJSON says what is wrong with a body that is not UTF-8, one JSON value,
// or nested too deeply.
func checkJSON(body []byte) error {
	if !utf8.Valid(body) {
		return refuse(workflow.CodeInvalid, "the body is not valid UTF-8", "send JSON as UTF-8")
	}
	// What has few brackets cannot nest deeply, and counting them is quick.
	if bytes.Count(body, []byte("{"))+bytes.Count(body, []byte("[")) > MaxBodyDepth {
		if deep := depth(body); deep > MaxBodyDepth {
			return refuse(workflow.CodeInvalid,
				fmt.Sprintf("the body nests %d levels deep, at most %d are allowed", deep, MaxBodyDepth), "flatten it")
		}
	}
	if !json.Valid(body) {
		return malformed(body)
	}
	return nil
}

// depth is how deeply brackets nest outside of strings, valid JSON or not.
func depth(text []byte) int {
	level, deepest := 0, 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i += len(quoted(text[i:])) - 1
		case '{', '[':
			level++
			deepest = max(deepest, level)
		case '}', ']':
			level--
		}
	}
	return deepest
}

// quoted is the string that text begins with, quotes included; all of the text
// when it does not end.
func quoted(text []byte) []byte {
	for at := 1; ; {
		end := bytes.IndexByte(text[at:], '"')
		if end < 0 {
			return text
		}
		end += at
		escapes := 0
		for text[end-1-escapes] == '\\' {
			escapes++ // ends at the opening quote at the latest
		}
		if escapes%2 == 0 {
			return text[:end+1]
		}
		at = end + 1
	}
}

// malformed says where a body stops being JSON.
func malformed(body []byte) error {
	if len(bytes.TrimLeft(body, " \t\r\n")) == 0 {
		return refuse(workflow.CodeInvalid, "the body is empty", "send a JSON object")
	}
	var v json.RawMessage
	err := json.Unmarshal(body, &v)
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return refuse(workflow.CodeInvalid, "the body is not JSON", "send a JSON object")
	}
	before := body[:min(int(syntax.Offset), len(body))]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := len(before) - (bytes.LastIndexByte(before, '\n') + 1)
	return refuse(workflow.CodeInvalid,
		fmt.Sprintf("the body is not JSON: line %d, column %d: %s", line, column, syntax.Error()), "send exactly one JSON object")
}

// next moves to the next member and reports whether there is one.
func (m *members) next() bool {
	m.skip()
	if m.rest[0] == '}' {
		return false
	}
	name := quoted(m.rest)
	m.rest = m.rest[len(name):]
	m.skip()
	m.name = name[1 : len(name)-1]
	if bytes.IndexByte(m.name, '\\') >= 0 {
		m.name = []byte(unquote(name))
	}
	m.value, m.loose = firstValue(m.rest)
	m.rest = m.rest[len(m.value):]
	m.meet()
	return true
}

// meet takes the name of a member that has the name of one before.
func (m *members) meet() {
	for _, name := range m.met[:m.count] {
		if bytes.Equal(name, m.name) {
			m.name, m.twice = nil, name
			return
		}
	}
	if m.count < maxFields {
		m.met[m.count] = m.name
		m.count++
	}
}

// skip passes what stands between two tokens.
func (m *members) skip() {
	for len(m.rest) > 0 {
		switch m.rest[0] {
		case ' ', '\t', '\r', '\n', ',', ':':
			m.rest = m.rest[1:]
		default:
			return
		}
	}
}

// firstValue is the value that valid JSON begins with; loose says that there is
// space between its tokens.
func firstValue(text []byte) (value []byte, loose bool) {
	if text[0] == '"' {
		return quoted(text), false
	}
	level := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i += len(quoted(text[i:])) - 1
		case '{', '[':
			level++
		case '}', ']':
			if level--; level == 0 {
				return text[:i+1], loose
			}
			if level < 0 {
				return text[:i], loose
			}
		case ',':
			if level == 0 {
				return text[:i], loose
			}
		case ' ', '\t', '\r', '\n':
			if level == 0 {
				return text[:i], loose
			}
			loose = true
		}
	}
	return text, loose
}

// compact copies valid JSON without the space between its tokens.
func compact(text []byte) workflow.Value {
	out := make([]byte, 0, len(text))
	from := 0 // what is not copied yet begins there
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i += len(quoted(text[i:])) - 1
		case ' ', '\t', '\r', '\n':
			out = append(out, text[from:i]...)
			from = i + 1
		}
	}
	return append(out, text[from:]...)
}

// compact copies the value, quickly when there is no space between its tokens.
func (m *members) compact() workflow.Value {
	if m.loose {
		return compact(m.value)
	}
	return bytes.Clone(m.value)
}

// unquote decodes a valid JSON string.
func unquote(text []byte) string {
	if bytes.IndexByte(text, '\\') < 0 {
		return string(text[1 : len(text)-1])
	}
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		panic("http: a string of checked JSON does not decode: " + err.Error())
	}
	return s
}

func kindOf(value []byte) string {
	switch value[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

func (m *members) isNull() bool { return m.value[0] == 'n' }

// text is the member as a string; null is absent.
func (m *members) text() (string, error) {
	if m.isNull() {
		return "", nil
	}
	if m.value[0] != '"' {
		return "", invalidField(string(m.name), "is "+kindOf(m.value)+", not a string", "write a text in quotes")
	}
	return unquote(m.value), nil
}

// id is the member as an id; null is absent, the empty string is refused.
func (m *members) id() (string, error) {
	id, err := m.text()
	if err != nil || m.isNull() {
		return "", err
	}
	return id, checkID(string(m.name), id)
}

// label is the member as a free text of an id's length; null and "" are absent.
func (m *members) label() (string, error) {
	label, err := m.text()
	if err != nil || label == "" {
		return "", err
	}
	return label, checkName(string(m.name), label)
}

// object is a compact copy of the member, which must be an object; null is absent.
func (m *members) object() (workflow.Value, error) {
	switch m.value[0] {
	case '{':
		return m.compact(), nil
	case 'n':
		return nil, nil
	}
	return nil, invalidField(string(m.name), "is "+kindOf(m.value)+", not an object", "wrap it: {\"value\": ...}")
}

// duration is the member as the core reads durations, or as a number of seconds;
// above zero and at most workflow.MaxHold.
func (m *members) duration() (time.Duration, error) {
	if m.isNull() {
		return 0, nil
	}
	d, ok := time.Duration(0), false
	if m.value[0] == '"' {
		read, err := workflow.ParseDuration(unquote(m.value))
		d, ok = read, err == nil
	} else {
		d, ok = parseSeconds(string(m.value))
	}
	if !ok || d <= 0 || d > workflow.MaxHold {
		return 0, invalidField(string(m.name), fmt.Sprintf("is not a duration above zero and of at most %dd", int(workflow.MaxHold.Hours()/24)),
			`write it like "90s", "24h", "30d", "5 minutes", "PT5M", or as a number of seconds`)
	}
	return d, nil
}

// timeout is how long a synchronous start waits, in seconds; zero and null are the default.
func (m *members) timeout() (time.Duration, error) {
	if m.isNull() {
		return DefaultSyncTimeout, nil
	}
	d, ok := parseSeconds(string(m.value))
	if !ok || d < 0 || d > MaxSyncTimeout {
		return 0, invalidField("timeout", fmt.Sprintf("must be a number of seconds from 0 to %g", MaxSyncTimeout.Seconds()),
			"start without /sync for longer work, and look or stream")
	}
	if d == 0 {
		return DefaultSyncTimeout, nil
	}
	return d, nil
}

// parseSeconds reads a number of seconds; what is beyond a Duration is its largest.
func parseSeconds(text string) (time.Duration, bool) {
	const largest = float64(1<<63 - 1024)
	n, err := strconv.ParseFloat(text, 64)
	return time.Duration(max(min(n*float64(time.Second), largest), -largest)), err == nil
}

// no is the member as a boolean, true when it says false; null is absent.
func (m *members) no() (bool, error) {
	switch string(m.value) {
	case "false":
		return true, nil
	case "true", "null":
		return false, nil
	}
	return false, invalidField(string(m.name), "is "+kindOf(m.value)+", not true or false", "")
}

// labels is the member as an object of texts; null is absent.
func (m *members) labels() (map[string]string, error) {
	if m.isNull() {
		return nil, nil
	}
	var labels map[string]string
	if err := json.Unmarshal(m.value, &labels); err != nil {
		return nil, invalidField(string(m.name), "is not an object of texts", `write it like {"region":"eu"}`)
	}
	if _, refusal := workflow.Labels(labels); refusal != nil {
		return nil, refusal
	}
	return labels, nil
}

// signal is the member as a signal of its own; null is absent.
func (m *members) signal() (*signalRequest, error) {
	if m.isNull() {
		return nil, nil
	}
	q, err := decodeSignal(m.value)
	if err == nil {
		return &q, nil
	}
	var refusal *workflow.Refusal
	if !errors.As(err, &refusal) {
		return nil, err
	}
	inside := *refusal
	inside.Message = "signal: " + refusal.Message
	inside.Violations = slices.Clone(refusal.Violations)
	for i := range inside.Violations {
		inside.Violations[i].Pointer = "/signal" + inside.Violations[i].Pointer
	}
	return nil, &inside
}

func (m *members) noStartTask() error {
	if id, err := m.text(); err != nil || id == "" {
		return err
	}
	return invalidField("task_id", "cannot be chosen: an execution starts at the workflow's own first tasks",
		"leave it out, or write a workflow that begins with that task")
}

func (m *members) scopes() ([]Scope, error) {
	var names []string
	if err := json.Unmarshal(m.value, &names); err != nil {
		return nil, invalidField("scopes", "is not a list of strings", "choose from "+scopeNames())
	}
	return ParseScopes(names)
}

// unknown refuses a member that nobody reads: it may be a misspelt one whose
// sender counts on its effect.
func (m *members) unknown(known []string) error {
	if m.twice != nil {
		return invalidField(truncate(string(m.twice)), "stands twice", "leave one of them out: it is not clear which is meant")
	}
	name := string(m.name)
	hint := "the known fields are " + strings.Join(known, ", ")
	if near := workflow.Nearest(name, known); near != "" {
		hint = fmt.Sprintf("did you mean %q? %s", near, hint)
	}
	return &workflow.Refusal{
		Code: workflow.CodeInvalid, Message: fmt.Sprintf("the body has an unknown field %q", truncate(name)), Hint: hint,
		Violations: []workflow.Violation{{Pointer: "/" + truncate(name), Message: "is not a known field"}},
	}
}

// truncate keeps a hostile name out of an answer's length.
func truncate(name string) string {
	if len(name) <= maxEcho {
		return name
	}
	return strings.ToValidUTF8(name[:maxEcho], "") + "..."
}

// ParseScopes checks names of scopes; duplicates are dropped.
func ParseScopes(names []string) ([]Scope, error) {
	var scopes []Scope
	for _, name := range names {
		if !slices.Contains(Scopes, Scope(name)) {
			return nil, invalidField("scopes", fmt.Sprintf("has an unknown scope %q", truncate(name)), "choose from "+scopeNames())
		}
		if !slices.Contains(scopes, Scope(name)) {
			scopes = append(scopes, Scope(name))
		}
	}
	if len(scopes) == 0 {
		return nil, invalidField("scopes", "is missing", "choose from "+scopeNames())
	}
	return scopes, nil
}

func scopeNames() string {
	names := make([]string, len(Scopes))
	for i, s := range Scopes {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

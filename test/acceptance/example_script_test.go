package acceptance

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox/signalbox/http"
)

// step is one line of an example's script; examples/README.md describes them.
type step struct {
	line int
	text string
	verb string
	name string          // of the execution
	what string          // workflow, signal or event; of expect: STATUS, waits, history or a path
	body json.RawMessage // input or payload; of expect =: the value
	want string          // outcome, text, signal, record type
	how  string          // of expect: status, waits, history, = or ~
	n    int             // refuse: HTTP status; history: count
	wait time.Duration
}

func parseExample(r io.Reader) ([]step, error) {
	var steps []step
	lines := bufio.NewScanner(r)
	for number := 1; lines.Scan(); number++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		s, err := parseStep(text)
		if err != nil {
			return nil, fmt.Errorf("example.txt:%d: %w: %s", number, err, text)
		}
		s.line, s.text = number, text
		steps = append(steps, s)
	}
	return steps, lines.Err()
}

func parseStep(text string) (s step, err error) {
	var rest string
	s.verb, rest = word(text)
	switch s.verb {
	case "start", "signal":
		s.name, rest = word(rest)
		s.what, rest = word(rest)
		rest, s.want, _ = strings.Cut(rest, "->")
		s.want = strings.TrimSpace(s.want)
		s.body, err = optionalJSON(rest)
	case "event":
		s.what, rest = word(rest)
		s.body, err = optionalJSON(rest)
	case "started":
		s.name, rest = word(rest)
		s.what, rest = word(rest)
	case "after":
		s.wait, err = time.ParseDuration(rest)
		return s, err
	case "refuse":
		return parseRefuse(rest)
	case "expect":
		return parseExpect(rest)
	default:
		return s, fmt.Errorf("unknown verb %q", s.verb)
	}
	if err == nil && s.what == "" {
		err = fmt.Errorf("%s needs more words", s.verb)
	}
	return s, err
}

func parseRefuse(rest string) (step, error) {
	code, rest := word(rest)
	s, err := parseStep(rest)
	if err != nil {
		return s, err
	}
	if s.verb != "start" && s.verb != "signal" && s.verb != "event" {
		return s, fmt.Errorf("%q cannot be refused", s.verb)
	}
	s.n, err = strconv.Atoi(code)
	return s, err
}

func parseExpect(rest string) (s step, err error) {
	s.verb = "expect"
	s.name, rest = word(rest)
	s.what, rest = word(rest)
	if s.what == "" {
		return s, fmt.Errorf("expect needs a name and what is expected")
	}
	switch s.what {
	case "waits":
		s.how, s.want = s.what, rest
		return s, nil
	case "history":
		var n string
		s.how = s.what
		s.want, n = word(rest)
		s.n, err = strconv.Atoi(n)
		return s, err
	}
	if rest == "" {
		s.how, s.want = "status", s.what
		return s, nil
	}
	s.how, rest = word(rest)
	switch s.how {
	case "=":
		s.body, err = optionalJSON(rest)
	case "~":
		err = json.Unmarshal([]byte(rest), &s.want)
	default:
		err = fmt.Errorf("%q is neither = nor ~", s.how)
	}
	return s, err
}

func word(text string) (first, rest string) {
	text = strings.TrimSpace(text)
	end := strings.IndexAny(text, " \t")
	if end < 0 {
		return text, ""
	}
	return text[:end], strings.TrimSpace(text[end:])
}

func optionalJSON(text string) (json.RawMessage, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, nil
	}
	if !json.Valid([]byte(text)) {
		return nil, fmt.Errorf("not JSON: %s", text)
	}
	return json.RawMessage(text), nil
}

// stage is where a script is played: the front door of one node.
type stage struct {
	*testing.T
	door  nethttp.Handler
	ids   map[string]string // name in the script -> execution id
	known []string          // ids that have a name
}

func play(t *testing.T, node http.Node, steps []step) {
	s := &stage{T: t, door: http.NewServer(http.Options{Node: node}), ids: map[string]string{}}
	for _, one := range steps {
		if err := s.perform(one); err != nil {
			t.Errorf("example.txt:%d: %s\n    %v", one.line, one.text, err)
			return
		}
		synctest.Wait()
	}
}

func (s *stage) perform(one step) error {
	switch one.verb {
	case "started":
		return s.started(one)
	case "after":
		time.Sleep(one.wait) // virtual: the bubble's clock jumps
		return nil
	case "expect":
		return s.expect(one)
	}
	return s.send(one)
}

// send starts, signals or posts an event, and compares the answer.
func (s *stage) send(one step) error {
	path, body := "/api/v0/events", map[string]any{"name": one.what, "payload": one.body}
	good := nethttp.StatusAccepted
	switch one.verb {
	case "start":
		path = "/api/v0/workflows/" + one.what + "/executions"
		body = map[string]any{"exec_id": one.name, "input": one.body}
		if one.n == 0 {
			s.call(one.name, one.name)
		}
	case "signal":
		path = "/api/v0/executions/workflows/" + s.ids[one.name] + "/signals"
		body = map[string]any{"signal_name": one.what, "payload": one.body}
		good = nethttp.StatusOK
	}
	if one.body == nil {
		delete(body, "payload")
		delete(body, "input")
	}
	if one.n != 0 {
		good = one.n
	}
	code, answer := s.request("POST", path, body)
	if code != good {
		return fmt.Errorf("answered %d and not %d: %s", code, good, answer)
	}
	if one.want == "" {
		return nil
	}
	return equal(answer, "data.outcome", json.RawMessage(strconv.Quote(one.want)))
}

func (s *stage) call(name, id string) {
	s.ids[name] = id
	s.known = append(s.known, id)
}

// started names the one execution of a workflow that has no name yet.
func (s *stage) started(one step) error {
	code, answer := s.request("GET", "/api/v0/executions/workflows?limit=50&workflow_id="+one.what, nil)
	if code != nethttp.StatusOK {
		return fmt.Errorf("listing answered %d: %s", code, answer)
	}
	var page struct {
		Data struct {
			Executions []struct {
				ID string `json:"workflow_exec_id"`
			} `json:"executions"`
		} `json:"data"`
	}
	if err := json.Unmarshal(answer, &page); err != nil {
		return err
	}
	var fresh []string
	for _, e := range page.Data.Executions {
		if !slices.Contains(s.known, e.ID) {
			fresh = append(fresh, e.ID)
		}
	}
	if len(fresh) != 1 {
		return fmt.Errorf("one new execution of %s was expected, there are %d: %v", one.what, len(fresh), fresh)
	}
	s.call(one.name, fresh[0])
	return nil
}

func (s *stage) expect(one step) error {
	id, named := s.ids[one.name]
	if !named {
		return fmt.Errorf("nothing is called %q", one.name)
	}
	path := "/api/v0/executions/workflows/" + id
	if one.how == "history" {
		return s.expectRecords(path+"/history?limit=1000", one)
	}
	code, answer := s.request("GET", path, nil)
	if code != nethttp.StatusOK {
		return fmt.Errorf("answered %d: %s", code, answer)
	}
	switch one.how {
	case "status":
		return equal(answer, "data.status", json.RawMessage(strconv.Quote(one.want)))
	case "waits":
		return waitsFor(answer, one.want)
	case "=":
		return equal(answer, "data."+one.what, one.body)
	}
	return contains(answer, "data."+one.what, one.want)
}

func (s *stage) expectRecords(path string, one step) error {
	code, answer := s.request("GET", path, nil)
	if code != nethttp.StatusOK {
		return fmt.Errorf("answered %d: %s", code, answer)
	}
	if n := bytes.Count(answer, []byte(`"type":"`+one.want+`"`)); n != one.n {
		return fmt.Errorf("there are %d records %s, %d were expected: %s", n, one.want, one.n, answer)
	}
	return nil
}

func (s *stage) request(method, path string, body any) (int, []byte) {
	s.Helper()
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			s.Fatal(err)
		}
	}
	request := httptest.NewRequestWithContext(s.Context(), method, path, bytes.NewReader(content))
	request.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	s.door.ServeHTTP(recorder, request)
	synctest.Wait()
	return recorder.Code, recorder.Body.Bytes()
}

// at follows a dotted path into a JSON text.
func at(text []byte, path string) (any, error) {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return nil, err
	}
	for _, key := range strings.Split(path, ".") {
		object, ok := value.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("nothing at %q of %s", path, text)
		}
		if value, ok = object[key]; !ok {
			return nil, fmt.Errorf("nothing at %q (no %q) of %s", path, key, text)
		}
	}
	return value, nil
}

func equal(text []byte, path string, want json.RawMessage) error {
	got, err := at(text, path)
	if err != nil {
		return err
	}
	var wanted any
	if err := json.Unmarshal(want, &wanted); err != nil {
		return err
	}
	if !reflect.DeepEqual(got, wanted) {
		return fmt.Errorf("%s is %v and not %s, in %s", path, got, want, text)
	}
	return nil
}

func contains(text []byte, path, want string) error {
	got, err := at(text, path)
	if err != nil {
		return err
	}
	if said, ok := got.(string); !ok || !strings.Contains(said, want) {
		return fmt.Errorf("%s is %q and does not contain %q", path, got, want)
	}
	return nil
}

func waitsFor(text []byte, signal string) error {
	waits, err := at(text, "data.waits")
	if err != nil {
		return err
	}
	list, ok := waits.([]any)
	if !ok || len(list) != 1 {
		return fmt.Errorf("one open wait was expected: %v", waits)
	}
	one, ok := list[0].(map[string]any)
	if !ok || one["signal_name"] != signal {
		return fmt.Errorf("it waits for %v and not for %q", list[0], signal)
	}
	return nil
}

// TestExampleScriptMistakes checks that a script with a mistake is refused: a
// line that is silently skipped would be a test that cannot fail.
func TestExampleScriptMistakes(t *testing.T) {
	for _, line := range []string{
		"begin a b", "start a", "signal a go {", "after soon", "expect a", "expect a output is 3",
		"expect a output = {", "expect a output ~ text", "expect a history task.started many",
		"refuse maybe start a b", "refuse 400 expect a SUCCESS", "event",
	} {
		if _, err := parseExample(strings.NewReader(line)); err == nil {
			t.Errorf("%q was understood", line)
		}
	}
}

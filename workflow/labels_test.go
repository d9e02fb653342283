package workflow_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

func TestLabelsAreShortWords(t *testing.T) {
	many := map[string]string{}
	for i := range workflow.MaxLabels {
		many[fmt.Sprint("l", i)] = ""
	}
	long, longest := strings.Repeat("n", workflow.MaxLabelNameBytes), strings.Repeat("v", workflow.MaxLabelValueBytes)
	for _, named := range []map[string]string{nil, many, {long: longest}, {"Region.1_a-b": "eu west ü"}} {
		labels, refusal := workflow.Labels(named)
		if refusal != nil || len(labels) != len(named) || !slices.IsSortedFunc(labels, func(a, b workflow.Label) int { return strings.Compare(a.Name, b.Name) }) {
			t.Errorf("%v: %v, %v", named, labels, refusal)
		}
	}
	more := map[string]string{"one": "more"}
	for name := range many {
		more[name] = ""
	}
	for want, named := range map[string]map[string]string{
		"/labels: there are 17 labels, at most 16 are possible":                                   more,
		"/labels: a label needs a name":                                                           {"": "eu"},
		"/labels/" + long + "n: the name of a label has 64 bytes, at most 63 are possible":        {long + "n": ""},
		"/labels/a~1b: the label \"a/b\" has other characters than letters, digits and . _ -":     {"a/b": "", "z": ""},
		"/labels/a: the value of label \"a\" has 129 bytes, at most 128 are possible":             {"a": longest + "v"},
		"/labels/a: the value of label \"a\" has a comma or a control character in it":            {"a": "x,y"},
		"/labels/b: the value of label \"b\" has a comma or a control character in it":            {"b": "x\ny", "a": "fine"},
		"/labels/c: the value of label \"c\" has a comma or a control character in it":            {"c": "\u0085"},
		"/labels/d: the value of label \"d\" has a comma or a control character in it":            {"d": "\xff"},
		"/labels/ü: the label \"ü\" has other characters than letters, digits and . _ - in its n": {"ü": ""},
	} {
		_, refusal := workflow.Labels(named)
		if refusal == nil || refusal.Code != workflow.CodeInvalid || len(refusal.Violations) != 1 {
			t.Errorf("want %q, got %+v", want, refusal)
			continue
		}
		if got := refusal.Violations[0].Pointer + ": " + refusal.Message; !strings.HasPrefix(got, want) {
			t.Errorf("want %q, got %q", want, got)
		}
	}
}

func TestAKeyIsOneLine(t *testing.T) {
	for _, key := range []string{"", "order 17, für Ada", strings.Repeat("k", workflow.MaxNameBytes)} {
		if refusal := workflow.CheckKey(key); refusal != nil {
			t.Errorf("%q: %v", key, refusal)
		}
	}
	for key, want := range map[string]string{
		strings.Repeat("k", workflow.MaxNameBytes+1): "the key has 257 bytes, at most 256 are possible",
		"two\nlines": "the key is no text in one line",
		"\x7f":       "the key is no text in one line",
		"\xff":       "the key is no text in one line",
	} {
		refusal := workflow.CheckKey(key)
		if refusal == nil || refusal.Message != want || refusal.Code != workflow.CodeInvalid || refusal.Violations[0].Pointer != "/key" {
			t.Errorf("%q: %+v", key, refusal)
		}
	}
}

func TestAStartIsMarkedByItsWorkflow(t *testing.T) {
	for what, c := range map[string]struct {
		key    *workflow.KeySpec
		labels workflow.Template
		named  map[string]string
		given  string
		want   string
	}{
		"by nobody":               {want: ` unique=false []`},
		"by the start":            {given: "k", named: map[string]string{"a": "1"}, want: `k unique=false [{a 1}]`},
		"a number keeps digits":   {key: &workflow.KeySpec{Value: literal(17), Unique: true}, labels: literal(map[string]any{"n": 1.5, "none": nil}), want: `17 unique=true [{n 1.5}]`},
		"the start's key wins":    {key: &workflow.KeySpec{Value: literal("w"), Unique: true}, given: "mine", want: `mine unique=true []`},
		"no key is not unique":    {key: &workflow.KeySpec{Unique: true}, want: ` unique=false []`},
		"the start's labels win":  {labels: literal(map[string]string{"a": "w", "b": "w"}), named: map[string]string{"b": "s"}, want: ` unique=false [{a w} {b s}]`},
		"a key that breaks":       {key: &workflow.KeySpec{Value: broken}, want: "input_invalid: the key of workflow w cannot be made from this input: this template never renders"},
		"a key of two lines":      {key: &workflow.KeySpec{Value: literal("a\nb")}, want: "invalid_request: the key is no text in one line"},
		"labels that break":       {labels: broken, want: "input_invalid: the labels of workflow w cannot be made from this input: this template never renders"},
		"labels that are no map":  {labels: literal(7), want: "input_invalid: the labels of workflow w cannot be made from this input: json: cannot unmarshal number"},
		"a label that is no word": {labels: literal(map[string]string{"a": "x,y"}), want: `invalid_request: the value of label "a" has a comma`},
	} {
		def := &workflow.Definition{ID: "w", Key: c.key, Labels: c.labels}
		in := workflow.Started{ExecID: "x", WorkflowID: "w", Key: c.given}
		got := ""
		if refusal := def.Mark(&in, c.named); refusal != nil {
			got = refusal.Code + ": " + refusal.Message
		} else {
			got = fmt.Sprintf("%s unique=%t %v", in.Key, in.Unique, in.Labels)
		}
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: got %q, want %q", what, got, c.want)
		}
	}
}

func TestTheTaskOfATimer(t *testing.T) {
	for id, want := range map[string]string{
		"retry:book": "book", "sleep:book": "book", "deadline:book/1": "", "expiry:s": "", "reminder:book/1#0": "", "retry": "",
	} {
		if got := workflow.TimerTask(id); got != want {
			t.Errorf("%s: got %q, want %q", id, got, want)
		}
	}
}

func TestAnOutputThatIsNotThereIsNull(t *testing.T) {
	s := over()
	s.Tasks = append(s.Tasks, workflow.TaskState{ID: "call", Status: workflow.Success, Output: workflow.Value(`7`)},
		workflow.TaskState{ID: "look", Parent: "hold", Status: workflow.Success}, workflow.TaskState{ID: "no", Status: workflow.Skipped})
	if got, want := string(s.Result()), `{"hold":{"output":null},"call":{"output":7}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestDeadlines(t *testing.T) {
	const now = epoch // 2027-01-15T08:00:00Z
	for text, want := range map[string]workflow.Instant{
		"90s": now + 90_000, "2027-01-15T08:00:01Z": now + 1000, "2027-01-15T09:00:01+01:00": now + 1000, "2020-01-01T00:00:00Z": now,
	} {
		if got, err := workflow.ParseDeadline(text, now); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"soon":                 `"soon" is no duration`,
		"2027-01-31 18:00":     `"2027-01-31 18:00" is neither a duration nor a time`,
		"2040-01-01T00:00:00Z": "is more than ten years from now",
	} {
		if got, err := workflow.ParseDeadline(text, now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %s, %v", text, got, err)
		}
	}
}

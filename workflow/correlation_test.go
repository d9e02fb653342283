package workflow_test

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

func TestKeyText(t *testing.T) {
	most := strings.Repeat("k", workflow.MaxKeyBytes)
	for _, c := range []struct {
		name string
		of   any
		want string
	}{
		{"a text", "A-17", "A-17"},
		{"an empty text", "", ""},
		{"a text of digits", "17", "17"},
		{"a number", json.Number("17"), "17"},
		{"a number with a point that says nothing", json.Number("17.0"), "17"},
		{"a number with an exponent", json.Number("1.7e1"), "17"},
		{"a fraction", json.Number("-0.5"), "-0.5"},
		{"zero with a sign", json.Number("-0"), "0"},
		{"a number that no float holds", json.Number("1e400"), ""},
		{"what is no number", json.Number("seven"), ""},
		{"a float", 17.0, "17"},
		{"a float of zero with a sign", math.Copysign(0, -1), "0"},
		{"the largest that is written out", 1e20, "100000000000000000000"},
		{"the first that is not", 1e21, "1e+21"},
		{"the same below zero", -1e21, "-1e+21"},
		{"the smallest that is written out", 0.000001, "0.000001"},
		{"one that is not", 0.0000001, "1e-7"},
		{"one far below that", -1.5e-10, "-1.5e-10"},
		{"the smallest of all", math.SmallestNonzeroFloat64, "5e-324"},
		{"an int64", int64(-17), "-17"},
		{"an int64 that a float rounds", int64(math.MaxInt64), workflow.KeyText(float64(math.MaxInt64))},
		{"a uint64", uint64(17), "17"},
		{"a uint64 that a float rounds", uint64(math.MaxUint64), workflow.KeyText(float64(math.MaxUint64))},
		{"true", true, "true"},
		{"false", false, "false"},
		{"null", nil, "null"},
		{"an object", map[string]any{}, ""},
		{"a list", []any{"a"}, ""},
		{"a text at the bound", most, most},
		{"a text above the bound", most + "k", most},
		{"a text cut in the middle of a character", most[1:] + "é", most[1:]},
		{"a text with a character that ends at the bound", most[2:] + "éz", most[2:] + "é"},
		{"a text cut in a character of four bytes", most[3:] + "😀", most[3:]},
		{"a text that is no UTF-8", "a\xffb", "a\ufffdb"},
	} {
		if got := workflow.KeyText(c.of); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// TestAKeyThatIsCutSurvivesJSON holds a key to be the same when the text was
// written to JSON and read back, which mends what is no UTF-8.
func TestAKeyThatIsCutSurvivesJSON(t *testing.T) {
	for _, text := range []string{strings.Repeat("é", 200), strings.Repeat("a", 255) + "\xff", strings.Repeat("\xff", 300), "x\xc3"} {
		var again string
		if err := json.Unmarshal(workflow.ValueOf(text), &again); err != nil {
			t.Fatal(err)
		}
		if one, other := workflow.KeyText(text), workflow.KeyText(again); one != other || len(one) > workflow.MaxKeyBytes {
			t.Errorf("%.10q: the key is %q and after JSON %q", text, one, other)
		}
	}
}

func TestKeysOfAMessage(t *testing.T) {
	ev := &workflow.Event{CorrelationID: "A-17", Payload: workflow.Value(
		`{"order":{"id":17,"lines":[1]},"a/b":{"~1":"odd"},"~01":"odder","":"nameless","big":12345678901234567890,"gone":null,"yes":true}`)}
	keys := workflow.KeysOf(ev)
	for _, c := range []struct{ path, want string }{
		{workflow.CorrelationPath, "A-17"},
		{workflow.PathOf([]string{"order", "id"}), "17"},
		{workflow.PathOf([]string{"a/b", "~1"}), "odd"},
		{"/payload/a~1b/~01", "odd"},
		{workflow.PathOf([]string{"~01"}), "odder"},
		{workflow.PathOf([]string{""}), "nameless"},
		{"/payload/big", "12345678901234567000"},
		{"/payload/gone", "null"},
		{"/payload/yes", "true"},
		{"/payload/order", ""},          // an object is no key
		{"/payload/order/lines", ""},    // nor a list
		{"/payload/order/lines/0", ""},  // into which no path leads
		{"/payload/order/id/digit", ""}, // nor into a number
		{"/payload/nothing", ""},
		{"/payload", ""},
		{"/metadata/source", ""},
		{"", ""},
	} {
		if got := keys.At(c.path); got != c.want {
			t.Errorf("%q: got %q, want %q", c.path, got, c.want)
		}
	}
	long := &workflow.Event{CorrelationID: strings.Repeat("k", workflow.MaxKeyBytes+1)}
	if got := workflow.KeysOf(long).At(workflow.CorrelationPath); len(got) != workflow.MaxKeyBytes {
		t.Errorf("a correlation_id above the bound is a key of %d bytes", len(got))
	}
	for _, payload := range []string{"", "17", `"text"`, "{damaged", "null"} {
		if got := workflow.KeysOf(&workflow.Event{Payload: workflow.Value(payload)}).At("/payload/id"); got != "" {
			t.Errorf("payload %q has the key %q", payload, got)
		}
	}
}

// TestPathsOfAMessage also holds every path to lead to a key, because an index
// is written by Paths and read by At.
func TestPathsOfAMessage(t *testing.T) {
	const nested = `{"b":{"y":1,"x":"","w":[1],"v":{}},"a":"one","~c/d":null}`
	for _, c := range []struct {
		name        string
		correlation string
		payload     string
		limit       int
		want        []string
		whole       bool
	}{
		{"in the order of their names", "", nested, 9, []string{"/payload/a", "/payload/b/y", "/payload/~0c~1d"}, true},
		{"the correlation_id comes first", "A", nested, 9, []string{"/correlation_id", "/payload/a", "/payload/b/y", "/payload/~0c~1d"}, true},
		{"as many as the limit", "", nested, 3, []string{"/payload/a", "/payload/b/y", "/payload/~0c~1d"}, true},
		{"more than the limit", "A", nested, 2, []string{"/correlation_id", "/payload/a"}, false},
		{"more than the limit inside of an object", "", `{"a":{"b":1,"c":2,"d":3},"e":4}`, 1, []string{"/payload/a/b"}, false},
		{"a payload that is a key itself is at no path", "", `17`, 9, nil, true},
		{"a payload that is damaged", "", `{"a":`, 9, nil, true},
		{"no payload", "A", ``, 9, []string{"/correlation_id"}, true},
	} {
		keys := workflow.KeysOf(&workflow.Event{CorrelationID: c.correlation, Payload: workflow.Value(c.payload)})
		paths, whole := keys.Paths(c.limit)
		if !slices.Equal(paths, c.want) || whole != c.whole {
			t.Errorf("%s: got %q, whole=%t", c.name, paths, whole)
		}
		for _, path := range paths {
			if keys.At(path) == "" {
				t.Errorf("%s: there is no key at %q", c.name, path)
			}
		}
	}
}

// indexed is an equality written in Go.
type indexed struct {
	volatile bool
	key      func(*workflow.Scope) string
}

func (i indexed) Volatile() bool { return i.volatile }

func (i indexed) Key(s *workflow.Scope) (path, key string) {
	if key = i.key(s); key == "" {
		return "", ""
	}
	return "/payload/id", key
}

// listening is a workflow that waits for "paid" in the way that is given.
func listening(hold workflow.Hold) *workflow.Definition {
	hold.Name = literal("paid")
	return (&workflow.Definition{ID: "w", Hash: "h", AwaitsAny: true, Roots: []string{"pay"}, Tasks: []*workflow.Task{
		{ID: "pay", Kind: workflow.Wait, Wait: &workflow.WaitSpec{Hold: hold}},
	}}).Link()
}

func raw(text string) workflow.Template {
	return render(func(*workflow.Scope) (workflow.Value, error) { return workflow.Value(text), nil })
}

func TestCorrelateMakesTheKeyOfAWait(t *testing.T) {
	most := strings.Repeat("k", workflow.MaxKeyBytes)
	for _, c := range []struct {
		name      string
		correlate workflow.Template
		key       string
		failure   string
	}{
		{"a text", literal("A-17"), "A-17", ""},
		{"a number", literal(17), "17", ""},
		{"a number with a point that says nothing", raw("17.0"), "17", ""},
		{"a fraction", raw("0.50"), "0.5", ""},
		{"zero with a sign", raw("-0"), "0", ""},
		{"a whole number that no float holds", raw("1234567890123456789"), "1234567890123456789", ""},
		{"the same below zero", raw("-1234567890123456789"), "-1234567890123456789", ""},
		{"a text at the bound", literal(most), most, ""},
		{"a text above the bound", literal(most + "k"), "", "correlate is a text of 257 bytes; a correlation_id has at most 256"},
		{"a number above the bound", raw(strings.Repeat("7", workflow.MaxKeyBytes+1)), "", "correlate is a number of 257 bytes; a correlation_id has at most 256"},
		{"a number that is beyond all bounds", raw("1e400"), "", "correlate is 1e400, which is no number that can be compared"},
		{"an empty text", literal(""), "", "correlate is an empty text; give it the key that the messages carry as correlation_id"},
		{"null", literal(nil), "", "correlate is null; a correlation_id is a text or a number"},
		{"a truth", literal(true), "", "correlate is true; a correlation_id is a text or a number"},
		{"an object", literal(map[string]int{"id": 17}), "", `correlate is {"id":17}; a correlation_id is a text or a number`},
		{"nothing", raw(""), "", "correlate: EOF"},
		{"what does not render", broken, "", "correlate: this template never renders"},
	} {
		s := begin(t, listening(workflow.Hold{Correlate: c.correlate}))
		if c.failure != "" {
			if s.Status != workflow.Failed || s.Error.Code != "TEMPLATE_ERROR" || !strings.HasSuffix(s.Error.Message, "wait: "+c.failure) {
				t.Errorf("%s: it is %s, %+v, %+v", c.name, s.Status, s.Error, s.Waits)
			}
			continue
		}
		if len(s.Waits) != 1 || s.Waits[0].Path != workflow.CorrelationPath || s.Waits[0].Key != c.key {
			t.Errorf("%s: got %+v, %v", c.name, s.Waits, s.Error)
		}
	}
}

// TestWhomACorrelatedWaitListensTo also asks why a message is not taken, and
// what becomes of a delivery that is only for a wait which takes it.
func TestWhomACorrelatedWaitListensTo(t *testing.T) {
	long := strings.Repeat("k", workflow.MaxKeyBytes)
	for _, c := range []struct {
		name      string
		hold      workflow.Hold
		id        string
		source    string
		takes     bool
		otherwise string
	}{
		{"a wait for anybody", workflow.Hold{}, "B", "api", true, ""},
		{"a wait for anybody, an event without a key", workflow.Hold{}, "", workflow.FromEvent, true, ""},
		{"a signal with the key", workflow.Hold{Correlate: literal("A")}, "A", "api", true, ""},
		{"a signal with a number's key", workflow.Hold{Correlate: literal(17)}, "17", "api", true, ""},
		{"a signal with the key of a large number", workflow.Hold{Correlate: raw("9007199254740993")}, "9007199254740993", "api", true, ""},
		{"a signal without a key", workflow.Hold{Correlate: literal("A")}, "", "api", true, ""},
		{"a signal with another key", workflow.Hold{Correlate: literal("A")}, "B", "api", false, `its correlation_id is "B" and the wait listens for "A"`},
		{"an event with the key", workflow.Hold{Correlate: literal("A")}, "A", workflow.FromEvent, true, ""},
		{"an event with another key", workflow.Hold{Correlate: literal("A")}, "B", workflow.FromEvent, false, `its correlation_id is "B" and the wait listens for "A"`},
		{"an event without a key", workflow.Hold{Correlate: literal("A")}, "", workflow.FromEvent, false, `it has no correlation_id and the wait listens for "A"`},
		{"a key that is cut at the bound", workflow.Hold{Correlate: literal(long)}, long + "k", "api", true, ""},
		{"a key of another case", workflow.Hold{Correlate: literal("a")}, "A", "api", false, `its correlation_id is "A" and the wait listens for "a"`},
	} {
		def := listening(c.hold)
		before := begin(t, def)
		sig := workflow.Signal{ID: "1", Name: "paid", CorrelationID: c.id, Source: c.source, ReceivedAt: 2}
		in := workflow.Signalled{Stamp: workflow.Stamp{At: 2}, Signal: sig}
		s := applied(t, def, before, in)
		near := workflow.Missed(def, &before, sig)
		if c.takes != (s.Status == workflow.Success) || c.takes != (near == nil) {
			t.Errorf("%s: it is %s, near %+v", c.name, s.Status, near)
			continue
		}
		in.OnlyIfMatched = true
		if passed := applied(t, def, before, in); !c.takes && passed.Version != before.Version {
			t.Errorf("%s: an event's delivery that nobody takes changes the state", c.name)
		}
		if c.takes {
			continue
		}
		if want := `wait pay/1 is open for "paid", and ` + c.otherwise; near.Reason != want || near.Wait != "pay/1" || near.ExecID != "x" {
			t.Errorf("%s: near %+v, want %s", c.name, near, want)
		}
		if want := "wait pay/1 is open but did not take it: " + c.otherwise; s.Buffer[0].Reason != want {
			t.Errorf("%s: kept because %q, want %q", c.name, s.Buffer[0].Reason, want)
		}
	}
}

// TestKeysFollowWhatHasHappened opens waits whose equality looks at another
// task: only one that may change is computed again, and never a `correlate`.
func TestKeysFollowWhatHasHappened(t *testing.T) {
	ended := func(s *workflow.Scope) string {
		if ts := s.State.Task("first"); ts != nil && ts.Status == workflow.Success {
			return "after"
		}
		return "before"
	}
	lost := func(s *workflow.Scope) string { return strings.TrimPrefix(ended(s), "after") }
	hold := func(index indexed, correlate workflow.Template) *workflow.WaitSpec {
		return &workflow.WaitSpec{Hold: workflow.Hold{Name: literal("paid"), Index: index, Correlate: correlate}}
	}
	def := (&workflow.Definition{ID: "w", Hash: "h", AwaitsAny: true, Roots: []string{"first", "moves", "stays", "said", "loses"}, Tasks: []*workflow.Task{
		{ID: "first", Kind: workflow.Wait, Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal("go")}}},
		{ID: "moves", Kind: workflow.Wait, Wait: hold(indexed{true, ended}, nil)},
		{ID: "stays", Kind: workflow.Wait, Wait: hold(indexed{false, ended}, nil)},
		{ID: "said", Kind: workflow.Wait, Wait: hold(indexed{true, ended}, literal("A"))},
		{ID: "loses", Kind: workflow.Wait, Wait: hold(indexed{true, lost}, nil)},
	}}).Link()
	s := begin(t, def)
	keys := func(s *workflow.State) string {
		var all []string
		for _, id := range []string{"moves", "stays", "said", "loses"} {
			w := s.Wait(id + "/1")
			all = append(all, w.Path+"="+w.Key)
		}
		return strings.Join(all, " ")
	}
	if got := keys(&s); got != "/payload/id=before /payload/id=before /correlation_id=A /payload/id=before" {
		t.Fatalf("at first: %s", got)
	}
	next := applied(t, def, s, workflow.Signalled{Stamp: workflow.Stamp{At: 2}, Signal: workflow.Signal{ID: "1", Name: "go", ReceivedAt: 2}})
	if got := keys(&next); got != "/payload/id=after /payload/id=before /correlation_id=A =" {
		t.Fatalf("when the other task has ended: %s", got)
	}
	if got := keys(&s); !strings.HasPrefix(got, "/payload/id=before ") {
		t.Fatalf("the state from which the transition came has changed: %s", got)
	}
}

package http

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/signalbox/signalbox/workflow"
)

var seeds = []string{
	`{"signal_name":"a","payload":{"x":[1,2.5e-3,"y\"\\",null,true]},"signal_id":"i","ttl":"5m","correlation_id":"c"}`,
	` { "name" : "\u0061" , "payload" : { } , "event_id":"e" } `, `{"input":{"a":{"b":{}}},"exec_id":"x","timeout":1.5}`,
	`{"name":"k","scopes":["admin"],"expires":"30d"}`, `{"reason":"r"}`, `{}`, ``, `[]`, `{"a":1`, `{"\ud800":1}`, "{\"a\":\"\xff\"}",
	`{"signal_name":"a","payload":{"a":"]}{[\\\""}}`, strings.Repeat(`{"a":`, 70) + `1` + strings.Repeat(`}`, 70), `{"ttl":1e999}`, `{"ttl":"999999999999h"}`,
	`{"input":{"wide":[` + strings.Repeat(`[ ], `, 70) + `{}]}}`, "\n", `{"payload":"{"}`, `{"a" :1 ,"b":[ ] }x`,
}

// FuzzDecoders feeds every decoder of a request: none may panic, every error
// is a refusal of the client, and what is accepted is what encoding/json reads.
func FuzzDecoders(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		signal, err := decodeSignal(body)
		judge(t, body, err, "signal_name", signal.name, signal.payload, "payload")
		event, err := decodeEvent(body)
		judge(t, body, err, "name", event.name, event.payload, "payload")
		start, err := decodeStart(body, true)
		judge(t, body, err, "exec_id", start.execID, start.input, "input")
		if start.timeout < 0 || start.timeout > MaxSyncTimeout || signal.ttl < 0 || signal.ttl > workflow.MaxHold {
			t.Fatalf("timeout %v, ttl %v", start.timeout, signal.ttl)
		}
		_, err = decodeKey(body)
		judge(t, body, err, "", "", nil, "")
		_, err = decodeReason(body)
		judge(t, body, err, "", "", nil, "")
		if !bytes.Equal(before, body) {
			t.Fatal("a decoder changed the body")
		}
	})
}

// judge compares what a decoder read with what encoding/json reads.
func judge(t *testing.T, body []byte, err error, nameField, name string, value workflow.Value, valueField string) {
	t.Helper()
	if err != nil {
		var r *workflow.Refusal
		if !errors.As(err, &r) || r.Code != workflow.CodeInvalid || r.Message == "" || !utf8.ValidString(r.Message) {
			t.Fatalf("%q: %v", body, err)
		}
		return
	}
	if len(body) == 0 || nameField == "" {
		return
	}
	var fields map[string]json.RawMessage
	if bad := json.Unmarshal(body, &fields); bad != nil {
		t.Fatalf("%q was accepted, but %v", body, bad)
	}
	var want string
	if raw := fields[nameField]; raw != nil {
		if bad := json.Unmarshal(raw, &want); bad != nil || want != name {
			t.Fatalf("%q: %s is %q, want %q", body, nameField, name, want)
		}
	}
	raw := fields[valueField]
	if len(raw) == 0 || string(raw) == "null" {
		if value != nil {
			t.Fatalf("%q: %s is %s", body, valueField, value)
		}
		return
	}
	var compacted bytes.Buffer
	if bad := json.Compact(&compacted, raw); bad != nil || !bytes.Equal(compacted.Bytes(), value) {
		t.Fatalf("%q: %s is %s, want %s", body, valueField, value, compacted.Bytes())
	}
}

// TestDurations: a body has the durations of the YAML, and numbers of seconds.
func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		`"90s"`: 90 * time.Second, `"1h30m"`: 90 * time.Minute, `"30d"`: 720 * time.Hour, `"1.5d"`: 36 * time.Hour, `"2w"`: 336 * time.Hour, `"500ms"`: 500 * time.Millisecond,
		`"5 minutes"`: 5 * time.Minute, `"PT5M"`: 5 * time.Minute, `1.5`: 1500 * time.Millisecond, `"3650d"`: workflow.MaxHold, `null`: 0,
	} {
		if q, err := decodeSignal([]byte(`{"signal_name":"a","ttl":` + text + `}`)); err != nil || q.ttl != want {
			t.Errorf("%s is %v, %v", text, q.ttl, err)
		}
	}
	for _, text := range []string{
		`""`, `"d"`, `"5"`, `"nand"`, `"1e999d"`, `"-"`, `"-5s"`, `true`, `"0s"`, `-5`, `"3651d"`, `1e300`, `"99999999999999999999w"`,
	} {
		q, err := decodeSignal([]byte(`{"signal_name":"a","ttl":` + text + `}`))
		if err == nil || !strings.Contains(err.Error(), "ttl is not a duration above zero and of at most 3650d") {
			t.Errorf("%s is %v, %v", text, q.ttl, err)
		}
	}
}

func TestMintedIDsAreOrderedAndUnique(t *testing.T) {
	seen, last := make(map[string]bool), ""
	for i := range 10_000 {
		id := mintID(time.UnixMilli(int64(1_700_000_000_000 + i)))
		if len(id) != 36 || id[14] != '7' || !strings.Contains("89ab", id[19:20]) || seen[id] || id <= last {
			t.Fatalf("%q after %q", id, last)
		}
		seen[id], last = true, id
	}
	if id := mintID(time.UnixMilli(0x0123456789ab)); !strings.HasPrefix(id, "01234567-89ab-7") {
		t.Fatal(id)
	}
	if a, b := workflow.DerivedID("x", "y"), workflow.DerivedID("x", "y"); a != b || a[14] != '8' {
		t.Fatal(a, b)
	}
}

// TestRequestsAreWhole: a request's fields all reach the node.
func TestRequestsAreWhole(t *testing.T) {
	got, err := decodeSignal([]byte(seeds[0]))
	want := signalRequest{name: "a", id: "i", correlation: "c", ttl: 5 * time.Minute, payload: workflow.Value(`{"x":[1,2.5e-3,"y\"\\",null,true]}`)}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v %v", got, err)
	}
}

package http

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/signalbox/signalbox/workflow"
)

const sampleTrace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// produced are events as the official SDK makes them, with the payload that each
// becomes here.
func produced(t *testing.T) (events []cloudevents.Event, payloads []string) {
	t.Helper()
	add := func(payload string, change func(*cloudevents.Event) error) {
		e := cloudevents.New()
		e.SetID(fmt.Sprintf("id %d/ü", len(events)))
		e.SetSource("https://shop.example.com/orders?a=b")
		e.SetType("com.example.order.placed")
		if change != nil {
			if err := change(&e); err != nil {
				t.Fatal(err)
			}
		}
		events, payloads = append(events, e), append(payloads, payload)
	}
	add("", nil)
	add(`{"amount":12.5,"text":"äöü \"<&>"}`, func(e *cloudevents.Event) error {
		e.SetSubject("order-42")
		e.SetTime(time.Date(2026, 1, 31, 12, 0, 0, 123456789, time.UTC))
		e.SetDataSchema("https://example.com/schema.json")
		e.SetExtension("traceparent", sampleTrace)
		e.SetExtension("correlationid", "cart-7")
		e.SetExtension("weight", 7)
		e.SetExtension("urgent", true)
		e.SetExtension("umlaut", "grün 100%")
		return e.SetData("application/json", map[string]any{"amount": 12.5, "text": `äöü "<&>`})
	})
	add(`{"data":[1,2,3]}`, func(e *cloudevents.Event) error { return e.SetData("application/json", []int{1, 2, 3}) })
	add(`{"data":"just a text"}`, func(e *cloudevents.Event) error { return e.SetData("application/json", "just a text") })
	add(`{"data":"<order/>"}`, func(e *cloudevents.Event) error { return e.SetData("application/xml", []byte("<order/>")) })
	add(`{"data":"héllo"}`, func(e *cloudevents.Event) error { return e.SetData("text/plain", "héllo") })
	add(`{"data_base64":"AP/+AQ=="}`, func(e *cloudevents.Event) error {
		return e.SetData("application/octet-stream", []byte{0, 0xff, 0xfe, 1})
	})
	for _, expiry := range []any{time.Now().UTC().Add(time.Hour), time.Now().UTC().Add(-time.Hour), "soon"} {
		add("", func(e *cloudevents.Event) error {
			e.SetExtension("expirytime", expiry)
			e.SetExtension("traceparent", sampleTrace)
			e.SetExtension("correlationid", "cart-7")
			return nil
		})
	}
	return events, payloads
}

// TestCloudEventsOfTheSDKMeanTheSameInEveryMode sends what the official SDK
// produces, in all three modes, and compares what was kept with what it meant.
func TestCloudEventsOfTheSDKMeanTheSameInEveryMode(t *testing.T) {
	events, payloads := produced(t)
	for mode, send := range map[string]func(*door, cloudevents.Event) *http.Request{
		"structured": func(d *door, e cloudevents.Event) *http.Request {
			return sdkRequest(d.t, binding.WithForceStructured(context.Background()), e)
		},
		"binary": func(d *door, e cloudevents.Event) *http.Request {
			return sdkRequest(d.t, binding.WithForceBinary(context.Background()), e)
		},
	} {
		t.Run(mode, func(t *testing.T) {
			d := newDoor(t)
			for i, e := range events {
				d.request(send(d, e)).want(202)
				kept(t, d, e, payloads[i])
				// Source and id are the identity.
				again := d.request(send(d, e)).want(202)
				if again.Header.Get(ReplayedHeader) != "true" {
					t.Fatalf("%s: a repeat was not recognised", e.ID())
				}
				other := e.Clone()
				other.SetSource("/another")
				if a := d.request(send(d, other)).want(202); a.Header.Get(ReplayedHeader) != "" {
					t.Fatalf("the same id of another source is another event")
				}
			}
			if len(d.node.events) != 2*len(events) {
				t.Fatalf("%d events were kept", len(d.node.events))
			}
		})
	}
	t.Run("batch", func(t *testing.T) {
		d := newDoor(t)
		r, err := cehttp.NewHTTPRequestFromEvents(context.Background(), "http://localhost"+api+"/events", events)
		if err != nil {
			t.Fatal(err)
		}
		a := d.request(served(t, r)).want(200)
		var answer struct{ Data Batch[EventAnswer] }
		if err := json.Unmarshal(a.Body, &answer); err != nil || answer.Data.Accepted != len(events) {
			t.Fatalf("%v %s", err, a.Body)
		}
		for i, e := range events {
			kept(t, d, e, payloads[i])
		}
	})
}

func sdkRequest(t testing.TB, ctx context.Context, e cloudevents.Event) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, "POST", "http://localhost"+api+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := cehttp.WriteRequest(ctx, binding.ToMessage(&e), r); err != nil {
		t.Fatal(err)
	}
	return served(t, r)
}

// served is a client's request as a server gets it.
func served(t testing.TB, r *http.Request) *http.Request {
	t.Helper()
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			t.Fatal(err)
		}
	}
	in := httptest.NewRequest(r.Method, r.URL.Path, bytes.NewReader(body))
	in.Header = r.Header
	return in
}

// kept compares the event that the node holds with what the SDK says it means.
func kept(t *testing.T, d *door, e cloudevents.Event, payload string) {
	t.Helper()
	receipt := d.node.events[cloudEventID(e.Source(), e.ID())]
	if receipt == nil {
		t.Fatalf("event %s of %s was not kept", e.ID(), e.Source())
	}
	got := receipt.Event
	var until workflow.Instant
	if at, err := types.ToTime(e.Extensions()["expirytime"]); err == nil && at.After(time.Now()) {
		until = workflow.InstantOf(at)
	}
	if got.ExpiresAt != until {
		t.Errorf("it is kept until %s, want %s", got.ExpiresAt, until)
	}
	if got.Name != e.Type() || got.Source != e.Source() || got.CloudEvent.ID != e.ID() || got.CloudEvent.Subject != e.Subject() || got.CloudEvent.DataSchema != e.DataSchema() {
		t.Errorf("%+v %+v is not %s", got, got.CloudEvent, e)
	}
	if !e.Time().IsZero() {
		if at, err := time.Parse(time.RFC3339Nano, got.CloudEvent.Time); err != nil || !at.Equal(e.Time()) {
			t.Errorf("time %s is not %s", got.CloudEvent.Time, e.Time())
		}
	}
	if !sameValue(t, string(got.Payload), payload) {
		t.Errorf("%s: the payload is %s, want %s", e.ID(), got.Payload, payload)
	}
	extensions := map[string]any{}
	if got.CloudEvent.Extensions != nil {
		if err := json.Unmarshal(got.CloudEvent.Extensions, &extensions); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range e.Extensions() {
		// A header has no types, so the binary mode makes texts of all.
		if fmt.Sprint(extensions[name]) != fmt.Sprint(value) {
			t.Errorf("extension %s is %v, want %v", name, extensions[name], value)
		}
	}
	if len(extensions) > 0 && (got.TraceParent != sampleTrace || got.CorrelationID != "cart-7") {
		t.Errorf("the trace is %q and the correlation id %q", got.TraceParent, got.CorrelationID)
	}
}

func sameValue(t *testing.T, a, b string) bool {
	t.Helper()
	if a == "" || b == "" {
		return a == b
	}
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	return reflect.DeepEqual(x, y)
}

// TestCloudEventsThatTheSDKRefusesAreRefused asks the SDK whether an event is
// valid, and wants the same answer.
func TestCloudEventsThatTheSDKRefusesAreRefused(t *testing.T) {
	const valid = `{"specversion":"1.0","id":"1","source":"/s","type":"t"}`
	for _, body := range []string{
		valid,
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"","x":"y"}`,
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"2026-01-31T12:00:00+01:00"}`,
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"text/plain","data":"a"}`,
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"eA=="}`,
		`{"id":"1","source":"/s","type":"t"}`,
		`{"specversion":"0.9","id":"1","source":"/s","type":"t"}`,
		`{"specversion":"1.0","source":"/s","type":"t"}`,
		`{"specversion":"1.0","id":"","source":"/s","type":"t"}`,
		`{"specversion":"1.0","id":"1","type":"t"}`,
		`{"specversion":"1.0","id":"1","source":"","type":"t"}`,
		`{"specversion":"1.0","id":"1","source":"/s"}`,
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"yesterday"}`,
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"!"}`,
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","dataschema":"no uri"}`,
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","ext":{"a":1}}`,
		`[]`, `{`,
	} {
		var e cloudevents.Event
		err := json.Unmarshal([]byte(body), &e)
		if err == nil {
			err = e.Validate()
		}
		d := newDoor(t)
		a := d.do("POST", api+"/events", body, "Content-Type", "application/cloudevents+json; charset=UTF-8")
		if (a.Status == 202) != (err == nil) || a.Status != 202 && a.Status != 400 {
			t.Errorf("%s: answered %d, and the SDK says %v", body, a.Status, err)
		}
	}
}

func TestCloudEventsInHeadersAreChecked(t *testing.T) {
	d := newDoor(t)
	good := []string{"Ce-Specversion", "1.0", "Ce-Id", "1", "Ce-Source", "/s", "Ce-Type", "t"}
	d.do("POST", api+"/events", `{"a":1}`, good...).want(202)
	for name, more := range map[string][]string{
		"twice":                   {"Ce-Id", "2"},
		"no UTF-8":                {"Ce-Subject", "\xff"},
		"the type in two places":  {"Ce-Datacontenttype", "text/plain"},
		"a name that is none":     {"Ce-My-Ext", "x"},
		"another identity":        {"Idempotency-Key", "k"},
		"a time that is none":     {"Ce-Time", "now"},
		"a schema that is no URI": {"Ce-Dataschema", "x"},
	} {
		if a := d.do("POST", api+"/events", `{"a":1}`, append(append([]string{}, good...), more...)...); a.Status != 400 {
			t.Errorf("%s: answered %d: %s", name, a.Status, a.Body)
		}
	}
	d.do("POST", api+"/events", `{`, good...).problem(400, "invalid_request")
	d.do("POST", api+"/events", `x`, "Content-Type", "application/cloudevents+avro").problem(415, CodeMediaType)
	d.do("POST", api+"/signals", `[]`, "Content-Type", "application/cloudevents+json").problem(415, CodeMediaType)
	d.do("POST", api+"/events", strings.Repeat("\xff", MaxBodyBytes), append(good, "Content-Type", "image/png")...).problem(413, CodeBodyTooLarge)
	// By its own names it is found again.
	a := d.get(api + "/events/1?source=%2Fs").want(200)
	if !strings.Contains(string(a.Body), `"cloudevent":{"id":"1"`) {
		t.Fatalf("%s", a.Body)
	}
}

func TestABatchOfCloudEventsHasAResultForEach(t *testing.T) {
	d := newDoor(t)
	a := d.do("POST", api+"/events", `[{"specversion":"1.0","id":"1","source":"/s","type":"t"},{"specversion":"1.0","id":"2","source":"/s"},
		{"specversion":"1.0","id":"1","source":"/s","type":"t"}]`, "Content-Type", "application/cloudevents-batch+json").want(200)
	var answer struct{ Data Batch[EventAnswer] }
	if err := json.Unmarshal(a.Body, &answer); err != nil {
		t.Fatal(err)
	}
	r := answer.Data.Results
	if len(r) != 3 || r[0].Status != 202 || r[1].Status != 400 || !r[2].Data.Duplicate {
		t.Fatalf("%s", a.Body)
	}
}

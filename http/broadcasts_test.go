package http

import (
	"strings"
	"testing"
)

const signalsPath = "/api/v0/signals"

func TestBroadcast(t *testing.T) {
	d := newDoor(t)
	d.begin("a")
	d.begin("b")
	const body = `{"filter":{"waiting_for":"approval-decision"},"signal_name":"approval-decision","payload":{"decision":"yes"},"broadcast_id":"x","ttl":"1h","rate":50}`
	if p := data[BroadcastPreview](d.post(signalsPath+"?dry_run=true", body).want(200)); p.Matched != 2 || p.TooMany || len(p.Sample) != 2 {
		t.Errorf("preview: %+v", p)
	}
	d.get("/api/v0/broadcasts/x").problem(404, "broadcast_not_found")
	first := d.post(signalsPath, body).want(202)
	b := data[Broadcast](first)
	if first.Header.Get("Location") != "/api/v0/broadcasts/x" || b.Progress.Matched != 2 || b.Progress.Pending != 2 || b.Rate != 50 || b.Duplicate {
		t.Errorf("%v %+v", first.Header, b)
	}
	again := d.post(signalsPath, body).want(202)
	if again.Header.Get(ReplayedHeader) != "true" || !data[Broadcast](again).Duplicate {
		t.Errorf("again: %v %s", again.Header, again.Body)
	}
	d.post(signalsPath, strings.Replace(body, "yes", "no", 1)).problem(422, "id_reused")
	d.do("POST", signalsPath, body, "Idempotency-Key", "y").problem(400, "invalid_request")
	if got := data[Broadcast](d.get("/api/v0/broadcasts/x").want(200)); got.Filter.WaitingFor != "approval-decision" || got.SignalName != "approval-decision" {
		t.Errorf("%+v", got)
	}
	d.get("/api/v0/broadcasts").want(200)
	results := data[BroadcastResults](d.get("/api/v0/broadcasts/x/results?limit=1").want(200))
	if len(results.Results) != 1 || results.Results[0].Outcome != "pending" || results.Page.NextCursor == "" || results.Results[0].SignalID == "" {
		t.Errorf("%+v", results)
	}
	d.get("/api/v0/broadcasts/x/results?outcome=lost").problem(400, "invalid_request")
	if got := data[Broadcast](d.post("/api/v0/broadcasts/x/cancel", `{"reason":"enough"}`).want(200)); got.State != "canceled" || got.Reason != "enough" {
		t.Errorf("%+v", got)
	}
	d.post("/api/v0/broadcasts/x/cancel", ``).problem(409, "wrong_status")
	if r := data[BroadcastResults](d.get("/api/v0/broadcasts/x/results").want(200)); r.Results[0].Outcome != "canceled" {
		t.Errorf("%+v", r)
	}
}

func TestBroadcastRefusals(t *testing.T) {
	d := newDoor(t)
	for body, says := range map[string]string{
		`{"filter":{},"signal_name":"x"}`:                                    "every live execution",
		`{"filter":null,"signal_name":"x"}`:                                  "not an object",
		`{"filter":{"workflow":"x"},"signal_name":"x"}`:                      "unknown field",
		`{"filter":{"status":"SUCCESS"},"signal_name":"x"}`:                  "SUCCESS",
		`{"filter":{"labels":{"a b":"c"}},"signal_name":"x"}`:                "a b",
		`{"filter":{"waiting_for":"x"}}`:                                     "signal_name is missing",
		`{"filter":{"waiting_for":"x"},"signal_name":"x","rate":0}`:          "rate",
		`{"filter":{"waiting_for":"x"},"signal_name":"x","exec_id":"e"}`:     "unknown field",
		`{"filter":{"waiting_for":"x"},"signal_name":"x","payload":"text"}`:  "payload",
		`{"filter":{"waiting_for":"x"},"signal_name":"x","broadcast_id":""}`: "broadcast_id",
	} {
		if p := d.post(signalsPath, body).problem(400, "invalid_request"); !strings.Contains(p.Detail, says) {
			t.Errorf("%s: %s", body, p.Detail)
		}
	}
	if len(d.node.broadcasts) != 0 {
		t.Errorf("%d broadcasts began", len(d.node.broadcasts))
	}
}

// TestScopesOfABroadcast: its filter looks at executions.
func TestScopesOfABroadcast(t *testing.T) {
	d := newLockedDoor(t)
	const body = `{"filter":{"waiting_for":"x"},"signal_name":"x"}`
	for _, c := range []struct {
		scopes []Scope
		lacks  Scope
	}{
		{[]Scope{SignalsWrite}, ExecutionsRead}, {[]Scope{ExecutionsRead}, SignalsWrite},
		{[]Scope{SignalsWrite, ExecutionsRead}, ""}, {[]Scope{Admin}, ""},
	} {
		token, _, err := d.server.keys.Create(t.Context(), KeySpec{Name: "test", Scopes: c.scopes})
		if err != nil {
			t.Fatal(err)
		}
		a := d.do("POST", signalsPath, body, "Authorization", "", "Authorization", "Bearer "+token)
		if c.lacks == "" {
			a.want(202)
		} else if p := a.problem(403, CodeScopeMissing); !strings.Contains(p.Detail, string(c.lacks)) {
			t.Errorf("%v: %s", c.scopes, a.Body)
		}
	}
}

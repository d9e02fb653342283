package workflow_test

import (
	"strings"
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

func TestABroadcastCountsWhatBecameOfItsTargets(t *testing.T) {
	b := workflow.Broadcast{Matched: 9}
	for _, outcome := range []string{"delivered", "delivered", "buffered", "refused", "failed", ""} {
		b.Count(&workflow.Target{Outcome: outcome})
	}
	if b.Delivered != 2 || b.Buffered != 1 || b.Refused != 1 || b.Failed != 1 || b.Pending() != 4 {
		t.Errorf("%+v with %d pending", b, b.Pending())
	}
	for state, final := range map[workflow.BroadcastState]bool{
		workflow.BroadcastMatching: false, workflow.BroadcastDelivering: false,
		workflow.BroadcastDone: true, workflow.BroadcastCanceled: true, workflow.BroadcastFailed: true,
	} {
		if state.Final() != final {
			t.Errorf("%s: final=%t", state, !final)
		}
	}
}

func TestEqualBroadcastsHaveEqualDigests(t *testing.T) {
	digest := func(b workflow.Broadcast) string {
		b.Identify()
		return b.Digest
	}
	one := workflow.Broadcast{ID: "1", Name: "a", Payload: workflow.Value(`1`), Filter: workflow.Filter{WorkflowID: "w"}}
	again, other, named, more := one, one, one, one
	again.ID, again.Rate, again.CreatedAt = "2", 7, 9
	other.Filter.Labels = []workflow.Label{{Name: "region", Value: "eu"}}
	named.Name, more.Payload = "b", workflow.Value(`2`)
	if digest(one) == "" || digest(one) != digest(again) {
		t.Error("what is sent to whom is the same, and the digests differ")
	}
	for _, b := range []workflow.Broadcast{other, named, more} {
		if digest(b) == digest(one) {
			t.Errorf("%+v has the digest of another", b)
		}
	}
}

func TestASignalOfABroadcastIsTheSameWhenItIsSentAgain(t *testing.T) {
	b := workflow.Broadcast{ID: "b", Name: "stop", Payload: workflow.Value(`{"n":1}`), CorrelationID: "k", By: "ops", ExpiresAt: 70}
	sig := b.Signal("x", 5)
	if sig.ID != b.SignalID("x") || sig.ID != b.Signal("x", 6).ID || sig.ID == b.SignalID("y") || sig.ID == (&workflow.Broadcast{ID: "c"}).SignalID("x") {
		t.Errorf("the id follows from the broadcast and the target: %s", sig.ID)
	}
	if sig.ExecID != "x" || sig.Name != "stop" || string(sig.Payload) != `{"n":1}` || sig.CorrelationID != "k" ||
		sig.Source != "broadcast:b" || sig.By != "ops" || sig.ReceivedAt != 5 || sig.ExpiresAt != 70 {
		t.Errorf("got %+v", sig)
	}
}

func TestDerivedIDsTellTheirPartsApart(t *testing.T) {
	id := workflow.DerivedID("a", "bc")
	if id != workflow.DerivedID("a", "bc") || id == workflow.DerivedID("ab", "c") || id == workflow.DerivedID("a", "bc", "") {
		t.Error("the same parts give the same id, others another one")
	}
	if len(id) != 36 || id[14] != '8' || !strings.ContainsRune("89ab", rune(id[19])) {
		t.Errorf("%s is no UUID of version 8", id)
	}
}

func TestAFilterSelectsLiveExecutions(t *testing.T) {
	live := sound()
	live.Labels = []workflow.Label{{Name: "region", Value: "eu"}, {Name: "tier", Value: "gold"}}
	live.Waits[0].Key, live.Trigger = "k", &workflow.Origin{CorrelationID: "c"}
	eu := []workflow.Label{{Name: "region", Value: "eu"}}
	for text, c := range map[string]struct {
		filter   workflow.Filter
		selected bool
	}{
		"everything":                        {workflow.Filter{}, true},
		"workflow_id=w":                     {workflow.Filter{WorkflowID: "w"}, true},
		"workflow_id=v":                     {workflow.Filter{WorkflowID: "v"}, false},
		"status=RUNNING":                    {workflow.Filter{Status: workflow.Running}, true},
		"status=PAUSED":                     {workflow.Filter{Status: workflow.Paused}, false},
		"waiting_for=go":                    {workflow.Filter{WaitingFor: "go"}, true},
		"waiting_for=later":                 {workflow.Filter{WaitingFor: "later"}, false},
		"label region=eu":                   {workflow.Filter{Labels: eu}, true},
		"workflow_id=w, label region=us":    {workflow.Filter{WorkflowID: "w", Labels: []workflow.Label{{Name: "region", Value: "us"}}}, false},
		"label region=eu, label color=red":  {workflow.Filter{Labels: append(eu, workflow.Label{Name: "color", Value: "red"})}, false},
		"correlation=k":                     {workflow.Filter{Correlation: "k"}, true},
		"correlation=c":                     {workflow.Filter{Correlation: "c"}, true},
		"correlation=j":                     {workflow.Filter{Correlation: "j"}, false},
		"waiting_for=go, correlation=k":     {workflow.Filter{WaitingFor: "go", Correlation: "k"}, true},
		"waiting_for=other, correlation=k":  {workflow.Filter{WaitingFor: "other", Correlation: "k"}, false},
		"status=RUNNING, label region=eu":   {workflow.Filter{Status: workflow.Running, Labels: eu}, true},
		"waiting_for=second, correlation=k": {workflow.Filter{WaitingFor: "second", Correlation: "k"}, false},
	} {
		s := live
		s.Waits = append([]workflow.OpenWait{{ID: "two/1", Name: "second", Key: "q"}}, live.Waits...)
		if got := c.filter.Selects(&s); got != c.selected {
			t.Errorf("%s: selected=%t", text, got)
		}
		if got := c.filter.String(); got != text {
			t.Errorf("it is written %q, want %q", got, text)
		}
		ended := over()
		if c.filter.Selects(&ended) {
			t.Errorf("%s selects one that has finished", text)
		}
	}
	if got, want := (workflow.Filter{WorkflowID: "w"}).TooMany(), "more than 100000 live executions match (workflow_id=w); nothing was sent: narrow the filter down"; got != want {
		t.Errorf("got %q", got)
	}
}

func TestAQuerySelects(t *testing.T) {
	s, ended := sound(), over()
	s.Key = "order-1"
	for what, c := range map[string]struct {
		query       workflow.Query
		live, ended bool
	}{
		"everything": {workflow.Query{}, true, true},
		"the live":   {workflow.Query{Live: true}, true, false},
		"by key":     {workflow.Query{WorkflowID: "w", Key: "order-1"}, true, false},
		"by status":  {workflow.Query{Status: workflow.Success}, false, true},
		"since then": {workflow.Query{Since: 1}, true, true},
		"later ones": {workflow.Query{Since: 2}, false, false},
	} {
		if live, over := c.query.Selects(&s), c.query.Selects(&ended); live != c.live || over != c.ended {
			t.Errorf("%s: the live one=%t, the finished one=%t", what, live, over)
		}
	}
}

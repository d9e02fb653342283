package http

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

func refusalCode(err error) string {
	var r *workflow.Refusal
	if errors.As(err, &r) {
		return r.Code
	}
	return ""
}

func reason(err error) string {
	var r *workflow.Refusal
	if errors.As(err, &r) {
		reason, _ := r.Details["reason"].(string)
		return reason
	}
	return ""
}

func TestBootstrapHappensOnce(t *testing.T) {
	node := newFakeNode()
	k := NewKeyRing(node)
	defer k.Close()
	if empty, err := k.Empty(t.Context()); !empty || err != nil {
		t.Fatal(empty, err)
	}
	token, key, err := k.Bootstrap(t.Context(), "first", "")
	if err != nil || !key.Has(SignalsWrite) || key.Name != "first" {
		t.Fatal(key, err)
	}
	if _, _, err := k.Bootstrap(t.Context(), "second", ""); refusalCode(err) != CodeBootstrapped {
		t.Fatal(err)
	}
	if empty, err := k.Empty(t.Context()); empty || err != nil {
		t.Fatal(empty, err)
	}
	for kind, documents := range node.documents {
		for id, body := range documents {
			if strings.Contains(string(body), token[tokenHint:]) {
				t.Fatalf("the token is kept in %s %s", kind, id)
			}
		}
	}
	// Whoever lost the last token can begin again after revoking it.
	if _, err := k.Revoke(t.Context(), key.ID, "operator"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := k.Bootstrap(t.Context(), "again", ""); err != nil {
		t.Fatal(err)
	}
}

// TestBootstrapTakesATokenThatIsBroughtAlong: a secret that a machine made works
// as the key, one that people make up does not.
func TestBootstrapTakesATokenThatIsBroughtAlong(t *testing.T) {
	k := NewKeyRing(newFakeNode())
	defer k.Close()
	given := "sbx_" + strings.Repeat("Ab3-", 10) + "Ab0"
	for _, weak := range []string{"secret", given[4:], given + "A", given[:len(given)-1], strings.Replace(given, "-", "+", 1), given[:len(given)-1] + "1"} {
		if _, _, err := k.Bootstrap(t.Context(), "first", weak); refusalCode(err) != workflow.CodeInvalid || strings.Contains(err.Error(), weak) {
			t.Errorf("%q gives %v", weak, err)
		}
	}
	token, key, err := k.Bootstrap(t.Context(), "first", given)
	if err != nil || token != given || !key.Has(Admin) {
		t.Fatal(key, err)
	}
	if found, err := k.find(t.Context(), given, time.Now()); err != nil || found.ID != key.ID {
		t.Error(found, err)
	}
}

// TestChangesOfOtherNodes: two rings over the same documents are two nodes.
func TestChangesOfOtherNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := newFakeNode()
		here, there := NewKeyRing(node), NewKeyRing(node)
		defer here.Close()
		defer there.Close()
		token, key, err := here.Create(t.Context(), KeySpec{Name: "k", Scopes: []Scope{Admin}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := there.find(t.Context(), token, time.Now()); err != nil {
			t.Fatal(err)
		}
		// One that is created after the other node read its index works at
		// once, too, when the last reading is a moment ago.
		time.Sleep(keyRetry)
		second, _, err := here.Create(t.Context(), KeySpec{Name: "k2", Scopes: []Scope{Admin}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := there.find(t.Context(), second, time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, err := here.Revoke(t.Context(), key.ID, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := here.find(t.Context(), token, time.Now()); reason(err) != deniedRevoked {
			t.Fatal("it still works where it was revoked", err)
		}
		time.Sleep(KeyRefresh)
		if _, err := there.find(t.Context(), token, time.Now()); reason(err) != deniedRevoked {
			t.Fatal("it still works on the other node", err)
		}
	})
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := NewKeyRing(newFakeNode())
		defer k.Close()
		token, _, err := k.Create(t.Context(), KeySpec{Name: "k", Scopes: []Scope{Admin}, Expires: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour - time.Millisecond)
		if _, err := k.find(t.Context(), token, time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		if _, err := k.find(t.Context(), token, time.Now()); reason(err) != deniedExpired {
			t.Fatal(err)
		}
		if empty, err := k.Empty(t.Context()); !empty || err != nil {
			t.Fatal("an expired key opens nothing", err)
		}
	})
}

// TestRequestsDoNotReadTheStore: neither good keys nor floods of unknown ones.
func TestRequestsDoNotReadTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := newFakeNode()
		k := NewKeyRing(node)
		token, _, err := k.Create(t.Context(), KeySpec{Name: "k", Scopes: []Scope{Admin}})
		if err != nil {
			t.Fatal(err)
		}
		unknown := tokenPrefix + strings.Repeat("A", tokenLength-len(tokenPrefix))
		before := node.reads
		for range 1000 {
			if _, err := k.find(t.Context(), token, time.Now()); err != nil {
				t.Fatal(err)
			}
			if _, err := k.find(t.Context(), unknown, time.Now()); reason(err) != deniedUnknown {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		k.Close()
		if reads := node.reads - before; reads > 2 {
			t.Fatalf("the store was read %d times in a second", reads)
		}
	})
}

// TestKeysOutliveTheStoreForAWhile: a store that cannot be read locks nobody
// out at once, and nobody in for ever.
func TestKeysOutliveTheStoreForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := newFakeNode()
		k := NewKeyRing(node)
		token, _, err := k.Create(t.Context(), KeySpec{Name: "k", Scopes: []Scope{Admin}})
		if err != nil {
			t.Fatal(err)
		}
		node.docFails = &workflow.Refusal{Code: workflow.CodeStoreUnavailable, Message: "down"}
		time.Sleep(MaxKeyAge)
		if _, err := k.find(t.Context(), token, time.Now()); err != nil {
			t.Fatal(err)
		}
		k.Close()
		time.Sleep(2 * time.Second)
		if _, err := k.find(t.Context(), token, time.Now()); refusalCode(err) != workflow.CodeStoreUnavailable {
			t.Fatal(err)
		}
		node.docFails = nil
		if _, err := k.find(t.Context(), token, time.Now()); err != nil {
			t.Fatal(err)
		}
		k.Close()
	})
}

func TestLastUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := newFakeNode()
		k := NewKeyRing(node)
		token, key, err := k.Create(t.Context(), KeySpec{Name: "k", Scopes: []Scope{Admin}})
		if err != nil {
			t.Fatal(err)
		}
		use := func() string {
			if _, err := k.find(t.Context(), token, time.Now()); err != nil {
				t.Fatal(err)
			}
			k.Close()
			return string(node.documents[keyUseKind][key.ID])
		}
		first := use()
		time.Sleep(LastUseInterval - time.Millisecond)
		if second := use(); second != first || first == "" {
			t.Fatalf("written again after less than a minute: %s, %s", first, second)
		}
		keys, err := k.List(t.Context())
		if err != nil || keys[0].LastUsedAt.Time() != time.Now().UTC() {
			t.Fatalf("the list does not show the use in memory: %v %v", keys, err)
		}
		time.Sleep(time.Millisecond)
		if third := use(); third == first {
			t.Fatal("not written after a minute")
		}
		// Another process knows what was written.
		other, err := NewKeyRing(node).List(t.Context())
		if err != nil || other[0].LastUsedAt.Time() != time.Now().UTC() {
			t.Fatalf("%v %v", other, err)
		}
	})
}

func TestDamagedKeyOpensNothing(t *testing.T) {
	node := newFakeNode()
	k := NewKeyRing(node)
	defer k.Close()
	for id, body := range map[string]string{"a": "{", "b": `{"id":"b","hash":"00"}`, "c": `{"id":"c"}`} {
		if err := node.PutDocument(t.Context(), keyKind, id, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	token, _, err := k.Create(t.Context(), KeySpec{Name: "k", Scopes: []Scope{Admin}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.find(t.Context(), token, time.Now()); err != nil {
		t.Fatal(err)
	}
	if keys, err := k.List(t.Context()); err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
}

func TestNumberOfKeysIsBounded(t *testing.T) {
	node := newFakeNode()
	k := NewKeyRing(node)
	defer k.Close()
	k.most = 60
	var first Key
	for i := range k.most {
		_, key, err := k.Create(t.Context(), KeySpec{Name: "k", Scopes: []Scope{SignalsWrite}})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = key
		}
	}
	if _, _, err := k.Create(t.Context(), KeySpec{Name: "one more", Scopes: []Scope{Admin}}); refusalCode(err) != CodeTooManyKeys {
		t.Fatal(err)
	}
	if _, err := k.Revoke(t.Context(), first.ID, ""); err != nil {
		t.Fatal(err)
	}
	if _, _, err := k.Create(t.Context(), KeySpec{Name: "one more", Scopes: []Scope{Admin}}); err != nil {
		t.Fatal(err)
	}
	if keys := len(node.documents[keyKind]); keys != k.most {
		t.Fatalf("%d keys are kept", keys)
	}
}

func TestAuditTrailIsBounded(t *testing.T) {
	node := newFakeNode()
	k := NewKeyRing(node)
	for range MaxAudit + 3*auditPrune {
		if err := k.audit.write(t.Context(), AuditRecord{What: AuditDenied}); err != nil {
			t.Fatal(err)
		}
	}
	if records := len(node.documents[auditKind]); records < MaxAudit || records > MaxAudit+auditPrune {
		t.Fatalf("%d audit records are kept", records)
	}
}

// TestDenialsAreSampled: a flood of wrong keys does not become a flood of writes.
func TestDenialsAreSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newLockedDoor(t)
		for range 500 {
			d.get("/api/v0/keys", "Authorization", "").want(401)
			d.get("/api/v0/keys", "Authorization", "", "Authorization", "Bearer nonsense").want(401)
			time.Sleep(100 * time.Millisecond)
		}
		d.server.keys.Close()
		denied := 0
		for _, body := range d.node.documents[auditKind] {
			if strings.Contains(string(body), AuditDenied) {
				denied++
			}
		}
		if denied != 2 {
			t.Fatalf("%d denials were recorded in 50 s, want one of each kind", denied)
		}
		for i := range 2 * maxDenied {
			d.server.keys.audit.sample(AuditRecord{KeyID: mintID(time.UnixMilli(int64(i)))}, time.Now())
		}
		if n := len(d.server.keys.audit.denied); n > maxDenied {
			t.Fatalf("%d kinds of denial are remembered", n)
		}
		d.server.keys.Close()
	})
}

package http

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// What an audit record can say.
const (
	AuditCreated = "key.created"
	AuditRevoked = "key.revoked"
	AuditDenied  = "key.denied" // a sample: the same denial at most once a minute
)

// Why a request was denied; also the label of a metric.
const (
	deniedMissing   = "missing"
	deniedMalformed = "malformed"
	deniedUnknown   = "unknown"
	deniedExpired   = "expired"
	deniedRevoked   = "revoked"
	deniedScope     = "scope"
	deniedInQuery   = "key_in_query"
	deniedCrossSite = "cross_site"
)

// denial is the refusal of a request without a key that works.
func denial(reason, message, hint string) *workflow.Refusal {
	return &workflow.Refusal{
		Code: CodeUnauthenticated, Message: message, Hint: hint, Details: map[string]any{"reason": reason},
	}
}

// AuditRecord is one line of the audit trail. It never holds a token.
type AuditRecord struct {
	At      Time   `json:"at"`
	What    string `json:"what"`
	KeyID   string `json:"key_id,omitempty"`
	KeyName string `json:"key_name,omitempty"`
	By      string `json:"by,omitempty"`
	Route   string `json:"route,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

// auditTrail keeps the last MaxAudit records as documents whose ids are in the
// order of time.
type auditTrail struct {
	keys *KeyRing

	mu     sync.Mutex
	writes int                  // since the trail was pruned
	denied map[string]time.Time // when a kind of denial was recorded last
}

func newAuditTrail(k *KeyRing) *auditTrail {
	// The first write prunes: processes that write little and start often
	// would otherwise never do so.
	return &auditTrail{keys: k, writes: auditPrune, denied: make(map[string]time.Time)}
}

// write returns when the record is durable.
func (a *auditTrail) write(ctx context.Context, r AuditRecord) error {
	now := time.Now()
	r.At = Time(workflow.InstantOf(now))
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode an audit record: %w", err)
	}
	if err := a.keys.docs.PutDocument(ctx, auditKind, mintID(now), body); err != nil {
		return fmt.Errorf("keep an audit record of %s: %w", r.What, err)
	}
	if !a.pruneDue() {
		return nil
	}
	return a.prune(ctx)
}

func (a *auditTrail) pruneDue() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.writes++
	if a.writes < auditPrune {
		return false
	}
	a.writes = 0
	return true
}

// prune drops the oldest records beyond MaxAudit.
func (a *auditTrail) prune(ctx context.Context) error {
	ids, _, err := a.keys.docs.Documents(ctx, auditKind, "", maxAuditRead)
	if err != nil {
		return fmt.Errorf("list the audit records: %w", err)
	}
	for _, id := range ids[:max(0, len(ids)-MaxAudit)] {
		if err := a.keys.docs.PutDocument(ctx, auditKind, id, nil); err != nil {
			return fmt.Errorf("drop audit record %s: %w", id, err)
		}
	}
	return nil
}

// sample records a denial, unless the same kind was recorded a moment ago.
func (a *auditTrail) sample(r AuditRecord, now time.Time) {
	kind := r.Reason + " " + r.KeyID
	a.mu.Lock()
	last, seen := a.denied[kind]
	due := now.Sub(last) >= deniedInterval
	if due && !seen && len(a.denied) >= maxDenied {
		for k, at := range a.denied {
			if now.Sub(at) >= deniedInterval {
				delete(a.denied, k)
			}
		}
		due = len(a.denied) < maxDenied
	}
	if due {
		a.denied[kind] = now
	}
	a.mu.Unlock()
	if due {
		a.keys.later("audit record", func(ctx context.Context) error { return a.write(ctx, r) })
	}
}

// Audit returns the newest audit records, newest first, up to limit.
func (k *KeyRing) Audit(ctx context.Context, limit int) ([]AuditRecord, error) {
	_, bodies, err := k.docs.Documents(ctx, auditKind, "", maxAuditRead)
	if err != nil {
		return nil, fmt.Errorf("list the audit records: %w", err)
	}
	bodies = bodies[max(0, len(bodies)-limit):]
	records := make([]AuditRecord, 0, len(bodies))
	for _, body := range slices.Backward(bodies) {
		var r AuditRecord
		if err := json.Unmarshal(body, &r); err != nil {
			return nil, fmt.Errorf("an audit record is damaged: %w", err)
		}
		records = append(records, r)
	}
	return records, nil
}

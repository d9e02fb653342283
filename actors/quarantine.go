package actors

import (
	"context"
	"encoding/json"
	"maps"
	"sync"
	"time"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// quarantineKind is the kind of the documents that remember quarantined executions.
const quarantineKind = "quarantine"

// quarantine is the list of executions that may not act any more because their
// own code broke. It is remembered, so that a crash loop ends after its first turn.
type quarantine struct {
	mu     sync.RWMutex
	causes map[string]string
}

type illness struct {
	Cause string           `json:"cause"`
	At    workflow.Instant `json:"at"`
}

func (q *quarantine) load(ctx context.Context, store persistence.Store) error {
	causes := make(map[string]string)
	for after := ""; ; {
		docs, err := store.Documents(ctx, quarantineKind, after, RecoverBatch)
		if err != nil {
			return err
		}
		for _, doc := range docs {
			var ill illness
			if json.Unmarshal(doc.Body, &ill) != nil {
				ill.Cause = "unknown: its quarantine record is damaged"
			}
			causes[doc.ID] = ill.Cause
			after = doc.ID
		}
		if len(docs) == 0 {
			break
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.causes == nil {
		q.causes = causes
		return nil
	}
	maps.Copy(q.causes, causes) // and keep those that are not stored yet
	return nil
}

func (q *quarantine) cause(execID string) (string, bool) {
	q.mu.RLock()
	defer q.mu.RUnlock()
	cause, ill := q.causes[execID]
	return cause, ill
}

// add takes effect at once; the document follows, and a crash before it only
// means that the execution breaks once more.
func (q *quarantine) add(s *System, execID, cause string) {
	q.set(execID, cause)
	if s.Peers != nil {
		s.Peers.Quarantined(execID, cause)
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		defer cancel()
		body := workflow.ValueOf(illness{Cause: cause, At: workflow.InstantOf(time.Now())})
		if err := s.Store.PutDocument(ctx, quarantineKind, execID, body); err != nil {
			s.Logger.Error("the quarantine of an execution could not be stored", "exec_id", execID, "err", err)
		}
	}()
}

func (q *quarantine) set(execID, cause string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.causes[execID] = cause
}

// Quarantined returns why an execution may not act, if that is so.
func (s *System) Quarantined(execID string) (cause string, ill bool) { return s.ill.cause(execID) }

func quarantined(execID, cause string) *workflow.Refusal {
	return &workflow.Refusal{
		Code:    workflow.CodeQuarantined,
		Message: "execution " + quote(execID) + " is quarantined: " + cause,
		Hint:    "nothing was kept; the other executions are not affected, the log has the details",
		Details: map[string]any{"exec_id": execID, "cause": cause},
	}
}

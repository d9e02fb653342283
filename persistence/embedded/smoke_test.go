package embedded

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

func commitOne(t testing.TB, s *Store, c *persistence.Commit) error {
	t.Helper()
	ch := make(chan error, 1)
	c.Done = func(err error) { ch <- err }
	s.Submit(c)
	return <-ch
}

func TestSmoke(t *testing.T) {
	for _, fs := range []vfs.FS{nil, vfs.NewMem()} {
		dir := "/data"
		if fs == nil {
			dir = t.TempDir()
		}
		for round := 1; round <= 3; round++ {
			s, err := Open(dir, Options{FS: fs})
			if err != nil {
				t.Fatal(err)
			}
			if s.Epoch() != uint64(round) {
				t.Fatal("epoch", s.Epoch())
			}
			for i := range 100 {
				id := fmt.Sprintf("e%d-%d", round, i)
				now := &workflow.State{ExecID: id, WorkflowID: "w", Version: 1, Seq: 1, Status: workflow.Waiting, CreatedAt: workflow.Instant(1000*round + i), Waits: []workflow.OpenWait{{ID: "w/1", Task: "w", Name: "go"}}, Timers: []workflow.Timer{{ID: "t", Due: workflow.Instant(i)}}}
				if err := commitOne(t, s, &persistence.Commit{ExecID: id, Now: now, Epoch: s.Epoch(), Records: []workflow.Record{{Seq: 1, Type: "x"}}}); err != nil {
					t.Fatal(err)
				}
				if err := commitOne(t, s, &persistence.Commit{ExecID: id, Now: now, Epoch: s.Epoch()}); !errors.Is(err, persistence.ErrConflict) {
					t.Fatal(err)
				}
			}
			ctx := context.Background()
			page, err := s.Executions(ctx, workflow.Query{Limit: 1000})
			if err != nil || len(page.Items) != 100*round {
				t.Fatal(err, len(page.Items))
			}
			waits, err := s.Waits(ctx, workflow.WaitQuery{Name: "go", Limit: 1000})
			if err != nil || len(waits.Items) != 100*round {
				t.Fatal(err, len(waits.Items))
			}
			page, err = s.Executions(ctx, workflow.Query{Limit: 1000, WaitingFor: "go"})
			if err != nil || len(page.Items) != 100*round || page.Items[0].CreatedAt != workflow.Instant(1000*round+99) {
				t.Fatal(err, len(page.Items))
			}
			due, err := s.Due(ctx, 50, nil, 1000)
			if err != nil || len(due) != 51*round {
				t.Fatal(err, len(due))
			}
			t.Logf("%+v", s.Stats())
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

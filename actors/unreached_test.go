package actors_test

import (
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/workflow"
)

// ownerless is a cluster in which nobody owns an execution, until the first message for
// one was refused: "nothing was kept, send it again".
type ownerless struct {
	solo
	refused atomic.Int32
}

func (p *ownerless) Here(key string) bool { return key == "e" || p.solo.Here(key) }

func (p *ownerless) Deliver(d *actors.Deliver) {
	p.refused.Add(1)
	p.owns.Store(true)
	d.Reply(actors.Reply{Err: &workflow.Refusal{Code: workflow.CodeOverloaded, Message: "no node owns it at the moment"}})
}

// slowHands keep the end of a task until it is asked for.
type slowHands struct {
	*world
	finish chan func()
}

func (h slowHands) Run(job workflow.RunTask, done func(workflow.Input)) {
	h.finish <- func() {
		done(workflow.TaskDone{Stamp: stamp(), Task: job.Task, Run: job.Run, Attempt: job.Attempt})
	}
}

// TestWhatFindsNoOwnerIsBroughtAgain: what the runtime itself has to deliver is sent again
// by nobody else, so a moment without an owner refuses nothing for good.
func TestWhatFindsNoOwnerIsBroughtAgain(t *testing.T) {
	post := func(w *world, s *actors.System, _ slowHands) { w.post(s, "e", "", 0) }
	for name, c := range map[string]struct {
		workflow string // that is there before
		come     func(*world, *actors.System, slowHands)
		leads    string // to the success of an execution of that workflow
	}{
		"an event for a wait":  {"waits", post, "waits"},
		"an event that starts": {"", post, "starts"},
		"the result of a task": {"works", func(_ *world, _ *actors.System, h slowHands) { (<-h.finish)() }, "works"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				work := []*workflow.Task{{ID: "do", Kind: workflow.Basic, Work: &workflow.Work{Executor: "tool", Request: literal("x")}}}
				defs := map[string]*workflow.Definition{
					"waits":  waiting("waits", nil),
					"works":  (&workflow.Definition{ID: "works", Hash: "works-hash", Roots: []string{"do"}, Tasks: work}).Link(),
					"starts": (&workflow.Definition{ID: "starts", Hash: "starts-hash", Triggers: []workflow.Trigger{{Name: "go"}}}).Link(),
				}
				w := newWorld(t, defs[c.leads])
				defer w.store.Close()
				h, peers := slowHands{w, make(chan func(), 1)}, new(ownerless)
				peers.owns.Store(true)
				s := actors.NewSystem(actors.Options{Store: w.store, Catalog: w, Hands: h, Observer: silent{}, Peers: peers, Logger: slog.New(slog.DiscardHandler)})
				if err := s.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				if c.workflow != "" {
					if err := w.begin(s, defs[c.workflow], "x"); err != nil {
						t.Fatal(err)
					}
				}
				peers.owns.Store(false)
				c.come(w, s, h)
				settles()
				page, err := w.store.Executions(t.Context(), workflow.Query{WorkflowID: c.leads, Status: workflow.Success, Limit: 2})
				if err != nil || len(page.Items) != 1 || peers.refused.Load() == 0 {
					t.Errorf("%d executions have ended well, %d messages found no owner, %v", len(page.Items), peers.refused.Load(), err)
				}
				if err := s.Stop(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

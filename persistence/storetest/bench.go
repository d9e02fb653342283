package storetest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// Sample is an execution of about 1 KB that waits for a signal with a deadline.
func Sample(id string, at workflow.Instant) *workflow.State {
	input := workflow.ValueOf(map[string]any{"order_id": id, "amount": 1250.5, "note": strings.Repeat("n", 200)})
	return &workflow.State{
		ExecID: id, WorkflowID: "approval-processor", Definition: "6f1ed002ab5595859014ebf0951522d9",
		Version: 1, Seq: 4, Status: workflow.Waiting, Input: input,
		Trigger:   &workflow.Origin{Type: "signal", Name: "approval-request", Payload: input, EventID: "0197a3f2-5b5c-7e0a-8d11-3c1f0a9b2c3d"},
		CreatedAt: at, UpdatedAt: at,
		Tasks: []workflow.TaskState{{
			ID: "wait-for-decision", Kind: workflow.Wait, Run: 1, Status: workflow.Waiting, Component: "task", CreatedAt: at, UpdatedAt: at,
		}},
		Waits: []workflow.OpenWait{{
			ID: "wait-for-decision/1", Task: "wait-for-decision", Name: "approval-decision",
			Condition: `signal.payload.order_id == workflow.input.order_id`, OpenedAt: at, Deadline: at.Add(time.Hour),
		}},
		Timers: []workflow.Timer{{ID: "deadline/wait-for-decision/1", Kind: workflow.TimerDeadline, Of: "wait-for-decision/1", Due: at.Add(time.Hour)}},
	}
}

// Begun is the commit that starts a sample: no receipt, four records.
func Begun(s *workflow.State, epoch uint64) *persistence.Commit {
	return &persistence.Commit{ExecID: s.ExecID, ID: s.Version, Now: s, Epoch: epoch, Records: []workflow.Record{
		{Seq: 1, At: s.CreatedAt, Type: "execution.started", Data: workflow.ValueOf(map[string]any{"exec": s.ExecID, "input": s.Input})},
		{Seq: 2, At: s.CreatedAt, Type: workflow.TaskStarted, Task: "wait-for-decision"},
		{Seq: 3, At: s.CreatedAt, Type: workflow.WaitOpened, Task: "wait-for-decision", Wait: "wait-for-decision/1"},
		{Seq: 4, At: s.CreatedAt, Type: "timer.armed", Wait: "wait-for-decision/1"},
	}}
}

// Toggled is the commit of a signal that closes the wait of an execution, or of
// what opens it again.
func Toggled(was *workflow.State, epoch uint64) *persistence.Commit {
	now := *was
	now.Version++
	now.Seq += 2
	now.UpdatedAt++
	now.Tasks = slices.Clone(was.Tasks)
	c := &persistence.Commit{ExecID: was.ExecID, Expect: was.Version, Parent: was.Version, ID: now.Version, Epoch: epoch, Was: was, Now: &now}
	signal := fmt.Sprintf("%s-%d", was.ExecID, now.Version)
	if len(was.Waits) > 0 {
		now.Waits, now.Timers, now.Status = nil, nil, workflow.Running
		now.Tasks[0].Status = workflow.Success
		c.Receipts = []workflow.Receipt{{
			SignalID: signal, ExecID: was.ExecID, Name: "approval-decision", Digest: "6f1ed002ab5595859014ebf0951522d9",
			Fate: workflow.FateConsumed, Answer: workflow.Answer{SignalID: signal, Outcome: workflow.Delivered, Status: workflow.Running},
			Steps: []workflow.Step{{At: now.UpdatedAt, What: "accepted", Record: now.Seq - 1}, {At: now.UpdatedAt, What: "consumed", Record: now.Seq}}, At: now.UpdatedAt,
		}}
		c.Working = true
	} else {
		open := Sample(was.ExecID, was.CreatedAt)
		now.Waits, now.Timers, now.Status = open.Waits, open.Timers, workflow.Waiting
		now.Tasks[0].Status = workflow.Waiting
	}
	c.Records = []workflow.Record{
		{Seq: now.Seq - 1, At: now.UpdatedAt, Type: "signal.accepted", Signal: signal, Data: was.Input},
		{Seq: now.Seq, At: now.UpdatedAt, Type: workflow.WaitSatisfied, Wait: "wait-for-decision/1", Signal: signal},
	}
	return c
}

// processorTime is what this process used so far: on a machine that others use
// too, it says more than the clock.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Benchmark measures durable commits of closed-loop submitters.
func Benchmark(b *testing.B, s persistence.Store, submitters int) {
	states := make([]*workflow.State, submitters)
	for i := range states {
		states[i] = Sample(fmt.Sprintf("exec-%06d", i), 1_700_000_000_000)
		done := make(chan error, 1)
		c := Begun(states[i], s.Epoch())
		c.Done = func(err error) { done <- err }
		s.Submit(c)
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	before, cpu := s.Stats(), processorTime(b)
	took := make([][]time.Duration, submitters)
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range submitters {
		n := b.N / submitters
		if i < b.N%submitters {
			n++
		}
		wg.Go(func() {
			done := make(chan error, 1)
			for range n {
				c := Toggled(states[i], s.Epoch())
				c.Done = func(err error) { done <- err }
				begin := time.Now()
				s.Submit(c)
				if err := <-done; err != nil {
					b.Error(err)
					return
				}
				took[i] = append(took[i], time.Since(begin))
				states[i] = c.Now
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	after := s.Stats()
	b.ReportMetric(float64((processorTime(b)-cpu).Microseconds())/float64(b.N), "cpu-us/commit")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(after.Grouped-before.Grouped)/float64(after.Groups-before.Groups), "group")
}

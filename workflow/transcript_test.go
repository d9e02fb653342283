package workflow_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/signalbox/signalbox/definitions"
	"github.com/signalbox/signalbox/workflow"
)

// TestTranscripts plays the files of testdata: each is a workflow, a row of
// inputs in time, and after each input what the core answered: records,
// effects, where the execution stands. They are the specification of the core
// that a person can read. `go test ./workflow -run Transcripts -rewrite` writes
// the answers anew; read the difference before you commit it.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		p := &play{t: t}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			p.t = t
			return p.command(d)
		})
	})
}

// play is one transcript under way.
type play struct {
	t       *testing.T
	def     *workflow.Definition
	state   workflow.State
	history []workflow.Record
}

// epoch is when every transcript begins; `at` counts from there.
const epoch = workflow.Instant(1_800_000_000_000)

func (p *play) command(d *datadriven.TestData) string {
	if d.Cmd == "define" {
		return p.define(d.Input)
	}
	if d.Cmd == "state" {
		return p.show()
	}
	if d.Cmd == "why" {
		return p.why(d)
	}
	in := p.input(d)
	if start, ok := in.(workflow.Started); ok {
		if refusal := p.def.Mark(&start, nil); refusal != nil {
			return fmt.Sprintf("refused %s: %s\n", refusal.Code, refusal.Error())
		}
		in = start
	}
	var refusal *workflow.Refusal
	switch in := in.(type) {
	case workflow.Signalled:
		refusal = workflow.Admit(p.def, &p.state, in)
	case workflow.DeadlineMoved:
		refusal = workflow.AdmitMove(&p.state, in)
	}
	if refusal != nil {
		return fmt.Sprintf("refused %s: %s\n", refusal.Code, refusal.Error())
	}
	next, records, effects, err := workflow.Advance(p.def, p.state, in)
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	p.state, p.history = next, append(p.history, records...)
	if err := workflow.Check(&p.state); err != nil {
		p.t.Fatalf("%s: %v", d.Pos, err)
	}
	return p.answer(records, effects)
}

func (p *play) define(yaml string) string {
	path := filepath.Join(p.t.TempDir(), "workflow.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		p.t.Fatal(err)
	}
	project, found := definitions.Load(path)
	if project == nil {
		var b strings.Builder
		found.Print(&b)
		p.t.Fatal(b.String())
	}
	p.def, p.state, p.history = project.Workflows[0].Definition, workflow.State{}, nil
	return "ok\n"
}

// input reads a command: its name is the kind of input, `at` when it comes.
func (p *play) input(d *datadriven.TestData) workflow.Input {
	arg := func(key string) string {
		var s string
		d.MaybeScanArgs(p.t, key, &s)
		return s
	}
	stamp := workflow.Stamp{At: epoch}
	if at := arg("at"); at != "" {
		offset, err := workflow.ParseDuration(at)
		if err != nil {
			p.t.Fatalf("%s: %v", d.Pos, err)
		}
		stamp.At = epoch.Add(offset)
	}
	var body workflow.Value
	if d.Input != "" {
		body = workflow.ValueOf(json.RawMessage(d.Input))
	}
	task := func() *workflow.TaskState {
		ts := p.state.Task(arg("task"))
		if ts == nil {
			p.t.Fatalf("%s: no task %q", d.Pos, arg("task"))
		}
		return ts
	}
	switch d.Cmd {
	case "start":
		return workflow.Started{Stamp: stamp, ExecID: "x", WorkflowID: p.def.ID, Definition: p.def.Hash, Input: body, Key: arg("key")}
	case "signal", "event":
		sig := workflow.Signal{ID: arg("id"), Name: arg("name"), Payload: body, ReceivedAt: stamp.At, Source: "api"}
		if ttl := arg("ttl"); ttl != "" {
			hold, err := workflow.ParseDuration(ttl)
			if err != nil {
				p.t.Fatalf("%s: %v", d.Pos, err)
			}
			sig.ExpiresAt = stamp.At.Add(hold)
		}
		return workflow.Signalled{Stamp: stamp, Signal: sig, OnlyIfMatched: d.Cmd == "event"}
	case "timer":
		return workflow.TimerFired{Stamp: stamp, Timer: arg("id")}
	case "done":
		return workflow.TaskDone{Stamp: stamp, Task: task().ID, Run: task().Run, Attempt: task().Attempt, Output: body}
	case "failed":
		return workflow.TaskFailed{Stamp: stamp, Task: task().ID, Run: task().Run, Attempt: task().Attempt,
			Failure: workflow.Failure{Code: arg("code"), Message: "it broke"}, Permanent: d.HasArg("permanent"), TimedOut: arg("code") == "TIMEOUT"}
	case "pause":
		return workflow.PauseAsked{Stamp: stamp}
	case "resume":
		return workflow.ResumeAsked{Stamp: stamp}
	case "move":
		deadline, err := workflow.ParseDeadline(arg("to"), stamp.At)
		if err != nil {
			p.t.Fatalf("%s: %v", d.Pos, err)
		}
		return workflow.DeadlineMoved{Stamp: stamp, Wait: arg("wait"), Deadline: deadline, By: arg("by"), Reason: arg("reason")}
	case "cancel":
		return workflow.CancelAsked{Stamp: stamp}
	}
	p.t.Fatalf("%s: unknown command %q", d.Pos, d.Cmd)
	return nil
}

// shown is how many records of one answer are printed, and the last one.
const shown = 20

// answer prints what followed from an input.
func (p *play) answer(records []workflow.Record, effects []workflow.Effect) string {
	if len(records) == 0 {
		return "nothing\n"
	}
	var b strings.Builder
	for i, r := range records {
		if i == shown {
			fmt.Fprintf(&b, "   ... %d more\n", len(records)-shown-1)
		}
		if i >= shown && i < len(records)-1 {
			continue
		}
		fmt.Fprintf(&b, "%2d %s", r.Seq, r.Type)
		for _, part := range []string{r.Task, r.Wait, r.Signal, r.Reason} {
			if part != "" {
				fmt.Fprintf(&b, " | %s", part)
			}
		}
		b.WriteByte('\n')
		var told struct{ Grounds string }
		if json.Unmarshal(r.Data, &told) == nil && told.Grounds != "" {
			fmt.Fprintf(&b, "   because %s\n", told.Grounds)
		}
	}
	for _, effect := range effects {
		switch e := effect.(type) {
		case workflow.RunTask:
			fmt.Fprintf(&b, "   > run %s with %s within %s\n", e.Key(), e.Request, e.Timeout)
		case workflow.CancelTask:
			fmt.Fprintf(&b, "   > cancel %s\n", e.Task)
		case workflow.EmitEvent:
			fmt.Fprintf(&b, "   > emit %s %s %s\n", e.Event.ID, e.Event.Name, e.Event.Payload)
		}
	}
	for _, t := range p.state.Timers {
		fmt.Fprintf(&b, "   timer %s in %s\n", t.ID, t.Due.Time().Sub(p.state.UpdatedAt.Time()))
	}
	fmt.Fprintf(&b, "   = %s", p.state.Status)
	if p.state.Error != nil {
		fmt.Fprintf(&b, " %s: %s", p.state.Error.Code, p.state.Error.Message)
	}
	b.WriteByte('\n')
	return b.String()
}

// show prints the state as clients would care for it.
func (p *play) show() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s output=%s\n", p.state.Status, p.state.Result())
	if p.state.Key != "" {
		fmt.Fprintf(&b, "key %s unique=%t\n", p.state.Key, p.state.Unique)
	}
	for _, l := range p.state.Labels {
		fmt.Fprintf(&b, "label %s=%s\n", l.Name, l.Value)
	}
	for _, ts := range p.state.Tasks {
		fmt.Fprintf(&b, "task %s %s run=%d attempt=%d output=%s\n", ts.ID, ts.Status, ts.Run, ts.Attempt, ts.Output)
	}
	for _, w := range p.state.Waits {
		fmt.Fprintln(&b, strings.TrimSpace(fmt.Sprintf("wait %s for %s %s", w.ID, w.Name, w.Progress())))
	}
	for _, kept := range p.state.Buffer {
		fmt.Fprintf(&b, "kept %s %s: %s\n", kept.ID, kept.Name, kept.Reason)
	}
	return b.String()
}

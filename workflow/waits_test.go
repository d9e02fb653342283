package workflow_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

// sentA is a signal named a.
func sentA(id string, at workflow.Instant) workflow.Signalled {
	return workflow.Signalled{Stamp: workflow.Stamp{At: at}, Signal: workflow.Signal{ID: id, Name: "a", Source: "api", ReceivedAt: at}}
}

func TestASignalThatIsDeliveredAgainIsJudgedAgain(t *testing.T) {
	def := flowOf(holdFor("one", "a"), holdFor("two", "a"))
	s := applied(t, def, begin(t, def), sentA("s", 2))
	in := sentA("s", 3)
	if _, records, _, _ := workflow.Advance(def, s, in); records != nil {
		t.Errorf("its duplicate changes nothing: %+v", records)
	}
	in.Signal.Redelivered = true
	again := applied(t, def, s, in)
	if len(s.Waits) != 1 || again.Status != workflow.Success || len(s.Recent) != 1 {
		t.Errorf("it is %s, with %+v applied before", again.Status, s.Recent)
	}
}

func TestOnlySoManyAppliedSignalsAreRemembered(t *testing.T) {
	all := holdFor("all", "a")
	all.Wait.Quorum = &workflow.Quorum{Count: literal(2 * workflow.MaxRecent)}
	def := flowOf(all)
	s := begin(t, def)
	for i := range workflow.MaxRecent + 3 {
		s = applied(t, def, s, sentA(fmt.Sprint(i), workflow.Instant(i+2)))
	}
	if len(s.Recent) != workflow.MaxRecent || s.Recent[0] != "3" || s.Recent[workflow.MaxRecent-1] != fmt.Sprint(workflow.MaxRecent+2) {
		t.Errorf("got %v", s.Recent)
	}
}

// An id that was made for this very attempt cannot come twice before its sender has
// it; that of a signal which is kept is like any other from then on.
func TestNewIDsAreRememberedOnlyOfSignalsThatWereKept(t *testing.T) {
	two := holdFor("two", "b")
	two.After = []string{"one"}
	def := flowOf(holdFor("one", "a"), two)
	s := begin(t, def)
	for i, name := range []string{"b", "a"} {
		in := sentA(name, workflow.Instant(i+2))
		in.Signal.Name, in.Signal.Minted = name, true
		s = applied(t, def, s, in)
	}
	if s.Status != workflow.Success || !slices.Equal(s.Recent, []string{"b"}) {
		t.Errorf("it is %s and remembers %v", s.Status, s.Recent)
	}
}

func TestWhatOneWaitRefusesTheNextMayTake(t *testing.T) {
	keyed, strict := holdFor("keyed", "a"), holdFor("strict", "a")
	keyed.Wait.Correlate, strict.Wait.Schema = literal("k"), wants("amount")
	def := flowOf(keyed, strict, holdFor("open", "a"))
	in := sentA("s", 2)
	in.Signal.CorrelationID = "j"
	s, records, _, err := workflow.Advance(def, begin(t, def), in)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, r := range records {
		if r.Wait != "" {
			told = append(told, r.Type+" "+r.Wait+" "+r.Reason)
		}
	}
	want := []string{
		`signal.judged keyed/1 its correlation_id is "j" and the wait listens for "k"`,
		`signal.judged strict/1 the payload violates the wait's schema at "/amount": is missing`,
		"signal.consumed open/1 ", "wait.satisfied open/1 ",
	}
	if !slices.Equal(told, want) || len(s.Waits) != 2 {
		t.Errorf("got %q", told)
	}
	in.Signal.ID, in.Signal.CorrelationID, in.Signal.Payload = "t", "j", workflow.Value(`{"amount":1}`)
	if s = applied(t, def, s, in); len(s.Waits) != 1 || s.Waits[0].ID != "keyed/1" {
		t.Errorf("the schema is kept and the signal not taken: %+v", s.Waits)
	}
}

// TestAProcessorWhoseWaitIsGoneDecidesNothing gives a result to a state in which
// a processor still works and no wait asked it to: its result is noted and leads
// nowhere.
func TestAProcessorWhoseWaitIsGoneDecidesNothing(t *testing.T) {
	task := holdFor("hold", "a")
	task.Wait.Processor = toolTask("look")
	seen := workflow.Value(`"unset"`)
	task.Wait.Processor.Outputs = render(func(s *workflow.Scope) (workflow.Value, error) {
		seen = s.Signal
		return workflow.Value(`1`), nil
	})
	def := flowOf(task)
	s := applied(t, def, begin(t, def), sentA("s", 2))
	done := workflow.TaskDone{Stamp: workflow.Stamp{At: 3}, Task: "look", Run: 1, Attempt: 1}
	if ended := applied(t, def, s, done); ended.Status != workflow.Success || !strings.Contains(string(seen), `"signal_id":"s"`) {
		t.Errorf("it is %s, and the processor saw %s", ended.Status, seen)
	}
	s.Waits = slices.Clone(s.Waits)
	s.Waits[0].Judging = ""
	next := applied(t, def, s, done)
	if next.Task("look").Status != workflow.Success || next.Status != workflow.Waiting || len(next.Waits) != 1 || len(next.Buffer) != 1 || seen != nil {
		t.Errorf("it is %s with %+v, and the processor saw %s", next.Status, next.Waits, seen)
	}
}

package workflow_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

// told is the sentence of why an execution stands where it stands at that moment.
func told(def *workflow.Definition, s *workflow.State, at workflow.Instant) string {
	return workflow.Explain(def, s, at, workflow.Circumstance{}).Sentence
}

func TestTheSentenceOfWhatHasEnded(t *testing.T) {
	def := flowOf(holdFor("hold", "a"))
	for want, c := range map[string]struct {
		status workflow.Status
		error  string
	}{
		"it finished well 1970-01-01 00:00:01 UTC (less than a second ago).":                  {workflow.Success, ""},
		"it timed out 1970-01-01 00:00:01 UTC (less than a second ago): task hold: too late.": {workflow.TimedOut, "task hold: too late"},
		"it failed 1970-01-01 00:00:01 UTC (less than a second ago): task hold: no luck.":     {workflow.Failed, "task hold: no luck"},
		"it was canceled 1970-01-01 00:00:01 UTC (less than a second ago) by ops: enough.":    {workflow.Canceled, "canceled by ops: enough"},
		"it was canceled 1970-01-01 00:00:01 UTC (less than a second ago).":                   {workflow.Canceled, "canceled"},
	} {
		s := over()
		s.Status, s.FinishedAt, s.UpdatedAt = c.status, 1000, 1000
		if c.error != "" {
			s.Error = &workflow.Failure{Message: c.error}
		}
		if got := told(def, &s, 1999); got != "It waits for nothing: "+want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestHowLongAgoInTheUnitThatAPersonWouldUse(t *testing.T) {
	const day = 24 * 3600_000
	for after, want := range map[workflow.Instant]string{
		0: "less than a second", 999: "less than a second", 1000: "1 second", 2000: "2 seconds", 119_999: "119 seconds", 120_000: "2 minutes",
		2 * 3600_000: "2 hours", 2*day - 1: "47 hours", 2 * day: "2 days",
	} {
		s := over()
		s.FinishedAt = 5
		if got := told(flowOf(), &s, 5+after); !strings.HasSuffix(got, "("+want+" ago).") {
			t.Errorf("%d: got %q, want %s", after, got, want)
		}
	}
}

func TestTheSentencesOfWork(t *testing.T) {
	hold := holdFor("hold", "a")
	hold.Wait.Processor = toolTask("look")
	def := flowOf(hold)
	s := applied(t, def, begin(t, def), sentA("s", 1000))
	got := told(def, &s, 2000)
	for _, want := range []string{
		"Processor look of wait hold runs since 1970-01-01 00:00:01 UTC (1 second ago), attempt 1 of 1; this attempt is given up 1970-01-01 00:05:01 UTC (in 4 minutes).",
		`It waits for signal "a" (task hold) since 1970-01-01 00:00:00 UTC (1 second ago); its processor works on signal s now; it has no deadline.`,
		`Signal s ("a") came 1970-01-01 00:00:01 UTC (1 second ago) and is kept: the processor of wait hold/1 works on it.`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("want %q in\n%s", want, got)
		}
	}
	s = applied(t, def, s, workflow.PauseAsked{Stamp: workflow.Stamp{At: 2000}})
	s = applied(t, def, s, workflow.TaskDone{Stamp: workflow.Stamp{At: 2000}, Task: "look", Run: 1, Attempt: 1})
	if got, want := told(def, &s, 2000), "It is paused: nothing moves and no deadline passes until somebody resumes it. "+
		"Processor look of wait hold is done, and its result is applied when the execution is resumed. It waits"; !strings.HasPrefix(got, want) {
		t.Errorf("want %q in\n%s", want, got)
	}
	idle := workflow.State{ExecID: "x", WorkflowID: "w", Definition: "h", Status: workflow.Running}
	if got := told(def, &idle, 1); got != "Nothing keeps it: it goes on at once." {
		t.Errorf("got %q", got)
	}
	sleepless := workflow.State{Status: workflow.Running, Tasks: []workflow.TaskState{{ID: "look", Run: 1, Status: workflow.Pending}}}
	if y := workflow.Explain(def, &sleepless, 1, workflow.Circumstance{}); len(y.Tasks) != 1 || y.Tasks[0].Until != 0 {
		t.Errorf("without a timer nobody knows when it begins: %+v", y.Tasks)
	}
}

// collecting is a wait task for signals named a with that quorum.
func collecting(q workflow.Quorum) *workflow.Task {
	task := holdFor("all", "a")
	task.Wait.Quorum = &q
	return task
}

func TestTheSentenceOfAWaitSaysWhatIsMissing(t *testing.T) {
	by := render(func(s *workflow.Scope) (workflow.Value, error) { return workflow.ValueOf(said(s).Payload.By), nil })
	until := judge{"four", func(s *workflow.Scope) bool { return strings.Count(string(s.Collected()), "signal_id") >= 4 }}
	mute := quiet{judge{source: "always"}}
	for _, c := range []struct {
		task  *workflow.Task
		votes int
		want  string
	}{
		{collecting(workflow.Quorum{Count: literal(1)}), 0, "ago); it has no"},
		{collecting(workflow.Quorum{Count: literal(1), Distinct: by}), 0, "; it has 0 of 1 and needs 1 more distinct signal; it has no"},
		{collecting(workflow.Quorum{Count: literal(3)}), 0, "; it has 0 of 3 and needs 3 more signals; it has no"},
		{collecting(workflow.Quorum{Count: literal(3)}), 2, "; it has 2 of 3 (signal 1, signal 2) and needs 1 more signal; it has no"},
		{collecting(workflow.Quorum{Count: literal(3), Distinct: by}), 1, "; it has 1 of 3 (v1) and needs 2 more distinct signals; it has no"},
		{collecting(workflow.Quorum{Count: literal(3), Weigh: literal("0.5")}), 1, "; it has 0.5 of 3 (signal 1) and needs 2.5 more weight; it has no"},
		{collecting(workflow.Quorum{Count: literal(3), Distinct: by, Weights: map[string]workflow.Weight{"*": 500}}), 2, "; it has 1 of 3 (v1, v2) and needs 2 more weight; it has no"},
		{collecting(workflow.Quorum{Until: until}), 0, "; it has collected 0 and collects until four (four is false); it has no"},
		{collecting(workflow.Quorum{Until: until, Distinct: by}), 2, "; it has collected 2 (v1, v2) and collects until four (four is false); it has no"},
		{collecting(workflow.Quorum{Until: mute}), 1, "; it has collected 1 (signal 1) and collects until always; it has no"},
		{collecting(workflow.Quorum{Count: literal(30), Distinct: by}), 21, "; it has 21 of 30 (v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15, v16, v17, v18, v19, v20, ...) and needs 9 more"},
	} {
		def := flowOf(c.task)
		s := begin(t, def)
		for i := 1; i <= c.votes; i++ {
			s = applied(t, def, s, vote{id: fmt.Sprint(i), name: "a", by: fmt.Sprint("v", i)}.at(workflow.Instant(i)))
		}
		if got := told(def, &s, 9); !strings.Contains(got, c.want) {
			t.Errorf("want %q in\n%s", c.want, got)
		}
	}
}

// quiet is a condition that does not say why it is false.
type quiet struct{ judge }

func (q quiet) Judge(*workflow.Scope) workflow.Verdict { return workflow.Verdict{} }

// branched is a wait for one of two branches, or for so many.
func branched(need int) *workflow.Task {
	task := holdFor("one", "")
	task.Wait.Name, task.Timeout, task.Wait.Need = nil, literal("2h"), literal(need)
	task.Wait.Branches = []*workflow.Branch{
		{ID: "fast", Timeout: literal("1h"), Hold: workflow.Hold{Name: literal("a")}},
		{ID: "slow", Hold: workflow.Hold{Name: literal("b")}},
	}
	return task
}

func TestTheSentenceOfABranch(t *testing.T) {
	extended := branched(1)
	extended.Wait.Branches = extended.Wait.Branches[:1]
	extended.Wait.Extend = &workflow.Extension{By: literal("1h"), Max: 1, Hold: workflow.Hold{Name: literal("more")}}
	out := branched(2)
	out.OnTimeout = "later"
	reminder := branched(2)
	reminder.Reminds = true
	const head = `It waits for signal "a" (branch fast of task one) since 1970-01-01 00:00:00 UTC (1 second ago)`
	const until = "; if that has not happened by 1970-01-01 01:00:00 UTC (in 59 minutes), "
	for what, c := range map[string]struct {
		task   *workflow.Task
		branch int
		then   string
		want   string
	}{
		"another branch is left":      {branched(1), 0, "", head + until + "the branch is given up and the task waits for the others."},
		"the other one is not enough": {branched(2), 0, "", head + "; the task has 0 of 2 branches" + until + "the execution ends TIMED_OUT."},
		"an extension is no branch":   {extended, 0, "", head + until + "the execution ends TIMED_OUT."},
		"the last branch":             {branched(1), 1, "", "(in 119 minutes), the execution ends TIMED_OUT."},
		"a way out":                   {out, 0, "later", until + "task later runs."},
		"a reminder":                  {reminder, 0, "", until + "only this reminder ends, and the execution goes on."},
		"the extension itself":        {extended, 1, "", `Signal "more" gives task one more time; it did so 0 of at most 1 times, and the deadline is 1970-01-01 02:00:00 UTC (in 119 minutes).`},
	} {
		def := flowOf(c.task, toolTask("later"))
		s := begin(t, def)
		y := workflow.Explain(def, &s, 1001, workflow.Circumstance{})
		w := y.Waits[c.branch]
		if !strings.HasSuffix(w.Text, c.want) || w.Then != c.then {
			t.Errorf("%s: then %q, want %q, in\n%s", what, w.Then, c.want, w.Text)
		}
		if w.Deadline == 0 {
			continue
		}
		// What it says comes true.
		next := applied(t, def, s, workflow.TimerFired{Stamp: workflow.Stamp{At: w.Deadline}, Timer: "deadline:" + w.ID})
		ended, waits, runs := next.Status == workflow.TimedOut, len(next.Waits) > 0, next.Task("later") != nil
		if ended != strings.Contains(c.want, "ends TIMED_OUT") || waits != strings.Contains(c.want, "waits for the others") || runs != (c.then != "") {
			t.Errorf("%s: %q, and then it is %s with %d waits", what, c.want, next.Status, len(next.Waits))
		}
		if got := told(def, &s, w.Deadline); !strings.Contains(got, "; its deadline has just passed: "+w.AtDeadline+".") {
			t.Errorf("%s: at the deadline itself: %s", what, got)
		}
	}
}

func TestTheSentencesOfWaitsForTheSameName(t *testing.T) {
	keyed := holdFor("keyed", "a")
	keyed.Wait.Correlate = literal("k")
	never := holdFor("never", "a")
	never.Wait.Condition = judge{"never", func(*workflow.Scope) bool { return false }}
	def := flowOf(keyed, never, holdFor("other", "b"))
	s := begin(t, def)
	for i := range 25 {
		in := sentA(fmt.Sprint("s", i), workflow.Instant(i+2))
		in.Signal.CorrelationID = "j"
		s = applied(t, def, s, in)
	}
	y := workflow.Explain(def, &s, 99, workflow.Circumstance{})
	if len(y.Waits) != 3 || len(y.Waits[0].Behind) != 0 || fmt.Sprint(y.Waits[1].Behind) != "[keyed/1]" || len(y.Waits[2].Behind) != 0 {
		t.Fatalf("got %+v", y.Waits)
	}
	if !strings.Contains(y.Sentence, `signal "a" and correlation_id "k" (task keyed)`) || !strings.Contains(y.Sentence, `signal "a" with never (task never)`) {
		t.Errorf("got %s", y.Sentence)
	}
	if len(y.Signals) != 20 || len(y.Waits[0].Refused) != 20 || len(y.Waits[1].Refused) != 20 || y.Waits[2].Refused != nil {
		t.Errorf("%d signals, refused %d and %d", len(y.Signals), len(y.Waits[0].Refused), len(y.Waits[1].Refused))
	}
	if o := y.Waits[1].Refused[0]; o.Signal != "s0" || o.Reason != "never is false" || o.Condition != "never" {
		t.Errorf("got %+v", o)
	}
	if !strings.HasSuffix(y.Sentence, "22 more signals are kept for a later wait.") || strings.Count(y.Sentence, "and is kept:") != 3 {
		t.Errorf("got %s", y.Sentence)
	}
	s.Buffer = s.Buffer[:4] // the fourth is told as well, which is as long as to say that there is one more
	if got := told(def, &s, 99); strings.Count(got, "and is kept:") != 4 || strings.Contains(got, "more signals") {
		t.Errorf("got %s", got)
	}
}

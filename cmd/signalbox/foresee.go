package main

import (
	"fmt"
	"strings"

	"github.com/signalbox/signalbox/http"
	"github.com/signalbox/signalbox/workflow"
)

// dryRunHelp describes --dry-run, which several verbs have.
const dryRunHelp = "say what would happen, and change nothing; the exit code is that of the real command"

// foreseen prints what would happen. A refusal that would come ends the program
// as the real one would.
func (a *app) foreseen(f *http.Forecast, err error, what string) error {
	if err != nil {
		return err
	}
	if err := a.print(f, func(t *rows) { forecast(t, f, what) }); err != nil {
		return err
	}
	if f.Refusal != nil {
		return f.Refusal
	}
	return nil
}

func forecast(t *rows, f *http.Forecast, what string) {
	t.field("dry run", "nothing was "+what)
	t.field("would answer", fmt.Sprint(f.WouldAnswer)+wouldBe(f))
	t.field("execution", f.ExecID)
	if f.Answer != nil && f.Answer.Wait != nil {
		t.field("wait", f.Answer.Wait.ID)
	}
	if f.Answer != nil {
		t.field("reason", f.Answer.Reason)
	}
	switch {
	case f.StatusNow != "" && f.StatusNow != f.Status:
		t.field("status", fmt.Sprintf("%s, then %s", f.StatusNow, f.Status))
	default:
		t.field("status", f.Status)
	}
	if len(f.Waits) > 0 {
		t.row()
		t.row("WAIT", "TAKES IT", "WHY")
		for i := range f.Waits {
			w := &f.Waits[i]
			t.row(w.ID, taking(w), orElse(w.Reason, orElse(w.Condition, "it takes every signal of that name")))
		}
	}
	if f.Refusal != nil || f.Duplicate {
		return
	}
	happenings(t, f)
}

// wouldBe is the answer in a word or two.
func wouldBe(f *http.Forecast) string {
	switch {
	case f.Refusal != nil:
		return " " + f.Refusal.Code
	case f.Duplicate && f.Answer == nil:
		return ", with the execution that is there; nothing would be started"
	case f.Duplicate:
		return " " + string(f.Answer.Outcome) + ", the first answer again; nothing would change"
	case f.Answer != nil:
		return " " + string(f.Answer.Outcome)
	case f.Started:
		return " started"
	}
	return ""
}

func taking(w *http.WaitOpinion) string {
	switch {
	case w.Vetoes:
		return "vetoes"
	case w.Processor != "":
		return "after " + w.Processor
	case w.Takes:
		return "yes"
	case w.Busy:
		return "busy"
	}
	return "no"
}

// happenings lists what would be done next.
func happenings(t *rows, f *http.Forecast) {
	var lines [][]any
	for _, s := range f.Steps {
		if s.Type == workflow.TaskSkipped {
			lines = append(lines, []any{"skips", s.Task, s.Reason})
		}
	}
	for _, r := range f.Runs {
		lines = append(lines, []any{"runs", r.TaskID, strings.TrimSpace(r.Executor + " " + compact(r.Request))})
	}
	for _, task := range f.Stops {
		lines = append(lines, []any{"stops", task, ""})
	}
	for _, e := range f.Emits {
		lines = append(lines, []any{"emits", e.Name, compact(e.Payload)})
	}
	for _, w := range f.Opens {
		lines = append(lines, []any{"opens", w.ID, "waits for " + w.SignalName})
	}
	for _, id := range f.Closes {
		lines = append(lines, []any{"closes", id, ""})
	}
	for _, timer := range f.Timers {
		lines = append(lines, []any{"arms", fmt.Sprintf("%s of %s", timer.Kind, timer.Of), timer.Due})
	}
	switch {
	case f.Error != nil:
		lines = append(lines, []any{"ends", f.Status, f.Error.Message})
	case f.Status.Finished() && f.StatusNow != f.Status:
		lines = append(lines, []any{"ends", f.Status, compact(f.Output)})
	}
	for _, d := range f.Takes {
		lines = append(lines, []any{"then takes", d.WaitID, "event " + d.EventID + ", which is kept; " + nextSteps(d.Forecast)})
	}
	if f.More {
		lines = append(lines, []any{"then takes", "", "there are more kept events than were looked at"})
	}
	if len(lines) == 0 {
		return
	}
	t.row()
	t.row("WOULD", "WHAT", "HOW")
	for _, line := range lines {
		t.row(line...)
	}
}

// foreseenEvent prints what an event would do.
func (a *app) foreseenEvent(f *http.EventForecast, err error) error {
	if err != nil {
		return err
	}
	if err := a.print(f, func(t *rows) { eventForecast(t, f) }); err != nil {
		return err
	}
	if f.Refusal != nil {
		return f.Refusal
	}
	return nil
}

func eventForecast(t *rows, f *http.EventForecast) {
	t.field("dry run", "nothing was sent")
	switch {
	case f.Refusal != nil:
		t.field("would answer", fmt.Sprint(f.WouldAnswer)+" "+f.Refusal.Code)
		return
	case f.Duplicate:
		t.field("would answer", fmt.Sprint(f.WouldAnswer)+", it was accepted before under this id; nothing would happen")
		return
	}
	t.field("would answer", f.WouldAnswer)
	t.field("state", f.State)
	t.field("reason", f.Reason)
	if len(f.Deliveries)+len(f.Passed) == 0 {
		return
	}
	t.row()
	t.row("LISTENER", "WORKFLOW", "EXECUTION", "WAIT", "WOULD BE", "WHY, OR WHAT THEN")
	for _, d := range append(f.Deliveries, f.Passed...) {
		t.row(d.Kind, d.WorkflowID, d.ExecID, d.WaitID, d.Outcome, orElse(d.Reason, nextSteps(d.Forecast)))
	}
	for _, d := range f.Takes {
		t.row(d.Kind, d.WorkflowID, d.ExecID, d.WaitID, "then delivered", "event "+d.EventID+", which is kept; "+nextSteps(d.Forecast))
	}
	if f.More {
		t.row("", "", "", "", "", "there are more waits or kept events than were looked at")
	}
}

// nextSteps is what an execution would do, in a line.
func nextSteps(f *http.Forecast) string {
	if f == nil {
		return ""
	}
	var parts []string
	for _, r := range f.Runs {
		parts = append(parts, "runs "+r.TaskID)
	}
	for _, e := range f.Emits {
		parts = append(parts, "emits "+e.Name)
	}
	for _, w := range f.Opens {
		parts = append(parts, "waits for "+w.SignalName)
	}
	return strings.Join(append(parts, "status "+string(f.Status)), ", ")
}

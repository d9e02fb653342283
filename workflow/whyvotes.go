package workflow

import (
	"fmt"
	"slices"
	"strings"
)

// missing says what a wait that collects or has branches still wants, and who
// counts already.
func (t *transition) missing(task *Task, ts *TaskState, w *OpenWait) (collected []string, text string) {
	g := ts.Gathered
	if g == nil {
		return nil, ""
	}
	for _, c := range g.Collected {
		if c.Branch != w.Branch {
			continue
		}
		who := plain(c.By)
		if c.By == nil {
			who = "signal " + c.Signal
		}
		collected = append(collected, who)
	}
	quorum := task.Wait.hold(w.Branch).Quorum
	if quorum != nil {
		text = t.quorumMissing(quorum, w, task, ts, collected)
	}
	if w.Whole == "" {
		return collected, text
	}
	return collected, joined(text, fmt.Sprintf("the task has %s%s", w.Whole, among(g.Satisfied)))
}

func (t *transition) quorumMissing(q *Quorum, w *OpenWait, task *Task, ts *TaskState, collected []string) string {
	if q.Until != nil {
		text := fmt.Sprintf("it has collected %d%s", len(collected), among(collected))
		if enough, why := t.enough(task, ts, w); !enough {
			text += " and collects until " + q.Until.Source()
			if why != "" {
				text += " (" + why + ")"
			}
		}
		return text
	}
	what := "weight"
	if q.Weigh == nil && q.Weights == nil {
		what = "signal"
		if q.Distinct != nil {
			what = "distinct signal"
		}
		if w.Need-w.Have != One {
			what += "s"
		}
	}
	if w.Need == One && w.Have == 0 && q.Distinct == nil {
		return "" // one is enough, which goes without saying
	}
	return fmt.Sprintf("it has %s of %s%s and needs %s more %s", w.Have, w.Need, among(collected), w.Need-w.Have, what)
}

func among(names []string) string {
	if len(names) == 0 {
		return ""
	}
	if len(names) > whySignals {
		names = append(slices.Clone(names[:whySignals]), "...")
	}
	return " (" + strings.Join(names, ", ") + ")"
}

// atDeadline is what follows when the wait is not satisfied in time.
func (t *transition) atDeadline(task *Task, ts *TaskState, w *OpenWait) (then, text string) {
	if w.Deadline == 0 {
		return "", ""
	}
	if g := ts.Gathered; g != nil && w.Branch != "" {
		left := 0
		for i := range t.s.Waits {
			o := &t.s.Waits[i]
			if o.Task == w.Task && o.Branch != ExtendBranch && (o.Deadline == 0 || o.Deadline > w.Deadline) {
				left++
			}
		}
		if left > 0 && len(g.Satisfied)+left >= g.Need {
			return "", "the branch is given up and the task waits for the others"
		}
	}
	if then = t.def.wayOut(task, true, false); then != "" {
		return then, "task " + then + " runs"
	}
	if task.Reminds {
		return "", "only this reminder ends, and the execution goes on"
	}
	return "", "the execution ends " + string(TimedOut)
}

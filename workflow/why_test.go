package workflow_test

import (
	"strings"

	"github.com/cockroachdb/datadriven"

	"github.com/signalbox/signalbox/workflow"
)

// why prints what an execution waits for, a line for each part of the sentence,
// with moments as their distance only.
func (p *play) why(d *datadriven.TestData) string {
	at, by := "0s", ""
	d.MaybeScanArgs(p.t, "at", &at)
	d.MaybeScanArgs(p.t, "paused_by", &by)
	offset, err := workflow.ParseDuration(at)
	if err != nil {
		p.t.Fatalf("%s: %v", d.Pos, err)
	}
	c := workflow.Circumstance{PausedBy: by}
	if by != "" {
		c.PausedAt = epoch
	}
	d.MaybeScanArgs(p.t, "quarantine", &c.Quarantine)
	for _, r := range p.history {
		if r.OfWaits() {
			c.Told = append(c.Told, r)
		}
	}
	y := workflow.Explain(p.def, &p.state, epoch.Add(offset), c)
	var b strings.Builder
	lines := []string{y.Summary}
	for i := range y.Tasks {
		lines = append(lines, y.Tasks[i].Text)
	}
	for i := range y.Waits {
		w := &y.Waits[i]
		lines = append(lines, w.Text)
		for _, o := range w.Refused {
			lines = append(lines, "  did not take "+o.Signal+": "+o.Reason+" ["+o.Condition+"]")
		}
		if w.Behind != nil {
			lines = append(lines, "  asked after "+strings.Join(w.Behind, ", "))
		}
	}
	for i := range y.Signals {
		lines = append(lines, y.Signals[i].Text)
	}
	for _, line := range lines {
		if line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

package workflow_test

import (
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

func TestWeightsAreExact(t *testing.T) {
	for text, want := range map[string]workflow.Weight{"0": 0, "3": 3000, " 0.5 ": 500, "1.250": 1250, "0.001": 1, "1000000000": workflow.MaxWeight} {
		if got, err := workflow.ParseWeight(text); err != nil || got != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "+1", "many", "1.0001", ".5", "1e3", "1000000001", "99999999999999999999"} {
		if got, err := workflow.ParseWeight(text); err == nil {
			t.Errorf("%q is read as %s", text, got)
		}
	}
	for w, want := range map[workflow.Weight]string{0: "0", 500: "0.5", 1250: "1.25", 3000: "3", 1: "0.001"} {
		if got := w.String(); got != want {
			t.Errorf("%d is written %q, want %q", w, got, want)
		}
	}
}

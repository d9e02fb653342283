package definitions

import (
	"strings"

	"github.com/signalbox/signalbox/workflow"
)

// didYouMean is the hint for a word that nobody knows: the nearest one, or the
// whole choice when it is small.
func didYouMean(s string, candidates []string) string {
	if near := workflow.Nearest(s, candidates); near != "" {
		return "did you mean " + quoted(near) + "?"
	}
	if len(candidates) == 0 {
		return ""
	}
	const shown = 12
	if len(candidates) > shown {
		return "known are " + strings.Join(candidates[:shown], ", ") + " and others"
	}
	return "known are " + strings.Join(candidates, ", ")
}

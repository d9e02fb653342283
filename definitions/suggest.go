package definitions

import (
	"slices"
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
	candidates = once(candidates)
	if len(candidates) > maxChoice {
		return "known are " + strings.Join(candidates[:maxChoice], ", ") + " and others"
	}
	return "known are " + strings.Join(candidates, ", ")
}

// once is a list without what it has already had.
func once(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

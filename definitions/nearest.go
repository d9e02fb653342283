package definitions

import (
	"slices"
	"strings"
)

// nearest returns the candidate that s was most likely meant to be, or "".
// Case and the difference of `-` and `_` count for nothing.
func nearest(s string, candidates []string) string {
	if len(s) > maxWord {
		return ""
	}
	fold := strings.NewReplacer("_", "-").Replace
	want := fold(strings.ToLower(s))
	best, bestEdits := "", min(maxEdits, len(want)/3)+1
	for _, c := range slices.Sorted(slices.Values(candidates)) {
		if c == s || len(c) > maxWord {
			continue
		}
		if n := edits(want, fold(strings.ToLower(c)), bestEdits); n < bestEdits {
			best, bestEdits = c, n
		}
	}
	return best
}

// edits counts insertions, deletions, replacements and swaps of neighbours
// between a and b; it may stop counting at limit.
func edits(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit {
		return limit
	}
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	now := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		now[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			now[j] = min(last[j]+1, now[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], before[j-2]+1)
			}
		}
		before, last, now = last, now, before
	}
	return last[len(b)]
}

// didYouMean is the hint for a word that nobody knows: the nearest one, or the
// whole choice when it is small.
func didYouMean(s string, candidates []string) string {
	if near := nearest(s, candidates); near != "" {
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

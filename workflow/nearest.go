package workflow

import (
	"slices"
	"strings"
)

// Nearest finds the candidate that a person most likely meant: the least edit
// distance (Damerau 1964, the optimal string alignment), at most a third of the
// name and at most MaxEdits. Case, and the difference of - and _, count for
// nothing. It returns "" when none is near; of equals the first in order.
func Nearest(name string, candidates []string) string {
	if name == "" || len(name) > MaxNameBytes {
		return ""
	}
	fold := strings.NewReplacer("_", "-")
	want := fold.Replace(strings.ToLower(name))
	best, least := "", min(MaxEdits, len(want)/3)+1
	for _, c := range slices.Sorted(slices.Values(candidates)) {
		if c == name || len(c) > MaxNameBytes {
			continue
		}
		if d := distance(want, fold.Replace(strings.ToLower(c)), least); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b; limit or more is as good as limit.
func distance(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

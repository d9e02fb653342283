package expression

import "strings"

// nearest finds the name that a person most likely meant: the one with the
// smallest edit distance, if that is small for its length, "" otherwise.
func nearest(name string, names []string) string {
	if name == "" || len(name) > maxNearestBytes {
		return ""
	}
	best, least := "", 1+max(1, len(name)/3)
	for _, candidate := range names {
		if len(candidate) > maxNearestBytes || candidate == name {
			continue
		}
		if d := distance(strings.ToLower(name), strings.ToLower(candidate)); d < least {
			best, least = candidate, d
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b.
func distance(a, b string) int {
	var rows [3][maxNearestBytes + 1]int
	before, last, row := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// twin spells an id the other way: hyphens for underscores and back. Ids are
// read in both spellings, because a hyphen cannot stand in most expressions.
func twin(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if a[i] != b[i] && !(a[i] == '-' || a[i] == '_') {
			return false
		}
		if a[i] != b[i] && !(b[i] == '-' || b[i] == '_') {
			return false
		}
	}
	return true
}

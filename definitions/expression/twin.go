package expression

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

package redis

import "strings"

// SlotsOf are the slots of the partitions of a store, in their order.
func SlotsOf(s *Store) []int {
	var all []int
	for _, p := range s.parts {
		_, rest, _ := strings.Cut(p.base, "{")
		tag, _, _ := strings.Cut(rest, "}")
		all = append(all, int(slotOf(tag)))
	}
	return all
}

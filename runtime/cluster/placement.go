package cluster

// Partition is the piece that a key falls into. It is the same in every node of
// every release: it decides who owns the key.
func Partition(key string) int {
	return int(mix(fnv(key)) % Partitions)
}

// fnv is FNV-1a of 64 bits, written out because that of the standard library
// allocates and this is done for every message.
func fnv(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// mix is the finisher of MurmurHash3. FNV alone hardly changes its high bits
// when the last characters of a key do, as those of neighbouring ports, which
// gave one node of three half of everything.
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// Table says which member owns which partition.
type Table struct {
	View   View
	owners [Partitions]*Member // all nil when nobody can own anything
}

// NewTable gives every partition to the member with the highest mixed hash of
// both, so that who comes or goes moves its own share and nothing else. Members
// that are leaving get nothing.
func NewTable(v View) *Table {
	t := &Table{View: v}
	var highest [Partitions]uint64
	for i := range v.Members {
		m := &v.Members[i]
		if m.Leaving {
			continue
		}
		seed := mix(fnv(m.ID))
		for p := range t.owners {
			claim := mix(seed ^ mix(uint64(p)+1))
			// Members come in the order of their ids, so a draw ends alike everywhere.
			if t.owners[p] == nil || claim > highest[p] {
				t.owners[p], highest[p] = m, claim
			}
		}
	}
	return t
}

// Owner is the member that owns a key, nil when nobody can.
func (t *Table) Owner(key string) *Member { return t.owners[Partition(key)] }

// Held counts the partitions of a member.
func (t *Table) Held(id string) int {
	n := 0
	for _, m := range t.owners {
		if m != nil && m.ID == id {
			n++
		}
	}
	return n
}

// Moved counts the partitions that have another owner than in the table before.
func (t *Table) Moved(before *Table) int {
	n := 0
	for p, m := range t.owners {
		if was := before.owners[p]; m != nil && (was == nil || was.ID != m.ID) {
			n++
		}
	}
	return n
}

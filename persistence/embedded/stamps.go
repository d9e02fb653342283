package embedded

// stamps remembers the stamps of the executions written last, in two halves: when
// the younger is full the older is dropped. The writer alone uses it.
type stamps struct{ young, old map[string]stamp }

func newStamps() stamps { return stamps{young: map[string]stamp{}, old: map[string]stamp{}} }

func (c *stamps) get(exec string) (stamp, bool) {
	if st, ok := c.young[exec]; ok {
		return st, true
	}
	st, ok := c.old[exec]
	return st, ok
}

func (c *stamps) put(exec string, st stamp) {
	if len(c.young) >= rememberedStamps {
		c.old, c.young = c.young, c.old
		clear(c.young)
	}
	c.young[exec] = st
}

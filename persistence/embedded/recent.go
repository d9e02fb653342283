package embedded

import (
	"encoding/binary"
	"hash/maphash"
	"sync"
)

// recent remembers the state rows that were written last, so that an execution
// which has just been written is loaded and checked without a look at the sorted
// rows. The writer puts a row when it becomes visible, so what is found here is
// exactly what is stored; a zero stamp says that the execution is gone. Of one that
// has finished only the stamp is remembered, unless somebody reads it: those that
// live need the room. It holds bytes in two halves without pointers, which the garbage
// collector need not walk: when the younger is full the older is dropped.
type recent struct {
	mu         sync.RWMutex
	seed       maphash.Seed
	young, old half
	head       []byte // room for what an entry begins with
	forgotten  uint64 // times that something was dropped
}

type half struct {
	index map[uint64]uint32 // by the hash of the execution's id, where its entry is
	arena arena
}

// An entry is [length of the row 4][length of the id 2][stamp 24][id][row]. A row has
// no length when it is not remembered.
const entryHeader = 4 + 2 + 24

func newRecent() recent {
	return recent{seed: maphash.MakeSeed(), young: newHalf(), old: newHalf()}
}

func newHalf() half { return half{index: map[uint64]uint32{}} }

// forget drops everything, and the room for it.
func (c *recent) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.young, c.old = newHalf(), newHalf()
	c.forgotten++
}

// get returns a copy of the row behind dst. found is false when the sorted rows
// must be asked; asked then says when that was, for remember.
func (c *recent) get(dst []byte, exec string) (row []byte, st stamp, asked uint64, found bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	entry, found := c.find(exec)
	if !found {
		return dst, stamp{}, c.forgotten, false
	}
	row, st = entry[entryHeader+len(exec):][:binary.BigEndian.Uint32(entry)], stampIn(entry)
	if len(row) == 0 && st != (stamp{}) {
		return dst, stamp{}, c.forgotten, false
	}
	return append(dst, row...), st, 0, true
}

// stamp is get of the stamp alone.
func (c *recent) stamp(exec string) (stamp, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	entry, found := c.find(exec)
	if !found {
		return stamp{}, false
	}
	return stampIn(entry), true
}

// find returns the entry of an execution.
func (c *recent) find(exec string) ([]byte, bool) {
	hash := maphash.String(c.seed, exec)
	of := &c.young
	at, in := of.index[hash]
	if !in {
		of = &c.old
		if at, in = of.index[hash]; !in {
			return nil, false
		}
	}
	entry := of.arena.from(at)
	// Another id of the same hash may have come later. The older half may hold a row
	// of this one then, but not necessarily its last.
	return entry, string(entry[entryHeader:][:binary.BigEndian.Uint16(entry[4:])]) == exec
}

func stampIn(entry []byte) stamp {
	return stamp{
		Version: binary.BigEndian.Uint64(entry[6:]), Epoch: binary.BigEndian.Uint64(entry[14:]), Commit: binary.BigEndian.Uint64(entry[22:]),
	}
}

// put remembers a row that has just become visible; without a row, that its execution
// has finished.
func (c *recent) put(exec string, st stamp, row []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.insert(maphash.String(c.seed, exec), exec, st, row)
}

// remember takes a row that a reader found in the sorted rows after it had asked
// here in vain. It may be old by now: if the execution was written since, its
// row is here, unless something was dropped since; then nothing is taken.
func (c *recent) remember(asked uint64, exec string, st stamp, row []byte) {
	hash := maphash.String(c.seed, exec)
	c.mu.Lock()
	defer c.mu.Unlock()
	_, young := c.young.index[hash]
	_, old := c.old.index[hash]
	if young || old {
		entry, found := c.find(exec)
		if !found || stampIn(entry) != st {
			return
		}
	} else if c.forgotten != asked {
		return
	}
	c.insert(hash, exec, st, row)
}

func (c *recent) insert(hash uint64, exec string, st stamp, row []byte) {
	need := entryHeader + len(exec) + len(row)
	if need > recentBytes/8 {
		delete(c.young.index, hash)
		delete(c.old.index, hash)
		c.forgotten++
		return
	}
	if c.young.arena.used+need > recentBytes {
		c.young, c.old = c.old, c.young
		clear(c.young.index)
		c.young.arena.reset()
		c.forgotten++
	}
	head := binary.BigEndian.AppendUint32(c.head[:0], uint32(len(row)))
	head = binary.BigEndian.AppendUint16(head, uint16(len(exec)))
	for _, part := range [...]uint64{st.Version, st.Epoch, st.Commit} {
		head = binary.BigEndian.AppendUint64(head, part)
	}
	c.head = append(head, exec...)
	c.young.index[hash] = c.young.arena.add(c.head, row)
}

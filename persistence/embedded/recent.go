package embedded

import (
	"encoding/binary"
	"hash/maphash"
	"sync"
)

// recent remembers the state rows that were written last, so that an execution
// which has just been written is loaded and checked without a look at the sorted
// rows. Only the writer puts, when a row becomes visible, so what is found here
// is exactly what is stored; a zero stamp says that the execution is gone. It
// holds bytes in two halves without pointers, which the garbage collector need
// not walk: when the younger is full the older is dropped.
type recent struct {
	mu         sync.RWMutex
	seed       maphash.Seed
	young, old half
}

type half struct {
	index map[uint64]uint32 // by the hash of the execution's id, where its entry begins
	arena []byte
}

// An entry is [length of the row 4][length of the id 2][stamp 24][id][row].
const entryHeader = 4 + 2 + 24

func newRecent() recent {
	return recent{seed: maphash.MakeSeed(), young: half{index: map[uint64]uint32{}}, old: half{index: map[uint64]uint32{}}}
}

// get returns a copy of the row behind dst. found is false when the sorted rows
// must be asked.
func (c *recent) get(dst []byte, exec string) (row []byte, st stamp, found bool) {
	hash := maphash.String(c.seed, exec)
	c.mu.RLock()
	defer c.mu.RUnlock()
	at, in := c.young.index[hash]
	arena := c.young.arena
	if !in {
		if at, in = c.old.index[hash]; !in {
			return dst, stamp{}, false
		}
		arena = c.old.arena
	}
	entry := arena[at:]
	id := entry[entryHeader:][:binary.BigEndian.Uint16(entry[4:])]
	if string(id) != exec {
		// Another id of the same hash came later. The older half may hold a row
		// of this one, but not necessarily its last.
		return dst, stamp{}, false
	}
	st = stamp{
		Version: binary.BigEndian.Uint64(entry[6:]), Epoch: binary.BigEndian.Uint64(entry[14:]), Commit: binary.BigEndian.Uint64(entry[22:]),
	}
	return append(dst, entry[entryHeader+len(id):][:binary.BigEndian.Uint32(entry)]...), st, true
}

// put remembers a row that has just become visible.
func (c *recent) put(exec string, st stamp, row []byte) {
	hash := maphash.String(c.seed, exec)
	need := entryHeader + len(exec) + len(row)
	c.mu.Lock()
	defer c.mu.Unlock()
	if need > recentBytes/8 {
		delete(c.young.index, hash)
		delete(c.old.index, hash)
		return
	}
	if len(c.young.arena)+need > recentBytes {
		c.young, c.old = c.old, c.young
		clear(c.young.index)
		c.young.arena = c.young.arena[:0]
	}
	h := &c.young
	if room := cap(h.arena); len(h.arena)+need > room {
		// Doubling by hand: append would copy the arena many more times.
		h.arena = append(make([]byte, 0, min(max(2*room, firstRecentBytes, len(h.arena)+need), recentBytes)), h.arena...)
	}
	h.index[hash] = uint32(len(h.arena))
	h.arena = binary.BigEndian.AppendUint32(h.arena, uint32(len(row)))
	h.arena = binary.BigEndian.AppendUint16(h.arena, uint16(len(exec)))
	for _, part := range [...]uint64{st.Version, st.Epoch, st.Commit} {
		h.arena = binary.BigEndian.AppendUint64(h.arena, part)
	}
	h.arena = append(append(h.arena, exec...), row...)
}

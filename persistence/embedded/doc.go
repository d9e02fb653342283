// Package embedded is the store that needs nothing beside the binary: one
// folder, one process, a sync of the disk before every answer.
//
// What is written takes three steps. One goroutine, the writer, takes everything
// that is queued and checks each write against what is stored; it appends all of
// them as one frame to the journal and syncs it; then it shows the same operations
// among the newest rows, and answers everybody. So one sync serves many, a write is
// visible when it is durable and not before, and whatever fails before the sync has
// happened to nobody.
//
// The newest rows are a hash. When they are many, or somebody walks over a family of
// which it has rows, they are sorted and handed to a pebble, which keeps all others:
// only the last of what was written to a key, and nothing of rows that came and went
// meanwhile. Of executions and events that are not there the store knows so, as a
// rule, without a look at either.
//
// The journal is ours and not pebble's for two reasons: pebble shows what its
// own log has not synced yet, and an error of that log ends the process, where
// we promise to refuse writes, to go on reading and to heal. A piece of the
// journal is given up when pebble has the same writes in synced files.
//
// Bytes that a disk gives back otherwise than they were written have checksums against
// them, everywhere. One bit that flipped is put right. What else is damaged among the
// sorted rows is cut out: mend.go replaces it by what can be read (table.go), and
// follow.go writes anew what follows from other rows and marks what they name, so that
// one execution is called damaged and the node goes on. Where it may be anything that is
// missing, in the journal or in the list of the files, the store does not open.
package embedded

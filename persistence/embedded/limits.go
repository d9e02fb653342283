package embedded

import (
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// Every bound of the embedded store, with its reason. What an execution, a
// signal or an event may measure is bounded in workflow/limits.go.
const (
	// maxQueued writes may wait for the writer: several seconds of work of a
	// busy disk. More are refused at once, because a longer queue only makes
	// every answer later.
	maxQueued = 65_536

	// maxQueuedBytes may wait for the writer, so that large states cannot fill
	// the memory before maxQueued is reached; half of them for the few large writes, and
	// one of these however large it is.
	maxQueuedBytes = 128 << 20

	// writeOverhead is what a write weighs beside its operations.
	writeOverhead = 256

	// maxGroup writes share a sync: enough for every client of a busy node, few
	// enough that the first of them does not wait long for the last.
	maxGroup = 4096

	// maxGroupBytes share a sync: the disk writes as much in a few milliseconds.
	maxGroupBytes = 4 << 20

	// maxYields is how often the writer lets others go first before a group:
	// more only makes the first of them wait.
	maxYields = 16

	// maxFrame bytes may one frame have: a group, or one commit that is larger
	// than a group. A write beyond it is refused. A length beyond it in a segment is no
	// length.
	maxFrame = 256 << 20

	// beside a write the writer adds of its own to a frame, at most one part in so many
	// of it: that is free for the books, and for the dead letters and the kept events
	// that go because of the write.
	beside = 8

	// directBlock is what writes past the page cache are multiples of: no disk has
	// larger sectors. directBytes are written at once: a group. A write that is larger
	// takes several.
	directBlock = 4096
	directBytes = maxGroupBytes + 16*directBlock

	// segmentBytes is the room of one piece of the journal. What is not synced in
	// sorted files yet lies in memory and is replayed at the next opening, so it is
	// small; rotating costs a few syncs, so it is not smaller.
	segmentBytes = 16 << 20

	// firstSegmentBytes is the room of the first segment after an opening and of
	// all in memory: its zeros are written before anything else, and an empty
	// store opens in a few milliseconds.
	firstSegmentBytes = 1 << 20

	// zerosBytes are written at once where room is made for a segment: more would only
	// take memory.
	zerosBytes = 1 << 20

	// maxBacklog full segments may wait until the rows have synced them: it
	// bounds the memory, the replay at the next opening and the disk. Writes
	// wait when it is reached.
	maxBacklog = 16

	// lateSegments full segments are reason enough to sort the newest rows, which
	// otherwise are when they are many: to do it for every segment would make
	// more layers of fewer rows.
	lateSegments = 3

	// maxLayers unsorted layers of rows may wait for compaction before writes
	// wait too: each costs every read a look.
	maxLayers = 60

	// stallLimit is how long a group waits for the rows to catch up before it,
	// and what is queued behind it, is refused.
	stallLimit = 2 * time.Second

	// probeFirst and probeLast bound the hold between two attempts to write
	// again after a failure: a disk that heals is noticed within a second.
	probeFirst = 100 * time.Millisecond
	probeLast  = time.Second

	// openLimit is how long an opening goes on trying to write what it must write.
	openLimit = 3 * time.Second

	// closeLimit is how long Close waits for the rows to be synced. They are in
	// the journal anyway; what is not synced then is replayed at the next opening.
	closeLimit = 10 * time.Second

	// damagedFirst and damagedLast bound the hold after a compaction that met damaged
	// bytes, which it will meet again: it must not cost the node a processor until
	// the folder is restored.
	damagedFirst = time.Second
	damagedLast  = time.Minute

	// tidyAfter no rows were added to the layers is a quiet moment, in which deleted
	// rows are merged away: under load newestBytes come sooner. While they come that is
	// done every tidyEvery, and what it takes is at most one part in tidyShare of a
	// processor: under a load of executions that start and end it took a quarter of
	// the node's time.
	tidyAfter = 5 * time.Second
	tidyEvery = 30 * time.Second
	tidyShare = 20

	// newestBytes of rows are drained in the background. Whoever walks over rows has
	// to wait for as much, up to 80 ms under load; the more is sorted at once, the
	// less often rows are merged.
	newestBytes = 16 << 20

	// memTableBytes is the room for rows that are drained a few at a time, because
	// somebody walks over them. More than half of it at once is taken as it is, sorted,
	// without being copied: newestBytes are.
	memTableBytes = 16 << 20

	// cacheBytes of decompressed rows are kept for reading. What memTableBytes
	// allows is taken out of it.
	cacheBytes = 64 << 20

	// baseBytes of rows lie on the first of the levels below the unsorted layers: pebble's
	// own bound, beyond which a level more makes every merge smaller.
	baseBytes = 64 << 20

	// manifestBlock is what chunks of pebble's manifest do not reach across: its format.
	manifestBlock = 32 << 10

	// maxOpenFiles of rows: 1,000,000 executions are a few hundred.
	maxOpenFiles = 1000

	// maxUnawaited names are remembered that no open wait has: more than a project
	// listens for, and little memory when they are made up.
	maxUnawaited = 1000

	// maxBlockBytes has one block of a table of sorted rows: a block is ended by a few
	// kilobytes, so only one row is ever larger, which no frame of the journal is.
	maxBlockBytes = maxFrame

	// maxPassedBytes of a table without an index are passed by at most to find the next
	// block of rows, which has no more: every place and every length of a block is tried,
	// half a second. Nearly all blocks have a quarter of it.
	maxPassedBytes = 16 << 10

	// maxFlipBytes has a block of rows or a frame of the journal at most of which one bit
	// is put right that has flipped: of other damage one in 8,000 looks like that then,
	// and states have checksums of their own beside.
	maxFlipBytes = 64 << 10

	// maxMendBytes of tables are read at most to mend a part of one of them, and of them
	// what lies in that part is kept in memory, several times as much: it overlaps a few
	// others, of which none has more than 64 MiB. A store that is so large that a block of
	// few new rows reaches over more is restored.
	maxMendBytes = 256 << 20

	// mendPatience is how long a read waits for it that damaged rows are mended: a store
	// of 100,000 executions takes a second. After that it says what it has seen.
	mendPatience = 5 * time.Second

	// recentBytes is half of how much of the state rows written last is remembered,
	// tens of thousands of executions that live: those are signalled next.
	recentBytes = 16 << 20

	// foldStep is how many records an execution writes between two looks at
	// whether it keeps more than workflow.MaxRecords: folding costs the reads a
	// little, so it is done seldom.
	foldStep = 1000

	// stayingRecords of an execution are never deleted before it is, so that receipts can
	// lie in their rows: nearly all executions have fewer, and one that has very many
	// keeps a fifth more of them than it shows.
	stayingRecords = workflow.MaxRecords / 5

	// maxPage is the most that one call of a list returns, whatever it asks for:
	// a page is built in memory.
	maxPage = 10_000

	// defaultPage is what a list returns that does not say how much.
	defaultPage = 100

	// placesAtOnce places of one workflow and status are read together at most while
	// those of all are merged: going to another one costs as much as reading ten.
	placesAtOnce = 64

	// contextEvery rows of a scan the caller's context is asked whether to go on.
	contextEvery = 512

	// sweepBytes of operations end the gathering of what is swept together: a group, so
	// that nobody waits longer for a sweep than for others who write.
	sweepBytes = maxGroupBytes

	// maxPointDeletes records or receipts of one execution are swept one by one; more
	// are swept as a range, which costs reads of its neighbours a little.
	maxPointDeletes = 256

	// spareSegments are kept of those that are not needed any more, so that a full
	// one is replaced without writing zeros first, and so that a full disk does not
	// stop the journal at once.
	spareSegments = 2

	// keepBuffer is the largest buffer that is kept for the next use; larger
	// ones are left to the garbage collector. A turn of 256 signals takes half of it.
	keepBuffer = 1 << 20

	// keepFrame is the largest frame buffer that is kept for the next group: that
	// of every group, but not of a single write that is larger.
	keepFrame = 3 * maxGroupBytes / 2

	// heapSlack letters that are gone may lie in the heap of dead letters beside as
	// many as are kept, before it is made anew.
	heapSlack = 64

	// firstSlots are how many slots the hash of the newest rows begins with, a power
	// of two: an idle node needs few.
	firstSlots = 1 << 10

	// pieceBytes is the room of one piece of the newest rows, and of those that are
	// remembered: an idle node has few, and one that a large row does not fit into
	// wastes little.
	pieceBits  = 16
	pieceBytes = 1 << pieceBits

	// fewKeys are sorted by comparing them whole: to go on with eight bytes of each
	// costs more.
	fewKeys = 12

	// firstWalkAfter lookups in vain are worth a walk over all rows of executions
	// and events: fewer than these a store does not notice.
	firstWalkAfter = 1000

	// bitsPerKey bits, bitsSet of them set, let one in a few hundred keys that are not
	// there be looked for among the sorted rows, which takes as long as half a signal.
	bitsPerKey = 14
	bitsSet    = 7

	// firstFilterBytes are the room for 37,000 keys, and maxFilters, each four times
	// as large, for 12,000,000 in 21 MiB: beyond that the sorted rows are asked.
	firstFilterBytes = 64 << 10
	maxFilters       = 5
)

package persistence

// Every bound of this room, with its reason. Those of a store are in its own room.
const (
	// heavyShare: a write is heavy that takes more than one part in so many of a
	// queue's bytes. Thousands of ordinary ones weigh as much.
	heavyShare = 64

	// importWindow items are under way at once, so that a store can write many with
	// one sync and their bytes stay few.
	importWindow = 256

	// maxItem bytes may one item of a backup have: a length beyond it is none.
	maxItem = 256 << 20

	// backupPiece bytes of a backup are read or written at once: enough for the disk,
	// and all that a length which lies can make us set aside.
	backupPiece = 1 << 20

	// maxDamaged events are named in the log of a store as damaged, once each: whoever
	// reads of so many restores the store.
	maxDamaged = 1000

	// verifyPage entries of a list are read at once: they are in memory together.
	verifyPage = 500
)

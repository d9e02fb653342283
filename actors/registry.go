package actors

import cmap "github.com/orcaman/concurrent-map"

// Proto.Actor finds its actors in 1,024 maps with a lock each, and every one of them
// would be divided into 32 again: 32,768 empty maps, two thirds of the heap of an
// idle node, and looked at by every collection. 1,024 locks are enough for the
// processors that there are.
func init() { cmap.SHARD_COUNT = 1 }

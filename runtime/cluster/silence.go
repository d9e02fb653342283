package cluster

import (
	"log/slog"
	"time"
)

// silence tells a person which node does not answer this one while it is a member:
// the senders of what it owns hear only that their time is over. A wrong address, a
// firewall and a certificate that is not trusted look like that, and so does a node
// that hangs. One that died is no member any more before it is told.
type silence struct {
	logger *slog.Logger
	told   map[string]time.Time // by the address, when it was said last
}

// of is told that nothing came from an address since a moment.
func (s *silence) of(address string, since, now time.Time) {
	if now.Sub(since) < silentAfter || now.Sub(s.told[address]) < silentEvery {
		return
	}
	for known, at := range s.told {
		if now.Sub(at) >= silentEvery {
			delete(s.told, known)
		}
	}
	s.told[address] = now
	s.logger.Warn("a node of the cluster does not answer this one: what it owns waits, and is refused when its time is over; can this node reach that address, and do both trust the same authority?",
		"address", address, "for", now.Sub(since).Round(time.Second))
}

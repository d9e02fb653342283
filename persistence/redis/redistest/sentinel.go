package redistest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Watched is a primary with one replica, and the sentinel that watches both.
type Watched struct {
	Primary, Replica, Sentinel *Server
	// Name is what the sentinel calls the primary.
	Name string
}

// StartWatched starts a primary, a replica and a sentinel that takes the primary for
// gone after half a second.
func StartWatched(t testing.TB) *Watched {
	t.Helper()
	w := &Watched{Primary: Start(t), Name: "main"}
	w.Replica = Start(t, "--replicaof", "127.0.0.1 "+w.Primary.Port())
	w.Replica.Await("master_link_status:up", "INFO", "replication")
	s := &Server{Addr: freeAddr(t), Dir: t.TempDir(), t: t, binary: Binary(t, "redis-sentinel")}
	config := filepath.Join(s.Dir, "sentinel.conf")
	text := fmt.Sprintf("port %s\nbind 127.0.0.1\ndir %s\nsentinel monitor %s 127.0.0.1 %s 1\n"+
		"sentinel down-after-milliseconds %s 500\nsentinel failover-timeout %s 3000\n",
		s.Port(), s.Dir, w.Name, w.Primary.Port(), w.Name, w.Name)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.args = []string{config}
	s.begin()
	t.Cleanup(s.end)
	s.Await("slaves=1", "INFO", "sentinel")
	w.Sentinel = s
	return w
}

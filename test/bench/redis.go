package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/signalbox/signalbox/test/binary"
)

// errNoRedis says that this machine has no redis-server, so its rows stay empty.
var errNoRedis = errors.New("this machine has no redis-server (apt-get install redis-server)")

// redisServer is a real server on a folder of its own.
type redisServer struct {
	addr string
	cmd  *exec.Cmd
	dir  string
}

// startRedis starts a server with an append-only file that is synced so often.
func startRedis(root, fsync string) (*redisServer, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errNoRedis
	}
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s := &redisServer{addr: addr}
	if s.dir, err = os.MkdirTemp(root, "redis-"); err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	s.cmd = exec.Command(path, "--bind", "127.0.0.1", "--port", port, "--dir", s.dir, "--save", "", "--daemonize", "no",
		"--appendonly", "yes", "--appendfsync", fsync, "--logfile", filepath.Join(s.dir, "log"))
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	for limit := time.Now().Add(redisTimeout); ; time.Sleep(pollEvery) {
		if s.answers() {
			return s, nil
		}
		if time.Now().After(limit) {
			text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return nil, errors.Join(fmt.Errorf("redis-server did not answer within %v; its log:\n%s", redisTimeout, text), s.stop())
		}
	}
}

// answers reports whether the server answers a PING.
func (s *redisServer) answers() bool {
	c, err := net.DialTimeout("tcp", s.addr, pollEvery)
	if err != nil {
		return false
	}
	defer c.Close()
	if c.SetDeadline(time.Now().Add(redisTimeout)) != nil {
		return false
	}
	answer := make([]byte, len("+PONG"))
	_, wrote := io.WriteString(c, "PING\r\n")
	_, read := io.ReadFull(c, answer)
	return wrote == nil && read == nil && string(answer) == "+PONG"
}

// stop ends the server and removes its files.
func (s *redisServer) stop() error {
	_ = s.cmd.Process.Kill() // it may have ended
	_ = s.cmd.Wait()         // killed is how it ends
	return os.RemoveAll(s.dir)
}

// freeAddress is one that nobody listens on now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// onRedis measures signals to one node whose store is a Redis.
func onRedis(s settings, root string) ([]row, error) {
	var rows []row
	for _, fsync := range []string{"always", "everysec"} {
		r := row{What: "durable signals on Redis, appendfsync " + fsync, Unit: "/s"}
		p99 := row{What: "latency of a signal under that load, p99", Unit: "ms"}
		for round := range s.rounds {
			m, err := redisRound(s, root, fsync, round)
			if errors.Is(err, errNoRedis) {
				r.Missing = err.Error()
				break
			}
			if err != nil {
				return nil, fmt.Errorf("signals on Redis, appendfsync %s: %w", fsync, err)
			}
			r.Values = append(r.Values, m.perSecond())
			p99.Values = append(p99.Values, millis(m.at(99)))
		}
		rows = append(rows, r)
		if r.Missing == "" {
			rows = append(rows, p99)
		}
	}
	return rows, nil
}

// redisRound is one round on a server and a node of its own.
func redisRound(s settings, root, fsync string, round int) (m measured, err error) {
	server, err := startRedis(root, fsync)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	o, err := options(s.path, root, "redis-"+fsync+strconv.Itoa(round))
	if err != nil {
		return m, err
	}
	o.Args = []string{"--store", "redis://" + server.addr}
	node, err := binary.Start(o)
	if err != nil {
		return m, err
	}
	defer func() {
		_, stop := node.Stop(stopTimeout)
		err = errors.Join(err, stop)
	}()
	p, err := dialAll(node.URL, connections)
	if err != nil {
		return m, err
	}
	defer p.close()
	sub := &subject{url: node.URL, pool: p, tag: "s"}
	loops, _, err := sub.start("loop", loopers)
	if err != nil {
		return m, err
	}
	if _, err := sub.loopSignals(loops, warmUp); err != nil {
		return m, err
	}
	return sub.loopSignals(loops, s.requests)
}

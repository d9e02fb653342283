package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/lmittmann/tint"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	goredis "github.com/redis/go-redis/v9"

	"github.com/signalbox/signalbox/definitions"
	"github.com/signalbox/signalbox/http"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/embedded"
	"github.com/signalbox/signalbox/persistence/redis"
	"github.com/signalbox/signalbox/runtime"
)

// node is one running node: everything that `serve` and `dev` hold open.
type node struct {
	config   config
	logger   *slog.Logger
	listener net.Listener
	store    persistence.Store
	runtime  *runtime.Node
	server   *http.Server
	leases   goredis.UniversalClient // of the cluster; nil: this node is alone
}

// logger writes to standard error, which keeps standard output for results.
func (a *app) logger(c config) *slog.Logger {
	if c.logJSON {
		return slog.New(slog.NewJSONHandler(a.err, &slog.HandlerOptions{Level: c.logLevel, ReplaceAttr: spelledOut}))
	}
	return slog.New(tint.NewHandler(a.err, &tint.Options{
		Level:       c.logLevel,
		TimeFormat:  time.TimeOnly,
		NoColor:     !a.colors(a.err),
		ReplaceAttr: spelledOut,
	}))
}

// spelledOut writes lengths of time as the text format does: 1.5s, and not a number
// of nanoseconds, which nobody reads and whose unit is said nowhere. Of an error it
// writes what it says: some have the stack of who made them to tell beside.
func spelledOut(_ []string, attr slog.Attr) slog.Attr {
	switch v := attr.Value.Any().(type) {
	case time.Duration:
		attr.Value = slog.StringValue(v.String())
	case error:
		attr.Value = slog.StringValue(v.Error())
	}
	return attr
}

// openNode takes the address, opens the store and starts the project on it. It
// leaves nothing open when it fails.
func (a *app) openNode(ctx context.Context, c config, project *definitions.Project, dev bool) (_ *node, err error) {
	heap := newHeap(a.env)
	n := &node{config: c, logger: a.logger(c)}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close(context.WithoutCancel(ctx)))
		}
	}()
	if n.listener, err = (&net.ListenConfig{}).Listen(ctx, family(c.addr), c.addr); err != nil {
		return nil, hinted(failed("cannot listen on %s: %w", c.addr, inner(err)), "another node may be running there; --addr 127.0.0.1:0 picks a free port")
	}
	if n.store, err = openStore(ctx, c, n.logger); err != nil {
		return nil, err
	}
	go heap.watch(ctx, allocatedBytes, n.rest)
	keys, err := n.keyRing(ctx, dev)
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	n.runtime, err = runtime.New(runtime.Options{
		Store: n.store, Logger: n.logger, Registry: registry,
		Version: versionName(), Dir: project.Dir, AllowPrivate: c.allowPrivate,
		Retention: c.retention, Getenv: a.env, Cluster: n.join(),
	})
	if err != nil {
		return nil, err
	}
	if err = n.runtime.Deploy(ctx, project); err != nil {
		return nil, fmt.Errorf("deploying %s: %w", project.Dir, err)
	}
	if err = n.runtime.Start(ctx); err != nil {
		return nil, fmt.Errorf("starting the node: %w", err)
	}
	n.server = http.NewServer(http.Options{
		Node: n.runtime, Keys: keys, Logger: n.logger, Registry: registry,
		Echo: a.env("SIGNALBOX_BENCH_ECHO") == "1",
	})
	forgetProgram()
	return n, nil
}

// rest gives back the memory that the start and a load have left behind.
func (n *node) rest() {
	forgetProgram()
	if store, ok := n.store.(*embedded.Store); ok {
		store.Rest()
	}
	debug.FreeOSMemory()
}

// family is the network of an address. What was given as IPv4 is listened to as that:
// the system would make both of 0.0.0.0, and call it [::].
func family(hostPort string) string {
	if at, err := netip.ParseAddrPort(hostPort); err == nil && at.Addr().Is4() {
		return "tcp4"
	}
	return "tcp"
}

// inner is what the system said, without the address that the message has already.
func inner(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// storeName is how a store is shown: a folder, or an address without its secrets.
func (c config) storeName() string {
	switch {
	case c.redis != nil:
		return c.redis.String()
	case c.memory:
		return "memory"
	}
	return c.data
}

func openStore(ctx context.Context, c config, logger *slog.Logger) (persistence.Store, error) {
	if c.redis != nil {
		o := redis.Options{Log: logger}
		if c.data != "" {
			o.Remember = filepath.Join(c.data, "redis.json")
		}
		store, err := redis.Open(ctx, c.redis, o)
		if err != nil {
			hint := "is a Redis there, and is the user allowed to use it? --store names another one"
			if text := err.Error(); strings.Contains(text, "NOAUTH") || strings.Contains(text, "WRONGPASS") {
				hint = "it asks for a user and a password: redis://USER@HOST?password_file=FILE, or redis://USER:PASSWORD@HOST"
			}
			return nil, hinted(failed("cannot %w", err), hint)
		}
		return store, nil
	}
	options := embedded.Options{Log: logger}
	if c.memory {
		options.FS = vfs.NewMem()
	}
	store, err := embedded.Open(c.data, options)
	if err != nil {
		return nil, hinted(failed("cannot %w", err), folderHint(err))
	}
	return store, nil
}

// folderHint says what to do about a folder that cannot be opened. Pebble passes on
// only the text of why it cannot write.
func folderHint(err error) string {
	if strings.Contains(err.Error(), syscall.ENOSPC.Error()) {
		return "the disk is full: make room on it; nothing acknowledged is lost"
	}
	return "--data names another folder"
}

// keyRing decides who must show a key: everybody, or nobody, or nobody yet
// because there is no key, in which case the node does not start.
func (n *node) keyRing(ctx context.Context, dev bool) (*http.KeyRing, error) {
	local := loopback(n.config.addr)
	switch {
	case n.config.noAuth && !local:
		n.logger.Warn("anybody who reaches this address may do anything: no API key is asked for", "addr", n.config.addr)
		return nil, nil
	case n.config.noAuth, dev && local:
		return nil, nil
	}
	keys := http.NewKeyRing(documents{n.store})
	empty, err := keys.Empty(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the API keys: %w", err)
	}
	if !empty {
		return keys, nil
	}
	who := "`serve` asks for API keys"
	if !local {
		who = "others can reach " + n.config.addr
	}
	where := "--data " + n.config.data
	if n.config.redis != nil {
		where = "--store " + n.config.redis.String()
	}
	hint := "make the first one with `signalbox keys bootstrap " + where + "`, or say --no-auth"
	if n.config.memory {
		hint = "a store in memory holds no keys: listen on 127.0.0.1, or say --no-auth"
	}
	return nil, hinted(failed("%s, and there is no key yet", who), hint)
}

// run answers requests until the context ends or the listener breaks, then
// stops: nothing new is accepted, what was accepted is finished, the store closed.
func (n *node) run(ctx context.Context, a *app) error {
	broken := make(chan error, 1)
	go func() { broken <- n.server.Serve(n.listener) }()
	health := n.runtime.Health()
	n.logger.Info("the node is ready", "version", versionName(), "durability", health.Durability,
		"store", n.config.storeName(), "workflows", len(n.runtime.Workflows()))
	n.logCluster(n.logger)
	if n.config.memory {
		n.logger.Warn("nothing is kept on disk: everything is lost when this node stops")
	}
	fmt.Fprintf(a.out, "listening on http://%s\n", n.listener.Addr())
	var err error
	select {
	case <-ctx.Done():
		err = n.linger(broken)
		n.logger.Info("stopping: finishing what was accepted", "within", drainTimeout)
	case err = <-broken:
		err = n.broke(err)
	}
	return errors.Join(err, n.close(context.WithoutCancel(ctx)))
}

// linger goes on for the delay that a load balancer needs to notice that the node
// is not ready any more. A second signal ends the process meanwhile.
func (n *node) linger(broken <-chan error) error {
	if n.config.drainDelay == 0 {
		return nil
	}
	n.logger.Info("stopping soon: not ready any more, and still taking what comes", "for", n.config.drainDelay)
	n.server.Unready()
	select {
	case <-time.After(n.config.drainDelay):
		return nil
	case err := <-broken:
		return n.broke(err)
	}
}

func (n *node) broke(err error) error {
	return fmt.Errorf("the listener on %s broke: %w", n.listener.Addr(), err)
}

// close stops whatever is open, from the outside in. Each step has its own time.
func (n *node) close(ctx context.Context) error {
	var errs []error
	step := func(most time.Duration, stop func(context.Context) error) {
		ctx, cancel := context.WithTimeout(ctx, most)
		defer cancel()
		errs = append(errs, stop(ctx))
	}
	if n.server != nil {
		step(doorTimeout, n.server.Shutdown)
	} else if n.listener != nil {
		errs = append(errs, n.listener.Close())
	}
	if n.runtime != nil {
		step(stopTimeout, n.runtime.Stop)
	}
	if n.store != nil {
		errs = append(errs, n.store.Close())
	}
	errs = append(errs, closeLeases(n.leases))
	return errors.Join(errs...)
}

// documents shows the documents of a store in the shape that keys are kept in.
type documents struct{ persistence.Store }

func (d documents) Documents(ctx context.Context, kind, after string, limit int) ([]string, [][]byte, error) {
	found, err := d.Store.Documents(ctx, kind, after, limit)
	if err != nil {
		return nil, nil, err
	}
	ids, bodies := make([]string, len(found)), make([][]byte, len(found))
	for i, doc := range found {
		ids[i], bodies[i] = doc.ID, doc.Body
	}
	return ids, bodies, nil
}

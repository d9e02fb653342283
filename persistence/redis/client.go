package redis

import (
	"context"
	"sync"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// client is the way to Redis: one for reading, which tries again by itself, and
// one for writing, which never does, because only the writer knows what may be
// sent twice.
type client struct {
	reads   goredis.UniversalClient
	single  *goredis.Client        // for writing; nil on a cluster
	cluster *goredis.ClusterClient // for both; nil otherwise
}

// quiet drops what the library says beside its errors.
type quiet struct{}

// Printf drops a line.
func (quiet) Printf(context.Context, string, ...any) {}

var hush = sync.OnceFunc(func() { goredis.SetLogger(quiet{}) })

// dial prepares the connections; none is made yet.
func dial(a *Address) *client {
	hush()
	patience := answerLimit
	if a.Replicas > 0 {
		patience += a.Confirm
	}
	switch a.Kind {
	case Cluster:
		c := goredis.NewClusterClient(&goredis.ClusterOptions{
			Addrs: a.Hosts, Username: a.Username, Password: a.Password, TLSConfig: a.TLS,
			MaxRedirects: readRetries + 1, MaxRetries: -1, Protocol: 2, DisableIdentity: true,
			DialTimeout: dialLimit, DialerRetries: 1, ReadTimeout: patience, WriteTimeout: answerLimit,
			PoolSize: poolSize, PipelinePoolSize: -1, ContextTimeoutEnabled: true,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
		return &client{reads: c, cluster: c}
	case Sentinel:
		o := goredis.FailoverOptions{
			MasterName: a.Master, SentinelAddrs: a.Hosts, SentinelUsername: a.SentinelUsername, SentinelPassword: a.SentinelPassword,
			Username: a.Username, Password: a.Password, DB: a.DB, TLSConfig: a.TLS,
			MaxRetries: readRetries, Protocol: 2, DisableIdentity: true,
			DialTimeout: dialLimit, DialerRetries: 1, ReadTimeout: answerLimit, WriteTimeout: answerLimit,
			PoolSize: poolSize, PipelinePoolSize: -1, ContextTimeoutEnabled: true,
		}
		reads := goredis.NewFailoverClient(&o)
		w := o
		w.MaxRetries, w.ReadTimeout, w.PoolSize = -1, patience, 2
		return &client{reads: reads, single: goredis.NewFailoverClient(&w)}
	}
	o := goredis.Options{
		Addr: a.Hosts[0], Username: a.Username, Password: a.Password, DB: a.DB, TLSConfig: a.TLS,
		MaxRetries: readRetries, Protocol: 2, DisableIdentity: true,
		DialTimeout: dialLimit, DialerRetries: 1, ReadTimeout: answerLimit, WriteTimeout: answerLimit,
		PoolSize: poolSize, PipelinePoolSize: -1, ContextTimeoutEnabled: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	w := o
	w.MaxRetries, w.ReadTimeout, w.PoolSize = -1, patience, 2
	return &client{reads: goredis.NewClient(&o), single: goredis.NewClient(&w)}
}

// Connect prepares connections for what stands beside the store in its Redis, such
// as the leases of a cluster; its keys begin with Address.Prefix, too. Nothing is
// dialled yet. It tries again by itself, so it is for what may be done twice.
func Connect(a *Address) goredis.UniversalClient {
	c := dial(a)
	if c.single != nil {
		_ = c.single.Close() // it has no connection
	}
	return c.reads
}

// master is the Redis that holds a key.
func (c *client) master(ctx context.Context, key string) (*goredis.Client, error) {
	if c.cluster == nil {
		return c.single, nil
	}
	return c.cluster.MasterForKey(ctx, key)
}

// each calls do for every Redis that is written to, one at a time for a standalone
// one and all at once for a cluster.
func (c *client) each(ctx context.Context, do func(context.Context, *goredis.Client) error) error {
	if c.cluster == nil {
		return do(ctx, c.single)
	}
	return c.cluster.ForEachMaster(ctx, do)
}

// refresh asks a cluster again who holds what.
func (c *client) refresh(ctx context.Context) {
	if c.cluster != nil {
		c.cluster.ReloadState(ctx)
	}
}

func (c *client) close() error {
	err := c.reads.Close()
	if c.single != nil {
		if closing := c.single.Close(); err == nil {
			err = closing
		}
	}
	return err
}

package redis

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// A store draws an incarnation when it is made and keeps it in the Redis, in every
// partition. The node remembers it beside itself. So a Redis that restarted empty,
// or that is another one, is told from the one that holds the executions.

// remembered is what the file beside the node says.
type remembered struct {
	Incarnation string `json:"incarnation"`
	Address     string `json:"address"` // for whoever reads the file
}

func recall(file string) (remembered, error) {
	var r remembered
	if file == "" {
		return r, nil
	}
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil && len(b) > maxRememberedBytes {
		err = fmt.Errorf("it has %d bytes", len(b))
	}
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		return r, fmt.Errorf("the file %s, which remembers the Redis of this node, cannot be read: %w; remove it to take the Redis for what it is", file, err)
	}
	return r, nil
}

// remember replaces the file, or leaves the old one.
func remember(file string, r remembered) error {
	if file == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// identify finds the store in the Redis, or makes it in an empty one; it refuses
// one that is not what the node remembers.
func (s *Store) identify(ctx context.Context) error {
	known, err := recall(s.file)
	if err != nil {
		return err
	}
	master, err := s.client.master(ctx, metaKey(s.prefix))
	if err != nil {
		return err
	}
	meta, err := master.HGetAll(ctx, metaKey(s.prefix)).Result()
	if err != nil {
		return err
	}
	if begun(meta) {
		if len(meta) == 0 && known.Incarnation != "" {
			return &wrongRedis{want: known.Incarnation, found: "none", remembered: s.file}
		}
		if meta, err = s.make(ctx, master); err != nil {
			return err
		}
	}
	if err := s.take(meta); err != nil {
		return err
	}
	if known.Incarnation != "" && known.Incarnation != s.incarnation {
		return &wrongRedis{want: known.Incarnation, found: s.incarnation, remembered: s.file}
	}
	if meta[fieldReady] != "1" {
		if err := s.markAll(ctx, master); err != nil {
			return err
		}
	}
	if err := remember(s.file, remembered{Incarnation: s.incarnation, Address: s.address.String()}); err != nil {
		return fmt.Errorf("the Redis of this node cannot be remembered in %s: %w", s.file, err)
	}
	return nil
}

// begun reports whether there is no store yet, or only what a node that is making
// it, or that died then, has written so far.
func begun(meta map[string]string) bool {
	whole := meta[fieldPartitions] != "" && meta[fieldFormat] != ""
	return len(meta) == 0 || meta[fieldIncarnation] != "" && !whole
}

// make begins a new store. Of several nodes that find the Redis empty at once, one
// draws the incarnation.
func (s *Store) make(ctx context.Context, master *goredis.Client) (map[string]string, error) {
	key := metaKey(s.prefix)
	if _, err := master.HSetNX(ctx, key, fieldIncarnation, rand.Text()).Result(); err != nil {
		return nil, err
	}
	count := s.address.Partitions
	if count == 0 {
		count = 1
		if s.address.Kind == Cluster {
			count = clusterPartitions
		}
	}
	for _, f := range []struct{ name, value string }{
		{fieldPartitions, strconv.Itoa(count)}, {fieldFormat, strconv.Itoa(formatNow)},
	} {
		if _, err := master.HSetNX(ctx, key, f.name, f.value).Result(); err != nil {
			return nil, err
		}
	}
	return master.HGetAll(ctx, key).Result()
}

// take reads what the store knows of itself.
func (s *Store) take(meta map[string]string) error {
	format, err := strconv.Atoi(meta[fieldFormat])
	count, notCount := strconv.Atoi(meta[fieldPartitions])
	if err != nil || notCount != nil || meta[fieldIncarnation] == "" || count < 1 || count > maxPartitions {
		return fmt.Errorf("the key %q is not what a store writes there: %v; name another prefix (?prefix=), or find out who wrote it", metaKey(s.prefix), meta)
	}
	if format > formatNow {
		return fmt.Errorf("the store was written in format %d by a newer release, and this one knows formats up to %d; use that release or a newer one", format, formatNow)
	}
	s.incarnation = meta[fieldIncarnation]
	s.parts = partitionsOf(s.prefix, count)
	s.seen = make([]highest, count)
	return nil
}

// markAll marks every partition as one of this store, and the store as complete.
func (s *Store) markAll(ctx context.Context, master *goredis.Client) error {
	for _, p := range s.parts {
		c, err := s.client.master(ctx, p.mark)
		if err != nil {
			return err
		}
		if _, err := c.HSetNX(ctx, p.mark, fieldIncarnation, s.incarnation).Result(); err != nil {
			return err
		}
	}
	return master.HSet(ctx, metaKey(s.prefix), fieldReady, "1").Err()
}

// beginEpoch takes the number of this opening. It also grows with the time, so
// that a failover which loses the last one does not give it twice.
func (s *Store) beginEpoch(ctx context.Context) error {
	key := metaKey(s.prefix)
	master, err := s.client.master(ctx, key)
	if err != nil {
		return err
	}
	now, err := master.Time(ctx).Result()
	if err != nil {
		return err
	}
	epoch, err := evaluate(ctx, master, beginScript, []string{key}, s.incarnation, now.UnixMilli()).Int64()
	if err != nil {
		return err
	}
	s.epoch = uint64(epoch)
	s.field = fieldWriter + strconv.FormatInt(epoch, 10)
	return nil
}

// evaluate runs a script that was taught.
func evaluate(ctx context.Context, c *goredis.Client, script *script, keys []string, args ...any) *goredis.Cmd {
	cmd := evaluation(ctx, script, keys, args...)
	_ = c.Process(ctx, cmd) // the command holds its error
	return cmd
}

// awaitRedis tries an opening until it succeeds or it has no sense to go on.
func awaitRedis(ctx context.Context, open func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	for hold := probeFirst; ; hold = min(2*hold, probeLast) {
		err := open(ctx)
		if err == nil || !worthAnother(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(hold):
		}
	}
}

// worthAnother says whether an opening that failed may succeed a moment later: the
// Redis is starting, or it is being promoted.
func worthAnother(err error) bool {
	var wrong *wrongRedis
	if errors.As(err, &wrong) {
		return false
	}
	fate, _ := meaning(err)
	var reply goredis.Error
	if errors.As(err, &reply) {
		return fate == unsent && !goredis.HasErrorPrefix(err, "NOAUTH") && !goredis.HasErrorPrefix(err, "WRONGPASS")
	}
	// Over TLS, who is refused for his certificate is refused the next time, too.
	var network *net.OpError
	if errors.As(err, &network) && network.Op == "remote error" {
		return false
	}
	return isNetwork(err)
}

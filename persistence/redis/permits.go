package redis

import (
	"context"
	"fmt"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// scripted are the commands that the scripts call. Redis takes nothing back when a
// script meets one that its user may not run, so they are looked at when the store is
// opened and not when the first commit needs them.
var scripted = []string{
	"exists", "expire", "getrange", "hdel", "hexists", "hget", "hincrby", "hlen", "hmget", "hset", "hsetnx", "lindex", "llen",
	"lpop", "lrange", "mset", "rpush", "sadd", "sismember", "time", "unlink", "zadd", "zcard", "zrangebylex", "zrem", "zrevrangebylex", "zscore",
}

// permitted looks whether the user may do what the scripts do.
func (s *Store) permitted(ctx context.Context) error {
	asked := make([]any, len(scripted))
	for i, command := range scripted {
		asked[i] = command
	}
	return s.client.each(ctx, func(ctx context.Context, c *goredis.Client) error {
		answer, err := evaluate(ctx, c, permitScript, nil, append([]any{s.prefix}, asked...)...).StringSlice()
		if err != nil {
			return err
		}
		if len(answer) > 0 {
			return fmt.Errorf("the user of the Redis may not run %s on the keys %s*; an ACL line that suffices is in persistence/redis/README.md",
				strings.Join(answer, ", "), s.prefix)
		}
		return nil
	})
}

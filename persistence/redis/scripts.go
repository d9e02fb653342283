package redis

import (
	"context"
	"crypto/sha1" // by which Redis names scripts
	_ "embed"
	"encoding/hex"

	goredis "github.com/redis/go-redis/v9"
)

// The scripts, each with what it does in its head. They are sent by their digest;
// a Redis that does not know one, after a restart, has certainly not run it.
var (
	//go:embed scripts/write.lua
	writeSource string
	//go:embed scripts/fence.lua
	fenceSource string
	//go:embed scripts/begin.lua
	beginSource string
	//go:embed scripts/ranges.lua
	rangesSource string
	//go:embed scripts/rows.lua
	rowsSource string
	//go:embed scripts/records.lua
	recordsSource string

	//go:embed scripts/keyed.lua
	keyedSource string
	//go:embed scripts/paths.lua
	pathsSource string
	//go:embed scripts/letter.lua
	letterSource string
	//go:embed scripts/permit.lua
	permitSource string

	writeScript   = newScript(writeSource)
	fenceScript   = newScript(fenceSource)
	beginScript   = newScript(beginSource)
	rangesScript  = newScript(rangesSource)
	rowsScript    = newScript(rowsSource)
	recordsScript = newScript(recordsSource)
	keyedScript   = newScript(keyedSource)
	pathsScript   = newScript(pathsSource)
	letterScript  = newScript(letterSource)
	permitScript  = newScript(permitSource)

	scripts = []*script{writeScript, fenceScript, beginScript, rangesScript, rowsScript, recordsScript, keyedScript, pathsScript, letterScript, permitScript}
)

// script is a script with the digest that Redis knows it by.
type script struct{ source, digest string }

func newScript(source string) *script {
	sum := sha1.Sum([]byte(source))
	return &script{source: source, digest: hex.EncodeToString(sum[:])}
}

// teach loads the scripts into one Redis.
func teach(ctx context.Context, c *goredis.Client) error {
	pipe := c.Pipeline()
	for _, s := range scripts {
		pipe.ScriptLoad(ctx, s.source)
	}
	_, err := pipe.Exec(ctx)
	return err
}

// evaluation is the call of a script by its digest, to be sent in a pipeline.
func evaluation(ctx context.Context, s *script, keys []string, args ...any) *goredis.Cmd {
	words := make([]any, 0, 3+len(keys)+len(args))
	words = append(words, "evalsha", s.digest, len(keys))
	for _, key := range keys {
		words = append(words, key)
	}
	cmd := goredis.NewCmd(ctx, append(words, args...)...)
	cmd.SetFirstKeyPos(3)
	return cmd
}

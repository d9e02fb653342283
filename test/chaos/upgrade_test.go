package chaos

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/signalbox/signalbox/test/binary"
)

// beforeThis is the release before: it has no tag yet, so it is a commit of main.
// CHAOS_PREVIOUS names another commit, or a binary.
const beforeThis = "3d47cee"

// previous builds the release before from the history, once. skip says why it
// cannot be had.
var previous = sync.OnceValues(func() (path, skip string) {
	name := os.Getenv("CHAOS_PREVIOUS")
	if name == "" {
		name = beforeThis
	}
	if info, err := os.Stat(name); err == nil && !info.IsDir() {
		return name, ""
	}
	ctx := context.Background()
	root, err := binary.Root(ctx)
	if err != nil {
		return "", err.Error()
	}
	dir := filepath.Join(folder, "previous")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err.Error()
	}
	archive := filepath.Join(folder, "previous.tar")
	target := filepath.Join(folder, "signalbox-previous")
	for _, step := range []struct {
		dir  string
		line []string
	}{
		{root, []string{"git", "archive", "--output", archive, name}},
		{dir, []string{"tar", "-xf", archive}},
		{dir, []string{"go", "build", "-trimpath", "-ldflags", "-s -w", "-o", target, "./cmd/signalbox"}},
	} {
		cmd := exec.CommandContext(ctx, step.line[0], step.line[1:]...)
		cmd.Dir = step.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Sprintf("the release before, %s, cannot be built: %v: %v\n%s", name, step.line, err, out)
		}
	}
	return target, ""
})

// TestRollingUpgradeAndBack is the promise "three nodes go from the release before
// to this one, and back, one by one under load: no request fails, nothing
// acknowledged is lost, nothing is applied twice, and each release reads what the
// other has written".
func TestRollingUpgradeAndBack(t *testing.T) {
	if testing.Short() {
		t.Skip("runs three real nodes of two releases; left out by -short")
	}
	older, skip := previous()
	if skip != "" {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s\nin CI the whole history must be there", skip)
		}
		t.Skip(skip)
	}
	c := newCluster(t, setting(t, "CHAOS_SEED", 1))
	newer := c.options[0].Path
	for i := range c.nodes {
		c.options[i].Path = older
		c.start(t, i)
	}
	c.settled(t)
	ended := c.begin(t)
	for _, path := range []string{newer, older} {
		for i := range c.nodes {
			c.options[i].Path = path
			c.leave(t, i, 0) // and starts as the other release
		}
	}
	c.end(t, ended)
	c.judge(t)
}

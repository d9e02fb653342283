package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/signalbox/signalbox/test/binary"
)

// beforeThis is the release before: it has no tag yet, so it is a commit of main,
// the first whose nodes lose nothing when one takes over from another that commits once
// more. CHAOS_PREVIOUS names another commit, or a binary; 6b8f754 is the first that skips
// in a row what a newer one has added.
const beforeThis = "30cfa26"

// errNoHistory says that the release before is not in this clone.
var errNoHistory = errors.New("the history of this clone does not have the release before (git fetch --unshallow)")

// previous builds the release before from the history, once.
var previous = sync.OnceValues(func() (string, error) {
	name := cmp.Or(os.Getenv("CHAOS_PREVIOUS"), beforeThis)
	if info, err := os.Stat(name); err == nil && !info.IsDir() {
		return name, nil
	}
	ctx := context.Background()
	root, err := binary.Root(ctx)
	if err != nil {
		return "", err
	}
	source, built := filepath.Join(folder, "previous-source"), filepath.Join(folder, "previous")
	if err := errors.Join(os.Mkdir(source, 0o700), os.Mkdir(built, 0o700)); err != nil {
		return "", err
	}
	archive := filepath.Join(folder, "previous.tar")
	for _, step := range []struct {
		failed error
		line   []string
	}{
		{errNoHistory, []string{"git", "-C", root, "cat-file", "-e", name + "^{commit}"}},
		{nil, []string{"git", "-C", root, "archive", "--output", archive, name}},
		{nil, []string{"tar", "-C", source, "-xf", archive}},
	} {
		if out, err := exec.CommandContext(ctx, step.line[0], step.line[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("get the release before, %s: %v: %w\n%s", name, step.line, errors.Join(step.failed, err), out)
		}
	}
	return binary.BuildFrom(ctx, source, built)
})

// TestRollingUpgradeAndBack is the promise "three nodes go from the release before
// to this one, and back, one by one under load: no request fails, nothing
// acknowledged is lost, nothing is applied twice, and each release reads what the
// other has written".
func TestRollingUpgradeAndBack(t *testing.T) {
	if testing.Short() {
		t.Skip("runs three real nodes of two releases; left out by -short")
	}
	t.Parallel()
	older, err := previous()
	if errors.Is(err, errNoHistory) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
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

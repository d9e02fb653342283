//go:build !unix

package executors

import (
	"context"
	"os/exec"
)

// runGroup runs a program and waits for it. Where there are no process groups,
// the program itself is ended with the context; its children are not.
func runGroup(ctx context.Context, cmd *exec.Cmd) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	cmd.WaitDelay = PipeGrace
	if err := cmd.Start(); err != nil {
		return started(cmd, err)
	}
	// An error means that the program has ended already, which is what is wanted.
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	return cmd.Wait()
}

//go:build unix

package executors

import (
	"context"
	"os/exec"
	"syscall"
	"time"
)

// runGroup runs a program in a process group of its own and waits for it. When
// the context ends, the whole group gets SIGTERM and, after KillGrace, SIGKILL.
// Children that outlive the program itself go with it in any case.
func runGroup(ctx context.Context, cmd *exec.Cmd) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = PipeGrace
	if err := cmd.Start(); err != nil {
		return started(cmd, err)
	}
	group := -cmd.Process.Pid
	done := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-done:
			return
		case <-ctx.Done():
		}
		// An error means that the group is gone, which is what is wanted.
		_ = syscall.Kill(group, syscall.SIGTERM)
		grace := time.NewTimer(KillGrace)
		defer grace.Stop()
		select {
		case <-done:
		case <-grace.C:
			_ = syscall.Kill(group, syscall.SIGKILL)
		}
	}()
	err := cmd.Wait()
	// The number of the group cannot have been given to another one yet: the
	// system hands numbers out in turn, and the program ended a moment ago.
	_ = syscall.Kill(group, syscall.SIGKILL)
	close(done)
	<-watched
	return err
}

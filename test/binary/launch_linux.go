package binary

import (
	"runtime"
	"syscall"
)

// launch starts the process so that it dies with this one: a test that is
// killed leaves no node behind. Linux ties that to the thread that forked, so a
// thread is kept for as long as the child lives.
func (n *Node) launch() error {
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := n.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		n.failed = n.cmd.Wait()
		close(n.ended)
	}()
	return <-started
}

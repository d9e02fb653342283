//go:build !linux

package binary

// launch starts the process and waits for its end in the background.
func (n *Node) launch() error {
	if err := n.cmd.Start(); err != nil {
		return err
	}
	go func() {
		n.failed = n.cmd.Wait()
		close(n.ended)
	}()
	return nil
}

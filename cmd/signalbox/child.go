package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// child is a node in a process of its own.
type child struct {
	url    string
	ready  time.Duration // from its start to the line that says it listens
	cmd    *exec.Cmd
	stdin  io.WriteCloser // its end tells the child that we are gone
	log    *tail
	ended  chan struct{}
	waited sync.Once
}

const readyLine = "listening on "

// startChild runs this very program with other arguments and returns when it
// says that it listens.
func startChild(ctx context.Context, args []string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, failed("this program does not find itself: %w", err)
	}
	c := &child{cmd: exec.Command(self, args...), log: &tail{limit: maxNodeOutput}, ended: make(chan struct{})}
	c.cmd.Args[0] = "signalbox"
	c.cmd.Env = slices.DeleteFunc(os.Environ(), configures)
	c.cmd.Stderr = c.log
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, failed("starting a node: %w", err)
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, failed("starting a node: %w", err)
	}
	begun := time.Now()
	if err := c.cmd.Start(); err != nil {
		return nil, failed("starting a node: %w", err)
	}
	said := make(chan string, 1)
	go func() {
		defer close(said)
		if line, err := bufio.NewReader(stdout).ReadString('\n'); err == nil {
			said <- line
		}
	}()
	select {
	case line := <-said:
		if url, ok := strings.CutPrefix(strings.TrimSpace(line), readyLine); ok {
			c.url, c.ready = url, time.Since(begun)
			return c, nil
		}
		c.kill()
		return nil, failed("the node ended before it was ready%s", c.logged())
	case <-ctx.Done():
		c.kill()
		return nil, ctx.Err()
	case <-time.After(demoStep):
		c.kill()
		return nil, timedOut("the node was not ready within %v%s", demoStep, c.logged())
	}
}

// configures reports whether a variable changes what a node does: one that is
// started for a story must not call a model that costs money, or ask for keys.
func configures(variable string) bool {
	return strings.HasPrefix(variable, "SIGNALBOX_") || strings.HasPrefix(variable, "OPENAI_")
}

func (c *child) pid() int     { return c.cmd.Process.Pid }
func (c *child) addr() string { return strings.TrimPrefix(c.url, "http://") }

// kill ends the process as kill -9 does, and returns when it is gone. Its exit
// status says only that it was killed, so nobody needs it.
func (c *child) kill() {
	c.waited.Do(func() {
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
		close(c.ended)
	})
	<-c.ended
}

// lastWords is the end of the child's log as an error, nil when it is silent.
// It ends the child, because only then nobody writes to the log any more.
func (c *child) lastWords() error {
	c.kill()
	if len(c.log.kept) == 0 {
		return nil
	}
	return fmt.Errorf("the node's log ends: %s", c.log.kept)
}

func (c *child) logged() string {
	if err := c.lastWords(); err != nil {
		return "; " + err.Error()
	}
	return ""
}

package chaos

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// echoed starts a server that sends back every line, with a cable to it.
func echoed(t *testing.T, names ...string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	c, err := newCable(names...)
	if err != nil {
		t.Fatal(err)
	}
	c.aim(l.Addr().String())
	t.Cleanup(func() {
		c.close()
		_ = l.Close()
	})
	return c
}

// end is one end of a cable, as a test holds it.
type end struct {
	*testing.T
	conn  net.Conn
	lines *bufio.Reader
}

func dial(t *testing.T, c *cable) *end {
	t.Helper()
	conn, err := net.Dial("tcp", c.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &end{t, conn, bufio.NewReader(conn)}
}

func (e *end) say(line string) {
	e.Helper()
	if _, err := fmt.Fprintln(e.conn, line); err != nil {
		e.Fatal(err)
	}
}

// hears reports the next line, "" when none comes within a moment.
func (e *end) hears(within time.Duration) string {
	e.Helper()
	if err := e.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		e.Fatal(err)
	}
	line, err := e.lines.ReadString('\n')
	if err != nil {
		return ""
	}
	return line[:len(line)-1]
}

const (
	soon    = 10 * time.Second
	silence = 50 * time.Millisecond
)

// TestACableHoldsWhatItIsCutFor: whoever is cut off hears nothing until it is
// whole again, and then everything; the others go on.
func TestACableHoldsWhatItIsCutFor(t *testing.T) {
	for _, w := range []ways{there, back, both} {
		c := echoed(t, "anna", "otto")
		anna, otto := dial(t, c), dial(t, c)
		for name, e := range map[string]*end{"anna": anna, "otto": otto} {
			e.say("I am " + name)
			if got := e.hears(soon); got != "I am "+name {
				t.Fatalf("%s hears %q", name, got)
			}
		}
		c.cut("anna", w)
		anna.say("one")
		otto.say("two")
		if got := otto.hears(soon); got != "two" {
			t.Errorf("cut %d for another one: hears %q", w, got)
		}
		if got := anna.hears(silence); got != "" {
			t.Errorf("cut %d: hears %q", w, got)
		}
		late := dial(t, c) // who is not known before it says so
		late.say("I am anna too")
		if got := late.hears(silence); got != "" {
			t.Errorf("cut %d: a new connection hears %q", w, got)
		}
		if c.held.Load() != 2 {
			t.Errorf("cut %d: %d pieces were held", w, c.held.Load())
		}
		c.heal()
		anna = &end{t, anna.conn, bufio.NewReader(anna.conn)}
		if got := anna.hears(soon); got != "one" {
			t.Errorf("cut %d and whole again: hears %q", w, got)
		}
		c.cut(everybody, w)
		otto.say("three")
		if got := otto.hears(silence); got != "" {
			t.Errorf("cut %d for everybody: hears %q", w, got)
		}
	}
}

// TestACableBreaksAndIsSlow: connections break, new ones are made, and lead to
// where the cable is aimed then.
func TestACableBreaksAndIsSlow(t *testing.T) {
	c, other := echoed(t), echoed(t)
	e := dial(t, c)
	e.say("one")
	e.hears(soon)
	c.drop()
	if got := e.hears(soon); got != "" {
		t.Errorf("a broken connection says %q", got)
	}
	c.aim(other.Addr)
	c.slow(silence)
	e = dial(t, c)
	began := time.Now()
	e.say("two")
	if got, took := e.hears(soon), time.Since(began); got != "two" || took < 2*silence {
		t.Errorf("a slow cable says %q after %v", got, took)
	}
	other.close()
	if got := dial(t, c).hears(soon); got != "" {
		t.Errorf("a cable to nowhere says %q", got)
	}
}

package http

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

// dialed is a raw connection to a served door.
type dialed struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

func dialRaw(t *testing.T, dial func() net.Conn) *dialed {
	t.Helper()
	c := dial()
	t.Cleanup(func() { _ = c.Close() })
	return &dialed{Conn: c, t: t, in: bufio.NewReader(c)}
}

// post is the text of a request.
func post(path, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
}

func (c *dialed) say(text string) {
	c.t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// want reads one answer.
func (c *dialed) want(status int) {
	c.t.Helper()
	a, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer a.Body.Close()
	if a.StatusCode != status {
		c.t.Fatalf("answered %d, want %d", a.StatusCode, status)
	}
	if _, err := bufio.NewReader(a.Body).WriteTo(new(strings.Builder)); err != nil {
		c.t.Fatal(err)
	}
}

// TestWhoAsksHearsOfADeparture: a request that others wait for ends with its
// client, also on a connection that has carried signals; one that is answered soon
// in any case goes on.
func TestWhoAsksHearsOfADeparture(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, d *door, dial func() net.Conn) {
		d.node.maxBuffer = 10
		entered, left := make(chan *exchange), make(chan struct{})
		ask := func(x *exchange) error {
			entered <- x
			<-left
			return nil
		}
		for path, l := range map[string]lane{"/quick": laneQuick, "/sync": laneSync} {
			d.server.mountRoute(&route{method: "POST", path: path, handle: ask, access: forEverybody, lane: l, body: true})
		}
		for path, canceled := range map[string]bool{"/quick": false, "/sync": true} {
			c := dialRaw(t, dial)
			for range 3 {
				c.say(post(signalPath("e"), `{"signal_name":"approval-decision","payload":{"decision":"pending"}}`))
				c.want(200)
			}
			c.say(post(path, `{}`))
			x := <-entered
			_ = c.Close()
			synctest.Wait()
			if err := x.r.Context().Err(); (err != nil) != canceled {
				t.Errorf("%s: its context says %v", path, err)
			}
			left <- struct{}{}
		}
	})
}

// TestASynchronousStartEndsWithItsClient on a connection that has carried a signal.
func TestASynchronousStartEndsWithItsClient(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, d *door, dial func() net.Conn) {
		c := dialRaw(t, dial)
		c.say(post(signalPath("e"), `{"signal_name":"approval-decision"}`))
		c.want(200)
		c.say(post(api+"/workflows/approval/executions/sync", `{}`))
		synctest.Wait()
		if n := d.node.watching(); n != 1 {
			t.Errorf("%d wait for the execution, want the client", n)
		}
		_ = c.Close()
		synctest.Wait()
		if n := d.node.watching(); n != 0 {
			t.Errorf("the client has left, and %d wait for the execution", n)
		}
	})
}

// TestRequestsMayComeBeforeTheAnswers: nobody reads ahead while a signal is under
// way, and nothing that came meanwhile is lost.
func TestRequestsMayComeBeforeTheAnswers(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, d *door, dial func() net.Conn) {
		d.node.maxBuffer = 10
		c := dialRaw(t, dial)
		signal := post(signalPath("e"), `{"signal_name":"approval-decision","payload":{"decision":"pending"}}`)
		c.say(signal + signal + "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" + signal)
		for range 4 {
			c.want(200)
		}
		_ = c.Close()
	})
}

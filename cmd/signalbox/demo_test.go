package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"testing"
)

// TestAnInterruptedDemoSaysSo: whoever ends the demo while it waits for an answer, or
// looks again, is told that it was interrupted and nothing of the answer.
func TestAnInterruptedDemoSaysSo(t *testing.T) {
	const tries = 20 // the interruption meets the request, the answer or the time between
	for range tries {
		ctx, interrupt := context.WithCancel(t.Context())
		server := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
			go interrupt()
			fmt.Fprint(w, `{"data":{"deliveries":[]}}`)
		}))
		d := &demo{app: &app{terminal: terminal{out: io.Discard, env: func(string) string { return "" }}}, url: server.URL, node: stillChild()}
		var into json.RawMessage
		err := d.get(ctx, "/", &into, nil, func() bool { return false })
		if got := explain(err).code; got != exitInterrupted {
			t.Fatalf("it ends with %d: %v", got, err)
		}
		server.Close()
	}
}

// stillChild is a node that has ended and said nothing.
func stillChild() *child {
	c := &child{log: &tail{}, ended: make(chan struct{})}
	c.waited.Do(func() { close(c.ended) })
	return c
}

package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// signalBody is what the echo gets too: the same stack reads the same bytes.
var signalBody = []byte(`{"signal_name":"go","payload":{"order_id":"A-1001","status":"paid","amount":129.9}}`)

// appendInput writes an input that no other execution has: what many share
// would be compressed away, and the disk would look cheaper than it is.
func appendInput(b []byte, id string) []byte {
	digest := sha256.Sum256([]byte(id))
	b = append(b, `{"order_id":"`...)
	b = hex.AppendEncode(b, digest[:8])
	b = append(b, `","customer":"`...)
	b = hex.AppendEncode(b, digest[8:24])
	b = append(b, `","amount":`...)
	b = strconv.AppendUint(b, uint64(binary.BigEndian.Uint16(digest[24:])), 10)
	return append(b, '}')
}

// subject is a node under load, with the connections to it.
type subject struct {
	url  string
	pool pool
	tag  string // makes the ids of this round its own
}

func (s *subject) startBody(id string) []byte {
	b := append([]byte(`{"exec_id":"`), id...)
	b = append(b, `","input":`...)
	return append(appendInput(b, id), '}')
}

// start begins n executions of a workflow and returns their ids.
func (s *subject) start(workflow string, n int) ([]string, measured, error) {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = s.tag + "-" + workflow + "-" + strconv.Itoa(i)
	}
	path := "/api/v0/workflows/" + workflow + "/executions"
	m, err := closedLoop(s.pool, n, func(w *wire, _, i int) error {
		_, err := w.do("POST", path, s.startBody(ids[i]), http.StatusAccepted)
		return err
	})
	return ids, m, err
}

// echo is the same stack without any work.
func (s *subject) echo(n int) (measured, error) {
	return closedLoop(s.pool, n, func(w *wire, _, _ int) error {
		_, err := w.do("POST", "/api/v0/echo", signalBody, http.StatusOK)
		return err
	})
}

func signalPath(id string) string { return "/api/v0/executions/workflows/" + id + "/signals" }

// signals sends one signal to each execution, which ends it.
func (s *subject) signals(ids []string) (measured, error) {
	return closedLoop(s.pool, len(ids), func(w *wire, _, i int) error {
		_, err := w.do("POST", signalPath(ids[i]), signalBody, http.StatusOK)
		return err
	})
}

// loopSignals sends n signals to executions that wait again after each.
func (s *subject) loopSignals(ids []string, n int) (measured, error) {
	paths := make([]string, len(ids))
	for i, id := range ids {
		paths[i] = signalPath(id)
	}
	turns := make([]int, len(s.pool))
	return closedLoop(s.pool, n, func(w *wire, conn, _ int) error {
		turns[conn]++
		each := len(paths) / len(s.pool)
		_, err := w.do("POST", paths[conn*each+turns[conn]%each], signalBody, http.StatusOK)
		return err
	})
}

// finishedMetric counts changes of status, by workflow and the new status.
const finishedMetric = "signalbox_executions_total"

// events sends n events and returns when every execution that they started has
// finished: the rate is that of finished executions, not of accepted events.
func (s *subject) events(n int) (measured, error) {
	before, err := s.finished()
	if err != nil {
		return measured{}, err
	}
	begun := time.Now()
	m, err := closedLoop(s.pool, n, func(w *wire, _, i int) error {
		id := s.tag + "-" + strconv.Itoa(i)
		body := append([]byte(`{"name":"bench.event","id":"`), id...)
		body = append(body, `","payload":`...)
		_, err := w.do("POST", "/api/v0/events", append(appendInput(body, id), '}'), http.StatusAccepted)
		return err
	})
	if err != nil {
		return m, err
	}
	for {
		now, err := s.finished()
		if err != nil {
			return m, err
		}
		m.elapsed = time.Since(begun)
		if now-before >= float64(n) {
			return m, nil
		}
		if m.elapsed > finishTimeout {
			return m, fmt.Errorf("%v of %d executions that events started have finished after %v", now-before, n, finishTimeout)
		}
		time.Sleep(pollEvery)
	}
}

// finished is how many executions of the triggered workflow ended well.
func (s *subject) finished() (float64, error) {
	metrics, err := scrape(s.url)
	if err != nil {
		return 0, err
	}
	n, _ := sum(metrics, finishedMetric, `workflow="trivial"`, `status="SUCCESS"`)
	return n, nil
}

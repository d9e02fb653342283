package main

import (
	"fmt"
	"net/http"
	"strconv"
)

// signalItem is an item of a batch behind its exec_id: the same bytes as a signal alone.
var signalItem = append([]byte(`",`), signalBody[1:]...)

// batches sends n signals in batches of batchSize; to names the execution of each
// signal by the connection, the number of the batch and the place in it. The
// rate is that of signals.
func (s *subject) batches(n int, to func(conn, batch, i int) string) (measured, error) {
	bodies := make([][]byte, len(s.pool))
	want := []byte(`],"accepted":` + strconv.Itoa(batchSize) + `,"refused":0}}`)
	m, err := closedLoop(s.pool, n/batchSize, func(w *wire, conn, batch int) error {
		b := append(bodies[conn][:0], '[')
		for i := range batchSize {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, `{"exec_id":"`...)
			b = append(b, to(conn, batch, i)...)
			b = append(b, signalItem...)
		}
		b = append(b, ']')
		bodies[conn] = b
		answer, err := w.do("POST", "/api/v0/signals", b, http.StatusOK)
		if err == nil && string(answer[max(0, len(answer)-len(want)-1):len(answer)-1]) != string(want) {
			err = fmt.Errorf("a batch was not accepted as a whole: %.300s", answer)
		}
		return err
	})
	m.requests = n / batchSize * batchSize
	return m, err
}

// batchOnes sends one signal to each execution, which ends it.
func (s *subject) batchOnes(ids []string) (measured, error) {
	return s.batches(len(ids), func(_, batch, i int) string { return ids[batch*batchSize+i] })
}

// batchLoops sends signals to executions that wait again after each: a batch is
// for one execution, as when a device or a bank sends what has gathered.
func (s *subject) batchLoops(ids []string, n int) (measured, error) {
	turns := make([]int, len(s.pool))
	each := len(ids) / len(s.pool)
	return s.batches(n, func(conn, _, i int) string {
		if i == 0 {
			turns[conn]++
		}
		return ids[conn*each+turns[conn]%each]
	})
}

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// scrape reads the metrics of a node.
func scrape(url string) ([]byte, error) {
	w, err := dial(url)
	if err != nil {
		return nil, err
	}
	defer w.close()
	// A metrics answer has no length of its own and comes in chunks, unless the
	// client speaks HTTP/1.0; then it ends with the connection.
	if err := w.conn.SetDeadline(time.Now().Add(ioTimeout)); err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(w.conn, "GET /metrics HTTP/1.0\r\nHost: %s\r\n\r\n", w.host); err != nil {
		return nil, err
	}
	var all bytes.Buffer
	if _, err := all.ReadFrom(w.in); err != nil {
		return nil, err
	}
	head, body, ok := bytes.Cut(all.Bytes(), []byte("\r\n\r\n"))
	if !ok || !bytes.Contains(head[:min(len(head), 20)], []byte(" 200 ")) {
		return nil, fmt.Errorf("GET /metrics answered %.200q", all.Bytes())
	}
	return body, nil
}

// sum adds up the samples of a metric whose labels contain all of the given
// texts. found is false when there is no such sample.
func sum(metrics []byte, name string, labels ...string) (total float64, found bool) {
	lines := bufio.NewScanner(bytes.NewReader(metrics))
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), name)
		if !ok || rest == "" || rest[0] != '{' && rest[0] != ' ' {
			continue
		}
		at := strings.LastIndexByte(rest, ' ')
		matches := true
		for _, label := range labels {
			matches = matches && strings.Contains(rest[:at], label)
		}
		value, err := strconv.ParseFloat(rest[at+1:], 64)
		if matches && err == nil {
			total += value
			found = true
		}
	}
	return total, found
}

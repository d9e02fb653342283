package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// wire is one keep-alive connection that speaks just enough HTTP/1.1. The load
// generator shares its two cores with the node, so what it does not do counts:
// no header maps, no goroutine per request, no copy of a body. Echo and signals
// go through the same code, so that their ratio tells about the node alone.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
	body []byte
	host string
}

func dial(url string) (*wire, error) {
	host := strings.TrimPrefix(url, "http://")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		return nil, err
	}
	return newWire(conn, host), nil
}

func newWire(conn net.Conn, host string) *wire {
	return &wire{conn: conn, in: bufio.NewReaderSize(conn, headerBytes), host: host}
}

func (w *wire) close() error { return w.conn.Close() }

// write sends a request without reading its answer.
func (w *wire) write(method, path string, body []byte) error {
	b := w.out[:0]
	b = append(b, method...)
	b = append(b, ' ')
	b = append(b, path...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, w.host...)
	if body != nil {
		b = append(b, "\r\nContent-Type: application/json\r\nContent-Length: "...)
		b = strconv.AppendInt(b, int64(len(body)), 10)
	}
	b = append(b, "\r\n\r\n"...)
	b = append(b, body...)
	w.out = b
	_, err := w.conn.Write(b)
	return err
}

// read returns the status and the body of the next answer. The body is valid
// until the next read.
func (w *wire) read() (int, []byte, error) {
	line, err := w.in.ReadSlice('\n')
	if err != nil {
		return 0, nil, fmt.Errorf("no answer: %w", err)
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, nil, fmt.Errorf("not an answer: %q", line)
	}
	status := int(line[9]-'0')*100 + int(line[10]-'0')*10 + int(line[11]-'0')
	length := -1
	for {
		line, err := w.in.ReadSlice('\n')
		if err != nil {
			return 0, nil, fmt.Errorf("answer %d has half a head: %w", status, err)
		}
		if len(line) <= 2 {
			break
		}
		if value, ok := cutHeader(line, "content-length:"); ok {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, nil, err
			}
		}
	}
	if length < 0 || length > bodyBytes {
		return 0, nil, fmt.Errorf("answer %d has no length, or a length above %d", status, bodyBytes)
	}
	if cap(w.body) < length {
		w.body = make([]byte, length)
	}
	w.body = w.body[:length]
	if _, err := io.ReadFull(w.in, w.body); err != nil {
		return 0, nil, fmt.Errorf("answer %d has half a body: %w", status, err)
	}
	return status, w.body, nil
}

// cutHeader returns the value of a header line if it is of that name, which is
// given in lower case with its colon.
func cutHeader(line []byte, name string) ([]byte, bool) {
	if len(line) < len(name) {
		return nil, false
	}
	for i := range len(name) {
		if c := line[i]; c != name[i] && (c < 'A' || c > 'Z' || c+'a'-'A' != name[i]) {
			return nil, false
		}
	}
	return bytes.TrimSpace(line[len(name):]), true
}

// do makes one request and wants the given status.
func (w *wire) do(method, path string, body []byte, want int) ([]byte, error) {
	if err := w.conn.SetDeadline(time.Now().Add(ioTimeout)); err != nil {
		return nil, err
	}
	if err := w.write(method, path, body); err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	status, answer, err := w.read()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if status != want {
		return nil, fmt.Errorf("%s %s: answered %d, want %d: %.300s", method, path, status, want, answer)
	}
	return answer, nil
}

// pool is a set of connections to one node.
type pool []*wire

func dialAll(url string, n int) (pool, error) {
	p := make(pool, 0, n)
	for range n {
		w, err := dial(url)
		if err != nil {
			return nil, errors.Join(err, p.close())
		}
		p = append(p, w)
	}
	return p, nil
}

func (p pool) close() error {
	var all []error
	for _, w := range p {
		all = append(all, w.close())
	}
	return errors.Join(all...)
}

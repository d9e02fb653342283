package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// nextTask measures, on a node that does nothing else, the time from sending a
// signal to seeing on the execution's stream that the next task has started.
// The times are sorted.
func (s *subject) nextTask(ctx context.Context, samples int) ([]time.Duration, error) {
	ids, _, err := s.start("next", 1)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := follow(ctx, s.url, ids[0])
	if err != nil {
		return nil, err
	}
	defer stream.close()
	sender, err := dial(s.url)
	if err != nil {
		return nil, err
	}
	defer sender.close()
	var times []time.Duration
	for range samples {
		if err := stream.await("wait.opened"); err != nil {
			return nil, err
		}
		sent := time.Now()
		if err := sender.write("POST", signalPath(ids[0]), signalBody); err != nil {
			return nil, err
		}
		if err := stream.awaitTask("work"); err != nil {
			return nil, err
		}
		times = append(times, time.Since(sent))
		if status, answer, err := sender.read(); err != nil || status != http.StatusOK {
			return nil, fmt.Errorf("signal answered %d %.200s: %w", status, answer, err)
		}
	}
	slices.Sort(times)
	return times, nil
}

// events is the stream of one execution's records.
type events struct {
	resp  *http.Response
	lines *bufio.Scanner
}

func follow(ctx context.Context, url, id string) (*events, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", url+"/api/v0/executions/workflows/"+id+"/stream", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET stream of %s: %s", id, resp.Status)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, bodyBytes)
	return &events{resp: resp, lines: lines}, nil
}

func (e *events) close() { e.resp.Body.Close() }

// await reads up to the next record of a type.
func (e *events) await(kind string) error {
	for e.lines.Scan() {
		if e.lines.Text() == "event: "+kind {
			return nil
		}
	}
	return fmt.Errorf("the stream ended before %s: %w", kind, e.lines.Err())
}

// awaitTask reads up to the record that says that a task has started.
func (e *events) awaitTask(task string) error {
	for {
		if err := e.await("task.started"); err != nil {
			return err
		}
		if !e.lines.Scan() {
			return fmt.Errorf("the stream ended within a record: %w", e.lines.Err())
		}
		if strings.Contains(e.lines.Text(), `"task":"`+task+`"`) {
			return nil
		}
	}
}

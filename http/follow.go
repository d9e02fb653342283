package http

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/signalbox/signalbox/workflow"
)

// StreamEvent is one event of a stream: a record, or the last one, which has
// the type complete or error and Ending set.
type StreamEvent struct {
	ID     uint64
	Type   string
	Record *Record
	Ending *Ending
}

// Ending says how an execution ended.
type Ending struct {
	Status workflow.Status   `json:"status"`
	Output workflow.Value    `json:"output,omitempty"`
	Error  *workflow.Failure `json:"error,omitempty"`
}

// ErrStreamCut says that a stream ended before the execution did: follow again
// after the last event's id.
var ErrStreamCut = errors.New("the stream ended before the execution did")

// Follow calls each for every event after the one numbered after, until the
// execution ends (nil), each returns an error (that error), ctx ends, or the
// stream is cut (ErrStreamCut). types narrows to some types of records.
func (c *Client) Follow(ctx context.Context, execID string, after uint64, types []string, each func(StreamEvent) error) error {
	query := make(map[string][]string)
	if len(types) > 0 {
		query["events"] = []string{strings.Join(types, ",")}
	}
	header := http.Header{"Accept": {"text/event-stream"}}
	if after > 0 {
		header.Set("Last-Event-ID", strconv.FormatUint(after, 10))
	}
	response, err := c.send(ctx, "GET", executionURL(execID)+"/stream", query, nil, header)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNoContent {
		return nil
	}
	if response.StatusCode != http.StatusOK {
		text, err := readAnswer(response)
		if err != nil {
			return err
		}
		return problemIn(response, text)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(make([]byte, 0, usualStreamLine), maxStreamLine)
	ended, err := readEvents(lines, each)
	if err == nil && !ended {
		err = errors.Join(ErrStreamCut, ctx.Err())
	}
	return err
}

// readEvents takes the lines of a stream apart; ended is true after its last event.
func readEvents(lines *bufio.Scanner, each func(StreamEvent) error) (ended bool, err error) {
	var event StreamEvent
	var data string
	for lines.Scan() {
		line := lines.Text()
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "" && event.Type != "":
			if err := event.decode(data); err != nil {
				return false, err
			}
			if err := each(event); err != nil {
				return false, err
			}
			if event.Ending != nil {
				return true, nil
			}
			event, data = StreamEvent{}, ""
		case name == "id":
			if event.ID, err = strconv.ParseUint(value, 10, 64); err != nil {
				return false, fmt.Errorf("an event's id %q is not a number", value)
			}
		case name == "event":
			event.Type = value
		case name == "data":
			data += value
		}
	}
	if err := lines.Err(); err != nil {
		return false, fmt.Errorf("%w: %w", ErrStreamCut, err)
	}
	return false, nil
}

func (e *StreamEvent) decode(data string) error {
	var into any
	if e.Type == streamComplete || e.Type == streamError {
		e.Ending = new(Ending)
		into = e.Ending
	} else {
		e.Record = new(Record)
		into = e.Record
	}
	if err := json.Unmarshal([]byte(data), into); err != nil {
		return fmt.Errorf("event %d of the stream, %s, cannot be read: %w", e.ID, e.Type, err)
	}
	return nil
}

package http

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// SignalTo is one signal of several. Force of the request is not looked at: it
// belongs to the whole batch.
type SignalTo struct {
	ExecID string
	SignalRequest
}

// BatchOptions say how many signals are sent at once.
type BatchOptions struct {
	Atomic bool // accept all, which go to one execution, or none
	Force  bool // keep those that the workflow can never wait for
}

func (o BatchOptions) values() url.Values {
	query := make(url.Values)
	if o.Atomic {
		query.Set("atomic", "true")
	}
	if o.Force {
		query.Set("force", "true")
	}
	return query
}

// Signals sends many signals and returns when each is durable or refused: an
// item that was refused is no error of the call.
func (c *Client) Signals(ctx context.Context, signals []SignalTo, o BatchOptions) (Batch[SignalAnswer], error) {
	body := make([]map[string]any, len(signals))
	for i, s := range signals {
		body[i] = s.body()
		body[i]["exec_id"] = s.ExecID
	}
	return call[Batch[SignalAnswer]](ctx, c, "POST", api+"/signals", o.values(), body)
}

// SignalLines sends signals as lines of NDJSON, as they are; see Signals.
func (c *Client) SignalLines(ctx context.Context, lines []byte, o BatchOptions) (Batch[SignalAnswer], error) {
	return callLines[SignalAnswer](ctx, c, api+"/signals", o.values(), lines)
}

// Events sends many events and returns when each is durable or refused: an
// item that was refused is no error of the call.
func (c *Client) Events(ctx context.Context, events []EventRequest) (Batch[EventAnswer], error) {
	body := make([]map[string]any, len(events))
	for i, e := range events {
		body[i] = e.body()
	}
	return call[Batch[EventAnswer]](ctx, c, "POST", api+"/events", nil, body)
}

// EventLines sends events as lines of NDJSON, as they are; see Events.
func (c *Client) EventLines(ctx context.Context, lines []byte) (Batch[EventAnswer], error) {
	return callLines[EventAnswer](ctx, c, api+"/events", nil, lines)
}

// callLines sends NDJSON and reads the results. A stream that broke off has its
// problem as the error, beside the results of what came before.
func callLines[T any](ctx context.Context, c *Client, path string, query url.Values, body []byte) (Batch[T], error) {
	var all Batch[T]
	response, err := c.send(ctx, "POST", path, query, rawBody(body), http.Header{"Content-Type": linesHeader})
	if err != nil {
		return all, err
	}
	defer response.Body.Close()
	text, err := readAnswer(response)
	if err != nil {
		return all, fmt.Errorf("POST %s: %w", path, err)
	}
	if err := problemIn(response, text); err != nil {
		return all, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	for decoder.More() {
		var r BatchResult[T]
		if err := decoder.Decode(&r); err != nil {
			return all, fmt.Errorf("POST %s: line %d of the answer cannot be read: %w", path, len(all.Results)+1, err)
		}
		switch {
		case r.Ended && r.Problem != nil:
			return all, r.Problem
		case r.Ended:
			return all, errors.New("the stream broke off, and the answer does not say why")
		case r.Status >= http.StatusBadRequest:
			all.Refused++ // also in a forecast
		default:
			all.Accepted++
		}
		all.Results = append(all.Results, r)
	}
	return all, nil
}

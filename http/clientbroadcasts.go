package http

import (
	"context"
	"net/url"
	"time"
)

// BroadcastRequest is a signal to every live execution that a filter selects.
// Name and a filter that says something are required.
type BroadcastRequest struct {
	Filter        BroadcastFilter
	Name          string
	Payload       any           // encodes to an object; nil: none
	ID            string        // "": the node makes one, and a repeat is another broadcast
	TTL           time.Duration // how long a signal may stay buffered; 0: as long as its execution lives
	CorrelationID string
	Rate          int // signals a second; 0: the node's default
}

func (q BroadcastRequest) body() map[string]any {
	body := map[string]any{"filter": q.Filter, "signal_name": q.Name}
	set(body, "payload", q.Payload, q.Payload != nil)
	set(body, "broadcast_id", q.ID, q.ID != "")
	set(body, "ttl", q.TTL.String(), q.TTL != 0)
	set(body, "correlation_id", q.CorrelationID, q.CorrelationID != "")
	set(body, "rate", q.Rate, q.Rate != 0)
	return body
}

// Broadcast begins a broadcast and returns when it is durable.
func (c *Client) Broadcast(ctx context.Context, q BroadcastRequest) (Broadcast, error) {
	return call[Broadcast](ctx, c, "POST", api+"/signals", nil, q.body())
}

// PreviewBroadcast says how many executions a broadcast would reach now.
func (c *Client) PreviewBroadcast(ctx context.Context, q BroadcastRequest) (BroadcastPreview, error) {
	return call[BroadcastPreview](ctx, c, "POST", api+"/signals", url.Values{"dry_run": {"true"}}, q.body())
}

// GetBroadcast says how far a broadcast is.
func (c *Client) GetBroadcast(ctx context.Context, id string) (Broadcast, error) {
	return call[Broadcast](ctx, c, "GET", broadcastURL(id), nil, nil)
}

// Broadcasts lists the broadcasts that the node keeps, youngest first.
func (c *Client) Broadcasts(ctx context.Context) ([]Broadcast, error) {
	list, err := call[struct {
		Broadcasts []Broadcast `json:"broadcasts"`
	}](ctx, c, "GET", api+"/broadcasts", nil, nil)
	return list.Broadcasts, err
}

// CancelBroadcast ends a broadcast; the reason may be "".
func (c *Client) CancelBroadcast(ctx context.Context, id, reason string) (Broadcast, error) {
	body := make(map[string]any)
	set(body, "reason", reason, reason != "")
	return call[Broadcast](ctx, c, "POST", broadcastURL(id)+"/cancel", nil, body)
}

// BroadcastResults lists what became of each target; an outcome narrows it down
// and may be "".
func (c *Client) BroadcastResults(ctx context.Context, id, outcome string, limit int, cursor string) (BroadcastResults, error) {
	query := pageValues(limit, cursor)
	add(query, "outcome", outcome)
	return call[BroadcastResults](ctx, c, "GET", broadcastURL(id)+"/results", query, nil)
}

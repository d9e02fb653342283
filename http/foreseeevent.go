package http

import (
	"context"
	"errors"
	"net/http"

	"github.com/signalbox/signalbox/workflow"
)

// EventForecast is what an event would do if it were sent now. Nothing of it has
// happened.
type EventForecast struct {
	DryRun      bool               `json:"dry_run"`      // true
	WouldAnswer int                `json:"would_answer"` // status of the answer that the request would get
	EventID     string             `json:"event_id"`
	Duplicate   bool               `json:"duplicate"` // it was accepted before; nothing would happen
	State       workflow.Fate      `json:"state"`     // consumed when somebody would take it, buffered while it would be kept, or dead; of a duplicate as it is
	Reason      string             `json:"reason,omitempty"`
	Refusal     *Problem           `json:"refusal,omitempty"`
	Deliveries  []DeliveryForecast `json:"deliveries"`
	Passed      []DeliveryForecast `json:"passed"`          // open waits that would not take it
	Takes       []TakeForecast     `json:"takes,omitempty"` // kept events that would be taken by waits which it opens
	More        bool               `json:"more,omitempty"`  // there are more waits or kept events than were looked at
}

// DeliveryForecast is what one listener would do with an event.
type DeliveryForecast struct {
	Delivery
	Forecast *Forecast `json:"forecast,omitempty"` // of the execution that it would start or wake; beside the first wait of it
}

// TakeForecast is a kept event that an execution would take.
type TakeForecast struct {
	EventID string `json:"event_id"`
	DeliveryForecast
}

// foreseeEvent answers what an event would do.
func (x *exchange) foreseeEvent(event workflow.Event) error {
	forecasts, err := x.server.node.ForeseeEvents(x.context(), []workflow.Event{event})
	if err != nil {
		return err
	}
	out, err := x.eventForecastOf(&event, &forecasts[0])
	if err != nil {
		return err
	}
	return x.answer(http.StatusOK, "dry run: nothing was sent", out)
}

func (x *exchange) eventForecastOf(event *workflow.Event, f *workflow.EventForecast) (EventForecast, error) {
	out := EventForecast{
		DryRun: true, WouldAnswer: http.StatusAccepted, EventID: f.EventID, State: f.Fate, Reason: f.Reason, More: f.More,
		Deliveries: x.deliveriesOf(f.Deliveries), Passed: x.deliveriesOf(f.Passed), Takes: x.takesOf(f.Takes), Duplicate: f.Stored != nil,
	}
	if f.Stored != nil {
		if err := sameBody(event, f.Stored); err != nil && !errors.As(err, &f.Refusal) {
			return out, err
		}
	}
	if f.Refusal != nil {
		out.Refusal, _ = problemOf(f.Refusal)
		out.WouldAnswer, out.Duplicate = out.Refusal.Status, false
	}
	return out, nil
}

func (x *exchange) deliveriesOf(all []workflow.DeliveryForecast) []DeliveryForecast {
	shown := make([]DeliveryForecast, 0, len(all))
	for i := range all {
		shown = append(shown, x.deliveryOf(&all[i]))
	}
	return shown
}

func (x *exchange) takesOf(all []workflow.TakeForecast) []TakeForecast {
	var shown []TakeForecast
	for i := range all {
		shown = append(shown, TakeForecast{all[i].EventID, x.deliveryOf(&all[i].DeliveryForecast)})
	}
	return shown
}

func (x *exchange) deliveryOf(d *workflow.DeliveryForecast) DeliveryForecast {
	shown := DeliveryForecast{Delivery: Delivery{
		Kind: d.Kind, WorkflowID: d.WorkflowID, ExecID: d.ExecID, WaitID: d.WaitID, Outcome: d.Outcome, Reason: d.Reason, At: Time(d.At),
	}}
	if d.Forecast != nil {
		f := x.forecastOf(d.Forecast, http.StatusAccepted)
		shown.Forecast = &f
	}
	return shown
}

// ForeseeEvent asks what an event would do if it were sent now. Nothing is sent.
func (c *Client) ForeseeEvent(ctx context.Context, q EventRequest) (EventForecast, error) {
	return call[EventForecast](ctx, c, "POST", api+"/events", dryQuery(false), q.body())
}

// ForeseeEventLines asks what events would do if they were sent now, one after
// the other, as lines of NDJSON. Nothing is sent.
func (c *Client) ForeseeEventLines(ctx context.Context, lines []byte) (Batch[EventForecast], error) {
	return callLines[EventForecast](ctx, c, api+"/events", dryQuery(false), lines)
}

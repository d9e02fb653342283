package http

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/signalbox/signalbox/workflow"
)

// foresee answers what each signal of a batch would do, those to one execution
// one after the other, as if the ones before had been sent. Of signals that are
// kept together one that is refused refuses all.
func (b *signalBatch) foresee(atomic bool) error {
	if err := b.whole(b.take, func() int { return len(b.broken) }); err != nil {
		return err
	}
	var forecasts []workflow.Forecast
	if atomic {
		var err error
		if forecasts, err = b.foreseeTogether(); err != nil {
			return err
		}
	} else {
		forecasts = b.x.server.node.ForeseeSignals(b.x.context(), b.signals)
	}
	for _, broken := range b.broken {
		if broken != nil {
			if err := b.problem(broken); err != nil {
				return err
			}
			continue
		}
		shown := b.x.forecastOf(&forecasts[0], 200)
		forecasts = forecasts[1:]
		if err := b.foreseen(shown.WouldAnswer, shown.Refusal != nil, shown); err != nil {
			return err
		}
	}
	b.send()
	return nil
}

// foreseeTogether looks at signals that are accepted all or none. What refuses
// the whole before anything is looked at refuses the dry run, too.
func (b *signalBatch) foreseeTogether() ([]workflow.Forecast, error) {
	if err := b.fitTogether(); err != nil {
		return nil, err
	}
	forecasts, refused := b.x.server.node.ForeseeTogether(b.x.context(), b.signals)
	if refused < 0 {
		return forecasts, nil
	}
	var whole *workflow.Refusal
	if err := b.none(refused, b.signals[refused].ID, forecasts[refused].Refusal); !errors.As(err, &whole) {
		return nil, err
	}
	for i := range forecasts {
		f := &forecasts[i]
		*f = workflow.Forecast{ExecID: f.ExecID, WorkflowID: f.WorkflowID, Was: f.Was, Status: f.Was, Opinions: f.Opinions, Refusal: whole}
	}
	return forecasts, nil
}

// whole gathers the items of a dry run, which are looked at together.
func (b *batch) whole(each func(members, error), gathered func() int) error {
	b.begin()
	if err := b.items(each, func() error { return nil }); err != nil {
		return err
	}
	if b.results > 0 {
		return refuse(workflow.CodeInvalid, "the stream broke off, so nothing of it was looked at", fmt.Sprintf("send all of it again, at most %d items of at most %d bytes", MaxForeseen, MaxBodyBytes))
	}
	if n := gathered(); n > MaxForeseen {
		return refuse(CodeBodyTooLarge, fmt.Sprintf("the dry run has %d items, at most %d are looked at together", n, MaxForeseen), "send fewer at a time")
	}
	return nil
}

// foreseen is the result of an item.
func (b *batch) foreseen(status int, refused bool, forecast any) error {
	text, err := json.Marshal(forecast)
	if err != nil {
		return fmt.Errorf("encode the forecast of item %d: %w", b.results, err)
	}
	if refused {
		b.refused++
	}
	b.result(status)
	b.out.b = append(b.out.b, `,"data":`...)
	b.out.b = append(b.out.b, text...)
	b.close()
	return nil
}

// foresee answers what each event of a batch would do, as if the ones before had
// been sent.
func (b *eventBatch) foresee() error {
	if err := b.whole(b.take, func() int { return len(b.broken) }); err != nil {
		return err
	}
	forecasts, err := b.x.server.node.ForeseeEvents(b.x.context(), b.events)
	if err != nil {
		return err
	}
	next := 0
	for _, broken := range b.broken {
		if broken != nil {
			if err := b.problem(broken); err != nil {
				return err
			}
			continue
		}
		shown, err := b.x.eventForecastOf(&b.events[next], &forecasts[next])
		if err != nil {
			return err
		}
		next++
		if err := b.foreseen(shown.WouldAnswer, shown.Refusal != nil, shown); err != nil {
			return err
		}
	}
	b.send()
	return nil
}

// ForeseeSignals asks what signals would do if they were sent now, one after the
// other. Nothing is sent.
func (c *Client) ForeseeSignals(ctx context.Context, signals []SignalTo, force bool) (Batch[Forecast], error) {
	body := make([]map[string]any, len(signals))
	for i, s := range signals {
		body[i] = s.body()
		body[i]["exec_id"] = s.ExecID
	}
	return call[Batch[Forecast]](ctx, c, "POST", api+"/signals", dryQuery(force), body)
}

// ForeseeSignalLines asks the same of lines of NDJSON.
func (c *Client) ForeseeSignalLines(ctx context.Context, lines []byte, o BatchOptions) (Batch[Forecast], error) {
	query := o.values()
	query.Set(dryRun, "true")
	return callLines[Forecast](ctx, c, api+"/signals", query, lines)
}

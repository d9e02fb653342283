package http

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/signalbox/signalbox/workflow"
)

// foresee answers what each signal of a batch would do, those to one execution
// one after the other, as if the ones before had been sent.
func (b *signalBatch) foresee() error {
	if err := b.items(b.take, func() error { return nil }); err != nil {
		return err
	}
	if n := len(b.broken); n > MaxForeseen {
		return refuse(CodeBodyTooLarge, fmt.Sprintf("the dry run has %d items, at most %d are looked at together", n, MaxForeseen), "send fewer at a time")
	}
	b.begin()
	forecasts := b.x.server.node.ForeseeSignals(b.x.context(), b.signals)
	for _, broken := range b.broken {
		if broken != nil {
			if err := b.problem(broken); err != nil {
				return err
			}
			continue
		}
		shown := b.x.forecastOf(&forecasts[0], 200)
		forecasts = forecasts[1:]
		text, err := json.Marshal(shown)
		if err != nil {
			return fmt.Errorf("encode the forecast of item %d: %w", b.results, err)
		}
		if shown.Refusal != nil {
			b.refused++
		}
		b.result(shown.WouldAnswer)
		b.out.b = append(b.out.b, `,"data":`...)
		b.out.b = append(b.out.b, text...)
		b.close()
	}
	b.send()
	return nil
}

// noDryLines refuses what a dry run of a batch cannot say: it looks at the items
// of one array together.
func noDryLines(atomic, lines bool) error {
	switch {
	case atomic:
		return refuse(workflow.CodeInvalid, "dry_run and atomic are given together", "leave atomic out: the forecast has a verdict for each item, and atomic keeps none when one is refused")
	case lines:
		return refuse(workflow.CodeInvalid, "a dry run takes no NDJSON", "send a JSON array")
	}
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

package http

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/signalbox/signalbox/workflow"
)

// sendSignals takes signals to any number of executions, or one to all that a
// filter selects.
func (x *exchange) sendSignals() error {
	if x.format == formatJSON && isBroadcast(x.in.b) {
		return x.broadcast()
	}
	if err := x.noKeyForMany("signal_id"); err != nil {
		return err
	}
	atomic, err := x.flag("atomic")
	if err != nil {
		return err
	}
	force, err := x.flag("force")
	if err != nil {
		return err
	}
	b := signalBatches.Get().(*signalBatch)
	b.batch, b.force = batch{x: x, lines: x.format == formatLines, parts: b.parts}, force
	defer b.over()
	dry, err := x.dry()
	if err != nil {
		return err
	}
	if dry {
		return b.foresee(atomic)
	}
	if atomic {
		return b.together()
	}
	b.begin()
	if err := b.items(b.take, b.flush); err != nil {
		return err
	}
	b.send()
	return nil
}

// noKeyForMany refuses one identity for many messages.
func (x *exchange) noKeyForMany(field string) error {
	if len(x.r.Header[IdempotencyHeader]) == 0 {
		return nil
	}
	return refuse(workflow.CodeInvalid, "the header "+IdempotencyHeader+" cannot stand for many messages", "give each item its own "+field)
}

// signalBatch gathers signals until a piece of them is delivered.
type signalBatch struct {
	batch
	force   bool
	signals []workflow.Signal
	broken  []error // of each item gathered, nil for one that became a signal
	fates   []workflow.SignalResult
}

// signalBatches lend the room of requests that were answered.
var signalBatches = sync.Pool{New: func() any { return new(signalBatch) }}

// over gives the room back, unless it is larger than that of a piece.
func (b *signalBatch) over() {
	if cap(b.signals) > BatchPiece {
		return
	}
	clear(b.signals[:cap(b.signals)])
	clear(b.broken[:cap(b.broken)])
	clear(b.fates[:cap(b.fates)])
	clear(b.parts)
	*b = signalBatch{batch: batch{parts: b.parts[:0]}, signals: b.signals[:0], broken: b.broken[:0], fates: b.fates[:0]}
	signalBatches.Put(b)
}

// take reads one item.
func (b *signalBatch) take(m members, err error) {
	var signal workflow.Signal
	if err == nil {
		signal, err = b.signal(m)
	}
	if room := min(len(b.parts), BatchPiece); cap(b.signals) < room {
		b.signals, b.broken = slices.Grow(b.signals, room), slices.Grow(b.broken, room)
	}
	b.broken = append(b.broken, err)
	if err == nil {
		b.signals = append(b.signals, signal)
	}
}

func (b *signalBatch) signal(m members) (workflow.Signal, error) {
	q, err := readSignal(&m, batchSignalFields)
	if err != nil {
		return workflow.Signal{}, err
	}
	if q.execID == "" {
		return workflow.Signal{}, invalidField("exec_id", "is missing", "name the execution that the signal goes to")
	}
	return b.x.signal(q, q.execID, b.force), nil
}

// flush delivers what has gathered and writes its results.
func (b *signalBatch) flush() error {
	if len(b.signals) > 0 {
		b.fates = b.x.server.node.Signals(b.x.context(), b.signals, b.fates[:0])
	}
	next := 0
	for _, broken := range b.broken {
		err := broken
		if broken == nil {
			fate := &b.fates[next]
			next++
			if err = fate.Err; err == nil {
				b.accepted(&fate.Answer)
				continue
			}
		}
		if err := b.problem(err); err != nil {
			return err
		}
	}
	b.signals, b.broken = b.signals[:0], b.broken[:0]
	return nil
}

func (b *signalBatch) accepted(a *workflow.Answer) {
	b.result(200)
	b.out.b = append(b.out.b, `,"data":`...)
	b.out.b = appendSignalData(b.out.b, a)
	b.close()
}

// together delivers all signals in one commit, or none of them.
func (b *signalBatch) together() error {
	b.begin()
	if err := b.items(b.take, func() error { return nil }); err != nil {
		return err
	}
	if b.results > 0 {
		return refuse(workflow.CodeInvalid, "the stream broke off, so none of its signals was kept", "send all of them again, at most "+fmt.Sprint(MaxTogether))
	}
	if err := b.fitTogether(); err != nil {
		return err
	}
	answers, refused, err := b.x.server.node.SignalsTogether(b.x.context(), b.signals)
	if err != nil && refused >= 0 && refused < len(b.signals) {
		return b.none(refused, b.signals[refused].ID, err)
	}
	if err != nil {
		return err
	}
	for i := range answers {
		b.accepted(&answers[i])
	}
	b.send()
	return nil
}

// fitTogether refuses signals that cannot be kept together, whatever becomes of
// each.
func (b *signalBatch) fitTogether() error {
	for i, err := range b.broken {
		if err != nil {
			return b.none(i, "", err)
		}
	}
	if len(b.signals) > MaxTogether {
		return refuse(CodeBodyTooLarge, fmt.Sprintf("the batch has %d items, at most %d can be kept together", len(b.signals), MaxTogether),
			"send fewer, or leave atomic out")
	}
	bytes := 0
	for i := range b.signals {
		if bytes += len(b.signals[i].Payload); bytes > MaxBodyBytes {
			return refuse(CodeBodyTooLarge, fmt.Sprintf("the payloads have more than %d bytes in all, which is too much for one commit", MaxBodyBytes), "send fewer, or leave atomic out")
		}
		if b.signals[i].ExecID != b.signals[0].ExecID {
			return b.none(i, b.signals[i].ID, invalidField("exec_id", "is another one than that of the first item",
				"signals that are kept together go to one execution; send one request for each"))
		}
	}
	return nil
}

// none is the refusal of a batch because of one of its items.
func (b *signalBatch) none(index int, id string, err error) error {
	var refusal *workflow.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	whole := *refusal
	whole.Message = fmt.Sprintf("item %d was refused, so none was kept: %s", index, refusal.Message)
	whole.Details = maps.Clone(refusal.Details)
	if whole.Details == nil {
		whole.Details = make(map[string]any)
	}
	whole.Details["index"] = index
	if id != "" {
		whole.Details["signal_id"] = id
	}
	return &whole
}

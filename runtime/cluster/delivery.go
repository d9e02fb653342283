package cluster

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/workflow"
)

// A delivery and its reply on the wire: JSON, and behind it every value that
// came from outside - payloads, inputs, outputs - as the bytes that it is,
// because digests are made of those bytes and no encoder of JSON keeps them.

// delivery is an actors.Deliver without what belongs to its sender.
type delivery struct {
	ExecID string           `json:"exec"`
	Kind   string           `json:"kind,omitempty"` // of the input; "" wakes
	Input  json.RawMessage  `json:"input,omitempty"`
	Def    string           `json:"def,omitempty"`    // content hash of a start's definition
	Signal *workflow.Signal `json:"signal,omitempty"` // that comes along with a start
	Fresh  bool             `json:"fresh,omitempty"`

	Together []workflow.Signalled `json:"together,omitempty"` // signals that are accepted all or none
}

// inputs are all kinds of input, so that one can be made by its name.
var inputs = func() map[string]reflect.Type {
	kinds := make(map[string]reflect.Type)
	for _, in := range []workflow.Input{
		workflow.Started{}, workflow.Signalled{}, workflow.TimerFired{}, workflow.TaskDone{}, workflow.TaskFailed{},
		workflow.PauseAsked{}, workflow.ResumeAsked{}, workflow.CancelAsked{}, workflow.DeadlineMoved{},
	} {
		kinds[in.Kind()] = reflect.TypeOf(in)
	}
	return kinds
}()

// encodeDelivery writes a delivery.
func encodeDelivery(d *actors.Deliver) ([]byte, error) {
	w := delivery{ExecID: d.ExecID, Fresh: d.Fresh}
	if d.Definition != nil {
		w.Def = d.Definition.Hash
	}
	var values []workflow.Value
	if d.Signal != nil {
		s := *d.Signal
		w.Signal = &s
		takeValues(reflect.ValueOf(&s).Elem(), &values)
	}
	if d.Together != nil {
		w.Together = slices.Clone(d.Together)
		takeValues(reflect.ValueOf(&w.Together).Elem(), &values)
	}
	if d.Input != nil {
		w.Kind = d.Input.Kind()
		bare := reflect.New(reflect.TypeOf(d.Input)).Elem()
		bare.Set(reflect.ValueOf(d.Input))
		takeValues(bare, &values)
		text, err := json.Marshal(bare.Interface())
		if err != nil {
			return nil, fmt.Errorf("encode %s for %s: %w", w.Kind, d.ExecID, err)
		}
		w.Input = text
	}
	text, err := json.Marshal(&w)
	if err != nil {
		return nil, fmt.Errorf("encode a delivery to %s: %w", d.ExecID, err)
	}
	return appendBlocks(text, values), nil
}

// appendBlocks writes the text and then the values, each with its length, plus
// one so that an absent value is not an empty one.
func appendBlocks(text []byte, values []workflow.Value) []byte {
	size := 2*binary.MaxVarintLen64 + len(text)
	for _, v := range values {
		size += binary.MaxVarintLen64 + len(v)
	}
	b := binary.AppendUvarint(make([]byte, 0, size), uint64(len(text)))
	b = append(b, text...)
	for _, v := range values {
		n := uint64(0)
		if v != nil {
			n = uint64(len(v)) + 1
		}
		b = append(binary.AppendUvarint(b, n), v...)
	}
	return b
}

var errDelivery = errors.New("the delivery of another node is damaged")

// readBlocks reads what appendBlocks wrote.
func readBlocks(b []byte) (text []byte, values []workflow.Value, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, errDelivery
	}
	text, b = b[size:size+int(n)], b[size+int(n):]
	for len(b) > 0 {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size)+1 {
			return nil, nil, errDelivery
		}
		b = b[size:]
		if n == 0 {
			values = append(values, nil)
			continue
		}
		values = append(values, slices.Clone(b[:n-1]))
		b = b[n-1:]
	}
	return text, values, nil
}

// decodeDelivery reads a delivery; find returns the definition of a hash.
func decodeDelivery(b []byte, find func(hash string) (*workflow.Definition, error)) (*actors.Deliver, error) {
	text, values, err := readBlocks(b)
	if err != nil {
		return nil, err
	}
	var w delivery
	if err := json.Unmarshal(text, &w); err != nil {
		return nil, fmt.Errorf("%w: %w", errDelivery, err)
	}
	d := &actors.Deliver{ExecID: w.ExecID, Fresh: w.Fresh, Signal: w.Signal}
	if d.Signal != nil {
		if err := giveValues(reflect.ValueOf(d.Signal).Elem(), &values); err != nil {
			return nil, err
		}
	}
	d.Together = w.Together
	if err := giveValues(reflect.ValueOf(&d.Together).Elem(), &values); err != nil {
		return nil, err
	}
	if w.Kind != "" {
		kind, known := inputs[w.Kind]
		if !known {
			return nil, fmt.Errorf("this node does not know the input %q: it is of another release", w.Kind)
		}
		in := reflect.New(kind)
		if err := json.Unmarshal(w.Input, in.Interface()); err != nil {
			return nil, fmt.Errorf("%w: %w", errDelivery, err)
		}
		if err := giveValues(in.Elem(), &values); err != nil {
			return nil, err
		}
		d.Input = in.Elem().Interface().(workflow.Input)
	}
	if w.Def != "" {
		if d.Definition, err = find(w.Def); err != nil {
			return nil, fmt.Errorf("the definition %s of a start cannot be had here: %w", w.Def, err)
		}
	}
	return d, nil
}

// resent makes a delivery one that may have arrived before: nothing may be taken
// for new any more.
func resent(d *actors.Deliver) {
	d.Resent, d.Fresh = true, false
	if d.Signal != nil {
		s := *d.Signal // of the sender, who may look at it
		s.Minted = false
		d.Signal = &s
	}
	if s, ok := d.Input.(workflow.Signalled); ok {
		s.Signal.Minted = false
		d.Input = s
	}
	d.Together = slices.Clone(d.Together)
	for i := range d.Together {
		d.Together[i].Signal.Minted = false
	}
}

var valueType = reflect.TypeFor[workflow.Value]()

// takeValues takes every value out of v, in the order of the fields. What
// pointers and slices lead to belongs to somebody else and is copied.
func takeValues(v reflect.Value, out *[]workflow.Value) {
	switch {
	case v.Type() == valueType:
		*out = append(*out, v.Bytes())
		v.SetZero()
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			switch f := v.Type().Field(i); {
			case f.Tag.Get("json") == "-":
				*out = append(*out, unsaid(v.Field(i)))
			case f.IsExported():
				takeValues(v.Field(i), out)
			}
		}
	case v.Kind() == reflect.Pointer && !v.IsNil():
		own := reflect.New(v.Type().Elem())
		own.Elem().Set(v.Elem())
		v.Set(own)
		takeValues(own.Elem(), out)
	case v.Kind() == reflect.Slice && !v.IsNil() && holds(v.Type().Elem()):
		own := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(own, v)
		v.Set(own)
		for i := range own.Len() {
			takeValues(own.Index(i), out)
		}
	}
}

// giveValues puts back what takeValues took.
func giveValues(v reflect.Value, in *[]workflow.Value) error {
	switch {
	case v.Type() == valueType:
		if len(*in) == 0 {
			return errDelivery
		}
		v.Set(reflect.ValueOf((*in)[0]))
		*in = (*in)[1:]
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if err := giveField(v.Type().Field(i), v.Field(i), in); err != nil {
				return err
			}
		}
	case v.Kind() == reflect.Pointer && !v.IsNil():
		return giveValues(v.Elem(), in)
	case v.Kind() == reflect.Slice && !v.IsNil() && holds(v.Type().Elem()):
		for i := range v.Len() {
			if err := giveValues(v.Index(i), in); err != nil {
				return err
			}
		}
	}
	return nil
}

// unsaid is a field that is not kept with an execution, so that its JSON does not
// have it, and that its owner must know nevertheless. Nil stands for zero.
func unsaid(field reflect.Value) workflow.Value {
	if field.IsZero() {
		return nil
	}
	return workflow.ValueOf(field.Interface())
}

// giveField puts back what takeValues took of one field.
func giveField(f reflect.StructField, v reflect.Value, in *[]workflow.Value) error {
	if f.Tag.Get("json") != "-" {
		if !f.IsExported() {
			return nil
		}
		return giveValues(v, in)
	}
	if len(*in) == 0 {
		return errDelivery
	}
	text := (*in)[0]
	*in = (*in)[1:]
	if text == nil {
		return nil
	}
	if err := json.Unmarshal(text, v.Addr().Interface()); err != nil {
		return fmt.Errorf("%w: %s: %w", errDelivery, f.Name, err)
	}
	return nil
}

// holds reports whether something of that type can have a value in it.
func holds(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct, reflect.Pointer:
		return true
	case reflect.Slice:
		return t == valueType || holds(t.Elem())
	}
	return false
}

// reply is an actors.Reply without the state, which is read from the store by
// the few who want it.
type reply struct {
	Answer  workflow.Answer    `json:"answer,omitzero"`
	Answers []workflow.Answer  `json:"answers,omitempty"`
	Refused int                `json:"refused,omitempty"`
	Matched bool               `json:"matched,omitempty"`
	Known   bool               `json:"known,omitempty"`
	Reached []workflow.Reached `json:"reached,omitempty"`
	Refusal *refusal           `json:"refusal,omitempty"`
	Error   string             `json:"error,omitempty"` // of another kind
}

type refusal struct {
	Code       string               `json:"code"`
	Message    string               `json:"message"`
	Hint       string               `json:"hint,omitempty"`
	Violations []workflow.Violation `json:"violations,omitempty"`
	Details    map[string]any       `json:"details,omitempty"`
	RetryAfter time.Duration        `json:"retry_after,omitempty"`
}

var errReply = errors.New("the reply of another node is damaged")

// encodeReply writes a reply; compact says that who asked can read a compact one.
func encodeReply(r actors.Reply, compact bool) ([]byte, error) {
	if compact {
		if b, ok := appendReply(&r); ok {
			return b, nil
		}
	}
	w := reply{Answer: r.Answer, Answers: r.Answers, Refused: r.Refused, Matched: r.Matched, Known: r.Known, Reached: r.Reached}
	var why *workflow.Refusal
	switch {
	case errors.As(r.Err, &why):
		w.Refusal = &refusal{why.Code, why.Message, why.Hint, why.Violations, why.Details, why.RetryAfter}
	case r.Err != nil:
		w.Error = r.Err.Error()
	}
	return json.Marshal(&w)
}

// decodeReply reads a reply.
func decodeReply(b []byte) (actors.Reply, error) {
	if len(b) > 0 && b[0] == compactReply {
		return readReply(b[1:])
	}
	var w reply
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.UseNumber()
	if err := decoder.Decode(&w); err != nil {
		return actors.Reply{}, fmt.Errorf("%w: %w", errReply, err)
	}
	r := actors.Reply{Answer: w.Answer, Answers: w.Answers, Refused: w.Refused, Matched: w.Matched, Known: w.Known, Reached: w.Reached}
	switch {
	case w.Refusal != nil:
		r.Err = &workflow.Refusal{Code: w.Refusal.Code, Message: w.Refusal.Message, Hint: w.Refusal.Hint,
			Violations: w.Refusal.Violations, Details: w.Refusal.Details, RetryAfter: w.Refusal.RetryAfter}
	case w.Error != "":
		r.Err = errors.New(w.Error)
	}
	return r, nil
}

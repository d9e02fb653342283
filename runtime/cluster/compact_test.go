package cluster

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/workflow"
)

// distinct gives every field of v a value of its own that is not zero.
func distinct(t *testing.T, v reflect.Value, n *int) {
	t.Helper()
	*n++
	switch {
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			distinct(t, v.Field(i), n)
		}
	case v.Type() == reflect.TypeFor[workflow.Value]():
		v.Set(reflect.ValueOf(workflow.Value{'"', byte('a' + *n), '"'}))
	case v.Kind() == reflect.String:
		v.SetString("text " + string(rune('a'+*n)))
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.CanInt():
		v.SetInt(-int64(*n) << 33)
	default:
		t.Fatalf("a field of type %s: say here how it is filled, and write it in compact.go", v.Type())
	}
}

// TestSignalsArriveFieldForField: one that is added and not written shows here. A
// signal that is cut short is damaged or lacks its last fields, and never panics.
func TestSignalsArriveFieldForField(t *testing.T) {
	full, n := workflow.Signalled{}, 0
	distinct(t, reflect.ValueOf(&full).Elem(), &n)
	absent := full
	absent.Signal.Payload = nil
	empty := full
	empty.Signal.Payload = workflow.Value{}
	for _, in := range []workflow.Signalled{full, absent, empty, {}} {
		for _, fresh := range []bool{true, false} {
			d := &actors.Deliver{ExecID: "e", Input: in, Fresh: fresh}
			plain, ok := plainSignal(d)
			if !ok {
				t.Fatal("a signal alone is none")
			}
			b := appendSignal(d, &plain)
			got, err := readSignal(b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(d.Input, got.Input); diff != "" || got.ExecID != "e" || got.Fresh != fresh {
				t.Errorf("arrives as another (-want +got), %q %v:\n%s", got.ExecID, got.Fresh, diff)
			}
			for cut := range b {
				_, _ = readSignal(b[:cut])
			}
		}
	}
	for _, d := range []*actors.Deliver{
		{Input: full, Signal: &full.Signal}, {Input: full, Together: []workflow.Signalled{full}},
		{Input: full, Definition: &workflow.Definition{}}, {Input: workflow.TimerFired{}}, {},
	} {
		if _, ok := plainSignal(d); ok {
			t.Errorf("%+v passes for a signal alone", d)
		}
	}
}

// TestRepliesArriveFieldForField is the same for the reply to a signal; what is more
// than that goes as JSON, and both are read.
func TestRepliesArriveFieldForField(t *testing.T) {
	full, n := actors.Reply{Matched: true, Known: true}, 0
	distinct(t, reflect.ValueOf(&full.Answer).Elem(), &n)
	full.Reached = make([]workflow.Reached, 2)
	distinct(t, reflect.ValueOf(&full.Reached[0]).Elem(), &n)
	distinct(t, reflect.ValueOf(&full.Reached[1]).Elem(), &n)
	full.Reached[1].Took = false
	for _, want := range []actors.Reply{full, {}, {Matched: true}, {Known: true}, {Answers: []workflow.Answer{full.Answer}, Matched: true, Reached: full.Reached}} {
		b, err := encodeReply(want, true)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeReply(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("arrives as another (-want +got):\n%s", diff)
		}
		for cut := range b {
			_, _ = decodeReply(b[:cut])
		}
	}
}

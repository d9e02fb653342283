package cluster_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/runtime/cluster"
	"github.com/signalbox/signalbox/workflow"
)

// fill gives every field of v something that is not its zero value. Values are
// JSON as people write it, which an encoder would change.
func fill(v reflect.Value, n *int) {
	*n++
	switch {
	case v.Type() == reflect.TypeFor[workflow.Value]():
		v.Set(reflect.ValueOf(workflow.Value(fmt.Sprintf("{ \"<n>\" :\t%d, \"é\\u00e9&\": [ ] }", *n))))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), n)
			}
		}
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case v.Kind() == reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, n)
		if value.Kind() == reflect.Interface {
			value.Set(reflect.ValueOf(fmt.Sprint("any", *n)))
		} else {
			fill(value, n)
		}
		v.SetMapIndex(key, value)
	case v.Kind() == reflect.String:
		v.SetString(fmt.Sprintf("text <%d>", *n))
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.CanInt():
		v.SetInt(int64(*n))
	case v.CanUint():
		v.SetUint(uint64(*n))
	case v.CanFloat():
		v.SetFloat(float64(*n) + 0.5)
	}
}

// TestEveryInputArrivesAsItWasSent: every field, and every value byte for byte;
// and the sender's own stays what it was.
func TestEveryInputArrivesAsItWasSent(t *testing.T) {
	def := &workflow.Definition{Hash: "the-hash"}
	find := func(hash string) (*workflow.Definition, error) {
		if hash != def.Hash {
			return nil, fmt.Errorf("asked for %q", hash)
		}
		return def, nil
	}
	for kind, of := range cluster.Inputs {
		for what, make := range map[string]func() workflow.Input{
			"full": func() workflow.Input {
				v, n := reflect.New(of).Elem(), 0
				fill(v, &n)
				return v.Interface().(workflow.Input)
			},
			"empty": func() workflow.Input { return reflect.New(of).Elem().Interface().(workflow.Input) },
		} {
			along, n := &workflow.Signal{}, 0
			fill(reflect.ValueOf(along).Elem(), &n)
			together := func() []workflow.Signalled {
				var s []workflow.Signalled
				n := 100
				fill(reflect.ValueOf(&s).Elem(), &n)
				return s
			}
			d := &actors.Deliver{ExecID: "x <1>", Input: make(), Definition: def, Signal: along, Together: together(), Fresh: true}
			b, err := cluster.EncodeDelivery(d)
			if err != nil {
				t.Fatalf("%s, %s: %v", kind, what, err)
			}
			got, err := cluster.DecodeDelivery(b, find)
			if err != nil {
				t.Fatalf("%s, %s: %v", kind, what, err)
			}
			if diff := cmp.Diff(make(), got.Input); diff != "" {
				t.Errorf("%s, %s, arrives as another (-want +got):\n%s", kind, what, diff)
			}
			if diff := cmp.Diff(make(), d.Input); diff != "" {
				t.Errorf("%s, %s, was changed by sending it (-want +got):\n%s", kind, what, diff)
			}
			if diff := cmp.Diff(together(), got.Together) + cmp.Diff(together(), d.Together); diff != "" {
				t.Errorf("%s, %s, signals together arrive as others, or were changed (-want +got):\n%s", kind, what, diff)
			}
			if diff := cmp.Diff(along, got.Signal); diff != "" {
				t.Errorf("%s, %s, the signal that comes along arrives as another (-want +got):\n%s", kind, what, diff)
			}
			if got.ExecID != d.ExecID || got.Definition != def || !got.Fresh {
				t.Errorf("%s, %s: %+v", kind, what, got)
			}
		}
	}
	b, err := cluster.EncodeDelivery(&actors.Deliver{ExecID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := cluster.DecodeDelivery(b, find); err != nil || got.Input != nil || got.Definition != nil {
		t.Errorf("a delivery that wakes: %+v, %v", got, err)
	}
}

// TestNoInputIsForgotten reads the core for the kinds of input that there are.
func TestNoInputIsForgotten(t *testing.T) {
	packages, err := parser.ParseDir(token.NewFileSet(), "../../workflow", func(i fs.FileInfo) bool { return !strings.HasSuffix(i.Name(), "_test.go") }, 0)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, of := range cluster.Inputs {
		known[of.Name()] = true
	}
	found := 0
	for _, file := range packages["workflow"].Files {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Name.Name != "Kind" || f.Recv == nil {
				continue
			}
			found++
			if name := f.Recv.List[0].Type.(*ast.Ident).Name; !known[name] {
				t.Errorf("workflow.%s is an input that cannot be sent to another node: add it to inputs", name)
			}
		}
	}
	if found != len(known) {
		t.Errorf("the core has %d inputs, %d can be sent", found, len(known))
	}
}

func TestReplies(t *testing.T) {
	why := &workflow.Refusal{
		Code: workflow.CodePayloadInvalid, Message: "m", Hint: "h", RetryAfter: time.Second,
		Violations: []workflow.Violation{{Pointer: "/a", Message: "no"}}, Details: map[string]any{"exec_id": "x", "status": "WAITING"},
	}
	for what, r := range map[string]actors.Reply{
		"answer": {Answer: workflow.Answer{SignalID: "s", Outcome: workflow.Delivered, WaitID: "w/1", Status: workflow.Running, ExpiresAt: 7}, Matched: true, Known: true,
			Answers: []workflow.Answer{{SignalID: "a"}, {SignalID: "b", Duplicate: true}}, Refused: 3},
		"refusal": {Err: why},
		"nothing": {},
	} {
		b, err := cluster.EncodeReply(r, false)
		if err != nil {
			t.Fatal(err)
		}
		got, err := cluster.DecodeReply(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r.Answer, got.Answer) + cmp.Diff(r.Answers, got.Answers); diff != "" || got.Refused != r.Refused || got.Matched != r.Matched || got.Known != r.Known {
			t.Errorf("%s: %+v\n%s", what, got, diff)
		}
		var refusal *workflow.Refusal
		if errors.As(got.Err, &refusal) != (r.Err != nil) {
			t.Errorf("%s: %v", what, got.Err)
		} else if refusal != nil {
			if diff := cmp.Diff(why, refusal); diff != "" {
				t.Errorf("%s: %s", what, diff)
			}
		}
	}
}

// FuzzDelivery: whatever another node sends, it is an error and no panic.
func FuzzDelivery(f *testing.F) {
	for _, of := range cluster.Inputs {
		v, n := reflect.New(of).Elem(), 0
		fill(v, &n)
		b, err := cluster.EncodeDelivery(&actors.Deliver{ExecID: "x", Input: v.Interface().(workflow.Input)})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := cluster.DecodeDelivery(b, func(string) (*workflow.Definition, error) { return nil, errors.New("none") })
		if err == nil && d == nil {
			t.Error("neither a delivery nor an error")
		}
	})
}

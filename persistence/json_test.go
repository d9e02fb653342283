package persistence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/signalbox/signalbox/workflow"
)

// texts are strings that an encoder gets wrong first.
var texts = []string{
	"", "plain", `"quoted" \ back`, "line\nline\r\ttab\b\f", "\x00\x01\x1f\x7f", "<a href='x'>&</a>", "é 漢字 🙂",
	"\u2028\u2029", "bad \xff utf8 \xc3", "\ufffd", strings.Repeat("long ", 50),
}

var values = []workflow.Value{nil, workflow.Value(`null`), workflow.Value(`{"a":[1,2.5,"<x>"]}`), workflow.Value(`"text"`), workflow.Value(`[]`)}

// fill sets every field of a value by reflection, so that a field that somebody
// adds is filled too.
func fill(rng *rand.Rand, v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(texts[rng.IntN(len(texts))])
	case reflect.Bool:
		v.SetBool(rng.IntN(2) == 0)
	case reflect.Int, reflect.Int64:
		v.SetInt([]int64{0, 1, -1, 1 << 62}[rng.IntN(4)])
	case reflect.Uint64:
		v.SetUint([]uint64{0, 1, 1 << 63}[rng.IntN(3)])
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[workflow.Value]() {
			v.SetBytes(values[rng.IntN(len(values))])
			return
		}
		n := rng.IntN(4)
		if n == 0 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(rng, v.Index(i), depth+1)
		}
	case reflect.Pointer:
		if rng.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(rng, v.Elem(), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("json") != "-" {
				fill(rng, v.Field(i), depth+1)
			}
		}
	default:
		panic(fmt.Sprintf("fill does not know %v; teach it", v.Type()))
	}
}

// plain is what encoding/json makes of a value without HTML escaping.
func plain(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// TestEncoders compares every encoder with encoding/json on random values of
// which every field is filled.
func TestEncoders(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for name, encode := range map[string]func() (got []byte, like any){
		"state": func() ([]byte, any) {
			v := random[workflow.State](rng)
			return AppendState(nil, v), v
		},
		"records": func() ([]byte, any) {
			v := random[[]workflow.Record](rng)
			if *v == nil {
				*v = []workflow.Record{}
			}
			return AppendRecords(nil, *v), *v
		},
		"receipt": func() ([]byte, any) {
			v := random[workflow.Receipt](rng)
			return AppendReceipt(nil, v), v
		},
		"event receipt": func() ([]byte, any) {
			v := random[workflow.EventReceipt](rng)
			return AppendEventReceipt(nil, v), v
		},
		"wait row": func() ([]byte, any) {
			v := random[waitRow](rng)
			return AppendWaitRow(nil, v.WorkflowID, &v.OpenWait), v
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 3000 {
				got, like := encode()
				if want := plain(t, like); !bytes.Equal(got, want) {
					at := 0
					for at < min(len(got), len(want)) && got[at] == want[at] {
						at++
					}
					from := max(0, at-60)
					t.Fatalf("encoded differently at byte %d; is there a new field?\n got ...%.150s\nwant ...%.150s", at, got[from:], want[from:])
				}
			}
		})
	}
}

func random[T any](rng *rand.Rand) *T {
	v := new(T)
	fill(rng, reflect.ValueOf(v).Elem(), 0)
	return v
}

// TestSnapshotRoundTrip: what is decoded encodes to the same bytes again.
func TestSnapshotRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		s := random[workflow.State](rng)
		row := AppendSnapshot([]byte("before"), s, 7, 9)[len("before"):]
		got, err := DecodeSnapshot(s.ExecID, row)
		if err != nil {
			t.Fatalf("%v\n%s", err, row)
		}
		if got.Epoch != 7 || got.Commit != 9 || got.State.ExecID != s.ExecID {
			t.Fatalf("decoded epoch %d, commit %d of execution %q, want 7 and 9 of %q", got.Epoch, got.Commit, got.State.ExecID, s.ExecID)
		}
		again, err := DecodeSnapshot(s.ExecID, AppendSnapshot(nil, got.State, 7, 9))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(got, again); d != "" {
			t.Fatalf("a decoded state encodes to another one (-first +second):\n%s", d)
		}
	}
}

func TestWaitRow(t *testing.T) {
	want := workflow.WaitRow{ExecID: "e\x00", WorkflowID: "orders", OpenWait: workflow.OpenWait{ID: "hold/1", Task: "hold", Name: "approve", Condition: "a < b", OpenedAt: 1, Deadline: 2}}
	got, err := DecodeWaitRow("e\x00", AppendWaitRow(nil, "orders", &want.OpenWait))
	if err != nil || got != want {
		t.Fatalf("got %+v, %v, want %+v", got, err, want)
	}
	if _, err := DecodeWaitRow("e", []byte(`{"workflow":`)); err == nil {
		t.Fatal("half a row decodes")
	}
}

func benchState() *workflow.State {
	s := random[workflow.State](rand.New(rand.NewPCG(5, 6)))
	s.Held = nil
	return s
}

// The two benchmarks are why the encoders are written by hand.
func BenchmarkAppendState(b *testing.B) {
	s := benchState()
	buf := AppendState(nil, s)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendState(buf[:0], s)
	}
}

func BenchmarkMarshalState(b *testing.B) {
	s := benchState()
	b.SetBytes(int64(len(AppendState(nil, s))))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := json.Marshal(s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeSnapshot(b *testing.B) {
	s := benchState()
	row := AppendSnapshot(nil, s, 1, 1)
	b.SetBytes(int64(len(row)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeSnapshot(s.ExecID, row); err != nil {
			b.Fatal(err)
		}
	}
}

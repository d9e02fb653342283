package persistence

import (
	"bytes"
	"encoding/json"
	"errors"
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
			if f := v.Type().Field(i); f.Tag.Get("json") != "-" && !transient[v.Type()][f.Name] {
				fill(rng, v.Field(i), depth+1)
			}
		}
	default:
		panic(fmt.Sprintf("fill does not know %v; teach it", v.Type()))
	}
}

// transient are the fields that an input of the history has and no state that is
// stored: workflow.Check says so.
var transient = map[reflect.Type]map[string]bool{reflect.TypeFor[workflow.Signal](): {"Minted": true}}

// coded is a kind of row, with both directions of its coder.
type coded struct {
	make   func() any
	encode func(any) []byte
	decode func([]byte) (any, error)
}

func kindOf[T any](rng *rand.Rand, fields func(*coder, *T)) coded {
	return coded{
		make:   func() any { return random[T](rng) },
		encode: func(v any) []byte { return encode(nil, v.(*T), fields) },
		decode: func(row []byte) (any, error) {
			v := new(T)
			return v, decode(row, v, fields)
		},
	}
}

// underKey is kindOf in the shorter form, below a key of texts that the values have too.
func underKey[T any](rng *rand.Rand, fields func(*coder, *T)) coded {
	under := coder{keyed: true, exec: "plain", signal: texts[2]}
	kind := kindOf(rng, fields)
	kind.encode = func(v any) []byte { return encodeWith(under, []byte{formatKeyed}, v.(*T), fields) }
	kind.decode = func(row []byte) (any, error) {
		v := new(T)
		return v, decodeUnder(under, row, v, fields)
	}
	return kind
}

func everyKind() map[string]coded {
	rng := rand.New(rand.NewPCG(1, 2))
	return map[string]coded{
		"state": kindOf(rng, stateFields), "records": kindOf(rng, recordsFields), "receipt": kindOf(rng, receiptFields),
		"event receipt": kindOf(rng, eventReceiptFields), "wait row": kindOf(rng, waitRowFields),
		"dead letter":         kindOf(rng, letterFields),
		"records under a key": underKey(rng, recordsFields), "receipt under a key": underKey(rng, receiptFields),
	}
}

// TestRoundTrip: random values of which every field is filled come back whole,
// and from the JSON of the first release.
func TestRoundTrip(t *testing.T) {
	for name, kind := range everyKind() {
		t.Run(name, func(t *testing.T) {
			for range many(2000) {
				want := kind.make()
				got, err := kind.decode(kind.encode(want))
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Fatalf("it comes back changed; is there a new field? (-want +got)\n%s", d)
				}
				old, err := json.Marshal(want)
				if err != nil {
					t.Fatal(err)
				}
				if string(old) == "null" {
					old = []byte("[]")
				}
				if _, err := kind.decode(old); err != nil {
					t.Fatalf("a row of the first release does not decode: %v\n%s", err, old)
				}
			}
		})
	}
}

// TestBrokenRows: a row that is cut, longer or of a newer release is refused,
// whatever kind it is, and no byte of it makes decoding panic or allocate without bound.
func TestBrokenRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 5))
	for name, kind := range everyKind() {
		for range many(50) {
			row := kind.encode(kind.make())
			for i := range row {
				if _, err := kind.decode(row[:i]); err == nil {
					t.Fatalf("%s: %d of %d bytes decode", name, i, len(row))
				}
				flipped := bytes.Clone(row)
				flipped[i] ^= 1 << rng.IntN(8)
				_, _ = kind.decode(flipped) // it may be another row; it must end
			}
			if _, err := kind.decode(append(row, 0)); err == nil {
				t.Fatalf("%s: a row with a byte more decodes", name)
			}
		}
	}
	if _, err := DecodeReceipt([]byte{9, 1}); err == nil || !strings.Contains(err.Error(), "format 9") {
		t.Fatalf("a row of an unknown format: %v", err)
	}
	if _, err := DecodeReceipt([]byte{formatBinary, 200, 0}); !errors.Is(err, errShort) {
		t.Fatalf("a structure with more fields than there are bytes: %v", err)
	}
}

// TestMoreFields: a release that adds fields, to a structure and to one within it,
// is read by the one before, which skips them, and by itself.
func TestMoreFields(t *testing.T) {
	type step struct {
		workflow.Step
		Note string
		More []workflow.Step
	}
	type journey struct {
		Name  string
		Steps []step
		Last  string
	}
	newerStep := func(c *coder, s *step) {
		outer := c.open(7)
		signed(c, &s.At)
		text(c, &s.What)
		text(c, &s.Wait)
		c.unsigned(&s.Record)
		text(c, &s.Reason)
		added(c, func(c *coder) { text(c, &s.Note) })
		added(c, func(c *coder) { list(c, &s.More, stepFields) })
		c.close(outer)
	}
	olderStep := func(c *coder, s *step) {
		outer := c.open(5)
		signed(c, &s.At)
		text(c, &s.What)
		text(c, &s.Wait)
		c.unsigned(&s.Record)
		text(c, &s.Reason)
		c.close(outer)
	}
	journeyOf := func(one func(*coder, *step)) func(*coder, *journey) {
		return func(c *coder, j *journey) {
			outer := c.open(3)
			text(c, &j.Name)
			list(c, &j.Steps, one)
			text(c, &j.Last)
			c.close(outer)
		}
	}
	plain := workflow.Step{At: 7, What: "judged", Wait: "w/1", Record: 3, Reason: "gone"}
	full := journey{"a", []step{{plain, "a note", []workflow.Step{plain, plain}}, {plain, "", nil}}, "z"}
	row := encode(nil, &full, journeyOf(newerStep))
	var same, less journey
	if err := decode(row, &same, journeyOf(newerStep)); err != nil || !reflect.DeepEqual(same, full) {
		t.Fatalf("by itself: %+v, %v", same, err)
	}
	if err := decode(row, &less, journeyOf(olderStep)); err != nil {
		t.Fatal(err)
	}
	if want := (journey{"a", []step{{Step: plain}, {Step: plain}}, "z"}); !reflect.DeepEqual(less, want) {
		t.Fatalf("by the release before: %+v, want %+v", less, want)
	}
	for i := range row {
		if err := decode(row[:i], new(journey), journeyOf(newerStep)); err == nil {
			t.Fatalf("%d of %d bytes decode", i, len(row))
		}
	}
}

// TestFewerFields: a row of a release that knew fewer fields decodes, and what it
// does not have is empty.
func TestFewerFields(t *testing.T) {
	row := encode(nil, &workflow.Step{At: 7, What: "judged", Wait: "w/1", Record: 3, Reason: "gone"}, func(c *coder, s *workflow.Step) {
		c.open(2)
		signed(c, &s.At)
		text(c, &s.What)
	})
	got := workflow.Step{}
	if err := decode(row, &got, stepFields); err != nil {
		t.Fatal(err)
	}
	if want := (workflow.Step{At: 7, What: "judged"}); got != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

// TestTexts: what looks like a hash or an id is packed, and comes back as it was.
func TestTexts(t *testing.T) {
	for s, most := range map[string]int{
		"": 1, "WAITING": 2, "order-17": 9, "6f1ed002ab5595859014ebf0951522d9": 17, "6F1ed002ab5595859014ebf0951522d9": 34,
		"0199f3a0-1234-7abc-8def-0123456789ab": 17, "0199f3a0-1234-7abc-8def_0123456789ab": 38, "0199f3a0-1234-7abc-8def-0123456789aB": 38,
		strings.Repeat("0f", 32): 34, strings.Repeat("x", 64): 66, "bad \xff utf8": 14,
	} {
		row := appendText(nil, s)
		if len(row) > most {
			t.Errorf("%q takes %d bytes, want at most %d", s, len(row), most)
		}
		c := coder{text: string(row)}
		if got := c.readText(); got != s || c.err != nil || c.text != "" {
			t.Errorf("%q comes back as %q, %v", s, got, c.err)
		}
	}
}

// many is how often something random is tried: with -short, as under the race
// detector, a tenth will do.
func many(times int) int {
	if testing.Short() {
		return times / 10
	}
	return times
}

func random[T any](rng *rand.Rand) *T {
	v := new(T)
	fill(rng, reflect.ValueOf(v).Elem(), 0)
	return v
}

// TestSnapshotRoundTrip: what is decoded encodes to the same bytes again.
func TestSnapshotRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range many(2000) {
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

// The benchmarks are why the form is binary and its coder written by hand.
func BenchmarkAppendSnapshot(b *testing.B) {
	s := benchState()
	buf := AppendSnapshot(nil, s, 1, 1)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendSnapshot(buf[:0], s, 1, 1)
	}
}

func BenchmarkMarshalState(b *testing.B) {
	s := benchState()
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

// TestWords: every word is written as its number, and what is nearly one is not.
func TestWords(t *testing.T) {
	for i, word := range words[1:] {
		if n, known := wordNumber(word); !known || n > uint64(i)+1 || words[n] != word {
			t.Errorf("%q has the number %d, %v", word, n, known)
		}
		if n, known := wordNumber(word + "-"); known {
			t.Errorf("%q has the number %d", word+"-", n)
		}
	}
}

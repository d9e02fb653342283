package workflow

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
)

// TestEncoders compares what is encoded by hand with encoding/json, on random
// values of which every field is filled.
func TestEncoders(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, of := range []encoder{Started{}, Signalled{}, TaskDone{}, finished{}, envelope{}, opened{}, attempt{}} {
		for range 500 {
			v := reflect.New(reflect.TypeOf(of)).Elem()
			fillFields(rng, v)
			var want bytes.Buffer
			enc := json.NewEncoder(&want)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(v.Interface()); err != nil {
				t.Fatal(err)
			}
			if got := ValueOf(v.Interface()); string(got)+"\n" != want.String() {
				t.Fatalf("%T is encoded differently; is there a new field?\n got %s\nwant %s", of, got, want.Bytes())
			}
		}
	}
}

func fillFields(rng *rand.Rand, v reflect.Value) {
	texts := []string{"", "plain", `"quoted" \ back`, "line\nline\r\ttab\b\f", "\x00\x1f\x7f", "<a>&</a>", "é 漢字 🙂", "\u2028\u2029", "bad \xff utf8 \xc3", "\ufffd"}
	values := []Value{nil, Value(`null`), Value(`{"a":[1,2.5,"<x>"]}`), Value(`"text"`)}
	switch {
	case v.Type() == reflect.TypeFor[Value]():
		v.Set(reflect.ValueOf(values[rng.IntN(len(values))]))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("json") != "-" {
				fillFields(rng, v.Field(i))
			}
		}
	case v.Kind() == reflect.Pointer:
		if rng.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fillFields(rng, v.Elem())
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), rng.IntN(3), 3))
		for i := range v.Len() {
			fillFields(rng, v.Index(i))
		}
	case v.Kind() == reflect.String:
		v.SetString(texts[rng.IntN(len(texts))])
	case v.Kind() == reflect.Bool:
		v.SetBool(rng.IntN(2) == 0)
	case v.CanInt():
		v.SetInt(rng.Int64N(3) * 1_700_000_000_000)
	default:
		panic("fillFields does not know " + v.Type().String() + "; teach it")
	}
}

// The text of an instant is what the library makes of it.
func TestInstantsAreWrittenAsTheLibraryWritesThem(t *testing.T) {
	for _, at := range []Instant{1, 999, 1000, -1, -1000, -62_135_596_800_001, 1_764_146_000_007, 1_764_146_000_070, 253_402_300_799_999, 253_402_300_800_000, 1 << 60} {
		if want := at.Time().Format("2006-01-02T15:04:05.000Z07:00"); at.String() != want {
			t.Errorf("%d is written as %q, want %q", at, at.String(), want)
		}
	}
}

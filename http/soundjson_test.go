package http

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestSoundJSONIsWhatTheStandardLibraryTakes changes JSON here and there, and asks the standard
// library whether it still is.
func TestSoundJSONIsWhatTheStandardLibraryTakes(t *testing.T) {
	seeds := []string{
		benchSignal, `{}`, `[]`, `null`, `true`, `false`, `0`, `-0.5e+10`, `12E-3`, `""`, " [ 1 , -2.25 , {} , [ ] ]\r\n\t",
		`{"a":{"b":[1,2,{"c":null}]},"d":"\u00e9\n\"\\\/","e":[true,false]}`, `{"a" : 1 , "a" : 2}`, "{\"\xff\":\"é\"}",
	}
	const letters = "{}[]\",:\\ \n\t\r0123456789-+.eEtrufalsnbx/\x00\x1f\x7f\xc3\xa9"
	random := rand.New(rand.NewPCG(1, 2))
	valid := 0
	for range 200_000 {
		text := []byte(seeds[random.IntN(len(seeds))])
		for range random.IntN(4) {
			i, c := random.IntN(len(text)+1), letters[random.IntN(len(letters))]
			switch random.IntN(3) {
			case 0:
				text = append(text[:i], append([]byte{c}, text[i:]...)...)
			case 1:
				text = append(text[:i], text[min(i+1, len(text)):]...)
			default:
				if i < len(text) {
					text[i] = c
				}
			}
		}
		want := json.Valid(text)
		if want {
			valid++
		}
		if got := soundJSON(text, MaxBodyDepth); got != want {
			t.Fatalf("%q: %v, and the standard library says %v", text, got, want)
		}
	}
	if valid < 10_000 {
		t.Fatalf("only %d of the texts were JSON", valid)
	}
}

func TestSoundJSONCountsLevels(t *testing.T) {
	for n, want := range map[int]bool{1: true, 3: true, 4: false, 1_000_000: false} {
		for _, text := range []string{strings.Repeat("[", n) + strings.Repeat("]", n), strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n)} {
			if got := soundJSON([]byte(text), 3); got != want {
				t.Errorf("%d levels: %v", n, got)
			}
		}
	}
}

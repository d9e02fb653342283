package acceptance

import (
	"encoding/json"
	"net/http/httptest"
	"strconv"
	"strings"

	"github.com/signalbox/signalbox/http"
)

// said is what the front door must have answered.
type said func(status int, body map[string]any, header map[string][]string) error

// Call sends a request through the whole front door of the node.
func Call(method, path, body string, wants ...said) act {
	return CallWith(method, path, body, nil, wants...)
}

// CallWith also sends headers.
func CallWith(method, path, body string, headers map[string]string, wants ...said) act {
	return func(w *world) error {
		request := httptest.NewRequest(method, path, strings.NewReader(body))
		request.Host = "localhost"
		if body != "" {
			request.Header.Set("Content-Type", "application/json")
		}
		for name, value := range headers {
			request.Header.Set(name, value)
		}
		recorder := httptest.NewRecorder()
		http.NewServer(http.Options{Node: w.node}).ServeHTTP(recorder, request)
		var answer map[string]any
		if err := json.Unmarshal(recorder.Body.Bytes(), &answer); err != nil {
			return fail("%s %s answers %d with no JSON: %s", method, path, recorder.Code, recorder.Body)
		}
		for _, want := range wants {
			if err := want(recorder.Code, answer, recorder.Header()); err != nil {
				return fail("%s %s: %v, in %s", method, path, err, recorder.Body)
			}
		}
		return nil
	}
}

// Code wants a status.
func Code(want int) said {
	return func(status int, _ map[string]any, _ map[string][]string) error {
		if status != want {
			return fail("the status is %d, want %d", status, want)
		}
		return nil
	}
}

// Reads wants a value in the answer, by its path with dots.
func Reads(path string, want any) said {
	return func(_ int, body map[string]any, _ map[string][]string) error {
		got := within(body, path)
		gotText, _ := json.Marshal(got)
		wantText, _ := json.Marshal(want)
		if string(gotText) != string(wantText) {
			return fail("%s is %s, want %s", path, gotText, wantText)
		}
		return nil
	}
}

// Tells wants a text in the answer to contain a part.
func Tells(path, part string) said {
	return func(_ int, body map[string]any, _ map[string][]string) error {
		got, _ := within(body, path).(string)
		return contain(got, part)
	}
}

// Replayed wants the answer to say whether it is a repeat.
func Replayed(want bool) said {
	return func(_ int, _ map[string]any, header map[string][]string) error {
		if got := len(header[http.ReplayedHeader]) > 0; got != want {
			return fail("%s is there: %v, want %v", http.ReplayedHeader, got, want)
		}
		return nil
	}
}

func within(v any, path string) any {
	for part := range strings.SplitSeq(path, ".") {
		switch inner := v.(type) {
		case map[string]any:
			v = inner[part]
		case []any:
			i, err := strconv.Atoi(part)
			if part == "#" {
				return len(inner)
			}
			if err != nil || i >= len(inner) {
				return nil
			}
			v = inner[i]
		default:
			return nil
		}
	}
	return v
}

package acceptance

import (
	"encoding/json"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"

	"github.com/signalbox/signalbox/http"
)

// The words of a script that go through the front door, as a client's requests do.

// front is where the API begins.
const front = "/api/v0"

// response is what a request was answered with.
type response struct {
	status  int
	headers map[string][]string
	text    string
	body    any
}

// shown is what a script wants of a response, or gives to the request.
type shown struct {
	sets   func(header func(name, value string))
	check  func(*response) error
	follow func(*world, *response) error // asks the node something more
}

// Post sends a JSON body to a route below /api/v0.
func Post(path, body string, wants ...shown) act { return request("POST", path, body, wants) }

// Get reads a route below /api/v0.
func Get(path string, wants ...shown) act { return request("GET", path, "", wants) }

// Send posts a signal to an execution.
func Send(exec, body string, wants ...shown) act {
	return Post("/executions/workflows/"+exec+"/signals", body, wants...)
}

func request(method, path, body string, wants []shown) act {
	return func(w *world) error {
		door := http.NewServer(http.Options{Node: w.node})
		return w.ask(door, method, path, body, wants).judge(w, wants)
	}
}

// ask takes one request through a front door.
func (w *world) ask(door *http.Server, method, path, body string, wants []shown) *response {
	r := httptest.NewRequestWithContext(w.ctx, method, "http://localhost"+front+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, want := range wants {
		if want.sets != nil {
			want.sets(r.Header.Set)
		}
	}
	recorder := httptest.NewRecorder()
	door.ServeHTTP(recorder, r)
	got := &response{status: recorder.Code, headers: recorder.Header(), text: recorder.Body.String()}
	if json.Unmarshal(recorder.Body.Bytes(), &got.body) != nil {
		got.body = nil
	}
	return got
}

// judge wants a success unless the script names a status.
func (r *response) judge(w *world, wants []shown) error {
	if len(wants) == 0 && r.status/100 != 2 {
		return fail("answered %d: %s", r.status, r.text)
	}
	for _, want := range wants {
		var err error
		switch {
		case want.check != nil:
			err = want.check(r)
		case want.follow != nil:
			err = want.follow(w, r)
		}
		if err != nil {
			return fail("%w, in the answer %d: %s", err, r.status, r.text)
		}
	}
	return nil
}

// Is wants a status.
func Is(status int) shown {
	return shown{check: func(r *response) error {
		if r.status != status {
			return fail("the status is %d, want %d", r.status, status)
		}
		return nil
	}}
}

// Has wants a value at a path of the body, like data.steps.0.what.
func Has(path string, want any) shown {
	return shown{check: func(r *response) error {
		got, ok := r.at(path)
		if n, number := want.(int); number {
			want = float64(n)
		}
		if !ok || !reflect.DeepEqual(got, want) {
			return fail("%s is %v, want %v", path, got, want)
		}
		return nil
	}}
}

// Lacks wants nothing at a path of the body.
func Lacks(path string) shown {
	return shown{check: func(r *response) error {
		if got, ok := r.at(path); ok {
			return fail("%s is %v, want nothing there", path, got)
		}
		return nil
	}}
}

// Telling wants the text at a path of the body to hold something.
func Telling(path, part string) shown {
	return shown{check: func(r *response) error {
		got, _ := r.at(path)
		text, ok := got.(string)
		if !ok {
			return fail("%s is %v, want a text", path, got)
		}
		return contain(text, part)
	}}
}

// Headed wants a header of the answer; "" wants none.
func Headed(name, want string) shown {
	return shown{check: func(r *response) error {
		got := ""
		if all := r.headers[name]; len(all) > 0 {
			got = all[0]
		}
		if got != want {
			return fail("the header %s is %q, want %q", name, got, want)
		}
		return nil
	}}
}

// With gives a header to the request.
func With(name, value string) shown {
	return shown{sets: func(set func(name, value string)) { set(name, value) }}
}

// at finds a value in the body by a path of member names and indexes; "*" as
// the last part is the number of items.
func (r *response) at(path string) (any, bool) {
	at := r.body
	for part := range strings.SplitSeq(path, ".") {
		switch in := at.(type) {
		case map[string]any:
			next, ok := in[part]
			if !ok {
				return nil, false
			}
			at = next
		case []any:
			if part == "*" {
				return float64(len(in)), true
			}
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(in) {
				return nil, false
			}
			at = in[i]
		default:
			return nil, false
		}
	}
	return at, true
}

package executors

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/signalbox/signalbox/workflow"
)

// eraser strikes secrets out of what leaves an executor. Outputs lose the
// secrets that the request used: a far side may have sent them back. Failures
// lose every secret of the project, in all the forms that calls put them in.
type eraser struct {
	used  []secret
	texts *strings.Replacer // for failures
	exact *strings.Replacer // for the strings of outputs
}

// secret is one value to strike out, and the name that stands in its place.
type secret struct{ name, value string }

// newEraser finds the secrets that uncovering put into a request.
func newEraser(secrets map[string]string, masked, request workflow.Value) *eraser {
	e := &eraser{}
	var all []secret
	changed := !bytes.Equal(masked, request)
	for name, value := range secrets {
		s := secret{name, value}
		switch {
		case changed && len(value) >= MinSecretBytes && s.countIn(request) > s.countIn(masked):
			e.used = append(e.used, s)
			all = append(all, s)
		case len(value) >= MinUnusedSecretBytes:
			all = append(all, s)
		}
	}
	e.texts = replacer(all)
	e.exact = replacer(e.used)
	return e
}

// hiding returns an error whose text and details have lost one more secret,
// such as a key that came from the environment.
func hiding(err error, name, value string) error {
	if err == nil || len(value) < MinSecretBytes {
		return err
	}
	e := &eraser{texts: replacer([]secret{{name, value}})}
	return e.failure(asFailure(err))
}

// countIn says how often a JSON text holds the secret inside of its strings,
// escaped in either way that encoders use.
func (s secret) countIn(v workflow.Value) int {
	n := 0
	for _, form := range s.escaped() {
		n = max(n, bytes.Count(v, []byte(form)))
	}
	return n
}

// escaped is the secret as it stands inside of a JSON string.
func (s secret) escaped() []string {
	quoted := workflow.ValueOf(s.value)
	plain := string(quoted[1 : len(quoted)-1])
	var b bytes.Buffer
	json.HTMLEscape(&b, []byte(plain))
	return []string{s.value, plain, b.String()}
}

// forms is every spelling of the secret that a call or a far side makes of it.
func (s secret) forms() []string {
	raw := []byte(s.value)
	forms := append(s.escaped(),
		url.QueryEscape(s.value),
		url.PathEscape(s.value),
		base64.StdEncoding.EncodeToString(raw),
		base64.RawStdEncoding.EncodeToString(raw),
		base64.URLEncoding.EncodeToString(raw),
		base64.RawURLEncoding.EncodeToString(raw),
	)
	slices.Sort(forms)
	return slices.Compact(forms)
}

// replacer replaces every form of every secret by its name, or is nil when
// there is nothing to hide. Longer forms come first, so that a secret that is
// the beginning of another does not leave the rest of it behind.
func replacer(secrets []secret) *strings.Replacer {
	type pair struct{ form, name string }
	var pairs []pair
	for _, s := range secrets {
		for _, form := range s.forms() {
			pairs = append(pairs, pair{form, "[secret " + s.name + "]"})
		}
	}
	if len(pairs) == 0 {
		return nil
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(len(b.form), len(a.form)), cmp.Compare(a.form, b.form), cmp.Compare(a.name, b.name))
	})
	flat := make([]string, 0, 2*len(pairs))
	for _, p := range pairs {
		flat = append(flat, p.form, p.name)
	}
	return strings.NewReplacer(flat...)
}

// failure returns f without secrets. It never changes the one it is given,
// which may be shared.
func (e *eraser) failure(f *Failure) *Failure {
	if e.texts == nil {
		return f
	}
	clean := *f
	clean.Message = e.texts.Replace(f.Message)
	if f.Details != nil {
		clean.Details, _ = erase(f.Details, e.texts).(map[string]any)
	}
	return &clean
}

// output returns a value without the secrets that the request used.
func (e *eraser) output(v workflow.Value) (workflow.Value, error) {
	if e.exact == nil || len(v) == 0 {
		return v, nil
	}
	dec := json.NewDecoder(bytes.NewReader(v))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return nil, permanent(CodeOutputNotJSON, "the output is not JSON: %v", err)
	}
	return workflow.ValueOf(erase(tree, e.exact)), nil
}

// erase strikes secrets out of every string, number and key of a tree.
func erase(tree any, r *strings.Replacer) any {
	switch v := tree.(type) {
	case string:
		return r.Replace(v)
	case json.Number:
		if struck := r.Replace(v.String()); struck != v.String() {
			return struck
		}
		return v
	case map[string]any:
		clean := make(map[string]any, len(v))
		for key, part := range v {
			clean[r.Replace(key)] = erase(part, r)
		}
		return clean
	case []any:
		clean := make([]any, len(v))
		for i, part := range v {
			clean[i] = erase(part, r)
		}
		return clean
	}
	return tree
}

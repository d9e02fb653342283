package executors

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/signalbox/signalbox/workflow"
)

// eraser strikes secrets out of what leaves an executor. Outputs lose the
// secrets that the request used: a far side may have sent them back. Failures
// lose every secret of the project, in all the forms that calls put them in.
type eraser struct {
	used []secret // by the request
	all  []secret // and every other one that is worth it
}

// secret is one value to strike out, and the name that stands in its place.
type secret struct{ name, value string }

// newEraser finds the secrets that uncovering put into a request.
func (o Options) newEraser(secrets map[string]string, masked, request workflow.Value) *eraser {
	e := &eraser{}
	changed := !bytes.Equal(masked, request)
	for name, value := range secrets {
		s := secret{name, value}
		switch {
		case changed && len(value) >= MinSecretBytes && o.needs(name, secrets, masked):
			e.used = append(e.used, s)
			e.all = append(e.all, s)
		case len(value) >= MinUnusedSecretBytes:
			e.all = append(e.all, s)
		}
	}
	return e
}

// needs reports whether a request cannot be uncovered without a secret. Looking
// for its value would miss those that stand in the request in another form.
func (o Options) needs(name string, secrets map[string]string, masked workflow.Value) bool {
	without := maps.Clone(secrets)
	delete(without, name)
	_, err := o.Unmask(masked, without)
	return err != nil
}

// labels has the label of each secret in the place of its value.
func labels(secrets map[string]string) map[string]string {
	named := make(map[string]string, len(secrets))
	for name := range secrets {
		named[name] = label(name)
	}
	return named
}

// label is what people see instead of a secret.
func label(name string) string { return "[secret " + name + "]" }

// hiding returns an error whose text and details have lost one more secret,
// such as a key that came from the environment.
func hiding(err error, name, value string) error {
	if err == nil || len(value) < MinSecretBytes {
		return err
	}
	e := &eraser{all: []secret{{name, value}}}
	return e.failure(asFailure(err))
}

// forms is every spelling of the secret that a call or a far side makes of it.
func (s secret) forms() []string {
	quoted := workflow.ValueOf(s.value)
	plain := quoted[1 : len(quoted)-1]
	var escaped bytes.Buffer
	json.HTMLEscape(&escaped, plain)
	forms := append(base64Forms(s.value),
		s.value,
		string(plain),
		escaped.String(),
		url.QueryEscape(s.value),
		url.PathEscape(s.value),
	)
	slices.Sort(forms)
	return slices.Compact(forms)
}

// base64Forms is how the secret stands in base64 text, alone and as a part of
// something longer, such as user:password. What a neighbour has a part in is
// left out of a form.
func base64Forms(value string) []string {
	forms := []string{
		base64.StdEncoding.EncodeToString([]byte(value)),
		base64.URLEncoding.EncodeToString([]byte(value)),
	}
	for ahead, shared := range []int{0, 2, 3} {
		padded := append(make([]byte, ahead), value...)
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			form := encoding.EncodeToString(padded)[shared:]
			if len(padded)%3 != 0 {
				form = form[:len(form)-1]
			}
			if len(form) >= minBase64Form {
				forms = append(forms, form)
			}
		}
	}
	return forms
}

// replacer replaces every form of every secret by its name. Longer forms come first, so that a secret that is
// the beginning of another does not leave the rest of it behind.
func replacer(secrets []secret) *strings.Replacer {
	type pair struct{ form, name string }
	var pairs []pair
	for _, s := range secrets {
		for _, form := range s.forms() {
			pairs = append(pairs, pair{form, label(s.name)})
		}
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
	if len(e.all) == 0 {
		return f
	}
	texts := replacer(e.all)
	clean := *f
	clean.Message = texts.Replace(f.Message)
	if f.Details != nil {
		details, _ := erase(f.Details, texts)
		clean.Details, _ = details.(map[string]any)
	}
	return &clean
}

// output returns a value without the secrets that the request used, or the very
// same bytes when it holds none.
func (e *eraser) output(v workflow.Value) (workflow.Value, error) {
	if len(e.used) == 0 || len(v) == 0 {
		return v, nil
	}
	tree, err := decodeJSON(v)
	if err != nil {
		return nil, permanent(CodeOutputNotJSON, "the output is not JSON: %v", err)
	}
	clean, changed := erase(tree, replacer(e.used))
	if !changed {
		return v, nil
	}
	return workflow.ValueOf(clean), nil
}

// erase strikes secrets out of every string, number and key of a tree, and
// reports whether there were any.
func erase(tree any, r *strings.Replacer) (clean any, changed bool) {
	switch v := tree.(type) {
	case string:
		struck := r.Replace(v)
		return struck, struck != v
	case json.Number:
		if struck := r.Replace(v.String()); struck != v.String() {
			return struck, true
		}
	case map[string]any:
		object := make(map[string]any, len(v))
		for key, part := range v {
			name := r.Replace(key)
			part, inside := erase(part, r)
			object[name] = part
			changed = changed || inside || name != key
		}
		return object, changed
	case []any:
		list := make([]any, len(v))
		for i, part := range v {
			var inside bool
			list[i], inside = erase(part, r)
			changed = changed || inside
		}
		return list, changed
	}
	return tree, false
}

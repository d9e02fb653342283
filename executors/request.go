package executors

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/signalbox/signalbox/workflow"
)

// text is a string that a template may have rendered to something else: a lone
// reference keeps the type of what it refers to. Null is "".
type text string

// UnmarshalJSON takes a string as it is and anything else as its JSON text.
func (t *text) UnmarshalJSON(data []byte) error {
	switch {
	case bytes.Equal(data, []byte("null")):
		*t = ""
		return nil
	case plainText(data):
		*t = text(data[1 : len(data)-1])
		return nil
	case len(data) > 0 && data[0] == '"':
		return json.Unmarshal(data, (*string)(t))
	}
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		return err
	}
	*t = text(b.String())
	return nil
}

// absent reports whether a part of a request was not given.
func absent(v workflow.Value) bool {
	return len(v) == 0 || bytes.Equal(v, []byte("null"))
}

// empty reports whether a part of a request was not given or says nothing.
func empty(v workflow.Value) bool {
	if absent(v) {
		return true
	}
	var b bytes.Buffer
	if err := json.Compact(&b, v); err != nil {
		return false
	}
	switch b.String() {
	case "{}", "[]", `""`:
		return true
	}
	return false
}

// plainText reports whether a JSON value is a text that stands there as it is, as
// nearly every one does: no package has to read it once more.
func plainText(data []byte) bool {
	if len(data) < 2 || data[0] != '"' {
		return false
	}
	for _, c := range data[1 : len(data)-1] {
		if c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// decodeRequest reads a request into what an executor understands.
func decodeRequest(request workflow.Value, into any) error {
	err := json.Unmarshal(request, into)
	var mistyped *json.UnmarshalTypeError
	if errors.As(err, &mistyped) {
		return permanent(CodeRequestInvalid, "field %q is a %s where a %s is needed; correct it in the YAML, or the template that renders it", mistyped.Field, mistyped.Value, jsonName(mistyped.Type.Kind().String()))
	}
	if err != nil {
		return permanent(CodeRequestInvalid, "the rendered request cannot be read: %v", err)
	}
	return nil
}

// jsonName is the name that JSON gives to a kind of Go value.
func jsonName(kind string) string {
	switch kind {
	case "struct", "map":
		return "object"
	case "slice":
		return "list"
	}
	return kind
}

// work is what is left to an executor: a request whose secrets are uncovered.
type work func(ctx context.Context, job Job, request workflow.Value) (workflow.Value, error)

// perform does what every executor owes around its work: uncover the secrets
// just before, strike them out of whatever comes back, turn a panic into a
// failure, bound the output.
func (o Options) perform(ctx context.Context, job Job, do work) (workflow.Value, error) {
	secrets := o.Secrets()
	request, err := o.Unmask(job.Request, secrets)
	if err != nil {
		return nil, missingSecret(err)
	}
	hide := o.newEraser(secrets, job.Request, request)
	out, err := o.guarded(ctx, job, request, do)
	if err != nil {
		return nil, hide.failure(asFailure(err))
	}
	out, err = hide.output(out)
	if err != nil {
		return nil, hide.failure(asFailure(err))
	}
	if len(out) > workflow.MaxValue {
		return nil, permanent(CodeOutputTooLarge, "the output has %d bytes, at most %d can be kept; let the task return less, or a reference to it", len(out), workflow.MaxValue)
	}
	return out, nil
}

// missingSecret is the failure of a request whose secrets are not all there.
func missingSecret(err error) *Failure {
	return permanent(CodeSecretMissing, "the secrets of the request cannot be filled in: %s; add what is missing to the .env file beside the project", excerpt(err.Error()))
}

// guarded does the work and makes a failure of a panic. The stack goes to the
// log: it holds no values, only where the code was.
func (o Options) guarded(ctx context.Context, job Job, request workflow.Value, do work) (out workflow.Value, err error) {
	defer func() {
		if p := recover(); p != nil {
			o.Logger.Error("an executor panicked", "task", job.Task, "key", job.Key, "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			out, err = nil, permanent(CodePanic, "the executor panicked: %s; this is a defect of the program, the log has the stack under key %s", excerpt(fmt.Sprint(p)), job.Key)
		}
	}()
	return do(ctx, job, request)
}

// asFailure is the failure that an error is, or one that a retry may help.
func asFailure(err error) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	return passing(CodeFailed, "%s", withoutURL(err))
}

// within bounds a context by a timeout of the tool's own, given as a duration
// text or a number of seconds. what names the tool.
func (o Options) within(ctx context.Context, what string, timeout text) (context.Context, context.CancelFunc, error) {
	given := strings.TrimSpace(string(timeout))
	if given == "" {
		return ctx, func() {}, nil
	}
	d, err := o.Duration(given)
	if seconds, numeric := strconv.ParseFloat(given, 64); numeric == nil {
		d, err = time.Duration(seconds*float64(time.Second)), nil
	}
	if err != nil || d <= 0 || d > workflow.MaxHold {
		return nil, nil, permanent(CodeRequestInvalid, "%s: timeout %q is not a duration that can be used; write one like 30s or 5m", what, excerpt(given))
	}
	cause := passing(CodeTimeout, "%s did not end within its own timeout of %s; raise it, or find out why it is slow", what, d)
	bounded, cancel := context.WithTimeoutCause(ctx, d, cause)
	return bounded, cancel, nil
}

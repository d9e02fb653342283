package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"

	"github.com/signalbox/signalbox/http"
	"github.com/signalbox/signalbox/workflow"
)

// The exit codes, which scripts may rely on. They are listed in --help.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitRefused     = 4
	exitTimedOut    = 5
	exitInterrupted = 130 // as a shell reports a program that Ctrl-C ended
)

const exitCodes = `Exit codes:
  0    it worked
  1    it failed, or the YAML has errors
  2    the command line is wrong
  3    the node cannot be reached, or is not ready
  4    the node refused the request
  5    time ran out; the execution goes on
  130  interrupted`

// status is an error with the exit code that it ends the program with and,
// where there is something to do about it, what.
type status struct {
	code int
	err  error
	hint string
}

func (s *status) Error() string { return s.err.Error() }
func (s *status) Unwrap() error { return s.err }

func failed(format string, args ...any) error {
	return &status{code: exitFailed, err: fmt.Errorf(format, args...)}
}

func wrongUsage(format string, args ...any) error {
	return &status{code: exitUsage, err: fmt.Errorf(format, args...)}
}

func timedOut(format string, args ...any) error {
	return &status{code: exitTimedOut, err: fmt.Errorf(format, args...)}
}

// errSaid ends the program with code 1 after everything has been said already.
var errSaid = errors.New("said already")

// hinted adds what to do about an error to it.
func hinted(err error, hint string) error {
	var known *status
	if errors.As(err, &known) {
		return &status{code: known.code, err: err, hint: hint}
	}
	return &status{code: exitFailed, err: err, hint: hint}
}

// report prints an error and returns the exit code that it means.
func report(w io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	if errors.Is(err, errSaid) {
		return exitFailed
	}
	told := explain(err)
	fmt.Fprintln(w, "error:", told.err)
	if told.hint != "" {
		fmt.Fprintln(w, "hint: ", told.hint)
	}
	return told.code
}

// explain finds out what kind of failure an error is.
func explain(err error) *status {
	var known *status
	if errors.As(err, &known) {
		return known
	}
	var problem *http.Problem
	if errors.As(err, &problem) {
		return explainProblem(problem)
	}
	var refusal *workflow.Refusal
	if errors.As(err, &refusal) {
		return &status{exitRefused, errors.New(refusal.Message), refusal.Hint}
	}
	if errors.Is(err, context.Canceled) {
		return &status{exitInterrupted, errors.New("interrupted"), ""}
	}
	if errors.Is(err, http.ErrStreamCut) {
		return &status{exitUnreachable, err, "the execution goes on; follow it again, with --after the last number to see only what is new"}
	}
	var dial *net.OpError
	if errors.Is(err, syscall.ECONNREFUSED) || (errors.As(err, &dial) && dial.Op == "dial") {
		return &status{exitUnreachable, fmt.Errorf("no node answers%s: %w", at(err), cause(err)),
			"is a node running? start one with `signalbox dev`, or name another with --url"}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &status{exitTimedOut, err, "nothing is known of the outcome; the same command with the same --id is safe to repeat"}
	}
	var transport *url.Error
	if errors.As(err, &transport) {
		return &status{exitUnreachable, fmt.Errorf("the connection%s broke: %w", at(err), cause(err)),
			"is this the address of a node? the same command with the same --id is safe to repeat"}
	}
	return &status{exitFailed, err, ""}
}

// explainProblem says which exit code the answer of a node means.
func explainProblem(p *http.Problem) *status {
	p = typed(p)
	s := &status{code: exitFailed, err: fmt.Errorf("%s (%d %s)", p.Detail, p.Status, p.Code), hint: p.Hint}
	for _, v := range p.Errors {
		s.err = fmt.Errorf("%w\n  at %s: %s", s.err, cmp.Or(v.Pointer, "the top"), v.Message)
	}
	switch {
	case p.Status == 408, p.Code == workflow.CodeTimeout:
		s.code = exitTimedOut
	case p.Status == 502, p.Status == 503, p.Status == 504:
		s.code = exitUnreachable
	case p.Status >= 400 && p.Status < 500:
		s.code = exitRefused
	}
	if p.Status == 401 {
		s.hint = "pass a key with --key, SIGNALBOX_KEY or SIGNALBOX_KEY_FILE; " + p.Hint
	}
	return s
}

// inVerbs says in flags and verbs what hints say in parameters and routes.
var inVerbs = strings.NewReplacer(
	"?force=true", "--force",
	"`wait_id` in GET /api/v0/waits", "`signalbox waits`",
	"GET /api/v0/deadletters", "`signalbox deadletters`",
)

// typed is a problem in the words of the command line: with flags where HTTP has
// parameters, and with the lines of a file, from 1, where a batch has items, from 0.
func typed(p *http.Problem) *http.Problem {
	said := *p
	said.Hint = inVerbs.Replace(p.Hint)
	if index, ok := p.Details["index"].(float64); ok {
		if rest, ok := strings.CutPrefix(p.Detail, fmt.Sprintf("item %.0f ", index)); ok {
			said.Detail = fmt.Sprintf("line %.0f %s", index+1, rest)
		}
	}
	return &said
}

// at names the host that a request went to.
func at(err error) string {
	var transport *url.Error
	if !errors.As(err, &transport) {
		return ""
	}
	target, parseErr := url.Parse(transport.URL)
	if parseErr != nil {
		return ""
	}
	return " at " + target.Scheme + "://" + target.Host
}

// cause is the innermost part of a transport error: the rest repeats the request.
func cause(err error) error {
	var transport *url.Error
	if errors.As(err, &transport) {
		return transport.Err
	}
	return err
}

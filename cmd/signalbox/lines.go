package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/http"
	"github.com/signalbox/signalbox/workflow"
)

// Many messages from a file of NDJSON, which may be of any length: it is sent in
// requests of linesPerRequest, and the result of each line is printed as it comes.

// onlyWithout asks for the arguments, unless the flag named instead is given.
func onlyWithout(file *string, names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if *file == "" {
			return exactly(names...)(cmd, args)
		}
		if len(args) > 0 {
			return wrongUsage("--file says what is sent and where, so there is nothing left for the arguments %q", args)
		}
		return nil
	}
}

// opened is a file to read, or standard input for "-".
func (a *app) opened(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(a.in), nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, wrongUsage("--file: %w", err)
	}
	return file, nil
}

// lineResult is what one line was answered with, for the table or as JSON.
type lineResult struct {
	Line    int           `json:"line"` // empty lines do not count
	Status  int           `json:"status"`
	Data    any           `json:"data,omitempty"`
	Problem *http.Problem `json:"problem,omitempty"`
	cells   []any
}

// sendLines sends a file in requests of at most so many lines, or as a whole in
// one: together says what happens to its lines then.
func (a *app) sendLines(ctx context.Context, name string, most int, together string, send func(context.Context, []byte) ([]lineResult, error)) error {
	file, err := a.opened(name)
	if err != nil {
		return err
	}
	defer file.Close()
	in := bufio.NewReaderSize(file, http.MaxBodyBytes+1)
	sent, refused := 0, 0
	for ended := false; !ended; {
		var lines []byte
		var n int
		if lines, n, ended, err = nextLines(in, most); err != nil {
			return failed("--file %s: line %d: %w", name, sent+n+1, err)
		}
		if n == 0 {
			break
		}
		if together != "" && !ended {
			return wrongUsage("--file %s has more than %d lines, which cannot be %s together", name, most, together)
		}
		results, err := a.ask(ctx, lines, send)
		bad, printed := a.printLines(results, sent)
		if printed != nil {
			return printed
		}
		refused += bad
		if err != nil && sent+len(results) == 0 {
			return err
		}
		if err != nil {
			return hinted(fmt.Errorf("what follows line %d was not sent: %w", sent+len(results), err),
				"lines with an id of their own may be sent again: they take effect once")
		}
		sent += n
	}
	if refused > 0 {
		return &status{code: exitRefused, err: fmt.Errorf("%d of %d lines were refused", refused, sent)}
	}
	return nil
}

func (a *app) ask(ctx context.Context, lines []byte, send func(context.Context, []byte) ([]lineResult, error)) ([]lineResult, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return send(ctx, lines)
}

// nextLines reads lines for one request; ended is true after the last.
func nextLines(in *bufio.Reader, most int) (lines []byte, n int, ended bool, err error) {
	for n < most && len(lines) < http.MaxBatchBytes/2 {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return lines, n, false, fmt.Errorf("it has more than %d bytes", http.MaxBodyBytes)
		}
		if err != nil && err != io.EOF {
			return lines, n, false, err
		}
		if line := bytes.TrimSpace(line); len(line) > 0 {
			lines = append(append(lines, line...), '\n')
			n++
		}
		if err == io.EOF {
			return lines, n, true, nil
		}
	}
	return lines, n, false, nil
}

// printLines shows results and counts those that were refused.
func (a *app) printLines(results []lineResult, before int) (refused int, err error) {
	for i := range results {
		results[i].Line = before + i + 1
		if results[i].Status >= 400 {
			refused++
		}
		if results[i].Problem != nil {
			results[i].cells = []any{"refused", typed(results[i].Problem).Error()}
		}
	}
	if a.output == "json" {
		for i := range results {
			if err := writeLine(a.out, &results[i]); err != nil {
				return refused, err
			}
		}
		return refused, nil
	}
	return refused, a.print(nil, func(t *rows) {
		for i := range results {
			t.row(append([]any{results[i].Line}, results[i].cells...)...)
		}
	})
}

func signalLines(client *http.Client, o http.BatchOptions) func(context.Context, []byte) ([]lineResult, error) {
	return func(ctx context.Context, lines []byte) ([]lineResult, error) {
		batch, err := client.SignalLines(ctx, lines, o)
		results := make([]lineResult, len(batch.Results))
		for i, r := range batch.Results {
			results[i] = lineResult{Status: r.Status, Problem: r.Problem}
			if d := r.Data; d != nil {
				results[i].Data, results[i].cells = d, []any{d.Outcome, d.SignalID, again(d.Duplicate), d.Reason}
			}
		}
		return results, err
	}
}

func eventLines(client *http.Client) func(context.Context, []byte) ([]lineResult, error) {
	return func(ctx context.Context, lines []byte) ([]lineResult, error) {
		batch, err := client.EventLines(ctx, lines)
		results := make([]lineResult, len(batch.Results))
		for i, r := range batch.Results {
			results[i] = lineResult{Status: r.Status, Problem: r.Problem}
			if d := r.Data; d != nil {
				results[i].Data, results[i].cells = d, []any{"accepted", d.EventID, again(d.Duplicate)}
			}
		}
		return results, err
	}
}

func again(duplicate bool) string {
	if duplicate {
		return "again"
	}
	return ""
}

// holding is asking whose answer may be held so long, besides.
func (a *app) holding(most *time.Duration, ask func(context.Context, *http.Client, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if *most < 0 || *most > http.MaxReceiptWait {
			return wrongUsage("--wait %v must not be negative nor more than %v", *most, http.MaxReceiptWait)
		}
		client, err := a.client()
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), requestTimeout+*most)
		defer cancel()
		return ask(ctx, client, args)
	}
}

// foreseenSignals asks what the signals of lines would do.
func foreseenSignals(client *http.Client, o http.BatchOptions) func(context.Context, []byte) ([]lineResult, error) {
	return func(ctx context.Context, lines []byte) ([]lineResult, error) {
		batch, err := client.ForeseeSignalLines(ctx, lines, o)
		results := make([]lineResult, len(batch.Results))
		for i, r := range batch.Results {
			results[i] = lineResult{Status: r.Status, Problem: r.Problem}
			d := r.Data
			if d == nil {
				continue
			}
			results[i].Data = d
			switch {
			case d.Refusal != nil:
				results[i].cells = []any{"would be refused", typed(d.Refusal).Error()}
			case d.Answer != nil:
				results[i].cells = []any{"would be " + string(d.Answer.Outcome), d.Answer.SignalID, again(d.Duplicate), whatThen(d)}
			}
		}
		return results, err
	}
}

// whatThen is what a signal would be answered with and what would follow, in a line.
func whatThen(f *http.Forecast) string {
	if f.Duplicate || f.Answer.Outcome == workflow.KeptForWait {
		return f.Answer.Reason
	}
	return strings.TrimPrefix(f.Answer.Reason+", "+nextSteps(f), ", ")
}

// foreseenEvents asks what the events of lines would do.
func foreseenEvents(client *http.Client) func(context.Context, []byte) ([]lineResult, error) {
	return func(ctx context.Context, lines []byte) ([]lineResult, error) {
		batch, err := client.ForeseeEventLines(ctx, lines)
		results := make([]lineResult, len(batch.Results))
		for i, r := range batch.Results {
			results[i] = lineResult{Status: r.Status, Problem: r.Problem}
			d := r.Data
			switch {
			case d == nil:
				continue
			case d.Refusal != nil:
				results[i].cells = []any{"would be refused", typed(d.Refusal).Error()}
			default:
				results[i].cells = []any{"would be " + string(d.State), d.EventID, again(d.Duplicate), orElse(d.Reason, listeners(d))}
			}
			results[i].Data = d
		}
		return results, err
	}
}

// listeners counts whom an event would reach, and what is kept and would follow it.
func listeners(f *http.EventForecast) string {
	text := fmt.Sprintf("%d listeners", len(f.Deliveries))
	for _, d := range f.Takes {
		text += ", then " + d.WaitID + " takes event " + d.EventID
	}
	return text
}

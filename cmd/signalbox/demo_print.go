package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	nethttp "net/http"
	"strings"
	"time"
)

// say writes a part of the story. Standard output that is gone ends the demo
// with the next request's context or with the process; there is nobody to tell.
func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format, args...) }

func (d *demo) title(text string) {
	d.step++
	before, after := "", ""
	if d.colors(d.out) {
		before, after = "\x1b[1m", "\x1b[0m"
	}
	d.say("%s%d. %s%s\n", before, d.step, text, after)
}

// command shows what a person would type for what happens now.
func (d *demo) command(line string) {
	before, after := "", ""
	if d.colors(d.out) {
		before, after = "\x1b[36m", "\x1b[0m"
	}
	d.say("   $ %s%s%s\n", before, line, after)
}

// listing shows a file without the first line, which is for editors.
func (d *demo) listing(source []byte) {
	for line := range strings.Lines(string(source)) {
		if !strings.HasPrefix(line, "# yaml-language-server") {
			d.say("     %s\n", strings.TrimRight(line, "\n"))
		}
	}
	d.say("\n")
}

// post shows a request as a curl line, makes it, and shows the data of its answer.
func (d *demo) post(ctx context.Context, path, body string, into any) error {
	d.command(fmt.Sprintf("curl -X POST %s \\\n       -H 'Content-Type: application/json' \\\n       -d '%s'", shellURL(d.url+path), body))
	code, data, err := d.ask(ctx, nethttp.MethodPost, path, body)
	if err != nil {
		return err
	}
	d.say("   %d %s\n\n", code, compact(data))
	return json.Unmarshal(data, into)
}

// get shows a question as a curl line and asks it until the answer is the one
// that the story is about, then shows these fields of it, or all of them.
func (d *demo) get(ctx context.Context, path string, into any, fields []string, until func() bool) error {
	d.command("curl " + shellURL(d.url+path))
	step, cancel := context.WithTimeout(ctx, demoStep)
	defer cancel()
	again := time.NewTicker(demoPoll)
	defer again.Stop()
	for {
		code, data, err := d.ask(step, nethttp.MethodGet, path, "")
		if err != nil {
			return err
		}
		if err := json.Unmarshal(data, into); err != nil {
			return failed("%s answered something else than expected: %w", path, err)
		}
		if until() {
			d.say("   %d %s\n\n", code, pick(data, fields))
			return nil
		}
		select {
		case <-step.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err() // by who watches, which is no failure of the node
			}
			return timedOut("%s did not come to the expected answer in time; the last one was %s", path, compact(data))
		case <-again.C:
		}
	}
}

// ask makes one request and returns the data of the envelope. A request that was
// interrupted failed because of that, whatever else it says.
func (d *demo) ask(ctx context.Context, method, path, body string) (int, json.RawMessage, error) {
	code, data, err := d.exchange(ctx, method, path, body)
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		err = ctx.Err()
	}
	return code, data, err
}

func (d *demo) exchange(ctx context.Context, method, path, body string) (int, json.RawMessage, error) {
	request, err := nethttp.NewRequestWithContext(ctx, method, d.url+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := nethttp.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, errors.Join(err, d.node.lastWords())
	}
	defer response.Body.Close()
	content, err := readBounded(response.Body, maxInput)
	if err != nil {
		return 0, nil, failed("reading the answer to %s: %w", path, err)
	}
	var envelope struct {
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(content, &envelope); err != nil || response.StatusCode >= nethttp.StatusMultipleChoices {
		return 0, nil, failed("%s %s answered %d: %s", method, path, response.StatusCode, content)
	}
	return response.StatusCode, envelope.Data, nil
}

// shellURL quotes an address whose query a shell would take apart.
func shellURL(url string) string {
	if strings.ContainsAny(url, "?&") {
		return "'" + url + "'"
	}
	return url
}

// pick is the object with only these fields, in this order, on one line.
func pick(data json.RawMessage, fields []string) string {
	var object map[string]json.RawMessage
	if len(fields) == 0 || json.Unmarshal(data, &object) != nil {
		return compact(data)
	}
	var b bytes.Buffer
	for _, name := range fields {
		if value, ok := object[name]; ok {
			separator := ","
			if b.Len() == 0 {
				separator = "{"
			}
			fmt.Fprintf(&b, "%s%q:%s", separator, name, value)
		}
	}
	if b.Len() == 0 {
		return "{}"
	}
	b.WriteString(",...}")
	return b.String()
}

// tail keeps the last bytes that are written to it.
type tail struct {
	limit int
	kept  []byte
}

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - t.limit; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(p), nil
}

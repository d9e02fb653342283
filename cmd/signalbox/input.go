package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// object reads a JSON object from what a flag says: the JSON itself, @FILE, or
// - for standard input. An empty flag is nil, no object at all.
func (a *app) object(flag, said string) (any, error) {
	if said == "" {
		return nil, nil
	}
	content, err := a.content(said)
	if err != nil {
		return nil, wrongUsage("--%s %s: %w", flag, said, err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(content, &fields); err != nil {
		why := err.Error()
		var other *json.UnmarshalTypeError
		if errors.As(err, &other) {
			why = "it is a JSON " + other.Value
		}
		return nil, hinted(wrongUsage("--%s is not a JSON object: %s", flag, why), "give one like '{\"name\":\"Ada\"}', @FILE, or - for standard input")
	}
	if fields == nil {
		return nil, wrongUsage("--%s is null; leave the flag out to send nothing", flag)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, content); err != nil {
		return nil, wrongUsage("--%s: %w", flag, err)
	}
	return json.RawMessage(compact.Bytes()), nil
}

func (a *app) content(said string) ([]byte, error) {
	if said == "-" {
		return readBounded(a.in, maxInput)
	}
	name, isFile := strings.CutPrefix(said, "@")
	if !isFile {
		return []byte(said), nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readBounded(file, maxInput)
}

// readBounded reads everything, and refuses more than limit bytes.
func readBounded(r io.Reader, limit int64) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("it is larger than %d bytes", limit)
	}
	return content, nil
}

package http

import (
	"fmt"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// The bodies of requests are taken apart here: checked once as a whole, then
// walked member by member, so that a payload is copied exactly once and never
// decoded. Nothing in this file does anything but compute.

type signalRequest struct {
	execID                string // only of an item of a batch
	name, id, correlation string
	payload               workflow.Value
	ttl                   time.Duration // zero: as long as the execution lives
}

type eventRequest struct {
	name, id, correlation string
	payload               workflow.Value
	ttl                   time.Duration // zero: it is not kept when nobody takes it
}

type startRequest struct {
	input   workflow.Value
	execID  string
	key     string
	labels  map[string]string
	signal  *signalRequest // that comes with the start; nil for none
	noStart bool           // only find the execution
	timeout time.Duration  // of a synchronous start
}

type keyRequest struct {
	name    string
	scopes  []Scope
	expires time.Duration
}

var (
	signalFields = []string{"signal_name", "payload", "signal_id", "ttl", "correlation_id"}
	// An item of a batch says itself where it goes.
	batchSignalFields = append([]string{"exec_id"}, signalFields...)

	eventFields = []string{"name", "payload", "id", "event_id", "correlation_id", "ttl"}
	startFields = []string{"input", "exec_id", "key", "labels", "signal", "start", "task_id"}
	syncFields  = []string{"input", "exec_id", "key", "labels", "signal", "start", "timeout", "task_id"}
	steerFields = []string{"reason"}
	keyFields   = []string{"name", "scopes", "expires"}
)

func decodeSignal(body []byte) (q signalRequest, err error) {
	m, err := open(body)
	if err != nil {
		return q, err
	}
	return readSignal(&m, signalFields)
}

// readSignal reads the members of a signal; known are the fields that it may have.
func readSignal(m *members, known []string) (q signalRequest, err error) {
	for m.next() {
		name := string(m.name)
		switch {
		case name == "exec_id" && len(known) == len(batchSignalFields):
			q.execID, err = m.id()
		case name == "signal_name":
			q.name, err = m.text()
		case name == "payload":
			q.payload, err = m.object()
		case name == "signal_id":
			q.id, err = m.id()
		case name == "ttl":
			q.ttl, err = m.duration()
		case name == "correlation_id":
			q.correlation, err = m.label()
		default:
			err = m.unknown(known)
		}
		if err != nil {
			return q, err
		}
	}
	if q.name == "" {
		return q, invalidField("signal_name", "is missing", `name the signal: {"signal_name":"approved","payload":{}}`)
	}
	return q, checkName("signal_name", q.name)
}

func decodeEvent(body []byte) (q eventRequest, err error) {
	m, err := open(body)
	if err != nil {
		return q, err
	}
	return readEvent(&m)
}

// readEvent reads the members of an event.
func readEvent(m *members) (q eventRequest, err error) {
	var other string
	for m.next() {
		switch string(m.name) {
		case "name":
			q.name, err = m.text()
		case "payload":
			q.payload, err = m.object()
		case "id":
			q.id, err = m.id()
		case "event_id":
			other, err = m.id()
		case "correlation_id":
			q.correlation, err = m.label()
		case "ttl":
			q.ttl, err = m.duration()
		default:
			err = m.unknown(eventFields)
		}
		if err != nil {
			return q, err
		}
	}
	if q.name == "" {
		return q, invalidField("name", "is missing", `name the event: {"name":"order-placed","payload":{}}`)
	}
	if q.id, err = sameID(q.id, "id", other, "event_id"); err != nil {
		return q, err
	}
	return q, checkName("name", q.name)
}

// sameID unites two places where an id may stand.
func sameID(a, whereA, b, whereB string) (string, error) {
	if a != "" && b != "" && a != b {
		return "", refuse(workflow.CodeInvalid,
			fmt.Sprintf("%s is %q, but %s is %q", whereA, a, whereB, b), "name one id, or the same one twice")
	}
	if a == "" {
		return b, nil
	}
	return a, nil
}

// decodeStart reads the body of a start; sync also allows a timeout. An empty
// body starts without input.
func decodeStart(body []byte, sync bool) (q startRequest, err error) {
	q.timeout = DefaultSyncTimeout
	if len(body) == 0 {
		return q, nil
	}
	m, err := open(body)
	if err != nil {
		return q, err
	}
	known := startFields
	if sync {
		known = syncFields
	}
	for m.next() {
		switch name := string(m.name); {
		case name == "input":
			q.input, err = m.object()
		case name == "exec_id":
			q.execID, err = m.id()
		case name == "key":
			q.key, err = m.label()
		case name == "labels":
			q.labels, err = m.labels()
		case name == "signal":
			q.signal, err = m.signal()
		case name == "start":
			q.noStart, err = m.no()
		case name == "timeout" && sync:
			q.timeout, err = m.timeout()
		case name == "task_id":
			err = m.noStartTask()
		default:
			err = m.unknown(known)
		}
		if err != nil {
			return q, err
		}
	}
	if q.noStart && q.signal == nil {
		return q, invalidField("start", "is false, and there is no signal either", "add the signal to send, or leave `start` out")
	}
	return q, nil
}

func decodeReason(body []byte) (reason string, err error) {
	if len(body) == 0 {
		return "", nil
	}
	m, err := open(body)
	if err != nil {
		return "", err
	}
	for m.next() {
		if string(m.name) != "reason" {
			return "", m.unknown(steerFields)
		}
		if reason, err = m.text(); err != nil {
			return "", err
		}
	}
	if len(reason) > MaxReasonBytes {
		return "", invalidField("reason", fmt.Sprintf("has %d bytes, at most %d are allowed", len(reason), MaxReasonBytes), "")
	}
	return reason, nil
}

func decodeKey(body []byte) (q keyRequest, err error) {
	m, err := open(body)
	if err != nil {
		return q, err
	}
	for m.next() {
		switch string(m.name) {
		case "name":
			q.name, err = m.text()
		case "scopes":
			q.scopes, err = m.scopes()
		case "expires":
			q.expires, err = m.duration()
		default:
			err = m.unknown(keyFields)
		}
		if err != nil {
			return q, err
		}
	}
	return q, nil
}

package http

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/signalbox/signalbox/workflow"
)

// CloudEvents 1.0 on POST /events, in the structured, the binary and the batch
// mode of its HTTP binding. The type is the event's name. Source and id together
// are its identity, so the event's own id is made from both.

// The media types of CloudEvents in JSON; in the binary mode the body is the data.
const (
	mediaCloudEvent  = "application/cloudevents+json"
	mediaCloudEvents = "application/cloudevents-batch+json"
)

// cloudHeader begins the name of a header that is an attribute.
const cloudHeader = "Ce-"

// cloudEvent is a CloudEvent while it is read.
type cloudEvent struct {
	version, id, source, kind string
	subject, time, schema     string
	dataType                  string
	base64                    string         // data_base64
	data                      workflow.Value // JSON; nil when there is none
	extensions                map[string]workflow.Value
}

// readCloudEvent reads an event in the JSON format.
func readCloudEvent(m *members) (*cloudEvent, error) {
	c := &cloudEvent{extensions: make(map[string]workflow.Value)}
	for m.next() {
		if m.twice != nil {
			return nil, m.unknown(nil)
		}
		if m.isNull() {
			continue // an attribute that is null is absent
		}
		var err error
		switch name := string(m.name); name {
		case "data":
			c.data = m.compact()
		case "data_base64":
			c.base64, err = m.text()
		default:
			if at := c.attribute(name); at != nil {
				*at, err = m.text()
			} else {
				err = c.extend(name, m.value)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	if c.base64 != "" && c.data != nil {
		return nil, invalidField("data", "stands beside data_base64", "an event has one or the other")
	}
	return c, c.check()
}

// attribute is where an attribute of the specification is kept, nil for another.
func (c *cloudEvent) attribute(name string) *string {
	switch name {
	case "specversion":
		return &c.version
	case "id":
		return &c.id
	case "source":
		return &c.source
	case "type":
		return &c.kind
	case "subject":
		return &c.subject
	case "time":
		return &c.time
	case "dataschema":
		return &c.schema
	case "datacontenttype":
		return &c.dataType
	}
	return nil
}

// extend keeps an extension: a text, a number or a boolean.
func (c *cloudEvent) extend(name string, value []byte) error {
	for i := range len(name) {
		if (name[i] < 'a' || name[i] > 'z') && (name[i] < '0' || name[i] > '9') {
			return invalidField(truncate(name), "is no name of an attribute", "names have lower-case letters and digits")
		}
	}
	if name == "" || value[0] == '{' || value[0] == '[' {
		return invalidField(truncate(name), "is "+kindOf(value)+", not a text, a number or a boolean", "put what has parts into data")
	}
	if c.extensions[name] != nil {
		return invalidField(truncate(name), "stands twice", "leave one of them out: it is not clear which is meant")
	}
	if len(c.extensions) >= MaxExtensions {
		return refuse(workflow.CodeInvalid, fmt.Sprintf("the event has more than %d extensions", MaxExtensions), "put what belongs together into data")
	}
	c.extensions[name] = compact(value)
	return nil
}

// check says what the specification, or this node, does not allow.
func (c *cloudEvent) check() error {
	if c.version != "1.0" {
		return invalidField("specversion", fmt.Sprintf("is %q", truncate(c.version)), `send CloudEvents of version "1.0"`)
	}
	if err := checkName("id", c.id); err != nil {
		return err
	}
	if err := checkName("type", c.kind); err != nil {
		return err
	}
	if c.source == "" || len(c.source) > MaxSourceBytes {
		return invalidField("source", fmt.Sprintf("has %d bytes, from 1 to %d are allowed", len(c.source), MaxSourceBytes), "")
	}
	if _, err := url.Parse(c.source); err != nil {
		return invalidField("source", "is no URI reference", "")
	}
	if c.time != "" {
		if _, err := time.Parse(time.RFC3339Nano, c.time); err != nil {
			return invalidField("time", "is no time of RFC 3339", "write it like 2026-01-31T12:00:00Z")
		}
	}
	if c.schema != "" {
		if at, err := url.Parse(c.schema); err != nil || !at.IsAbs() {
			return invalidField("dataschema", "is no absolute URI", "")
		}
	}
	if c.dataType != "" {
		if _, _, err := mime.ParseMediaType(c.dataType); err != nil {
			return invalidField("datacontenttype", "is no media type", "")
		}
	}
	return nil
}

// payload is the data as an object, which payloads are: JSON that is none is
// {"data": ...}, a text {"data": "..."}, anything else {"data_base64": "..."}.
func (c *cloudEvent) payload() (workflow.Value, error) {
	if c.base64 != "" {
		plain, err := base64.StdEncoding.DecodeString(c.base64)
		if err != nil {
			return nil, invalidField("data_base64", "is not base64", "")
		}
		if c.dataType == "" {
			return workflow.ValueOf(map[string]string{"data_base64": c.base64}), nil
		}
		return wrapped(plain, c.dataType)
	}
	if c.data == nil || c.data[0] == '{' {
		return c.data, nil
	}
	return workflow.ValueOf(map[string]workflow.Value{"data": c.data}), nil
}

// wrapped is data of any type as a payload.
func wrapped(data []byte, dataType string) (workflow.Value, error) {
	if len(data) == 0 {
		return nil, nil
	}
	switch {
	case isJSON(dataType):
		if err := checkJSON(data); err != nil {
			return nil, err
		}
		value := compact(data)
		if value[0] == '{' {
			return value, nil
		}
		return workflow.ValueOf(map[string]workflow.Value{"data": value}), nil
	case isText(dataType) && utf8.Valid(data):
		return workflow.ValueOf(map[string]string{"data": string(data)}), nil
	}
	return workflow.ValueOf(map[string]string{"data_base64": base64.StdEncoding.EncodeToString(data)}), nil
}

// isJSON reports whether a type of data is JSON; so is data without a type.
func isJSON(dataType string) bool {
	name, _, err := mime.ParseMediaType(dataType)
	return dataType == "" || err == nil && (name == "application/json" || name == "text/json" || strings.HasSuffix(name, "+json"))
}

func isText(dataType string) bool {
	name, params, err := mime.ParseMediaType(dataType)
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "us-ascii") {
		return false
	}
	return err == nil && (strings.HasPrefix(name, "text/") || name == "application/xml" || strings.HasSuffix(name, "+xml"))
}

// binaryCloudEvent reads an event whose attributes are headers and whose data is
// the body.
func (x *exchange) binaryCloudEvent() (*cloudEvent, workflow.Value, error) {
	c := &cloudEvent{extensions: make(map[string]workflow.Value), dataType: x.r.Header.Get("Content-Type")}
	for name, values := range x.r.Header {
		after, ok := strings.CutPrefix(name, cloudHeader)
		if !ok {
			continue
		}
		attribute := strings.ToLower(after)
		if len(values) > 1 {
			return nil, nil, refuse(workflow.CodeInvalid, "the header "+name+" is given more than once", "give it once")
		}
		value, err := url.PathUnescape(values[0])
		if err != nil {
			value = values[0] // from one of the many senders that do not escape
		}
		if !utf8.ValidString(value) {
			return nil, nil, refuse(workflow.CodeInvalid, "the header "+name+" is not UTF-8", "escape what is not printable ASCII with %")
		}
		if attribute == "datacontenttype" {
			return nil, nil, refuse(workflow.CodeInvalid, "the header "+name+" stands beside Content-Type", "name the type of the data in Content-Type")
		}
		if at := c.attribute(attribute); at != nil {
			*at = value
		} else if err := c.extend(attribute, workflow.ValueOf(value)); err != nil {
			return nil, nil, err
		}
	}
	if err := c.check(); err != nil {
		return nil, nil, err
	}
	payload, err := wrapped(x.in.b, c.dataType)
	return c, payload, err
}

// cloudEvent is the message that a request with one CloudEvent asks to send.
func (x *exchange) cloudEvent() (workflow.Event, error) {
	if len(x.r.Header[IdempotencyHeader]) > 0 {
		return workflow.Event{}, refuse(workflow.CodeInvalid, "a CloudEvent has its identity in source and id", "leave the header "+IdempotencyHeader+" out")
	}
	if x.format == formatCloudBinary {
		c, payload, err := x.binaryCloudEvent()
		if err != nil {
			return workflow.Event{}, err
		}
		return x.eventOf(c, payload), nil
	}
	m, err := open(x.in.b)
	if err != nil {
		return workflow.Event{}, err
	}
	return x.cloudEventItem(&m)
}

// cloudEventItem is the message of a CloudEvent in the JSON format.
func (x *exchange) cloudEventItem(m *members) (workflow.Event, error) {
	c, err := readCloudEvent(m)
	if err != nil {
		return workflow.Event{}, err
	}
	payload, err := c.payload()
	if err != nil {
		return workflow.Event{}, err
	}
	return x.eventOf(c, payload), nil
}

// eventOf turns a CloudEvent into an event. What it is about correlates it: the
// extension correlationid, or else its subject. Its trace is that of the
// extension traceparent, or else that of the request. It is kept until its
// expirytime when nobody takes it.
func (x *exchange) eventOf(c *cloudEvent, payload workflow.Value) workflow.Event {
	event := x.event(eventRequest{name: c.kind, id: cloudEventID(c.source, c.id), payload: payload})
	event.Source = c.source
	event.CorrelationID = c.text("correlationid")
	if event.CorrelationID == "" && checkName("subject", c.subject) == nil {
		event.CorrelationID = c.subject
	}
	if trace := traceParent(c.text("traceparent")); trace != "" {
		event.TraceParent = trace
	}
	event.ExpiresAt = c.expiry(event.ReceivedAt)
	event.CloudEvent = &workflow.CloudEvent{ID: c.id, Subject: c.subject, Time: c.time, DataType: c.dataType, DataSchema: c.schema}
	if len(c.extensions) > 0 {
		event.CloudEvent.Extensions = workflow.ValueOf(c.extensions)
	}
	return event
}

// expiry is the extension expirytime; zero when it is no time of RFC 3339 or has
// passed: then whoever listens now may have the event, and nobody later.
func (c *cloudEvent) expiry(received workflow.Instant) workflow.Instant {
	var text string
	if json.Unmarshal(c.extensions["expirytime"], &text) != nil {
		return 0
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || workflow.InstantOf(at) <= received {
		return 0
	}
	return min(workflow.InstantOf(at), received.Add(workflow.MaxHold))
}

// text is an extension that is a name, "" when it is none.
func (c *cloudEvent) text(name string) string {
	var value string
	if json.Unmarshal(c.extensions[name], &value) != nil || checkName(name, value) != nil {
		return ""
	}
	return value
}

// cloudEventID is the id of the event that a CloudEvent becomes: the same source
// and id, the same one. It is a UUID of version 8, so nobody mistakes it for a
// random one.
func cloudEventID(source, id string) string {
	h := sha256.New()
	for _, part := range []string{"cloudevent", source, id} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write([]byte(part))
	}
	var digest [16]byte
	copy(digest[:], h.Sum(nil))
	return formatUUID(&digest, 8)
}

// cloudFormat finds out whether a request holds CloudEvents, and how.
func cloudFormat(h http.Header, media string) (format, bool) {
	switch {
	case media == mediaCloudEvent:
		return formatCloudEvent, true
	case media == mediaCloudEvents:
		return formatCloudBatch, true
	case strings.HasPrefix(media, "application/cloudevents"):
		return 0, false // a format that we do not read
	case len(h[cloudHeader+"Specversion"]) > 0:
		return formatCloudBinary, true
	}
	return 0, false
}

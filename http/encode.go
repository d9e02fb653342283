package http

import (
	"strconv"
	"unicode/utf8"

	"github.com/signalbox/signalbox/workflow"
)

// The two answers of the hot path are put together by hand, because encoding
// by reflection costs more than everything else the front door does for them.

// appendSignalAnswer is the 200 of a signal.
func appendSignalAnswer(b []byte, a *workflow.Answer) []byte {
	b = append(b, `{"status":200,"message":"signal sent successfully","data":`...)
	b = appendSignalData(b, a)
	return append(b, "}\n"...)
}

// appendSignalData is what the sender of a signal gets, without the envelope.
func appendSignalData(b []byte, a *workflow.Answer) []byte {
	b = append(b, `{"message":"Signal sent successfully","signal_id":`...)
	b = appendString(b, a.SignalID)
	b = append(b, `,"outcome":`...)
	b = appendString(b, string(a.Outcome))
	b = append(b, `,"duplicate":`...)
	b = strconv.AppendBool(b, a.Duplicate)
	if a.Reason != "" {
		b = append(b, `,"reason":`...)
		b = appendString(b, a.Reason)
	}
	if a.WaitID != "" {
		b = append(b, `,"wait":{"id":`...)
		b = appendString(b, a.WaitID)
		b = append(b, `,"task_id":`...)
		b = appendString(b, a.WaitTask)
		b = append(b, '}')
	}
	if a.ExpiresAt != 0 {
		b = append(b, `,"expires_at":`...)
		b = appendInstant(b, a.ExpiresAt)
	}
	b = append(b, `,"status":`...)
	b = appendString(b, string(a.Status))
	return append(b, '}')
}

// appendEventAnswer is the 202 of an event.
func appendEventAnswer(b []byte, eventID string, duplicate bool) []byte {
	b = append(b, `{"status":202,"message":"event received","data":`...)
	b = appendEventData(b, eventID, duplicate)
	return append(b, "}\n"...)
}

// appendEventData is what the sender of an event gets, without the envelope.
func appendEventData(b []byte, eventID string, duplicate bool) []byte {
	b = append(b, `{"message":"event received","event_id":`...)
	b = appendString(b, eventID)
	b = append(b, `,"duplicate":`...)
	b = strconv.AppendBool(b, duplicate)
	return append(b, '}')
}

// appendInstant is RFC 3339 in UTC with milliseconds, quoted.
func appendInstant(b []byte, at workflow.Instant) []byte {
	b = append(b, '"')
	b = at.Time().AppendFormat(b, timeLayout)
	return append(b, '"')
}

const hexDigits = "0123456789abcdef"

// appendString is s as a JSON string. Bytes that are not UTF-8 become the
// replacement character, so that the answer is always valid.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			b = append(b, s[from:i]...)
			b = appendEscaped(b, c)
			i++
			from = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			b = append(b, s[from:i]...)
			b = append(b, `\ufffd`...)
			from = i + size
		}
		i += size
	}
	b = append(b, s[from:]...)
	return append(b, '"')
}

func appendEscaped(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
}

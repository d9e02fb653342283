package expression

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

const acceptedDurations = `write it as "5m", "2h30m", "500ms", "5 minutes", "1d12h", "2w" or "PT5M"`

var durationUnits = map[string]time.Duration{
	"ns": time.Nanosecond, "us": time.Microsecond, "µs": time.Microsecond, "μs": time.Microsecond, "ms": time.Millisecond,
	"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
	"millisecond": time.Millisecond, "milliseconds": time.Millisecond,
	"sec": time.Second, "secs": time.Second, "second": time.Second, "seconds": time.Second,
	"min": time.Minute, "mins": time.Minute, "minute": time.Minute, "minutes": time.Minute,
	"hr": time.Hour, "hrs": time.Hour, "hour": time.Hour, "hours": time.Hour,
	"day": 24 * time.Hour, "days": 24 * time.Hour, "week": 7 * 24 * time.Hour, "weeks": 7 * 24 * time.Hour,
}

// ParseDuration reads a duration of 0 to workflow.MaxHold: Go durations ("5m",
// "2h30m"), days and weeks ("1d12h", "1w"), words ("5 minutes", "1 hour and 30
// minutes") and ISO 8601 ("PT5M", "P1D"; years and months are refused, because
// they have no fixed length). The error says what is accepted.
func ParseDuration(s string) (time.Duration, error) {
	text := strings.TrimSpace(s)
	switch {
	case text == "":
		return 0, fmt.Errorf("the duration is empty; %s", acceptedDurations)
	case len(text) > maxDurationBytes:
		return 0, fmt.Errorf("the duration %.20q... is longer than %d characters; %s", text, maxDurationBytes, acceptedDurations)
	case text[0] == '-':
		return 0, fmt.Errorf("the duration %q is negative; durations start at 0", text)
	case text == "0":
		return 0, nil
	}
	var d float64
	var err error
	if text[0] == 'P' || text[0] == 'p' {
		d, err = isoDuration(strings.ToUpper(text))
	} else {
		d, err = unitDuration(strings.TrimPrefix(text, "+"))
	}
	if err != nil {
		return 0, fmt.Errorf("%q is no duration: %w; %s", text, err, acceptedDurations)
	}
	if d > float64(workflow.MaxHold) {
		return 0, fmt.Errorf("the duration %q is longer than %d days, the longest that is kept", text, workflow.MaxHold/(24*time.Hour))
	}
	return time.Duration(math.Round(d)), nil
}

// amount cuts a number, perhaps with a fraction, from the start of a text.
func amount(s string) (value float64, rest string, err error) {
	n := 0
	for n < len(s) && (isDigit(s[n]) || s[n] == '.' || s[n] == ',') {
		n++
	}
	if n == 0 {
		return 0, s, fmt.Errorf("a number is missing before %q", s)
	}
	value, err = strconv.ParseFloat(strings.Replace(s[:n], ",", ".", 1), 64)
	if err != nil {
		return 0, s, fmt.Errorf("%q is no number", s[:n])
	}
	return value, s[n:], nil
}

// unitDuration reads pairs of number and unit, in nanoseconds.
func unitDuration(s string) (float64, error) {
	total := 0.0
	for s != "" {
		value, rest, err := amount(s)
		if err != nil {
			return 0, err
		}
		rest = strings.TrimLeft(rest, " ")
		n := strings.IndexFunc(rest, func(r rune) bool { return r == ' ' || r == ',' || '0' <= r && r <= '9' })
		if n < 0 {
			n = len(rest)
		}
		unit, ok := durationUnits[strings.ToLower(rest[:n])]
		switch {
		case n == 0:
			return 0, fmt.Errorf("a unit is missing after %v, such as s, m or h", value)
		case !ok:
			return 0, fmt.Errorf("%q is no unit", rest[:n])
		}
		total += value * float64(unit)
		s = strings.TrimLeft(rest[n:], " ,")
		s = strings.TrimLeft(strings.TrimPrefix(s, "and "), " ")
	}
	return total, nil
}

// isoDuration reads PnWnDTnHnMnS, in nanoseconds.
func isoDuration(s string) (float64, error) {
	date, clock, hasClock := strings.Cut(s[1:], "T")
	if date == "" && clock == "" || hasClock && clock == "" {
		return 0, fmt.Errorf("nothing follows %q", s[:1])
	}
	days, err := isoFields(date, "WD", 7*24*time.Hour, 24*time.Hour)
	if err != nil {
		return 0, err
	}
	rest, err := isoFields(clock, "HMS", time.Hour, time.Minute, time.Second)
	return days + rest, err
}

// isoFields reads numbers whose letters come in the given order.
func isoFields(s, letters string, units ...time.Duration) (float64, error) {
	total := 0.0
	for s != "" {
		value, rest, err := amount(s)
		if err != nil {
			return 0, err
		}
		if rest == "" {
			return 0, fmt.Errorf("a letter is missing after %v", value)
		}
		i := strings.IndexByte(letters, rest[0])
		if i < 0 {
			if rest[0] == 'Y' || rest[0] == 'M' {
				return 0, fmt.Errorf("years and months have no fixed length")
			}
			return 0, fmt.Errorf("%q cannot stand here", rest[:1])
		}
		total += value * float64(units[i])
		letters, units = letters[i+1:], units[i+1:]
		s = rest[1:]
	}
	return total, nil
}

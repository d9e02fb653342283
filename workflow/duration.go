package workflow

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// units are the words and letters of durations, longest first where one begins
// with another.
var units = []struct {
	names []string
	size  time.Duration
}{
	{[]string{"milliseconds", "millisecond", "ms"}, time.Millisecond},
	{[]string{"microseconds", "microsecond", "us", "µs"}, time.Microsecond},
	{[]string{"nanoseconds", "nanosecond", "ns"}, time.Nanosecond},
	{[]string{"weeks", "week", "w"}, 7 * 24 * time.Hour},
	{[]string{"days", "day", "d"}, 24 * time.Hour},
	{[]string{"hours", "hour", "hrs", "hr", "h"}, time.Hour},
	{[]string{"minutes", "minute", "mins", "min", "m"}, time.Minute},
	{[]string{"seconds", "second", "secs", "sec", "s"}, time.Second},
}

// ParseDuration reads what people write for a length of time: Go durations
// (1h30m, 500ms), words (5 minutes, 1 day 12 hours), days and weeks (1d12h, 2w)
// and ISO 8601 (PT5M, P1DT12H). It refuses what is negative or longer than MaxHold.
func ParseDuration(s string) (time.Duration, error) {
	text := strings.ToLower(strings.TrimSpace(s))
	var d time.Duration
	var ok bool
	switch {
	case text == "0":
		return 0, nil
	case strings.HasPrefix(text, "p"):
		d, ok = parseISO(text[1:])
	default:
		d, ok = parseUnits(text)
	}
	if !ok {
		return 0, fmt.Errorf("%q is no duration: write 30s, 5m, 1h30m, 2d, 1w, \"5 minutes\" or PT5M", s)
	}
	if d > MaxHold {
		return 0, fmt.Errorf("%q is longer than ten years, the longest that can be held for", s)
	}
	return d, nil
}

// parseISO reads the part after P: weeks and days, then T and hours, minutes, seconds.
func parseISO(text string) (time.Duration, bool) {
	date, clock, timed := strings.Cut(text, "t")
	if strings.ContainsAny(date, "hms") || strings.ContainsAny(clock, "wd") || timed && clock == "" || text == "" {
		return 0, false
	}
	return parseUnits(date + clock)
}

func parseUnits(text string) (time.Duration, bool) {
	var total float64
	for rest := text; ; {
		rest = strings.TrimLeft(rest, " ")
		if rest == "" {
			return time.Duration(total), text != ""
		}
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789."))
		number, err := strconv.ParseFloat(rest[:digits], 64)
		if err != nil {
			return 0, false
		}
		size, length := unit(strings.TrimLeft(rest[digits:], " "))
		if length == 0 {
			return 0, false
		}
		total += number * float64(size)
		if total > 2*float64(MaxHold) {
			return 2 * MaxHold, true
		}
		rest = strings.TrimLeft(rest[digits:], " ")[length:]
	}
}

// unit finds the unit that the text begins with.
func unit(text string) (time.Duration, int) {
	for _, u := range units {
		for _, name := range u.names {
			if strings.HasPrefix(text, name) {
				return u.size, len(name)
			}
		}
	}
	return 0, 0
}

package expression

import (
	"fmt"
	"strings"
	"time"
)

// timeFunctions know one time: the scope's, which is the time of the input
// being applied. They read the zones UTC and fixed offsets; named zones depend
// on files of the machine and would not give the same bytes everywhere.
var timeFunctions = []*function{
	{name: "now", least: 0, most: 0, run: func(r *run, _ []any) (any, error) {
		if r.scope.Now == 0 {
			return nil, errNoTime
		}
		return moment{r.scope.Now.Time()}, nil
	}},
	{name: "date", least: 2, most: 2, usage: `as in {{ now | date "2006-01-02" }}`, run: func(r *run, a []any) (any, error) {
		return r.dateText(a[0], a[1], "UTC")
	}},
	{name: "date_in_zone", least: 3, most: 3, usage: `as in {{ date_in_zone "15:04" now "+02:00" }}`, run: func(r *run, a []any) (any, error) {
		return r.dateText(a[0], a[1], a[2])
	}},
	{name: "htmlDate", least: 1, most: 1, run: func(r *run, a []any) (any, error) { return r.dateText("2006-01-02", a[0], "UTC") }},
	{name: "dateModify", least: 2, most: 2, usage: `as in {{ now | dateModify "-1.5h" }}`, run: dateModify},
	{name: "toDate", least: 2, most: 2, usage: `as in {{ toDate "2006-01-02" "2026-11-23" }}`, run: toDate},
	{name: "unixEpoch", least: 1, most: 1, run: func(_ *run, a []any) (any, error) {
		t, err := momentOf(a[0])
		return fmt.Sprint(t.Unix()), err
	}},
	{name: "ago", least: 1, most: 1, run: ago},
	{name: "duration", least: 1, most: 1, run: func(_ *run, a []any) (any, error) {
		n, err := integer(a[0])
		if err != nil {
			return nil, err
		}
		return (time.Duration(max(-maxSeconds, min(n, maxSeconds))) * time.Second).String(), nil
	}},
	{name: "durationRound", least: 1, most: 1, run: durationRound},
}

// momentOf reads a value as a time: a time, RFC 3339 text, or seconds since 1970.
func momentOf(v any) (time.Time, error) {
	switch v := v.(type) {
	case moment:
		return v.Time, nil
	case string:
		t, err := time.Parse(time.RFC3339, v)
		if err != nil {
			if t, err = time.Parse("2006-01-02", v); err != nil {
				return time.Time{}, fmt.Errorf("%.40q is no time; write it as 2026-11-23T10:00:00Z", v)
			}
		}
		return t.UTC(), nil
	case int64, float64:
		n, err := integer(v)
		return time.Unix(max(minUnix, min(n, maxUnix)), 0).UTC(), err
	}
	return time.Time{}, fmt.Errorf("%s is no time", kindName(v))
}

func zoneOf(v any) (*time.Location, error) {
	s, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("the zone is a text, not %s", kindName(v))
	}
	switch strings.ToUpper(s) {
	case "", "UTC", "GMT", "Z", "LOCAL":
		return time.UTC, nil
	}
	t, err := time.Parse("-07:00", s)
	if err != nil {
		return nil, fmt.Errorf("the zone %.40q depends on the machine; use UTC or an offset such as +02:00", s)
	}
	return t.Location(), nil
}

func (r *run) dateText(layout, v, zone any) (any, error) {
	l, ok := layout.(string)
	if !ok {
		return nil, fmt.Errorf("the layout is a text such as \"2006-01-02\", not %s", kindName(layout))
	}
	t, err := momentOf(v)
	if err != nil {
		return nil, err
	}
	z, err := zoneOf(zone)
	if err != nil {
		return nil, err
	}
	_, offset := t.In(z).Zone()
	if z != time.UTC {
		_, offset = time.Date(2000, 1, 1, 0, 0, 0, 0, z).Zone()
		z = time.FixedZone("", offset)
	}
	return r.produced(t.In(z).Format(l))
}

func dateModify(_ *run, a []any) (any, error) {
	s, ok := a[0].(string)
	if !ok {
		return nil, fmt.Errorf("the change is a text such as \"-24h\", not %s", kindName(a[0]))
	}
	t, err := momentOf(a[1])
	if err != nil {
		return nil, err
	}
	sign := time.Duration(1)
	if rest, negative := strings.CutPrefix(s, "-"); negative {
		sign, s = -1, rest
	}
	d, err := ParseDuration(strings.TrimPrefix(s, "+"))
	if err != nil {
		return nil, err
	}
	return moment{t.Add(sign * d)}, nil
}

func toDate(_ *run, a []any) (any, error) {
	layout, isText := a[0].(string)
	s, alsoText := a[1].(string)
	if !isText || !alsoText {
		return nil, fmt.Errorf("a layout and a text are needed, not %s and %s", kindName(a[0]), kindName(a[1]))
	}
	t, err := time.ParseInLocation(layout, s, time.UTC)
	if err != nil {
		return nil, fmt.Errorf("%.40q does not follow the layout %.40q", s, layout)
	}
	return moment{t.UTC()}, nil
}

func ago(r *run, a []any) (any, error) {
	if r.scope.Now == 0 {
		return nil, errNoTime
	}
	t, err := momentOf(a[0])
	if err != nil {
		return nil, err
	}
	return r.scope.Now.Time().Sub(t).Round(time.Second).String(), nil
}

// durationRound keeps the largest unit: 2h10m5s is 2h.
func durationRound(_ *run, a []any) (any, error) {
	var d time.Duration
	switch v := a[0].(type) {
	case string:
		var err error
		if d, err = time.ParseDuration(strings.TrimPrefix(v, "-")); err != nil {
			return nil, fmt.Errorf("%.40q is no duration", v)
		}
	default:
		n, err := integer(v)
		if err != nil {
			return nil, err
		}
		d = time.Duration(max(0, min(n, maxSeconds))) * time.Second
	}
	hours := int64(d / time.Hour)
	for _, u := range []struct {
		hours int64
		name  string
	}{{365 * 24, "y"}, {30 * 24, "mo"}, {24, "d"}, {1, "h"}} {
		if hours >= u.hours {
			return fmt.Sprintf("%d%s", hours/u.hours, u.name), nil
		}
	}
	if d >= time.Minute {
		return fmt.Sprintf("%dm", d/time.Minute), nil
	}
	return fmt.Sprintf("%ds", d/time.Second), nil
}

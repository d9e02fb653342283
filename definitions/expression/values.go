package expression

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// The values of expressions are nil, bool, int64, float64, string, []any,
// map[string]any, and four of our own: view (a part of the scope), moment (a
// time), sealed (masked text) and *absent (what a path did not find).

// moment is a time as a value. It prints as RFC 3339 in UTC.
type moment struct{ time.Time }

func (m moment) String() string { return workflow.InstantOf(m.Time).Time().Format(momentLayout) }

const momentLayout = "2006-01-02T15:04:05.000Z07:00"

func (m moment) member(name string) found {
	t := m.Time
	switch name {
	case "UTC":
		return plain(moment{t.UTC()})
	case "Year":
		return plain(int64(t.Year()))
	case "Month":
		return plain(int64(t.Month()))
	case "Day":
		return plain(int64(t.Day()))
	case "Hour":
		return plain(int64(t.Hour()))
	case "Minute":
		return plain(int64(t.Minute()))
	case "Second":
		return plain(int64(t.Second()))
	case "Weekday":
		return plain(t.Weekday().String())
	case "YearDay":
		return plain(int64(t.YearDay()))
	case "Unix":
		return plain(t.Unix())
	case "UnixMilli":
		return plain(t.UnixMilli())
	}
	return found{}
}

// kindName is what a person calls a value of this kind, with its article.
func kindName(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "true or false"
	case int64, float64:
		return "a number"
	case string:
		return "text"
	case sealed:
		return "a secret"
	case []any:
		return "list"
	case map[string]any, view:
		return "object"
	case moment:
		return "a time"
	case *absent:
		return "missing"
	}
	return fmt.Sprintf("%T", v)
}

// reflectKind is what sprig's kindOf says.
func reflectKind(v any) string {
	switch v.(type) {
	case nil, *absent:
		return "invalid"
	case bool:
		return "bool"
	case int64:
		return "int64"
	case float64:
		return "float64"
	case string, sealed:
		return "string"
	case []any:
		return "slice"
	case map[string]any, view:
		return "map"
	}
	return "struct"
}

// truth is whether a value counts as true: not null, false, zero, empty or missing.
func (r *run) truth(v any) bool {
	switch v := v.(type) {
	case nil, *absent:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case sealed:
		return v != ""
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	case view:
		for _, name := range r.names(v) {
			if r.member(v, name).ok {
				return true
			}
		}
		return false
	case moment:
		return !v.IsZero()
	}
	return true
}

// textOf is how a value prints. Null prints nothing, lists and objects print
// as JSON.
func (r *run) textOf(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return string(appendFloat(nil, v)), nil
	case moment:
		return v.String(), nil
	case *absent:
		return "", r.missing(v)
	case sealed:
		return "", errSealed
	case view:
		m, err := r.whole(v)
		if err != nil {
			return "", err
		}
		return r.jsonText(m)
	}
	return r.jsonText(v)
}

var errSealed = fmt.Errorf("a secret cannot be worked on here, its value is filled in just before the work is done; use it as it is, in printf %%s, or with b64enc, urlquery, sha256sum or trim")

// jsonText encodes a value that holds no secret.
func (r *run) jsonText(v any) (string, error) {
	if r.touched {
		if held, err := r.holdsSealed(v); err != nil || held {
			return "", firstError(err, errSealed)
		}
	}
	b, err := encode(nil, v, nil)
	if err != nil {
		return "", err
	}
	return string(b), r.made(len(b))
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// holdsSealed reports whether a secret is anywhere inside v. It always looks at
// all of it: what an evaluation costs must not depend on the order of a map.
func (r *run) holdsSealed(v any) (held bool, err error) {
	if err := r.step(1); err != nil {
		return false, err
	}
	switch v := v.(type) {
	case sealed:
		return true, nil
	case []any:
		for _, inner := range v {
			one, err := r.holdsSealed(inner)
			if err != nil {
				return false, err
			}
			held = held || one
		}
	case map[string]any:
		for _, inner := range v {
			one, err := r.holdsSealed(inner)
			if err != nil {
				return false, err
			}
			held = held || one
		}
	}
	return held, nil
}

// number reads a value as a number; text that spells one counts.
func number(v any) (i int64, f float64, whole bool, err error) {
	switch v := v.(type) {
	case nil:
		return 0, 0, true, nil
	case bool:
		if v {
			return 1, 1, true, nil
		}
		return 0, 0, true, nil
	case int64:
		return v, float64(v), true, nil
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v), v, true, nil
		}
		return clamp(v), v, false, nil
	case string:
		s := strings.TrimSpace(v)
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n, float64(n), true, nil
		}
		if f, err := strconv.ParseFloat(s, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return number(f)
		}
		return 0, 0, false, fmt.Errorf("%.40q is no number", v)
	}
	return 0, 0, false, fmt.Errorf("%s is no number", kindName(v))
}

// clamp cuts a number to the integers that there are.
func clamp(f float64) int64 {
	switch {
	case f >= 1<<63:
		return math.MaxInt64
	case f <= -1<<63:
		return math.MinInt64
	}
	return int64(f)
}

// equal compares two values: numbers by their size, times by the moment,
// lists and objects by what is in them.
func (r *run) equal(a, b any) (bool, error) {
	if err := r.step(1); err != nil {
		return false, err
	}
	switch a := a.(type) {
	case nil, bool:
		return a == b, nil
	case string:
		other, ok := b.(string)
		return ok && a == other, r.made(len(a))
	case int64, float64:
		switch b.(type) {
		case int64, float64:
			c, err := compare(a, b)
			return c == 0, err
		}
		return false, nil
	case moment:
		other, ok := b.(moment)
		return ok && a.Equal(other.Time), nil
	case []any:
		other, ok := b.([]any)
		if !ok || len(a) != len(other) {
			return false, nil
		}
		for i := range a {
			if same, err := r.equal(a[i], other[i]); !same || err != nil {
				return false, err
			}
		}
		return true, nil
	case map[string]any:
		return r.equalObjects(a, b)
	}
	return false, fmt.Errorf("%s cannot be compared", kindName(a))
}

func (r *run) equalObjects(a map[string]any, b any) (bool, error) {
	other, ok := b.(map[string]any)
	if !ok || len(a) != len(other) {
		return false, nil
	}
	for _, k := range sortedKeys(a) {
		theirs, ok := other[k]
		if !ok {
			return false, nil
		}
		if same, err := r.equal(a[k], theirs); !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

// compare orders numbers, texts and times.
func compare(a, b any) (int, error) {
	switch a := a.(type) {
	case string:
		if b, ok := b.(string); ok {
			return strings.Compare(a, b), nil
		}
	case moment:
		if b, ok := b.(moment); ok {
			return a.Compare(b.Time), nil
		}
	case int64:
		switch b := b.(type) {
		case int64:
			return order(a, b), nil
		case float64:
			return -compareMixed(b, a), nil
		}
	case float64:
		switch b := b.(type) {
		case int64:
			return compareMixed(a, b), nil
		case float64:
			return order(a, b), nil
		}
	}
	return 0, fmt.Errorf("%s cannot be compared with %s", kindName(a), kindName(b))
}

func order[T int64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// compareMixed orders a float against an integer without losing the digits of
// integers beyond 2^53.
func compareMixed(f float64, i int64) int {
	switch {
	case f >= 1<<63:
		return 1
	case f < -1<<63:
		return -1
	}
	if c := order(int64(f), i); c != 0 {
		return c
	}
	return order(f-math.Trunc(f), 0)
}

// copyOf is a copy of a value that shares nothing with it.
func (r *run) copyOf(v any) (any, error) {
	if err := r.step(1); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			inner, err := r.copyOf(v[i])
			if err != nil {
				return nil, err
			}
			out[i] = inner
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			inner, err := r.copyOf(v[k])
			if err != nil {
				return nil, err
			}
			out[k] = inner
		}
		return out, nil
	}
	return v, nil
}

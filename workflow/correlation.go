package workflow

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Correlation is the equality of a wait's condition that an index can find the
// wait by: `signal.payload.order_id == workflow.input.order_id`. A message that
// does not have the key at the path cannot make the condition true.
type Correlation interface {
	// Key returns the path of the message's side, as a JSON pointer into the
	// signal, and the value of the other side; "" when there is none now, and the
	// wait is found by its name alone.
	Key(*Scope) (path, key string)
	// Volatile reports whether the key may change while the wait is open.
	Volatile() bool
}

// CorrelationPath is where a message has its correlation_id, and what a wait
// with `correlate` is indexed on.
const CorrelationPath = "/correlation_id"

const payloadPath = "/payload"

// PathOf is the path of names inside of a payload.
func PathOf(names []string) string {
	path := payloadPath
	for _, name := range names {
		path += "/" + pointer.Replace(name)
	}
	return path
}

var (
	pointer   = strings.NewReplacer("~", "~0", "/", "~1")
	unpointer = strings.NewReplacer("~1", "/", "~0", "~")
)

// KeyText is a scalar as a key: a text as it is, a number as JavaScript writes
// it. What a condition finds equal has the same key, so that an index by keys
// misses nothing; a text and a number may share one, because whoever uses the
// index judges the condition all the same. It is "" for what cannot be a key.
func KeyText(v any) string {
	switch v := v.(type) {
	case string:
		return cutKey(v)
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return ""
		}
		return numberKey(f)
	case float64:
		return numberKey(v)
	case int64:
		return numberKey(float64(v)) // as conditions compare it with a fraction
	case uint64:
		return numberKey(float64(v))
	case bool:
		return strconv.FormatBool(v)
	case nil:
		return "null"
	}
	return ""
}

func numberKey(f float64) string {
	const plainFrom, plainBelow = 1e-6, 1e21
	switch size := math.Abs(f); {
	case f == 0:
		return "0" // not -0
	case size >= plainFrom && size < plainBelow:
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return strings.Replace(strconv.FormatFloat(f, 'g', -1, 64), "e-0", "e-", 1)
}

// cutKey shortens a long key at the end of a character. Two that are equal stay
// equal, also when they are read back from JSON.
func cutKey(s string) string {
	if !utf8.ValidString(s) {
		s = string([]rune(s))
	}
	if len(s) <= MaxKeyBytes {
		return s
	}
	cut := MaxKeyBytes
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}

// Keys tells which key a message has at a path. It decodes the payload when it
// is first asked for a path inside of it.
type Keys struct {
	correlationID string
	payload       Value
	decoded       any
	ready         bool
}

// KeysOf is the keys of an event.
func KeysOf(ev *Event) *Keys {
	return &Keys{correlationID: ev.CorrelationID, payload: ev.Payload}
}

// At is the key at a path, "" for none.
func (k *Keys) At(path string) string {
	if path == CorrelationPath {
		return cutKey(k.correlationID)
	}
	inside, ok := strings.CutPrefix(path, payloadPath+"/")
	if !ok {
		return ""
	}
	v := k.whole()
	for name := range strings.SplitSeq(inside, "/") {
		object, ok := v.(map[string]any)
		if !ok {
			return ""
		}
		if v, ok = object[unpointer.Replace(name)]; !ok {
			return ""
		}
	}
	return KeyText(v)
}

// Paths are the parts of the message that can be keys, in the order of their
// names, up to a limit; whole says that there are no more.
func (k *Keys) Paths(limit int) (paths []string, whole bool) {
	if k.correlationID != "" {
		paths = append(paths, CorrelationPath)
	}
	whole = true
	var walk func(path string, v any)
	walk = func(path string, v any) {
		object, ok := v.(map[string]any)
		if !ok {
			if key := KeyText(v); key == "" || path == payloadPath {
				return
			}
			if whole = whole && len(paths) < limit; whole {
				paths = append(paths, path)
			}
			return
		}
		for _, name := range slices.Sorted(maps.Keys(object)) {
			if !whole {
				return
			}
			walk(path+"/"+pointer.Replace(name), object[name])
		}
	}
	walk(payloadPath, k.whole())
	return paths, whole
}

func (k *Keys) whole() any {
	if !k.ready {
		k.ready = true
		decoder := json.NewDecoder(bytes.NewReader(k.payload))
		decoder.UseNumber()
		if decoder.Decode(&k.decoded) != nil {
			k.decoded = nil // no condition on its parts holds either
		}
	}
	return k.decoded
}

// correlate finds what an opening wait is indexed on.
func (t *transition) correlate(spec *Hold, task *Task, ts *TaskState) (path, key string, err error) {
	switch {
	case spec.Correlate != nil:
		key, err = t.correlationKey(spec.Correlate, t.scope(task, ts))
		return CorrelationPath, key, err
	case spec.Index != nil:
		path, key = spec.Index.Key(t.scope(task, ts))
		return path, key, nil
	}
	return "", "", nil
}

func (t *transition) correlationKey(correlate Template, scope *Scope) (string, error) {
	v, err := correlate.Render(scope)
	if err != nil {
		return "", fmt.Errorf("correlate: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(v))
	decoder.UseNumber()
	var scalar any
	if err := decoder.Decode(&scalar); err != nil {
		return "", fmt.Errorf("correlate: %w", err)
	}
	switch s := scalar.(type) {
	case string:
		if s == "" {
			return "", fmt.Errorf("correlate is an empty text; give it the key that the messages carry as correlation_id")
		}
		if len(s) > MaxKeyBytes {
			return "", fmt.Errorf("correlate is a text of %d bytes; a correlation_id has at most %d", len(s), MaxKeyBytes)
		}
	case json.Number:
		return numberAsID(s)
	default:
		return "", fmt.Errorf("correlate is %.40s; a correlation_id is a text or a number", v)
	}
	return KeyText(scalar), nil
}

// numberAsID is a number as the text that messages carry for it. A whole one
// keeps all of its digits, because texts are compared and a float would round
// an id of more than 15 of them.
func numberAsID(n json.Number) (string, error) {
	key := string(n)
	if key == "-0" || strings.ContainsAny(key, ".eE") {
		if key = KeyText(n); key == "" {
			return "", fmt.Errorf("correlate is %.40s, which is no number that can be compared", n)
		}
	}
	if len(key) > MaxKeyBytes {
		return "", fmt.Errorf("correlate is a number of %d bytes; a correlation_id has at most %d", len(key), MaxKeyBytes)
	}
	return key, nil
}

// rekey computes again the keys that what has happened meanwhile may have changed.
func (t *transition) rekey() {
	for i := range t.s.Waits {
		w := &t.s.Waits[i]
		task := t.def.Task(w.Task)
		hold := task.Wait.hold(w.Branch)
		if index := hold.Index; index != nil && hold.Correlate == nil && index.Volatile() {
			w.Path, w.Key = index.Key(t.scope(task, t.s.Task(task.ID)))
		}
	}
}

// uncorrelated says why a wait with `correlate` does not listen to a message, ""
// when it does. A signal is addressed to its execution already, so it may come
// without a correlation_id; an event may not.
func uncorrelated(hold *Hold, w *OpenWait, sig *Signal) string {
	switch {
	case hold.Correlate == nil, cutKey(sig.CorrelationID) == w.Key:
		return ""
	case sig.CorrelationID != "":
		return fmt.Sprintf("its correlation_id is %q and the wait listens for %q", sig.CorrelationID, w.Key)
	case sig.Source == FromEvent:
		return fmt.Sprintf("it has no correlation_id and the wait listens for %q", w.Key)
	}
	return ""
}

package expression

import (
	"fmt"
	"math"
)

// function is one that templates can call. All of them are pure: their result
// depends on their arguments and the scope alone.
type function struct {
	name        string
	least, most int    // arguments, most is -1 for any number
	usage       string // shown when it is called wrongly

	absent bool // takes missing values as they are
	views  bool // takes parts of the scope as they are, not put together
	sealed bool // takes secrets as they are

	check func(args []any) error // of the arguments known at load, nil for the others
	run   func(r *run, args []any) (any, error)
}

// accept readies an argument for the function and charges for its size.
func (f *function) accept(r *run, v any) (any, error) {
	switch t := v.(type) {
	case *absent:
		if !f.absent {
			return nil, r.missing(t)
		}
		return v, nil
	case view:
		if f.views {
			return v, nil
		}
		m, err := r.whole(t)
		if err != nil {
			return nil, err
		}
		v = m
	case string:
		return v, r.step(len(t) / scanBytes)
	case []any:
		if err := r.step(len(t) / walkedItems); err != nil {
			return nil, err
		}
	case map[string]any:
		if err := r.step(len(t) / walkedItems); err != nil {
			return nil, err
		}
	}
	if r.touched && !f.sealed {
		if held, err := r.holdsSealed(v); err != nil || held {
			return nil, firstError(err, errSealed)
		}
	}
	return v, nil
}

var (
	functions     = tableOf(logicFunctions, textFunctions, patternFunctions, listFunctions, objectFunctions, mathFunctions, timeFunctions, codecFunctions)
	functionNames = append(sortedKeys(functions), "and", "or")
)

// tableOf puts the functions of all files together, with the names that sprig
// gives to their variants: must... fails where the plain one fails here too.
func tableOf(groups ...[]*function) map[string]*function {
	table := map[string]*function{}
	for _, group := range groups {
		for _, f := range group {
			table[f.name] = f
		}
	}
	for alias, name := range aliases {
		table[alias] = table[name]
	}
	return table
}

var aliases = map[string]string{
	"mustToJson": "toJson", "mustFromJson": "fromJson", "mustToPrettyJson": "toPrettyJson", "toRawJson": "toJson", "mustToRawJson": "toJson",
	"mustRegexMatch": "regexMatch", "mustRegexFind": "regexFind", "mustRegexFindAll": "regexFindAll", "mustRegexSplit": "regexSplit",
	"mustRegexReplaceAll": "regexReplaceAll", "mustRegexReplaceAllLiteral": "regexReplaceAllLiteral",
	"mustFirst": "first", "mustLast": "last", "mustRest": "rest", "mustInitial": "initial", "mustAppend": "append", "push": "append", "mustPush": "append",
	"mustPrepend": "prepend", "mustReverse": "reverse", "mustUniq": "uniq", "mustWithout": "without", "mustHas": "has", "mustCompact": "compact",
	"mustSlice": "slice", "mustChunk": "chunk", "mustMerge": "merge", "mustMergeOverwrite": "mergeOverwrite", "mustDeepCopy": "deepCopy",
	"mustToDate": "toDate", "mustDateModify": "dateModify", "must_date_modify": "dateModify", "date_modify": "dateModify", "dateInZone": "date_in_zone",
	"tuple": "list", "biggest": "max", "trimall": "trimAll", "htmlEscape": "html", "jsEscape": "js", "htmlAttrEscape": "html",
}

// integer reads an argument as a whole number; a fraction is cut off.
func integer(v any) (int64, error) {
	i, _, _, err := number(v)
	return i, err
}

// bounded reads a whole number between low and high.
func bounded(v any, what string, low, high int64) (int, error) {
	n, err := integer(v)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	if n < low || n > high {
		return 0, fmt.Errorf("%s is %d, allowed is %d to %d", what, n, low, high)
	}
	return int(n), nil
}

// finite refuses the results that JSON has no number for.
func finite(f float64) (any, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, fmt.Errorf("the result is no number")
	}
	return f, nil
}

// texts reads arguments as text.
func (r *run) texts(args ...any) ([]string, error) {
	out := make([]string, len(args))
	for i, v := range args {
		s, err := r.textOf(v)
		if err != nil {
			return nil, err
		}
		out[i] = s
	}
	return out, nil
}

// produced charges for a text and returns it.
func (r *run) produced(s string) (any, error) {
	return s, r.made(len(s))
}

// onText lifts a function of one text.
func onText(f func(string) string) func(*run, []any) (any, error) {
	return func(r *run, args []any) (any, error) {
		s, err := r.textOf(args[0])
		if err != nil {
			return nil, err
		}
		return r.produced(f(s))
	}
}

// onTexts lifts a function of several texts.
func onTexts(f func(s []string) (any, error)) func(*run, []any) (any, error) {
	return func(r *run, args []any) (any, error) {
		s, err := r.texts(args...)
		if err != nil {
			return nil, err
		}
		v, err := f(s)
		if made, ok := v.(string); ok && err == nil {
			return r.produced(made)
		}
		return v, err
	}
}

// onSecret lifts a function of one text that can be put off until a secret in
// its argument is known.
func onSecret(name string) func(*run, []any) (any, error) {
	later := laterFunctions[name]
	return func(r *run, args []any) (any, error) {
		if s, ok := args[0].(sealed); ok {
			return sealed(openBracket + name + ":" + string(s) + closeBracket), r.made(len(s))
		}
		return onText(later)(r, args)
	}
}

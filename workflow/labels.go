package workflow

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Label is a word that an execution is marked with when it starts, to find and
// to address it by.
type Label struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Labels orders labels by name and checks them; a refusal names the first that
// cannot be one.
func Labels(named map[string]string) ([]Label, *Refusal) {
	if len(named) > MaxLabels {
		return nil, labelRefusal("", fmt.Sprintf("there are %d labels, at most %d are possible", len(named), MaxLabels))
	}
	if len(named) == 0 {
		return nil, nil
	}
	labels := make([]Label, 0, len(named))
	for name, value := range named {
		labels = append(labels, Label{name, value})
	}
	slices.SortFunc(labels, func(a, b Label) int { return cmp.Compare(a.Name, b.Name) })
	for _, l := range labels {
		if wrong := l.wrong(); wrong != "" {
			return nil, labelRefusal(l.Name, wrong)
		}
	}
	return labels, nil
}

// CheckLabelName says what is wrong with the name of a label, "" when nothing is.
func CheckLabelName(name string) string {
	switch {
	case name == "":
		return "a label needs a name"
	case len(name) > MaxLabelNameBytes:
		return fmt.Sprintf("the name of a label has %d bytes, at most %d are possible", len(name), MaxLabelNameBytes)
	case strings.ContainsFunc(name, func(r rune) bool { return !inLabelName(r) }):
		return fmt.Sprintf("the label %q has other characters than letters, digits and . _ - in its name", name)
	}
	return ""
}

func inLabelName(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r)
}

// wrong is what is wrong with a label, "" when nothing is. A comma ends a label
// where several are written in one line.
func (l Label) wrong() string {
	if wrong := CheckLabelName(l.Name); wrong != "" {
		return wrong
	}
	switch {
	case len(l.Value) > MaxLabelValueBytes:
		return fmt.Sprintf("the value of label %q has %d bytes, at most %d are possible", l.Name, len(l.Value), MaxLabelValueBytes)
	case !utf8.ValidString(l.Value) || strings.ContainsFunc(l.Value, func(r rune) bool { return r < ' ' || r >= 0x7f && r <= 0x9f || r == ',' }):
		return fmt.Sprintf("the value of label %q has a comma or a control character in it", l.Name)
	}
	return ""
}

func labelRefusal(name, wrong string) *Refusal {
	return &Refusal{
		Code: CodeInvalid, Message: wrong,
		Hint:       "a label is a short word to filter by, like region: eu",
		Violations: []Violation{{Pointer: strings.TrimSuffix("/labels/"+pointer.Replace(name), "/"), Message: wrong}},
	}
}

// CheckKey says what is wrong with a business key, nil when nothing is.
func CheckKey(key string) *Refusal {
	wrong := ""
	switch {
	case len(key) > MaxNameBytes:
		wrong = fmt.Sprintf("the key has %d bytes, at most %d are possible", len(key), MaxNameBytes)
	case !utf8.ValidString(key) || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r >= 0x7f && r <= 0x9f }):
		wrong = "the key is no text in one line"
	default:
		return nil
	}
	return &Refusal{
		Code: CodeInvalid, Message: wrong, Hint: "a key is what the execution is about in your own words, like an order's number",
		Violations: []Violation{{Pointer: "/key", Message: wrong}},
	}
}

// Selects reports whether an execution is one that the query asks for, whatever
// page it is on.
func (q Query) Selects(s *State) bool {
	if q.WorkflowID != "" && s.WorkflowID != q.WorkflowID ||
		q.Status != "" && s.Status != q.Status ||
		q.Live && s.Status.Finished() ||
		q.Key != "" && s.Key != q.Key ||
		s.CreatedAt < q.Since {
		return false
	}
	for _, l := range q.Labels {
		if !slices.Contains(s.Labels, l) {
			return false
		}
	}
	return q.WaitingFor == "" || slices.ContainsFunc(s.Waits, func(w OpenWait) bool { return w.Name == q.WaitingFor })
}

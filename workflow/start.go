package workflow

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// KeySpec is what a workflow says about the business keys of its executions.
type KeySpec struct {
	Value  Template // nil: the start names it
	Unique bool     // at most one live execution has a key
	Refuse bool     // a start whose key is taken is refused; otherwise it gets the live execution
}

// Start asks for a new execution, or for the one that is there.
type Start struct {
	WorkflowID string
	ExecID     string // "" lets the node choose
	Seed       string // what the chosen id follows from, so that a repeat has the same one; "": nothing
	Input      Value
	Key        string // business key; "" leaves it to the workflow
	Labels     map[string]string
	Origin     *Origin
	By         string

	// Signal is delivered in the commit of the start, or to the execution that is
	// there already. With NoStart nothing is started, it only finds the execution.
	Signal  *Signal
	NoStart bool
}

// Begun is what became of a Start.
type Begun struct {
	State   *State
	Started bool    // the execution came to life by this request, or by the one that this repeats
	Known   bool    // the request had been accepted before
	Answer  *Answer // to the signal; nil without one
}

// Mark fills in what a start leaves to the workflow: its key and its labels.
// Labels that the start names win over those of the workflow.
func (d *Definition) Mark(in *Started, named map[string]string) *Refusal {
	state := State{
		ExecID: in.ExecID, WorkflowID: in.WorkflowID, Definition: in.Definition, Status: Running,
		Input: in.Input, Trigger: in.Origin, CreatedAt: in.At, UpdatedAt: in.At,
	}
	scope := &Scope{State: &state, Input: in.Input, Now: in.At}
	if in.Key == "" && d.Key != nil && d.Key.Value != nil {
		key, err := d.Key.Value.Render(scope)
		if err != nil {
			return unmarked(d, "key", err)
		}
		in.Key = plain(key)
	}
	if refusal := CheckKey(in.Key); refusal != nil {
		return refusal
	}
	in.Unique = in.Key != "" && d.Key != nil && d.Key.Unique
	all, err := d.labels(scope)
	if err != nil {
		return unmarked(d, "labels", err)
	}
	for name, value := range named {
		if all == nil {
			all = make(map[string]string, len(named))
		}
		all[name] = value
	}
	labels, refusal := Labels(all)
	in.Labels = labels
	return refusal
}

// labels renders the workflow's own labels; one that renders to nothing is left out.
func (d *Definition) labels(scope *Scope) (map[string]string, error) {
	if d.Labels == nil {
		return nil, nil
	}
	rendered, err := d.Labels.Render(scope)
	if err != nil {
		return nil, err
	}
	var values map[string]Value
	if err := json.Unmarshal(rendered, &values); err != nil {
		return nil, err
	}
	all := make(map[string]string, len(values))
	for name, value := range values {
		if text := plain(value); text != "" {
			all[name] = text
		}
	}
	return all, nil
}

// plain is a rendered value as a text: a number keeps its digits, null is nothing.
func plain(v Value) string {
	var text string
	if json.Unmarshal(v, &text) == nil {
		return text
	}
	return string(v)
}

func unmarked(d *Definition, what string, err error) *Refusal {
	return &Refusal{
		Code:    CodeInputInvalid,
		Message: fmt.Sprintf("the %s of workflow %s cannot be made from this input: %v", what, d.ID, err),
		Hint:    "give the input what the template in the workflow's `" + what + "` asks for; nothing was started",
		Details: map[string]any{"workflow_id": d.ID},
	}
}

// DerivedID makes an id from what was said before: the same parts, the same
// id. It is a UUID of version 8, so nobody mistakes it for a random one.
func DerivedID(parts ...string) string {
	h := sha256.New()
	var length [8]byte
	for _, part := range parts {
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write([]byte(part))
	}
	id := h.Sum(nil)[:16]
	id[6] = id[6]&0x0f | 8<<4
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[0:4], id[4:6], id[6:8], id[8:10], id[10:16])
}

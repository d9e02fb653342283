package expression

import (
	"fmt"
	"strings"
)

// Env is what `.env` shows. A name in both maps means the secret one: the
// file beside the project overrides the definition.
type Env struct {
	Public map[string]string // from config.env in YAML: part of the definition
	Secret map[string]string // from the .env file: never written to state or history

	// Version is the definition's `version`, shown as `.workflow.version`. When
	// it is empty, the content hash of the definition is shown instead.
	Version string
}

// Reference is one path that an expression looks at, as far as it is known
// without running it.
type Reference struct {
	Root   string   // first segment: "tasks", "workflow", ...; "" when the whole context is passed on
	Path   []string // the segments after it, as written; cut where it becomes dynamic
	Line   int      // 1-based, within the string or source
	Col    int      // 1-based, in characters
	String string   // JSON pointer of the string within the tree; "" for a condition or a tree that is one string
}

// Roots lists every root that an expression can refer to. Which of them hold a
// value depends on the place: `.signal` exists only where a signal does.
func Roots() []string {
	return []string{
		"workflow", "tasks", "task", "input", "with", "env", "trigger", "signal",
		"processor", "output", "payload", "workflow_id", "workflow_exec_id", "status", "collected",
	}
}

// PositionError is a mistake at a place inside an expression.
type PositionError struct {
	Line    int    // 1-based, within the string
	Col     int    // 1-based, in characters
	Message string // what is wrong
	Hint    string // what to do; may be empty
	String  string // JSON pointer of the string within the tree, "" for the whole
	cause   error  // that the message is of; nil for none
}

// Unwrap is the error that the message is of.
func (e *PositionError) Unwrap() error { return e.cause }

// Error is the position, the message and the hint in one line.
func (e *PositionError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "line %d, column %d: %s", e.Line, e.Col, e.Message)
	if e.Hint != "" {
		b.WriteString("; ")
		b.WriteString(e.Hint)
	}
	return b.String()
}

package definitions

import "github.com/signalbox/signalbox/workflow"

// Workflow is a compiled definition with where it came from.
type Workflow struct {
	*workflow.Definition
	File   string // that it was read from, relative to the project
	Bundle []byte // canonical JSON that compiles to the same definition, secrets excluded
}

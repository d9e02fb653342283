package definitions

import "github.com/signalbox/signalbox/workflow"

// Workflow is a compiled definition with where it came from.
type Workflow struct {
	*workflow.Definition
	File   string // that it was read from, relative to the project
	Bundle []byte // canonical JSON that compiles to the same definition, secrets excluded
}

// Project is what a file or folder defines, compiled as a whole.
type Project struct {
	Name      string
	Dir       string            // folder of the project, as it was given
	File      string            // the project file, or the one file that was loaded; "" for a folder without one
	Workflows []*Workflow       // by id, unique
	Settings  map[string]string // of the node, as texts: addr, data, store, no_auth, log_format, log_level ...
	Secret    map[string]string // the .env file beside the project file
	Files     []string          // every file that was read, for whoever watches them
}

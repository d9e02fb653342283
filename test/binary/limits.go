package binary

import "time"

const (
	// readyTimeout bounds how long a node may take to say that it listens. A
	// million waiting executions are promised in 3 s; ten times that leaves room
	// for a machine that is busy with something else.
	readyTimeout = 30 * time.Second

	// stderrBytes of the end of a node's log are kept for the error message of
	// a test that fails: enough for a stack trace, little enough to read.
	stderrBytes = 64 << 10

	// stdoutLineBytes bounds one line of a node's standard output.
	stdoutLineBytes = 64 << 10
)

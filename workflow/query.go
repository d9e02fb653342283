package workflow

// Query selects executions, newest first. Zero fields select everything.
type Query struct {
	WorkflowID string
	Status     Status
	Key        string  // business key; it needs the WorkflowID, too
	Labels     []Label // it has all of them
	WaitingFor string  // name of a signal that a wait of it is open for
	Live       bool    // it has not finished
	Since      Instant // created at or after
	Limit      int
	Cursor     string // of the page before; "" for the first
}

// WaitQuery selects open waits, by name and then in the order of their executions.
type WaitQuery struct {
	Name       string
	WorkflowID string
	Key        string // only those that are indexed by it, see OpenWait.Key
	Path       string // with Name and Key: only those that compare it with that part of a message
	Unkeyed    bool   // only those that are not indexed by any key
	Limit      int
	Cursor     string
}

// KeptQuery selects kept events of a name, in the order in which they came.
type KeptQuery struct {
	Name   string
	Path   string // only those that have Key there; "" for all of the name
	Key    string
	Limit  int
	Cursor string
}

// WaitRow is one open wait of one execution.
type WaitRow struct {
	ExecID     string
	WorkflowID string
	OpenWait
}

// Page is one page of an answer. Next is "" on the last one.
type Page[T any] struct {
	Items []T
	Next  string
}

// Durability says what a 2xx survives.
type Durability string

// The levels of durability, strongest claim first.
const (
	Replicated Durability = "replicated" // loss of one machine of the store
	Fsync      Durability = "fsync"      // kill -9 and power loss
	OneSecond  Durability = "1s"         // kill -9; up to one second is lost on power loss
	Memory     Durability = "memory"     // nothing
)

// Health is what a node says of itself.
type Health struct {
	Ready      bool           `json:"ready"`
	Status     string         `json:"status"` // ready, starting, draining, degraded
	Durability Durability     `json:"durability"`
	Version    string         `json:"version"`
	Problems   []string       `json:"problems,omitempty"`
	Executions map[string]int `json:"actors,omitempty"`
}

package workflow

// Tally is where the accepted messages of one name stand. Accepted is counted
// when a message is, the others when its fate changes, so that Balanced is a
// statement about all of them and no definition.
type Tally struct {
	Accepted int64 `json:"accepted"`
	Consumed int64 `json:"consumed"`
	Buffered int64 `json:"buffered"` // kept for a later wait, or an event about which not all have decided
	Expired  int64 `json:"expired"`
	Dead     int64 `json:"dead"`
}

// Balanced reports whether every accepted message has exactly one fate.
func (t Tally) Balanced() bool {
	return t.Accepted == t.Consumed+t.Buffered+t.Expired+t.Dead
}

// Add adds another tally.
func (t *Tally) Add(o Tally) {
	t.Accepted += o.Accepted
	t.Consumed += o.Consumed
	t.Buffered += o.Buffered
	t.Expired += o.Expired
	t.Dead += o.Dead
}

// Move counts that a message goes from one fate to another; "" is before it was accepted.
func (t *Tally) Move(from, to Fate) {
	if from == "" {
		t.Accepted++
	} else {
		*t.column(from)--
	}
	*t.column(to)++
}

func (t *Tally) column(f Fate) *int64 {
	switch f {
	case FateConsumed:
		return &t.Consumed
	case FateExpired:
		return &t.Expired
	case FateDead:
		return &t.Dead
	}
	return &t.Buffered
}

// BookRow is one row of the books. The names beyond MaxBookNames share one row,
// which has no name and says Rest.
type BookRow struct {
	Name string
	Rest bool
	Tally
}

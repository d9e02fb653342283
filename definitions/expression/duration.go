package expression

import (
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// ParseDuration reads a duration of 0 to workflow.MaxHold as definitions write
// it: "5m", "2h30m", "500ms", "5 minutes", "1d12h", "2w", "PT5M", "P1D". It is
// the core's own reader, so that what passes when a definition is loaded also
// passes when a task runs; the error says what is accepted.
func ParseDuration(s string) (time.Duration, error) { return workflow.ParseDuration(s) }

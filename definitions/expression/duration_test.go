package expression

import (
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

func TestParseDuration(t *testing.T) {
	for _, c := range []struct {
		text string
		want time.Duration
	}{
		{"5m", 5 * time.Minute},
		{"2h30m", 150 * time.Minute},
		{"500ms", 500 * time.Millisecond},
		{"0", 0},
		{"5 minutes", 5 * time.Minute},
		{"1 second", time.Second},
		{"2 hours", 2 * time.Hour},
		{"1d", 24 * time.Hour},
		{"1w", 7 * 24 * time.Hour},
		{"1d12h", 36 * time.Hour},
		{"PT5M", 5 * time.Minute},
		{"P1D", 24 * time.Hour},
		{"P1DT12H", 36 * time.Hour},
		{"3600s", time.Hour},
		{" 1.5h ", 90 * time.Minute},
	} {
		if got, err := ParseDuration(c.text); err != nil || got != c.want {
			t.Errorf("%q: got %v, %v, want %v", c.text, got, err, c.want)
		}
	}
	for _, text := range []string{"", "5", "-5m", "soon", "5 parsecs", "P1M", "P1Y", "PT", "P", "1h 5", "100000w", "m", "1.2.3s"} {
		got, err := ParseDuration(text)
		if err == nil {
			t.Errorf("%q was read as %v", text, got)
			continue
		}
		if !strings.Contains(err.Error(), "5m") && !strings.Contains(err.Error(), "longest") {
			t.Errorf("%q: the error does not say what is accepted: %v", text, err)
		}
	}
}

func FuzzDuration(f *testing.F) {
	for _, seed := range []string{"5m", "5 minutes", "1d12h", "PT5M", "P1DT12H", "-1s", "9999999999999h", "1.5.5h", "µs", "P"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDuration(s)
		if err == nil && (d < 0 || d > workflow.MaxHold) {
			t.Fatalf("%q was read as %v", s, d)
		}
	})
}

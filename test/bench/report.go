package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"
)

// row is one line of the table. Values are of the rounds, in order.
type row struct {
	What   string    `json:"what"`
	Unit   string    `json:"unit"`
	Values []float64 `json:"values"`
	Ratios []float64 `json:"ratios_to_echo,omitempty"` // to the echo of the same round
	Target string    `json:"target,omitempty"`
	OK     *bool     `json:"ok,omitempty"`

	Missing string `json:"missing,omitempty"` // why there are no values
}

func (r row) min() float64    { return slices.Min(r.Values) }
func (r row) max() float64    { return slices.Max(r.Values) }
func (r row) median() float64 { return median(r.Values) }

// median is the middle value, or the mean of the two that are in the middle.
func median[T float64 | time.Duration](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// atLeast sets a target that the median ratio to echo must reach.
func (r row) atLeast(ratio float64) row {
	return r.judge(fmt.Sprintf(">= %g x echo", ratio), median(r.Ratios) >= ratio)
}

// atLeastValue sets a target that the median must reach as it is.
func (r row) atLeastValue(limit float64) row {
	return r.judge(fmt.Sprintf(">= %.6g %s", limit, r.Unit), r.median() >= limit)
}

// atMost sets a target that the median may not pass.
func (r row) atMost(limit float64) row {
	return r.judge(fmt.Sprintf("<= %.4g %s", limit, r.Unit), r.median() <= limit)
}

func (r row) judge(target string, ok bool) row {
	r.Target, r.OK = target, &ok
	return r
}

// report is what a run of the benchmarks found.
type report struct {
	Date    string  `json:"date"`
	Commit  string  `json:"commit"`
	Machine machine `json:"machine"`
	Rows    []row   `json:"rows"`
}

// table prints the report for people.
func (r *report) table(out io.Writer) error {
	m := r.Machine
	fmt.Fprintf(out, "Signalbox %s, %s: %d cores (%s), %s, %s, %s, kernel %s\n", r.Commit, r.Date, m.Cores, m.CPU, m.Memory, m.Go, m.OS, m.Kernel)
	fmt.Fprintf(out, "The load generator shares the cores with the node: %d connections over the loopback. Echo is the same stack without work.\n\n", connections)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "what\tmin\tmedian\tmax\tunit\tx echo\ttarget\t\t")
	for _, row := range r.Rows {
		if row.Missing != "" {
			fmt.Fprintf(w, "%s\t-\t-\t-\t%s\t\t\t\t%s\n", row.What, row.Unit, row.Missing)
			continue
		}
		ratio, verdict := "", ""
		if len(row.Ratios) > 0 {
			ratio = fmt.Sprintf("%.2f", median(row.Ratios))
		}
		if row.OK != nil {
			verdict = "miss"
			if *row.OK {
				verdict = "ok"
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", row.What, figure(row.min()), figure(row.median()), figure(row.max()), row.Unit, ratio, row.Target, verdict)
	}
	return w.Flush()
}

// figure prints a number with as many digits as it deserves.
func figure(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// save writes the report as JSON into a folder, under its date and commit.
func (r *report) save(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, r.Date+"-"+r.Commit+".json")
	return path, os.WriteFile(path, append(text, '\n'), 0o644)
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func mebi(bytes int64) float64 { return float64(bytes) / (1 << 20) }

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestWireSpeaksHTTP(t *testing.T) {
	var got atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("Content-Type") != "application/json" {
			http.Error(w, fmt.Sprint(err, r.Header), http.StatusBadRequest)
			return
		}
		got.Add(1)
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.Path, body)
	}))
	defer server.Close()
	p, err := dialAll(server.URL, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	m, err := closedLoop(p, 101, func(w *wire, _, i int) error {
		body := fmt.Appendf(nil, "%d", i)
		answer, err := w.do("POST", "/a/b", body, http.StatusAccepted)
		if want := fmt.Sprintf("POST /a/b %d", i); err == nil && string(answer) != want {
			return fmt.Errorf("got %q, want %q", answer, want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Load() != 101 || m.requests != 101 || len(m.latencies) != 101 || m.perSecond() <= 0 {
		t.Errorf("the server got %d requests, measured %d with %d latencies", got.Load(), m.requests, len(m.latencies))
	}
	if _, err := p[0].do("POST", "/", []byte("x"), http.StatusOK); err == nil || !strings.Contains(err.Error(), "202") {
		t.Errorf("another status than the wanted one passes: %v", err)
	}
}

// TestEchoAndWorkTakeTurns: as much work is done before as is measured, then slices of
// echo and of work follow one another, and what is kept is that of all of them.
func TestEchoAndWorkTakeTurns(t *testing.T) {
	const requests = 1000
	var echoes atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		echoes.Add(1)
		io.Copy(w, r.Body)
	}))
	defer server.Close()
	p, err := dialAll(server.URL, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	var r rounds
	var to row
	var turns []string
	_, err = r.against(&to, settings{requests: requests}, &subject{url: server.URL, pool: p}, func(n int) (measured, error) {
		turns = append(turns, fmt.Sprintf("%d after %d", n, echoes.Load()))
		return measured{requests: n, elapsed: time.Duration(n) * time.Millisecond}, nil
	})
	if want := []string{"1000 after 0", "250 after 250", "250 after 500", "250 after 750", "250 after 1000"}; err != nil || !slices.Equal(turns, want) {
		t.Errorf("work of %q, %v; want %q", turns, err, want)
	}
	if len(to.Values) != 1 || to.Values[0] != requests || len(r.echo.Values) != 1 || math.Abs(to.Ratios[0]*r.echo.Values[0]-requests) > 1e-6 {
		t.Errorf("kept %v/s, %v of an echo of %v", to.Values, to.Ratios, r.echo.Values)
	}
}

func TestWireRefusesWhatIsNoAnswer(t *testing.T) {
	for _, answer := range []string{
		"", "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
		"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Le",
	} {
		client, server := net.Pipe()
		go func() {
			io.WriteString(server, answer)
			server.Close()
		}()
		w := newWire(client, "test")
		if status, body, err := w.read(); err == nil {
			t.Errorf("%q was taken for an answer: %d %q", answer, status, body)
		}
		client.Close()
	}
}

func TestSumReadsMetrics(t *testing.T) {
	metrics := []byte("# TYPE a counter\na{workflow=\"x\",status=\"SUCCESS\"} 3\na{workflow=\"y\",status=\"SUCCESS\"} 4\nab 100\nb 1.5e3\n")
	for _, c := range []struct {
		name   string
		labels []string
		want   float64
		found  bool
	}{
		{"a", nil, 7, true}, {"a", []string{`workflow="y"`}, 4, true}, {"a", []string{`workflow="z"`}, 0, false},
		{"b", nil, 1500, true}, {"c", nil, 0, false},
	} {
		if got, found := sum(metrics, c.name, c.labels...); got != c.want || found != c.found {
			t.Errorf("sum(%s, %v) = %v, %v; want %v, %v", c.name, c.labels, got, found, c.want, c.found)
		}
	}
}

func TestReportSaysMissAndOK(t *testing.T) {
	r := &report{Date: "2026-01-02", Commit: "abc", Rows: []row{
		row{What: "echo", Unit: "/s", Values: []float64{3, 1, 2}},
		row{What: "signals", Unit: "/s", Values: []float64{1, 1, 1}, Ratios: []float64{0.5, 0.7, 0.9}}.atLeast(0.6),
		row{What: "slow", Unit: "ms", Values: []float64{5}}.atMost(4),
	}}
	var out bytes.Buffer
	if err := r.table(&out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, want := range []string{"2.00", "0.70  >= 0.6 x echo    ok", "<= 4 ms  miss"} {
		if got := lines[len(lines)-3+i]; !strings.Contains(got, want) {
			t.Errorf("line %q does not say %q", got, want)
		}
	}
	path, err := r.save(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var again report
	if err := json.Unmarshal(text, &again); err != nil || len(again.Rows) != 3 || *again.Rows[2].OK {
		t.Errorf("the JSON does not say what the table says: %v %s", err, text)
	}
}

func TestQuantile(t *testing.T) {
	var times []time.Duration
	for i := range 100 {
		times = append(times, time.Duration(i+1))
	}
	for p, want := range map[float64]time.Duration{0: 1, 50: 51, 99: 100, 100: 100} {
		if got := quantile(times, p); got != want {
			t.Errorf("quantile(%v) = %v, want %v", p, got, want)
		}
	}
}

func TestSyncTimesMeasuresTheDisk(t *testing.T) {
	times, err := syncTimes(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if len(times) != syncSamples || times[0] <= 0 || times[0] > times[len(times)-1] {
		t.Errorf("%d samples from %v to %v", len(times), times[0], times[len(times)-1])
	}
}

func TestPartsAreChosenByName(t *testing.T) {
	var p parts
	if !p.has("rounds") || !p.has("nodes") {
		t.Error("without a choice not everything is measured")
	}
	if err := p.Set("redis,nodes"); err != nil || p.has("rounds") || !p.has("nodes") || p.String() != "redis,nodes" {
		t.Errorf("redis,nodes is taken for %v, %v", p, err)
	}
	if err := p.Set("redis,fast"); err == nil || !strings.Contains(err.Error(), `"fast"`) {
		t.Errorf("a part that there is not: %v", err)
	}
}

func TestReportSaysWhyARowIsMissing(t *testing.T) {
	r := &report{Rows: []row{{What: "on Redis", Unit: "/s", Missing: errNoRedis.Error()}}}
	var out bytes.Buffer
	if err := r.table(&out); err != nil || !strings.Contains(out.String(), "no redis-server") {
		t.Errorf("%v:\n%s", err, out.String())
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := startRedis(t.TempDir(), "always"); !errors.Is(err, errNoRedis) {
		t.Errorf("without a redis-server: %v", err)
	}
}

func TestTheMedianIsInTheMiddle(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3}, 3},
		{[]float64{4, 1}, 2.5},
		{[]float64{9, 1, 2}, 2},
		{[]float64{8, 1, 4, 2}, 3},
	} {
		if got := median(c.values); got != c.want {
			t.Errorf("the median of %v is %v, want %v", c.values, got, c.want)
		}
	}
}

package http

import (
	"bytes"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// TestRoutesThatNobodyAsksForAreNotShown: what a scrape brings grows with what is used.
func TestRoutesThatNobodyAsksForAreNotShown(t *testing.T) {
	registry := prometheus.NewRegistry()
	d := newDoor(t, func(o *Options) { o.Registry = registry })
	series := func() (all int) {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			all += len(f.Metric)
		}
		return all
	}
	before := series()
	d.get("/livez").want(200)
	d.get("/livez").want(200)
	if once := series(); once != before+4 {
		t.Errorf("one route has added %d series to %d, want its counter and three histograms", once-before, before)
	}
	if body := d.get("/metrics").want(200); !bytes.Contains(body.Body, []byte(`signalbox_http_requests_total{code="200",method="GET",route="/livez"} 2`)) {
		t.Error("requests to a used route are not counted")
	}
}

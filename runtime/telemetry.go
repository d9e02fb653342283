package runtime

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox/signalbox/executors"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// telemetry counts what happens. Labels are bounded: outcomes, statuses,
// executors, and workflow ids, which come from the project's files; never the
// id of an execution or a signal.
type telemetry struct {
	signals     *prometheus.CounterVec
	delivered   prometheus.Counter // of the signals, looked up once: nearly all are
	events      *prometheus.CounterVec
	executions  *prometheus.CounterVec
	tasks       *prometheus.CounterVec
	waited      *prometheus.HistogramVec
	commit      prometheus.Histogram
	turn        prometheus.Histogram
	inputs      prometheus.Histogram
	quarantined *prometheus.CounterVec
	buried      *prometheus.CounterVec
	unburied    prometheus.Counter
	calls       *prometheus.CounterVec
	callTime    *prometheus.HistogramVec
	tokens      *prometheus.CounterVec
}

// latencies spans from a tenth of a millisecond to the time a slow model takes.
var latencies = prometheus.ExponentialBucketsRange(0.0001, 60, 20)

func newTelemetry(n *Node) *telemetry {
	t := &telemetry{
		signals:     counter("signals_total", "Signals to executions by what their sender was told.", "outcome"),
		events:      counter("events_total", "Events by what became of them: accepted and duplicate at the door; consumed, buffered and dead after their fan-out; of buffered ones later consumed and expired.", "outcome"),
		executions:  counter("executions_total", "Changes of an execution's status, by workflow and the new status.", "workflow", "status"),
		tasks:       counter("tasks_total", "Tasks that ended, by workflow and status: SUCCESS of those that did work; FAILED, TIMED_OUT and CANCELED of all, waits included.", "workflow", "status"),
		waited:      histogram("wait_duration_seconds", "How long waits were open before they were satisfied or timed out.", prometheus.ExponentialBucketsRange(0.001, 30*24*3600, 24), "outcome"),
		quarantined: counter("executions_quarantined_total", "Executions that broke and may not act any more.", "workflow"),
		buried:      counter("dead_letters_total", "Messages that became a dead letter, by cause.", "cause"),
		unburied:    prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: "dead_letters_unkept_total", Help: "Dead letters of refused messages that were not kept, because too many came at once or the store did not take them."}),
		calls:       counter("executor_calls_total", "Attempts of tasks by executor and outcome.", "executor", "outcome"),
		callTime:    histogram("executor_call_duration_seconds", "How long attempts of tasks took.", latencies, "executor"),
		tokens:      counter("model_tokens_total", "Tokens that models were paid for.", "provider", "kind"),
		commit:      single("commit_latency_seconds", "From an execution taking up inputs to their commit being durable.", latencies),
		turn:        single("transition_duration_seconds", "Time that one turn of an execution spends in the core.", prometheus.ExponentialBucketsRange(0.000001, 1, 20)),
		inputs:      single("turn_inputs", "Inputs that one turn of an execution folds into one commit.", prometheus.ExponentialBuckets(1, 2, 8)),
	}
	t.delivered = t.signals.WithLabelValues(string(workflow.Delivered))
	n.options.Registry.MustRegister(t.signals, t.events, t.executions, t.tasks, t.waited, t.quarantined, t.buried, t.unburied,
		t.calls, t.callTime, t.tokens, t.commit, t.turn, t.inputs, &gauges{node: n})
	return t
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, labels)
}

func single(name, help string, buckets []float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets})
}

const namespace = "signalbox"

// Signal implements actors.Observer.
func (t *telemetry) Signal(outcome string) {
	if outcome == string(workflow.Delivered) {
		t.delivered.Inc()
		return
	}
	t.signals.WithLabelValues(outcome).Inc()
}

// Event implements actors.Observer.
func (t *telemetry) Event(outcome string) { t.events.WithLabelValues(outcome).Inc() }

// Turn implements actors.Observer.
func (t *telemetry) Turn(inputs int, took time.Duration) {
	t.inputs.Observe(float64(inputs))
	t.turn.Observe(took.Seconds())
}

// Quarantined implements actors.Observer.
func (t *telemetry) Quarantined(def string) { t.quarantined.WithLabelValues(def).Inc() }

// Buried implements actors.Observer.
func (t *telemetry) Buried(cause workflow.Cause) { t.buried.WithLabelValues(string(cause)).Inc() }

// LettersDropped implements actors.Observer.
func (t *telemetry) LettersDropped(n int) { t.unburied.Add(float64(n)) }

// Committed implements actors.Observer.
func (t *telemetry) Committed(def string, was, now *workflow.State, records []workflow.Record, took time.Duration) {
	t.commit.Observe(took.Seconds())
	if was == nil || was.Status != now.Status {
		t.executions.WithLabelValues(def, string(now.Status)).Inc()
	}
	ends := endingsAfter(was)
	for i := range records {
		if well := ends.follow(records[i:]); well > 0 {
			t.tasks.WithLabelValues(def, string(workflow.Success)).Add(float64(well))
		}
		switch r := &records[i]; r.Type {
		case workflow.TaskEnded:
			t.tasks.WithLabelValues(def, string(r.EndStatus())).Inc()
		case workflow.WaitSatisfied:
			t.observeWait(was, now, r, "satisfied")
		case workflow.WaitTimedOut:
			t.observeWait(was, now, r, "timed_out")
		case workflow.SignalExpired:
			t.signals.WithLabelValues("expired").Inc()
		case workflow.SignalDead:
			t.signals.WithLabelValues("dead").Inc()
		}
	}
}

func (t *telemetry) observeWait(was, now *workflow.State, r *workflow.Record, outcome string) {
	opened := now.UpdatedAt // it opened in this very turn
	if was != nil {
		if w := was.Wait(r.Wait); w != nil {
			opened = w.OpenedAt
		}
	}
	t.waited.WithLabelValues(outcome).Observe(r.At.Time().Sub(opened.Time()).Seconds())
}

// ended is the pool's hook.
func (t *telemetry) ended(_ executors.Lane, executor, outcome string, took time.Duration) {
	t.calls.WithLabelValues(executor, outcome).Inc()
	t.callTime.WithLabelValues(executor).Observe(took.Seconds())
}

func (t *telemetry) usage(u executors.Usage) {
	t.tokens.WithLabelValues(u.Provider, "prompt").Add(float64(u.PromptTokens))
	t.tokens.WithLabelValues(u.Provider, "completion").Add(float64(u.CompletionTokens))
}

// gauges are read when somebody looks.
type gauges struct{ node *Node }

var (
	infoDesc     = describe("durability_info", "The level of durability that a 2xx has: always 1.", "level")
	readyDesc    = describe("ready", "1 when the node takes messages.")
	liveDesc     = describe("actors_live", "Executions in memory.")
	waitsDesc    = describe("waits_open", "Waits that hold now.")
	admittedDesc = describe("mailbox_admitted", "Messages from outside that are under way.")
	commitsDesc  = describe("store_commits_total", "Commits that became durable.")
	refusedDesc  = describe("store_conflicts_total", "Commits that the store refused because their owner was not the owner any more.")
	groupsDesc   = describe("store_groups_total", "Atomic groups of commits, each with one sync of the disk.")
	groupedDesc  = describe("store_grouped_total", "Commits in those groups: divided by the groups, the mean size of a group.")
	failedDesc   = describe("store_failures_total", "Groups that could not be written.")
	lostDesc     = describe("store_lost_total", "Acknowledged writes that the store was found not to have any more.")
	takesDesc    = describe("store_up", "1 when the store takes writes.")
	diskDesc     = describe("store_disk_bytes", "Bytes on disk.")
	lettersDesc  = describe("dead_letters", "Dead letters that are kept now.")
	droppedDesc  = describe("dead_letters_dropped_total", "Dead letters that were dropped because there were more than the bounds allow, the oldest first.")
	doneDesc     = describe("actors_passivated_total", "Executions that left memory because they were idle.")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(out chan<- *prometheus.Desc) {
	for _, d := range clusterDescs {
		out <- d
	}
	for _, d := range []*prometheus.Desc{infoDesc, readyDesc, liveDesc, waitsDesc, admittedDesc, commitsDesc, refusedDesc, groupsDesc, groupedDesc, failedDesc, lostDesc, takesDesc, diskDesc, lettersDesc, droppedDesc, doneDesc} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (g *gauges) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v uint64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	ready := 0.0
	if g.node.Health().Ready {
		ready = 1
		ctx, cancel := context.WithTimeout(context.Background(), countTimeout)
		gauge(liveDesc, float64(g.node.system.Live(ctx)))
		cancel()
	}
	gauge(readyDesc, ready)
	takes := 0.0
	if g.node.store.Health() == nil {
		takes = 1
	}
	gauge(takesDesc, takes)
	gauge(infoDesc, 1, string(g.node.store.Durability()))
	gauge(admittedDesc, float64(g.node.system.Admitted()))
	count(doneDesc, g.node.system.Passivated())
	g.store(g.node.store.Stats(), gauge, count)
	g.cluster(gauge, count)
}

func (g *gauges) store(s persistence.Stats, gauge func(*prometheus.Desc, float64, ...string), count func(*prometheus.Desc, uint64)) {
	if s.Waits >= 0 {
		gauge(waitsDesc, float64(s.Waits))
	}
	count(commitsDesc, s.Commits)
	count(refusedDesc, s.Conflicts)
	count(groupsDesc, s.Groups)
	count(groupedDesc, s.Grouped)
	count(failedDesc, s.Failures)
	count(lostDesc, s.Lost)
	gauge(diskDesc, float64(s.DiskBytes))
	if s.Letters >= 0 {
		gauge(lettersDesc, float64(s.Letters))
	}
	count(droppedDesc, s.LettersDropped)
}

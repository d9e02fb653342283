package http

// handler answers one request, or returns an error that becomes a problem.
type handler func(*exchange) error

// access says who may use a route.
type access int

const (
	withKey      access = iota // a key that has one of the route's scopes
	forEverybody               // everybody
	forLoopback                // everybody when the node listens on loopback only; else as withKey
)

// lane is the bound that a route's requests count against.
type lane int

const (
	laneQuick  lane = iota // MaxInFlight
	laneSync               // MaxSyncWaits: requests that take long because somebody else does
	laneStream             // MaxStreams
	laneFree               // none: probes must answer on an overloaded node
)

// route is one row of the table that everything else is made from: the router,
// authorisation, metrics' labels, and the tests of the OpenAPI document.
type route struct {
	method  string
	path    string
	name    string // operationId in openapi.yaml
	summary string
	handle  handler
	access  access
	scopes  []Scope // any one of them opens the route
	mixed   bool    // and its handler asks for the ones that the body needs
	lane    lane
	body    bool     // it reads a JSON body
	cloud   bool     // which may be a CloudEvent
	many    bool     // which may hold many messages, in an array or as NDJSON
	writes  bool     // its 2xx promises durability, said in a header
	query   []string // the parameters it knows; others are refused
	loose   bool     // it ignores parameters that it does not know
	success []int
}

const api = "/api/v0"

// The parameters of lists.
var (
	pageParams      = []string{"limit", "cursor"}
	executionParams = append([]string{"status", "waiting_for", "since", "key", "labels"}, pageParams...)
	letterParams    = []string{"name", "cause", "kind", "exec_id", "workflow_id", "since"}
)

var routes = []route{
	{method: "POST", path: api + "/executions/workflows/:exec_id/signals", name: "sendSignal", summary: "Send a signal to one execution",
		handle: (*exchange).sendSignal, scopes: []Scope{SignalsWrite}, body: true, writes: true, query: []string{"force", dryRun}, success: []int{200}},
	{method: "POST", path: api + "/signals", name: "sendSignals", summary: "Send many signals, or one to all that a filter selects",
		handle: (*exchange).sendSignals, scopes: []Scope{SignalsWrite}, body: true, many: true, writes: true, query: []string{"atomic", "force", dryRun}, success: []int{200, 202}},
	{method: "GET", path: api + "/broadcasts", name: "listBroadcasts", summary: "List broadcasts, youngest first",
		handle: (*exchange).listBroadcasts, scopes: []Scope{SignalsWrite, ExecutionsRead}, success: []int{200}},
	{method: "GET", path: api + "/broadcasts/:broadcast_id", name: "getBroadcast", summary: "See how far a broadcast is",
		handle: (*exchange).getBroadcast, scopes: []Scope{SignalsWrite, ExecutionsRead}, success: []int{200}},
	{method: "GET", path: api + "/broadcasts/:broadcast_id/results", name: "getBroadcastResults", summary: "See what became of each target of a broadcast",
		handle: (*exchange).broadcastResults, scopes: []Scope{ExecutionsRead}, query: append([]string{"outcome"}, pageParams...), success: []int{200}},
	{method: "POST", path: api + "/broadcasts/:broadcast_id/cancel", name: "cancelBroadcast", summary: "Cancel a broadcast",
		handle: (*exchange).cancelBroadcast, scopes: []Scope{SignalsWrite}, body: true, writes: true, success: []int{200}},
	{method: "POST", path: api + "/events", name: "sendEvent", summary: "Send events to whoever listens",
		handle: (*exchange).sendEvent, scopes: []Scope{EventsWrite}, body: true, cloud: true, many: true, writes: true, query: []string{dryRun}, success: []int{200, 202}},
	{method: "POST", path: api + "/workflows/:workflow_id/executions", name: "startExecution", summary: "Start an execution",
		handle: (*exchange).startExecution, scopes: []Scope{ExecutionsWrite, SignalsWrite}, mixed: true, body: true, writes: true, query: []string{dryRun}, success: []int{200, 202}},
	{method: "POST", path: api + "/workflows/:workflow_id/executions/sync", name: "startExecutionSync", summary: "Start an execution and wait for its end",
		handle: (*exchange).startSync, scopes: []Scope{ExecutionsWrite, SignalsWrite}, mixed: true, lane: laneSync, body: true, writes: true, query: []string{dryRun}, success: []int{200}},

	{method: "GET", path: api + "/executions/workflows", name: "listExecutions", summary: "List executions, newest first",
		handle: (*exchange).listExecutions, scopes: []Scope{ExecutionsRead}, query: append([]string{"workflow_id"}, executionParams...), success: []int{200}},
	{method: "GET", path: api + "/workflows/:workflow_id/executions", name: "listWorkflowExecutions", summary: "List the executions of one workflow",
		handle: (*exchange).listExecutions, scopes: []Scope{ExecutionsRead}, query: executionParams, success: []int{200}},
	{method: "GET", path: api + "/executions/workflows/:exec_id", name: "getExecution", summary: "Get an execution",
		handle: (*exchange).getExecution, scopes: []Scope{ExecutionsRead}, success: []int{200}},
	{method: "POST", path: api + "/executions/workflows/:exec_id/cancel", name: "cancelExecution", summary: "Cancel an execution",
		handle: (*exchange).cancel, scopes: []Scope{ExecutionsWrite}, body: true, writes: true, success: []int{200}},
	{method: "POST", path: api + "/executions/workflows/:exec_id/pause", name: "pauseExecution", summary: "Pause an execution",
		handle: (*exchange).pause, scopes: []Scope{ExecutionsWrite}, body: true, writes: true, success: []int{200}},
	{method: "POST", path: api + "/executions/workflows/:exec_id/resume", name: "resumeExecution", summary: "Resume a paused execution",
		handle: (*exchange).resume, scopes: []Scope{ExecutionsWrite}, body: true, writes: true, success: []int{200}},
	{method: "GET", path: api + "/executions/workflows/:exec_id/history", name: "getHistory", summary: "Read the records of an execution",
		handle: (*exchange).history, scopes: []Scope{ExecutionsRead}, query: []string{"after", "limit"}, success: []int{200}},
	{method: "GET", path: api + "/executions/workflows/:exec_id/why", name: "getWhy", summary: "Say what an execution waits for",
		handle: (*exchange).why, scopes: []Scope{ExecutionsRead}, success: []int{200}},
	{method: "GET", path: api + "/executions/workflows/:exec_id/stream", name: "streamExecution", summary: "Follow the records of an execution",
		handle: (*exchange).stream, scopes: []Scope{ExecutionsRead}, lane: laneStream, query: []string{"events", "last_event_id"}, success: []int{200, 204}},

	{method: "GET", path: api + "/waits", name: "listWaits", summary: "List what waits for what",
		handle: (*exchange).listWaits, scopes: []Scope{ExecutionsRead}, query: append([]string{"name", "workflow_id", "correlation"}, pageParams...), success: []int{200}},
	{method: "PATCH", path: api + "/waits/:wait_id", name: "moveWait", summary: "Move the deadline of an open wait",
		handle: (*exchange).moveWait, scopes: []Scope{ExecutionsWrite}, body: true, writes: true, success: []int{200}},
	{method: "GET", path: api + "/signals/:signal_id", name: "getSignalReceipt", summary: "Look up what became of a signal",
		handle: (*exchange).signalReceipt, scopes: []Scope{SignalsWrite, ExecutionsRead}, query: []string{"exec_id", "wait"}, success: []int{200}},
	{method: "GET", path: api + "/events/:event_id", name: "getEventReceipt", summary: "Look up what became of an event",
		handle: (*exchange).eventReceipt, scopes: []Scope{EventsWrite, ExecutionsRead}, query: []string{"source", "wait"}, success: []int{200}},

	{method: "GET", path: letterPath, name: "listDeadLetters", summary: "List dead letters, or count them by group",
		handle: (*exchange).listLetters, scopes: []Scope{ExecutionsRead}, query: append([]string{"grouped"}, append(letterParams, pageParams...)...), success: []int{200}},
	{method: "DELETE", path: letterPath, name: "discardDeadLetters", summary: "Discard a group of dead letters",
		handle: (*exchange).discardLetters, scopes: []Scope{ExecutionsWrite}, writes: true, query: append([]string{"limit"}, letterParams...), success: []int{200}},
	{method: "GET", path: letterPath + "/:letter_id", name: "getDeadLetter", summary: "Get a dead letter with its payload",
		handle: (*exchange).getLetter, scopes: []Scope{ExecutionsRead}, success: []int{200}},
	{method: "DELETE", path: letterPath + "/:letter_id", name: "discardDeadLetter", summary: "Discard a dead letter",
		handle: (*exchange).discardLetter, scopes: []Scope{ExecutionsWrite}, writes: true, success: []int{200}},
	{method: "POST", path: letterPath + "/:letter_id/redeliver", name: "redeliverDeadLetter", summary: "Send the message of a dead letter on its way again",
		handle: (*exchange).redeliverLetter, scopes: []Scope{ExecutionsWrite}, writes: true, query: []string{"force"}, success: []int{200}},
	{method: "POST", path: api + "/redeliveries", name: "redeliverDeadLetters", summary: "Send the messages of a group of dead letters on their way again",
		handle: (*exchange).redeliverLetters, scopes: []Scope{ExecutionsWrite}, writes: true, query: append([]string{"force", "limit"}, letterParams...), success: []int{200}},
	{method: "GET", path: api + "/books", name: "getBooks", summary: "Prove that every accepted message has exactly one fate",
		handle: (*exchange).books, scopes: []Scope{ExecutionsRead}, query: []string{"name"}, success: []int{200}},

	{method: "GET", path: api + "/workflows", name: "listWorkflows", summary: "List the loaded workflows",
		handle: (*exchange).listWorkflows, scopes: []Scope{ExecutionsRead, ExecutionsWrite}, success: []int{200}},
	{method: "GET", path: api + "/workflows/:workflow_id", name: "getWorkflow", summary: "Get a workflow with its definition",
		handle: (*exchange).getWorkflow, scopes: []Scope{ExecutionsRead, ExecutionsWrite}, success: []int{200}},

	{method: "GET", path: api + "/keys", name: "listKeys", summary: "List the API keys",
		handle: (*exchange).listKeys, scopes: []Scope{Admin}, success: []int{200}},
	{method: "POST", path: api + "/keys", name: "createKey", summary: "Create an API key",
		handle: (*exchange).createKey, scopes: []Scope{Admin}, body: true, writes: true, success: []int{201}},
	{method: "DELETE", path: api + "/keys/:key_id", name: "revokeKey", summary: "Revoke an API key",
		handle: (*exchange).revokeKey, scopes: []Scope{Admin}, writes: true, success: []int{200}},
	{method: "GET", path: api + "/cluster", name: "getCluster", summary: "List the nodes and what each holds",
		handle: (*exchange).cluster, scopes: []Scope{Admin}, success: []int{200}},
	{method: "GET", path: api + "/audit", name: "listAudit", summary: "Read the audit records, newest first",
		handle: (*exchange).listAudit, scopes: []Scope{Admin}, query: []string{"limit"}, success: []int{200}},

	{method: "GET", path: "/", name: "getCard", summary: "What this is",
		handle: (*exchange).card, access: forEverybody, lane: laneFree, loose: true, success: []int{200}},
	{method: "GET", path: api, name: "getAPICard", summary: "What this is",
		handle: (*exchange).card, access: forEverybody, lane: laneFree, loose: true, success: []int{200}},
	{method: "GET", path: "/healthz", name: "getHealthz", summary: "Is the process there",
		handle: (*exchange).alive, access: forEverybody, lane: laneFree, loose: true, success: []int{200}},
	{method: "GET", path: "/livez", name: "getLivez", summary: "Is the process there",
		handle: (*exchange).alive, access: forEverybody, lane: laneFree, loose: true, success: []int{200}},
	{method: "GET", path: "/readyz", name: "getReadyz", summary: "Can the node do its work",
		handle: (*exchange).ready, access: forEverybody, lane: laneFree, loose: true, success: []int{200}},
	{method: "GET", path: api + "/health", name: "getHealth", summary: "Can the node do its work",
		handle: (*exchange).ready, access: forEverybody, lane: laneFree, loose: true, success: []int{200}},
	{method: "GET", path: "/metrics", name: "getMetrics", summary: "Metrics in Prometheus' text form",
		handle: (*exchange).scrape, access: forLoopback, scopes: []Scope{ExecutionsRead}, lane: laneFree, loose: true, success: []int{200}},
	{method: "GET", path: "/openapi.json", name: "getOpenAPI", summary: "The OpenAPI document",
		handle: (*exchange).openapi, access: forEverybody, loose: true, success: []int{200}},
	{method: "GET", path: "/docs/errors", name: "getErrorDocs", summary: "What the codes of problems mean",
		handle: (*exchange).errorDocs, access: forEverybody, loose: true, success: []int{200}},
}

// echoRoute answers a body with itself through everything that a signal passes
// but the node: what the stack alone costs. It is mounted for benchmarks only
// and is not part of the API.
var echoRoute = route{method: "POST", path: api + "/echo", name: "echo", handle: (*exchange).echo,
	scopes: []Scope{SignalsWrite}, body: true, writes: true, success: []int{200}}

// unmatched stands for every request that no row matches.
var unmatched = route{path: "unmatched", access: forEverybody, lane: laneFree, loose: true}

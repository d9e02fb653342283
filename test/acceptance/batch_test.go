package acceptance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

const lines = "application/x-ndjson"

func TestABatchHasOneResultForEachItem(t *testing.T) {
	script(t, tableYAML,
		At("0s", Start("x", "approval", `{}`), Start("y", "bounded", `{}`), Start("z", "approval", `{}`), Cancel("z", "")),
		At("1s", Post("/signals", `[
			{"exec_id":"x","signal_name":"decision","payload":{"ok":true},"signal_id":"a"},
			{"exec_id":"y","signal_name":"amount","payload":{"eur":900},"signal_id":"b","ttl":"1h"},
			{"exec_id":"x","signal_name":"descision"},
			{"exec_id":"z","signal_name":"decision"},
			{"exec_id":"nobody","signal_name":"decision"},
			{"signal_name":"decision"},
			{"exec_id":"x","signal_name":"paid","payload":[1]},
			7,
			{"exec_id":"x","signal_name":"decision","payload":{"ok":true},"signal_id":"a"},
			{"exec_id":"x","signal_name":"decision","payload":{"ok":false},"signal_id":"a"},
			{"exec_id":"x","signal_name":"paid"},
			{"exec_id":"x","signal_name":"paid"}]`,
			Is(200), Headed("Signalbox-Durability", "memory"), Has("data.results.*", 12), Has("data.accepted", 5), Has("data.refused", 7),
			Has("data.results.0.status", 200), Has("data.results.0.data.outcome", "delivered"), Has("data.results.0.data.wait.id", "hold/1"),
			Has("data.results.1.status", 200), Has("data.results.1.data.outcome", "buffered"), Telling("data.results.1.data.reason", "900 <= 500 is false"),
			Has("data.results.2.status", 422), Has("data.results.2.problem.code", "signal_never_awaited"), Has("data.results.2.problem.details.did_you_mean", "decision"),
			Has("data.results.3.status", 409), Has("data.results.3.problem.code", "execution_finished"),
			Has("data.results.4.status", 404), Has("data.results.5.status", 400), Has("data.results.5.problem.errors.0.pointer", "/exec_id"),
			Has("data.results.6.status", 400), Has("data.results.7.status", 400),
			Has("data.results.8.data.duplicate", true), Has("data.results.8.data.outcome", "delivered"),
			Has("data.results.9.problem.code", "id_reused"),
			Has("data.results.11.index", 11), Has("data.results.11.data.status", "SUCCESS"))),
		At("2s", Status("x", workflow.Success), Get("/signals/a", Has("data.state", "consumed"))))
}

func TestABatchToOneExecutionIsTakenInOrderInFewCommits(t *testing.T) {
	const n = 500
	var items []string
	for i := range n {
		items = append(items, fmt.Sprintf(`{"exec_id":"x","signal_name":"tick","payload":{"n":%d},"signal_id":"t%d"}`, i+1, i+1))
	}
	script(t, `
id: counter
tasks:
  - id: tick
    type: wait
    wait_for: tick
    outputs: {n: "{{ .signal.payload.n }}"}
    on_success: {next: tick}
`,
		At("0s", Start("x", "counter", `{}`)),
		At("1s", commits(4, Post("/signals", strings.Join(items, "\n"), With("Content-Type", lines), Is(200), Headed("Content-Type", lines)))),
		At("2s", Records("x", workflow.SignalConsumed, n), Get("/signals/t1", Has("data.wait.id", "tick/1")), Get("/signals/t500", Has("data.wait.id", "tick/500"))),
		At("3s", PowerLoss(), Get("/signals/t500", Has("data.wait.id", "tick/500")), Waits("tick", 1)))
}

// commits wants at most so many commits while something is done.
func commits(most uint64, then act) act {
	return func(w *world) error {
		before := w.store.Stats().Commits
		if err := then(w); err != nil {
			return err
		}
		if n := w.store.Stats().Commits - before; n > most {
			return fail("it took %d commits, want at most %d", n, most)
		}
		return nil
	}
}

func TestAnAtomicBatchIsKeptInOneCommitOrNotAtAll(t *testing.T) {
	script(t, tableYAML,
		At("0s", Start("x", "approval", `{}`), Start("y", "approval", `{}`)),
		At("1s", Post("/signals?atomic=true", `[
			{"exec_id":"x","signal_name":"decision","signal_id":"a"},
			{"exec_id":"x","signal_name":"paid","signal_id":"b"},
			{"exec_id":"x","signal_name":"payd","signal_id":"c"}]`,
			Is(422), Has("code", "signal_never_awaited"), Has("details.index", 2), Has("details.signal_id", "c"),
			Has("details.did_you_mean", "paid"), Telling("detail", "item 2 was refused, so none was kept"))),
		At("1s", Get("/signals/a", Is(404)), Get("/signals/b", Is(404)), Records("x", "signal.accepted", 0), Waits("decision", 2)),
		// An item that the others make impossible refuses them all: the third ends the execution.
		At("2s", Post("/signals?atomic=true", `[{"exec_id":"x","signal_name":"decision"},{"exec_id":"x","signal_name":"paid"},
			{"exec_id":"x","signal_name":"paid"},{"exec_id":"x","signal_name":"paid"}]`, Is(409), Has("code", "execution_finished"), Has("details.index", 3)),
			Status("x", workflow.Waiting), Records("x", "signal.accepted", 0)),
		At("3s", Post("/signals?atomic=true", `[{"exec_id":"x","signal_name":"decision"},{"exec_id":"y","signal_name":"decision"}]`,
			Is(400), Has("details.index", 1), Telling("detail", "one"))),
		At("4s", commits(1, Post("/signals?atomic=true", `[
			{"exec_id":"x","signal_name":"decision","signal_id":"a"},
			{"exec_id":"x","signal_name":"paid","signal_id":"b"},
			{"exec_id":"x","signal_name":"paid","signal_id":"c"}]`,
			Is(200), Has("data.accepted", 3), Has("data.results.2.data.status", "SUCCESS")))),
		At("5s", PowerLoss(), Status("x", workflow.Success), Get("/signals/c", Has("data.state", "consumed"))),
		// The same again is a repeat, item by item.
		At("6s", Post("/signals?atomic=true", `[{"exec_id":"x","signal_name":"decision","signal_id":"a"}]`, Is(200), Has("data.results.0.data.duplicate", true)),
			Post("/signals?atomic=true", `[{"exec_id":"x","signal_name":"decision","payload":{"n":1},"signal_id":"a"}]`, Is(422), Has("code", "id_reused"), Has("details.index", 0))))
}

func TestABatchOfEventsReachesEveryListenerOfEach(t *testing.T) {
	script(t, listenersYAML,
		At("0s", Start("mine", "audit", `{"order":"A"}`)),
		At("1s", Post("/events", `[
			{"name":"order.created","id":"e1","payload":{"order":"A","address":"Elm Street"}},
			{"name":"order.created","id":"e1","payload":{"order":"A","address":"Elm Street"}},
			{"name":"order.created","id":"e1","payload":{"order":"B"}},
			{"name":"order.created","id":"e2","payload":{"order":"B"}},
			{"payload":{}}]`,
			Is(200), Has("data.accepted", 3), Has("data.refused", 2), Has("data.results.0.status", 202), Has("data.results.0.data.duplicate", false),
			Has("data.results.1.data.duplicate", true), Has("data.results.2.status", 422), Has("data.results.4.status", 400))),
		At("2s", EventFate("e1", workflow.FateConsumed, 3), Executions("invoice", workflow.Success, 2), Executions("ship", workflow.Success, 1), Status("mine", workflow.Success)))
}

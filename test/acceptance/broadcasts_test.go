package acceptance

import (
	"fmt"
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

const stockYAML = `
workflows:
- id: order
  input: {type: object, properties: {item: {type: string}}}
  tasks:
    - {id: stock, type: wait, wait_for: stock, condition: signal.payload.item == workflow.input.item}
- id: note
  tasks: [{id: read, type: wait, wait_for: read}]
`

const broadcasts = "/api/v0/broadcasts/"

// startMany starts n orders of an item.
func startMany(prefix, item string, n int) act {
	return func(w *world) error {
		for i := range n {
			if err := Start(fmt.Sprintf("%s%03d", prefix, i), "order", `{"item":"`+item+`"}`)(w); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestABroadcastSurvivesPowerLossAndReachesNobodyTwice(t *testing.T) {
	body := `{"filter":{"workflow_id":"order"},"signal_name":"stock","payload":{"item":"lamp"},"rate":10,"broadcast_id":"b"}`
	script(t, stockYAML,
		At("0s", startMany("l", "lamp", 30), startMany("c", "chair", 5)),
		At("1s", Call("POST", "/api/v0/signals?dry_run=true", body, Code(200), Reads("data.matched", 35), Reads("data.sample.#", 10)),
			Call("GET", broadcasts+"b", "", Code(404)),
			Call("POST", "/api/v0/signals", body, Code(202), Reads("data.progress.pending", 0), Replayed(false))),
		At("2500ms", Call("GET", broadcasts+"b", "", Reads("data.state", "delivering"), Reads("data.progress.matched", 35), Reads("data.progress.pending", 15))),
		At("2600ms", PowerLoss(), Call("POST", "/api/v0/signals", body, Code(202), Replayed(true))),
		Want(Between("3s", "7s"), Call("GET", broadcasts+"b", "", Reads("data.state", "done"))),
		At("8s", Call("GET", broadcasts+"b", "", Reads("data.progress", map[string]int{"matched": 35, "delivered": 30, "buffered": 5, "refused": 0, "failed": 0, "pending": 0})),
			Call("GET", broadcasts+"b/results?outcome=buffered", "", Reads("data.results.#", 5), Tells("data.results.0.reason", "chair")),
			Records("l000", "signal.accepted", 1), Records("l029", "signal.accepted", 1), Records("c000", "signal.accepted", 1),
			Status("l007", workflow.Success)))
}

func TestABroadcastIsCanceled(t *testing.T) {
	script(t, stockYAML,
		At("0s", startMany("l", "lamp", 30)),
		At("1s", Call("POST", "/api/v0/signals", `{"filter":{"waiting_for":"stock"},"signal_name":"stock","payload":{"item":"lamp"},"rate":10,"broadcast_id":"b"}`, Code(202))),
		At("2500ms", Call("POST", broadcasts+"b/cancel", `{"reason":"wrong item"}`, Code(200), Reads("data.state", "canceled"), Reads("data.reason", "wrong item"),
			Reads("data.progress.delivered", 20), Reads("data.progress.pending", 10))),
		At("1m", Call("GET", broadcasts+"b/results?outcome=pending", "", Reads("data.results.#", 10), Reads("data.results.0.outcome", "canceled")),
			Call("GET", "/api/v0/executions/workflows?waiting_for=stock", "", Reads("data.executions.#", 10)),
			Call("POST", broadcasts+"b/cancel", "", Code(200))))
}

func TestTheFilterOfABroadcastIsTrueInAllItsParts(t *testing.T) {
	count := func(filter string, want int) act {
		return Call("POST", "/api/v0/signals?dry_run=true", `{"filter":`+filter+`,"signal_name":"stock"}`, Code(200), Reads("data.matched", want))
	}
	script(t, stockYAML,
		At("0s", startMany("l", "lamp", 3), startMany("c", "chair", 2), Start("gone", "order", `{"item":"lamp"}`), Cancel("gone", ""), Start("held", "order", `{"item":"lamp"}`), Pause("held"),
			Call("POST", "/api/v0/workflows/note/executions", `{"exec_id":"n","labels":{"region":"eu"}}`, Code(202))),
		At("1s", count(`{"workflow_id":"order"}`, 6), count(`{"status":"waiting"}`, 6), count(`{"status":"PAUSED"}`, 1), count(`{"waiting_for":"stock"}`, 6),
			count(`{"labels":{"region":"eu"}}`, 1), count(`{"labels":{"region":"us"}}`, 0), count(`{"workflow_id":"order","labels":{"region":"eu"}}`, 0),
			count(`{"correlation":"lamp"}`, 4), count(`{"correlation":"lamp","status":"WAITING"}`, 3), count(`{"correlation":"sofa"}`, 0)),
		At("2s", Call("POST", "/api/v0/signals", `{"filter":{"correlation":"chair"},"signal_name":"stock","payload":{"item":"chair"},"broadcast_id":"b"}`, Code(202))),
		At("3s", Call("GET", broadcasts+"b", "", Reads("data.state", "done"), Reads("data.progress.delivered", 2)), Status("c001", workflow.Success)))
}

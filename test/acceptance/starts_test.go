package acceptance

import (
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

const keyedYAML = `
workflows:
- id: order
  key: {value: "{{ .workflow.input.order_id }}", unique: true}
  labels: {region: "{{ .workflow.input.region | default \"eu\" }}"}
  triggers: [{name: order.placed}]
  tasks:
    - {id: paid, type: wait, wait_for: paid, condition: signal.payload.amount > 0}
    - {id: shipped, type: wait, wait_for: shipped}
- id: seat
  key: {unique: true, when_taken: refuse}
  triggers: [{name: seat.asked}]
  tasks: [{id: taken, type: wait, wait_for: free}]
- id: note
  key: "{{ .input.about }}"
  tasks: [{id: read, type: wait, wait_for: read, schema: {type: object, required: [by]}}]
`

const (
	orders = "/api/v0/workflows/order/executions"
	seats  = "/api/v0/workflows/seat/executions"
	notes  = "/api/v0/workflows/note/executions"
	lists  = "/api/v0/executions/workflows"
)

func TestASignalWithStartStartsWhatIsAbsentAndSignalsWhatIsThere(t *testing.T) {
	paid := `{"input":{"order_id":"A-17"},"signal":{"signal_name":"paid","payload":{"amount":5},"signal_id":"p1"}}`
	script(t, keyedYAML,
		At("0s", Call("POST", orders, paid, Code(202), Reads("data.started", true), Reads("data.duplicate", false), Reads("data.key", "A-17"),
			Reads("data.signal.outcome", "delivered"), Reads("data.signal.wait.task_id", "paid"), Replayed(false))),
		// The same again is the same answer.
		At("1s", Call("POST", orders, paid, Code(202), Reads("data.started", true), Reads("data.duplicate", true), Reads("data.signal.signal_id", "p1"),
			Reads("data.signal.outcome", "delivered"), Replayed(true))),
		At("2s", PowerLoss(), Call("POST", orders, paid, Code(202), Reads("data.started", true), Replayed(true))),
		// Another one goes to the execution that is there, whatever its input is.
		At("3s", Call("POST", orders, `{"key":"A-17","input":{"order_id":"other"},"signal":{"signal_name":"shipped","signal_id":"s1"}}`,
			Code(200), Reads("data.started", false), Reads("data.signal.outcome", "delivered"), Reads("data.signal.status", "SUCCESS"), Reads("data.duplicate", false))),
		// It has finished; a repeat of either still gets its first answer.
		At("4s", Call("POST", orders, paid, Code(202), Reads("data.started", true), Replayed(true)),
			Call("POST", orders, `{"key":"A-17","signal":{"signal_name":"shipped","signal_id":"s1"}}`, Code(200), Reads("data.started", false), Replayed(true)),
			Call("GET", lists+"?workflow_id=order&key=A-17", "", Code(200), Reads("data.executions.#", 1), Reads("data.executions.0.status", "SUCCESS"))),
		// The next one of that key is another execution.
		At("5s", Call("POST", orders, `{"key":"A-17","signal":{"signal_name":"shipped","signal_id":"s2"}}`, Code(202), Reads("data.started", true),
			Reads("data.signal.outcome", "buffered")),
			Call("POST", orders, paid, Code(202), Reads("data.started", true), Replayed(true)),
			Call("GET", lists+"?workflow_id=order&key=A-17", "", Reads("data.executions.#", 2), Reads("data.executions.0.labels", map[string]string{"region": "eu"}))),
		At("6s", Call("POST", orders, `{"key":"A-17","signal":{"signal_name":"paid","signal_id":"p1","payload":{"amount":6}}}`, Code(422), Reads("code", workflow.CodeIDReused))))
}

func TestARefusedSignalStartsNothing(t *testing.T) {
	script(t, keyedYAML,
		At("0s", Call("POST", orders, `{"key":"A-1","signal":{"signal_name":"payd","payload":{}}}`, Code(422), Reads("code", workflow.CodeNeverAwaited), Tells("hint", `did you mean "paid"`), Tells("hint", "start without it, then send it to the execution with ?force=true")),
			Call("POST", notes, `{"exec_id":"n","input":{"about":"x"},"signal":{"signal_name":"read","payload":{}}}`, Code(422), Reads("code", workflow.CodePayloadInvalid)),
			Call("POST", notes, `{"exec_id":"n","input":{"about":"x"},"signal":{"payload":{}}}`, Code(400), Reads("errors.0.pointer", "/signal/signal_name")),
			Call("GET", lists, "", Reads("data.executions.#", 0)),
			Call("GET", lists+"/n", "", Code(404))),
		At("1s", Call("POST", notes, `{"exec_id":"n","input":{"about":"x"},"signal":{"signal_name":"read","payload":{"by":"me"}}}`, Code(202), Reads("data.signal.status", "SUCCESS")),
			Call("POST", notes, `{"exec_id":"n","input":{"about":"x"},"signal":{"signal_name":"read","payload":{"by":"you"}}}`, Code(409), Reads("code", workflow.CodeFinished)),
			Call("POST", notes, `{"input":{"about":"x"},"signal":{"signal_name":"read","payload":{"by":"you"}}}`, Code(400), Tells("detail", "not unique"))))
}

func TestAnIdempotencyKeyIsTheIdentityOfAStartWithItsSignal(t *testing.T) {
	header := map[string]string{"Idempotency-Key": "once"}
	body := `{"input":{"about":""},"signal":{"signal_name":"read","payload":{"by":"me"}}}`
	script(t, keyedYAML,
		At("0s", CallWith("POST", notes, body, header, Code(202), Reads("data.started", true), Reads("data.signal.signal_id", "once"), Replayed(false))),
		At("1s", Restart(), CallWith("POST", notes, body, header, Code(202), Reads("data.started", true), Reads("data.signal.signal_id", "once"), Replayed(true)),
			Call("GET", lists, "", Reads("data.executions.#", 1))))
}

func TestASignalIsAddressedByKeyAndStartsNothing(t *testing.T) {
	signal := `{"key":"A-17","start":false,"signal":{"signal_name":"paid","payload":{"amount":5},"signal_id":"p1"}}`
	script(t, keyedYAML,
		At("0s", Call("POST", orders, signal, Code(404), Reads("code", workflow.CodeNoExecution), Tells("detail", `"A-17"`)),
			Call("POST", orders, `{"start":false,"signal":{"signal_name":"paid"}}`, Code(400)),
			Call("POST", orders, `{"start":false,"key":"A-17"}`, Code(400))),
		At("1s", Call("POST", orders, `{"exec_id":"o","key":"A-17"}`, Code(202), Reads("data.started", true)),
			Call("POST", orders, signal, Code(200), Reads("data.exec_id", "o"), Reads("data.started", false), Reads("data.signal.outcome", "delivered"))),
		At("2s", Cancel("o", ""), Call("POST", orders, signal, Code(200), Reads("data.exec_id", "o"), Replayed(true)),
			Call("POST", orders, `{"key":"A-17","start":false,"signal":{"signal_name":"paid"}}`, Code(404)),
			Call("POST", orders, `{"exec_id":"o","start":false,"signal":{"signal_name":"paid"}}`, Code(409))))
}

func TestAUniqueKeyHasOneLiveExecution(t *testing.T) {
	script(t, keyedYAML,
		At("0s", Call("POST", orders, `{"exec_id":"o1","input":{"order_id":17}}`, Code(202), Reads("data.key", "17"), Reads("data.started", true), Reads("data.duplicate", false)),
			Call("POST", orders, `{"exec_id":"o2","input":{"order_id":17}}`, Code(202), Reads("data.exec_id", "o1"), Reads("data.started", false), Reads("data.duplicate", true), Replayed(false)),
			Call("GET", lists+"/o2", "", Code(404)), Call("GET", lists+"/o1", "", Reads("data.key", "17"))),
		At("1s", Call("POST", seats, `{"exec_id":"s1","key":"12A"}`, Code(202)),
			Call("POST", seats, `{"exec_id":"s2","key":"12A"}`, Code(409), Reads("code", workflow.CodeKeyTaken), Reads("details.exec_id", "s1")),
			Call("POST", seats, `{"exec_id":"s2","key":"12B"}`, Code(202)),
			Call("POST", seats, `{"exec_id":"s2","key":"12C"}`, Code(409), Reads("code", workflow.CodeExecutionExists)),
			Call("POST", seats, `{"exec_id":"s3"}`, Code(202), Reads("data.key", nil)),
			Call("POST", seats, `{"exec_id":"s4"}`, Code(202), Reads("data.exec_id", "s4"))),
		// A crash changes nothing, the end of the holder everything.
		At("2s", PowerLoss(), Call("POST", seats, `{"exec_id":"s5","key":"12A"}`, Code(409), Reads("details.exec_id", "s1")),
			Cancel("s1", ""), Call("POST", seats, `{"exec_id":"s5","key":"12A"}`, Code(202), Reads("data.started", true)),
			Call("GET", lists+"?workflow_id=seat&key=12A&status=waiting", "", Reads("data.executions.#", 1), Reads("data.executions.0.workflow_exec_id", "s5")),
			Call("GET", lists+"?key=12A", "", Code(400))),
		// Keys that are not unique only mark.
		At("3s", Call("POST", notes, `{"exec_id":"n1","input":{"about":"x"}}`, Code(202)), Call("POST", notes, `{"exec_id":"n2","input":{"about":"x"}}`, Code(202)),
			Call("GET", lists+"?workflow_id=note&key=x", "", Reads("data.executions.#", 2)),
			Call("POST", notes, `{"exec_id":"n3","input":{}}`, Code(400), Reads("code", workflow.CodeInputInvalid), Tells("detail", "key of workflow note"))))
}

func TestAnEventDoesNotStartASecondExecutionOfAKey(t *testing.T) {
	script(t, keyedYAML,
		At("0s", Event("e1", "order.placed", `{"order_id":"A-1","region":"us"}`)),
		At("1s", Call("GET", lists+"?labels=region=us", "", Reads("data.executions.#", 1), Reads("data.executions.0.key", "A-1"))),
		At("2s", Event("e2", "order.placed", `{"order_id":"A-1"}`)),
		At("3s", Call("GET", "/api/v0/events/e2", "", Reads("data.deliveries.0.outcome", "ignored"), Tells("data.deliveries.0.reason", `has the key "A-1"`)),
			Call("GET", lists+"?workflow_id=order&key=A-1", "", Reads("data.executions.#", 1))),
		At("4s", Event("e3", "order.placed", `{"note":"without"}`)),
		At("5s", Call("GET", "/api/v0/events/e3", "", Reads("data.deliveries.0.outcome", "refused"), Tells("data.deliveries.0.reason", "key of workflow order"))))
}

func TestLabelsAreShownAndFilterTheList(t *testing.T) {
	script(t, keyedYAML,
		At("0s", Call("POST", notes, `{"exec_id":"a","input":{"about":1},"labels":{"region":"eu","tier":"gold"}}`, Code(202)),
			Call("POST", notes, `{"exec_id":"b","input":{"about":2},"labels":{"region":"eu"}}`, Code(202)),
			Call("POST", orders, `{"exec_id":"c","key":"k","input":{"order_id":1},"labels":{"region":"asia"}}`, Code(202))),
		At("1s", Call("GET", lists+"/c", "", Reads("data.labels", map[string]string{"region": "asia"}), Reads("data.key", "k")),
			Call("GET", lists+"?labels=region=eu", "", Reads("data.executions.#", 2)),
			Call("GET", lists+"?labels=region=eu,tier=gold", "", Reads("data.executions.#", 1), Reads("data.executions.0.workflow_exec_id", "a")),
			Call("GET", notes+"?labels=tier=gold&waiting_for=read", "", Reads("data.executions.#", 1)),
			Call("GET", lists+"?labels=region", "", Code(400)), Call("GET", lists+"?labels=a=1,a=2", "", Code(400)),
			Call("POST", notes, `{"labels":{"bad name":"x"}}`, Code(400), Reads("errors.0.pointer", "/labels/bad name")),
			Call("POST", notes, `{"labels":{"n":1}}`, Code(400))))
}

// TestASignalOfAStartMeetsTheExecutionThatIsThere: also when it is not in memory,
// and a new one would refuse the signal.
func TestASignalOfAStartMeetsTheExecutionThatIsThere(t *testing.T) {
	script(t, `
id: pair
tasks:
  - {id: one, type: wait, wait_for: a, schema: {type: object, required: [by]}}
  - {id: two, type: wait, wait_for: b}
`,
		At("0s", Start("x", "pair", `{}`), Signal("x", "a", `{"by":"ada"}`)),
		At("1s", Restart(), Call("POST", "/api/v0/workflows/pair/executions", `{"exec_id":"x","signal":{"signal_name":"a","payload":{},"signal_id":"late"}}`,
			Code(200), Reads("data.started", false), Reads("data.signal.outcome", "buffered"))),
		At("2s", Restart(), Call("POST", "/api/v0/workflows/pair/executions", `{"exec_id":"x","signal":{"signal_name":"c","payload":{}}}`, Code(422)),
			Signal("x", "b", `{}`, Outcome("delivered")), Status("x", workflow.Success)))
}

package acceptance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox/signalbox/http"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/storetest"
	"github.com/signalbox/signalbox/runtime"
	"github.com/signalbox/signalbox/workflow"
)

// The table of answers to a signal, row by row and over HTTP: what the sender
// is told in every state that an execution can be in, and that it is true.

const tableYAML = `
workflows:
  - id: approval
    tasks:
      - {id: hold, type: wait, wait_for: decision, timeout: 24h}
      - {id: pay, type: wait, wait_for: paid}
      - {id: pay-again, type: wait, wait_for: paid}
  - id: bounded
    tasks:
      - {id: small, type: wait, wait_for: amount, condition: 'signal.payload.eur <= 500', on_success: {next: large}}
      - {id: large, type: wait, wait_for: amount, condition: 'signal.payload.eur > 500'}
`

const raisedYAML = `
id: raised
tasks:
  - {id: limit, type: wait, wait_for: limit, depends_on: []}
  - {id: hold, type: wait, wait_for: amount, depends_on: [], condition: 'signal.payload.eur <= tasks.limit.output.signal.payload.eur'}
`

const typedYAML = `
id: typed
tasks:
  - id: hold
    type: wait
    wait_for: amount
    schema: {type: object, required: [eur, by], properties: {eur: {type: number}, by: {type: string}}}
`

// TestTheTableOfAnswers has one subtest for each row of the table.
func TestTheTableOfAnswers(t *testing.T) {
	for _, row := range []struct {
		name  string
		yaml  string
		lines [][]line
	}{
		{"an open wait matches", tableYAML, rowDelivered},
		{"no open wait for it now", tableYAML, rowBuffered},
		{"no open wait for it now, kept for a time to live", tableYAML, rowExpires},
		{"the condition is false, and a later wait opens", tableYAML, rowConditionFalse},
		{"the condition is false, and the context changes", raisedYAML, rowContextChanges},
		{"the workflow can never wait for that name", tableYAML, rowNeverAwaited},
		{"same id, same body", tableYAML, rowRepeated},
		{"same id, other body", tableYAML, rowReused},
		{"the payload breaks the schema of the wait", typedYAML, rowSchema},
		{"the execution has finished", tableYAML, rowFinished},
		{"there is no such execution", tableYAML, rowUnknown},
		{"the buffer is full", tableYAML, rowFull},
		{"the store cannot write", tableYAML, rowStoreFails},
		{"the body is malformed", tableYAML, rowMalformed},
		{"the id is named twice", tableYAML, rowTwoIDs},
	} {
		t.Run(row.name, func(t *testing.T) { script(t, row.yaml, row.lines...) })
	}
}

var rowDelivered = [][]line{
	At("0s", Start("x", "approval", `{}`)),
	At("1s", Send("x", `{"signal_name":"decision","payload":{"ok":true},"signal_id":"d"}`, Is(200),
		Has("status", 200), Has("message", "signal sent successfully"), Has("data.message", "Signal sent successfully"),
		Has("data.signal_id", "d"), Has("data.outcome", "delivered"), Has("data.duplicate", false), Lacks("data.reason"),
		Has("data.wait.id", "hold/1"), Has("data.wait.task_id", "hold"), Has("data.status", "WAITING"), Headed("Idempotent-Replayed", ""))),
	At("1s", Status("x", workflow.Waiting), Task("x", "hold", workflow.Success)),
	// The last one ends the execution, and the answer says that.
	At("2s", Send("x", `{"signal_name":"paid"}`), Send("x", `{"signal_name":"paid"}`, Is(200), Has("data.status", "SUCCESS"))),
}

var rowBuffered = [][]line{
	At("0s", Start("x", "approval", `{}`)),
	At("1s", Send("x", `{"signal_name":"paid","payload":{"n":1},"signal_id":"a"}`, Is(200), Has("data.outcome", "buffered"),
		Telling("data.reason", `no wait for "paid" is open now`), Lacks("data.wait"), Lacks("data.expires_at"), Has("data.status", "WAITING"))),
	At("2s", Send("x", `{"signal_name":"paid","payload":{"n":2},"signal_id":"b"}`, Is(200), Has("data.outcome", "buffered"))),
	At("3s", Get("/executions/workflows/x", Has("data.buffered", 2)), PowerLoss()),
	// The waits that open later take them in the order in which they came.
	At("4s", Send("x", `{"signal_name":"decision"}`, Is(200), Has("data.outcome", "delivered"), Has("data.status", "SUCCESS"))),
	At("5s", Get("/signals/a", Has("data.state", "consumed"), Has("data.steps.2.wait", "pay/1")),
		Get("/signals/b", Has("data.state", "consumed"), Has("data.steps.2.wait", "pay-again/1"))),
}

var rowExpires = [][]line{
	At("0s", Start("x", "approval", `{}`)),
	At("1s", Send("x", `{"signal_name":"paid","signal_id":"a","ttl":"5m"}`, Is(200), Has("data.outcome", "buffered"),
		Has("data.expires_at", "2000-01-01T00:05:01.000Z"))),
	Want(Between("5m1s", "5m2s"), Get("/signals/a", Is(200), Has("data.state", "expired"), Has("data.steps.2.what", "expired"))),
	// What has expired is taken by nobody any more, and is still known.
	At("6m", Send("x", `{"signal_name":"decision"}`), Task("x", "pay", workflow.Waiting)),
	At("6m", Send("x", `{"signal_name":"paid","signal_id":"a","ttl":"5m"}`, Is(200), Has("data.duplicate", true), Has("data.outcome", "buffered"))),
}

var rowConditionFalse = [][]line{
	At("0s", Start("x", "bounded", `{}`)),
	At("1s", Send("x", `{"signal_name":"amount","payload":{"eur":900},"signal_id":"a"}`, Is(200), Has("data.outcome", "buffered"),
		Telling("data.reason", "wait small/1 is open"), Telling("data.reason", "900 <= 500 is false"), Has("data.status", "WAITING"))),
	At("2s", Send("x", `{"signal_name":"amount","payload":{"euros":1},"signal_id":"b"}`, Is(200), Has("data.outcome", "buffered"), Telling("data.reason", "eur"))),
	At("3s", Send("x", `{"signal_name":"amount","payload":{"eur":5}}`, Is(200), Has("data.outcome", "delivered"), Has("data.wait.task_id", "small"))),
	At("3s", Status("x", workflow.Success),
		Get("/signals/a", Has("data.state", "consumed"), Has("data.outcome", "buffered")), Get("/signals/b", Has("data.state", "dead"))),
}

var rowContextChanges = [][]line{
	At("0s", Start("x", "raised", `{}`)),
	At("1s", Send("x", `{"signal_name":"amount","payload":{"eur":900},"signal_id":"a"}`, Is(200), Has("data.outcome", "buffered"))),
	// The end of another task changes what the condition sees.
	At("2s", Send("x", `{"signal_name":"limit","payload":{"eur":1000}}`, Is(200), Has("data.outcome", "delivered"))),
	At("3s", Get("/signals/a", Has("data.state", "consumed")), Status("x", workflow.Success)),
}

var rowNeverAwaited = [][]line{
	At("0s", Start("x", "approval", `{}`)),
	At("1s", Send("x", `{"signal_name":"descision","signal_id":"a"}`, Is(422), Has("code", "signal_never_awaited"),
		Has("details.did_you_mean", "decision"), Telling("hint", `did you mean "decision"`), Telling("hint", "?force=true"))),
	At("1s", Get("/signals/a", Is(404), Has("code", "signal_not_found"))),
	At("2s", Post("/executions/workflows/x/signals?force=true", `{"signal_name":"descision","signal_id":"a"}`, Is(200), Has("data.outcome", "buffered"))),
}

var rowRepeated = [][]line{
	At("0s", Start("x", "approval", `{}`)),
	At("1s", Send("x", `{"signal_name":"paid","payload":{"n":1},"signal_id":"a"}`, Has("data.outcome", "buffered"))),
	At("1s", Send("x", `{"signal_name":"paid","payload": {"n": 1}, "signal_id":"a"}`, Is(200), Has("data.duplicate", true), Has("data.outcome", "buffered"), Headed("Idempotent-Replayed", "true"))),
	At("1s", Send("x", `{"signal_name":"paid","payload":{"n":1}}`, With("Idempotency-Key", "a"), Is(200), Has("data.duplicate", true))),
	// The identity outlives the buffer, the delivery, a restart and the end of
	// the execution: the first receipt again, never 409.
	At("2s", Send("x", `{"signal_name":"decision","signal_id":"d"}`, Has("data.outcome", "delivered"))),
	At("3s", Send("x", `{"signal_name":"paid","payload":{"n":1},"signal_id":"a"}`, Is(200), Has("data.duplicate", true), Has("data.outcome", "buffered"))),
	At("4s", PowerLoss(), Send("x", `{"signal_name":"decision","signal_id":"d"}`, Is(200), Has("data.duplicate", true), Has("data.wait.id", "hold/1"))),
	At("5s", Send("x", `{"signal_name":"paid"}`, Has("data.status", "SUCCESS"))),
	At("48h", Send("x", `{"signal_name":"decision","signal_id":"d"}`, Is(200), Has("data.duplicate", true), Has("data.outcome", "delivered"), Has("data.status", "WAITING"), Headed("Idempotent-Replayed", "true"))),
	At("48h", Send("x", `{"signal_name":"decision","signal_id":"new"}`, Is(409))),
}

var rowReused = [][]line{
	At("0s", Start("x", "approval", `{}`)),
	At("1s", Send("x", `{"signal_name":"decision","payload":{"ok":true},"signal_id":"d"}`)),
	At("2s", Send("x", `{"signal_name":"decision","payload":{"ok":false},"signal_id":"d"}`, Is(422), Has("code", "id_reused"),
		Has("details.first_digest", workflow.Signal{Name: "decision", Payload: workflow.Value(`{"ok":true}`)}.Digest()),
		Has("details.digest", workflow.Signal{Name: "decision", Payload: workflow.Value(`{"ok":false}`)}.Digest()))),
	// Another name is another body too; the same id to another execution is another signal.
	At("3s", Send("x", `{"signal_name":"paid","payload":{"ok":true},"signal_id":"d"}`, Is(422), Has("code", "id_reused"))),
	At("4s", Start("y", "approval", `{}`), Send("y", `{"signal_name":"decision","payload":{"ok":false},"signal_id":"d"}`, Is(200), Has("data.duplicate", false))),
	At("5s", Get("/signals/d", Is(200), Has("data.others.*", 1)), Get("/signals/d?exec_id=y", Has("data.exec_id", "y"), Lacks("data.others"))),
}

var rowSchema = [][]line{
	At("0s", Start("x", "typed", `{}`)),
	At("1s", Send("x", `{"signal_name":"amount","payload":{"eur":"much","by":7},"signal_id":"a"}`, Is(422), Has("code", "payload_invalid"),
		Has("errors.*", 2), Has("errors.0.pointer", "/by"), Has("errors.1.pointer", "/eur"))),
	At("1s", Send("x", `{"signal_name":"amount","payload":{"by":"me"}}`, Is(422), Telling("errors.0.message", "eur"))),
	// Nothing was kept, so the corrected body may have the same id.
	At("2s", Get("/signals/a", Is(404)), Send("x", `{"signal_name":"amount","payload":{"eur":7,"by":"me"},"signal_id":"a"}`, Is(200), Has("data.outcome", "delivered"))),
}

var rowFinished = [][]line{
	At("0s", Start("x", "approval", `{}`), Start("y", "approval", `{}`)),
	At("1s", Send("x", `{"signal_name":"decision"}`), Send("x", `{"signal_name":"paid"}`), Send("x", `{"signal_name":"paid"}`)),
	At("2s", Send("x", `{"signal_name":"paid"}`, Is(409), Has("code", "execution_finished"), Has("details.status", "SUCCESS"), Telling("detail", "SUCCESS"))),
	At("3s", Cancel("y", "enough"), Send("y", `{"signal_name":"paid"}`, Is(409), Has("code", "execution_finished"), Has("details.status", "CANCELED"))),
}

var rowUnknown = [][]line{
	At("0s", Send("nobody", `{"signal_name":"paid","signal_id":"a"}`, Is(404), Has("code", "execution_not_found"), Has("error.code", "NOT_FOUND"), Telling("detail", "nobody"))),
	At("0s", Get("/signals/a", Is(404))),
}

var rowFull = [][]line{
	At("0s", Start("x", "approval", `{}`), fill("x", workflow.MaxBuffered)),
	At("1s", Send("x", `{"signal_name":"paid","signal_id":"over"}`, Is(429), Has("code", "buffer_full"), Headed("Retry-After", "5"), Telling("detail", "was not kept"))),
	At("1s", Get("/signals/over", Is(404))),
	// What was kept is still known, and what a wait takes at once has no need of the buffer.
	At("2s", Send("x", `{"signal_name":"paid","signal_id":"kept-0"}`, Is(200), Has("data.duplicate", true))),
	At("3s", Send("x", `{"signal_name":"decision"}`, Is(200), Has("data.outcome", "delivered"))),
}

// fill sends as many signals that no wait takes.
func fill(exec string, n int) act {
	return func(w *world) error {
		for i := range n {
			err := Send(exec, fmt.Sprintf(`{"signal_name":"paid","signal_id":"kept-%d"}`, i), Is(200), Has("data.outcome", "buffered"))(w)
			if err != nil {
				return err
			}
		}
		return nil
	}
}

var rowMalformed = [][]line{
	At("0s", Get("/executions/workflows?cursor=zzz", Is(400), Has("code", "invalid_request"), Telling("detail", "the cursor")),
		Get("/waits?cursor=zzz", Is(400), Has("code", "invalid_request")),
		Get("/deadletters?cursor=zzz", Is(400), Has("code", "invalid_request"))),
	At("0s", Start("x", "approval", `{}`),
		Send("x", `{"signal_name":`, Is(400), Has("code", "invalid_request"), Telling("detail", "line 1, column")),
		Send("x", ``, Is(400)),
		Send("x", `[]`, Is(400), Telling("detail", "an array, not an object")),
		Send("x", `{"payload":{}}`, Is(400), Has("errors.0.pointer", "/signal_name")),
		Send("x", `{"signal_name":""}`, Is(400), Has("errors.0.pointer", "/signal_name")),
		Send("x", `{"signal_name":"decision","payload":[1]}`, Is(400), Has("errors.0.pointer", "/payload"), Telling("detail", "an array, not an object")),
		Send("x", `{"signal_name":"decision","payload":"yes"}`, Is(400), Has("errors.0.pointer", "/payload")),
		Send("x", `null`, Is(400), Telling("detail", "null, not an object")),
		Send("x", ` `, Is(400), Telling("detail", "empty"), Telling("hint", "send a JSON object")),
		Send("x", `{"signal_name":"decision"} {"signal_name":"decision"}`, Is(400), Telling("detail", "line 1, column 28"), Telling("hint", "exactly one")),
		Send("x", `{"signal_name":"decision","payload":{"n":NaN}}`, Is(400), Telling("detail", "line 1, column 42")),
		Send("x", "{\"signal_name\":\"decision\",\"payload\":{\"n\":\"\xff\"}}", Is(400), Telling("detail", "UTF-8"), Telling("hint", "UTF-8")),
		Send("x", `{"signal_name":"decision","payload":`+strings.Repeat(`{"a":`, http.MaxBodyDepth)+`1`+strings.Repeat(`}`, http.MaxBodyDepth)+`}`,
			Is(400), Telling("detail", "65 levels deep, at most 64"), Telling("hint", "flatten")),
		Send("x", `{"signal_name":7}`, Is(400), Has("errors.0.pointer", "/signal_name"), Telling("detail", "a number, not a string"), Telling("hint", "quotes")),
		Send("x", `{"signal_name":"`+strings.Repeat("n", http.MaxIDBytes+1)+`"}`, Is(400), Has("errors.0.pointer", "/signal_name"), Telling("detail", "257 bytes, at most 256"), Telling("hint", "shorten")),
		Send("x", `{"signal_name":"decision","payload":{"ok":true},"payload":{"ok":false}}`, Is(400), Has("errors.0.pointer", "/payload"), Telling("detail", "stands twice"), Telling("hint", "leave one of them out")),
		Send("x", `{"signal_name":"decision","ttl":"-5m"}`, Is(400), Has("errors.0.pointer", "/ttl"), Telling("detail", "at most 3650d"), Telling("hint", "24h")),
		Send("x", `{"signal_name":"decision","tttl":"5m"}`, Is(400), Has("errors.0.pointer", "/tttl"), Telling("hint", `did you mean "ttl"`)),
		Send("x", `{"signal_name":"decision","ttl":"soon"}`, Is(400), Has("errors.0.pointer", "/ttl")),
		Send("x", `{"signal_name":"decision","payload":{"a":"`+strings.Repeat("a", http.MaxBodyBytes)+`"}}`, Is(413), Has("code", "body_too_large")),
		Send("x", `{}`, With("Content-Type", "text/plain"), Is(415), Telling("hint", "application/json")),
		Status("x", workflow.Waiting), Records("x", "signal.accepted", 0)),
}

var rowTwoIDs = [][]line{
	At("0s", Start("x", "approval", `{}`),
		Send("x", `{"signal_name":"decision","signal_id":"a"}`, With("Idempotency-Key", "b"), Is(400), Telling("detail", `signal_id is "a"`), Telling("detail", `Idempotency-Key is "b"`), Telling("hint", "one id")),
		Get("/signals/a", Is(404)), Get("/signals/b", Is(404)),
		Send("x", `{"signal_name":"decision","signal_id":"a"}`, With("Idempotency-Key", "a"), Is(200), Has("data.signal_id", "a"))),
}

// A write that fails is no answer: the sender may send it again under the same id,
// and gets it in once, whether the store is well by then or has kept the first one.
var rowStoreFails = [][]line{
	At("0s", Start("x", "approval", `{}`), onFailingStore(func(w *world, store *storetest.Faulty, send func(id string, shows ...shown) error) error {
		unavailable := []shown{Is(503), Has("code", "store_unavailable"), Headed("Retry-After", "1"), Telling("hint", "nothing was acknowledged"), Telling("hint", "the same id")}
		store.Script(storetest.Refused, storetest.Lost)
		refused := send("refused", unavailable...)
		lost := send("lost", unavailable...)
		return errors.Join(refused, lost,
			send("refused", Is(200), Has("data.outcome", "buffered"), Has("data.duplicate", false)),
			send("lost", Is(200), Has("data.outcome", "buffered"), Has("data.duplicate", true)))
	})),
}

// onFailingStore runs another node on the store of the world, for as long as the act
// lasts; its writes fail as the act says.
func onFailingStore(do func(w *world, store *storetest.Faulty, send func(id string, shows ...shown) error) error) act {
	return func(w *world) error {
		store := storetest.NewFaulty(lent{w.store}, 1, storetest.Odds{})
		node, err := runtime.New(runtime.Options{Store: store, Logger: slog.New(slog.DiscardHandler), Version: "failing"})
		if err == nil {
			err = errors.Join(node.Deploy(w.ctx, w.project), node.Start(w.ctx))
		}
		if err != nil {
			return err
		}
		door := http.NewServer(http.Options{Node: node})
		err = do(w, store, func(id string, shows ...shown) error {
			return w.ask(door, "POST", "/executions/workflows/x/signals", fmt.Sprintf(`{"signal_name":"paid","signal_id":%q}`, id), nil).judge(w, shows)
		})
		return errors.Join(err, node.Stop(w.ctx), store.Close())
	}
}

// lent is the store of the world, which stays open.
type lent struct{ persistence.Store }

func (lent) Close() error { return nil }

// stalled is a node whose signals take until it is let go.
type stalled struct {
	http.Node
	entered, release chan struct{}
}

func (s stalled) Signal(ctx context.Context, sig workflow.Signal) (workflow.Answer, error) {
	close(s.entered)
	<-s.release
	return s.Node.Signal(ctx, sig)
}

func TestTheTableOfAnswersAnOverloadedNode(t *testing.T) {
	script(t, tableYAML, At("0s", Start("x", "approval", `{}`), func(w *world) error {
		held := stalled{w.node, make(chan struct{}), make(chan struct{})}
		door := http.NewServer(http.Options{Node: held, MaxInFlight: 1})
		first := make(chan *response)
		go func() {
			first <- w.ask(door, "POST", "/executions/workflows/x/signals", `{"signal_name":"paid","signal_id":"a"}`, nil)
		}()
		<-held.entered
		second := w.ask(door, "POST", "/executions/workflows/x/signals", `{"signal_name":"paid","signal_id":"b"}`, nil)
		close(held.release)
		synctest.Wait()
		if got := <-first; got.status != 200 {
			return fail("the first was answered %d: %s", got.status, got.text)
		}
		return second.judge(w, []shown{Is(503), Has("code", "overloaded"), Headed("Retry-After", "1"), Telling("detail", "nothing was kept")})
	}, Get("/signals/a", Is(200)), Get("/signals/b", Is(404))))
}

func TestAPausedExecutionKeepsASignalAndJudgesItWhenItResumes(t *testing.T) {
	script(t, tableYAML,
		At("0s", Start("x", "approval", `{}`), Pause("x")),
		At("1s", Send("x", `{"signal_name":"decision","signal_id":"d"}`, Is(200), Has("data.outcome", "buffered"), Telling("data.reason", "paused"), Has("data.status", "PAUSED"))),
		At("2s", Resume("x"), Get("/signals/d", Has("data.state", "consumed"))))
}

func TestARepeatIsKnownForAsLongAsItsExecutionIsKept(t *testing.T) {
	t.Parallel() // a node has much to look after in 30 days, one after the other
	const kept = 30 * 24 * time.Hour
	script(t, tableYAML,
		At("0s", Start("x", "approval", `{}`), Send("x", `{"signal_name":"decision","signal_id":"d"}`), Cancel("x", "")),
		At((kept-time.Hour).String(), Send("x", `{"signal_name":"decision","signal_id":"d"}`, Is(200), Has("data.duplicate", true))),
		At((kept+2*time.Hour).String(), Send("x", `{"signal_name":"decision","signal_id":"d"}`, Is(404), Has("code", "execution_not_found")), forgotten("x")))
}

// forgotten takes an execution out of the replay at the end: it is gone.
func forgotten(exec string) act {
	return func(w *world) error {
		delete(w.started, exec)
		return nil
	}
}

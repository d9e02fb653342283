package workflow_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

// biography is what happened to a message, in words.
func biography(r workflow.Receipt) string {
	var words []string
	for _, step := range r.Steps {
		words = append(words, step.What)
	}
	return strings.Join(words, " ")
}

func TestTheBiographyOfASignal(t *testing.T) {
	d := newDesk(t, counter())
	sig := paid("1", 1, 2)
	sig.From, sig.RequestID, sig.ExpiresAt = "192.0.2.1", "r1", 50
	d.signal(sig)
	r := d.receipts["1"]
	first := workflow.Answer{SignalID: "1", Outcome: workflow.KeptForWait, Status: workflow.Waiting, ExpiresAt: 50,
		Reason: "wait pay/1 is open but did not take it: n > 1 is false"}
	if biography(r) != "accepted judged buffered" || r.Fate != workflow.FateBuffered || r.Answer != first {
		t.Fatalf("kept: %s, %+v", biography(r), r)
	}
	if r.ExecID != "x" || r.Name != "paid" || r.By != "ada" || r.Source != "api" || r.From != "192.0.2.1" || r.RequestID != "r1" || r.Digest != sig.Digest() || r.At != 2 {
		t.Fatalf("where it came from: %+v", r)
	}
	if judged := r.Steps[1]; judged.Wait != "pay/1" || judged.Reason != "n > 1 is false" || judged.Record == 0 {
		t.Fatalf("who judged it: %+v", judged)
	}
	d.apply(workflow.TimerFired{Stamp: workflow.Stamp{At: 51}, Timer: "expiry:1"})
	if r = d.receipts["1"]; biography(r) != "accepted judged buffered expired" || r.Fate != workflow.FateExpired || r.Answer != first {
		t.Fatalf("expired: %s, %+v", biography(r), r)
	}
	d.signal(paid("2", 2, 52))
	want := workflow.Answer{SignalID: "2", Outcome: workflow.Delivered, WaitID: "pay/1", WaitTask: "pay", Status: workflow.Success}
	if r = d.receipts["2"]; biography(r) != "accepted consumed" || r.Fate != workflow.FateConsumed || r.Answer != want {
		t.Fatalf("taken at once: %s, %+v", biography(r), r)
	}
}

// TestADeadLetterThatIsSentAgainKeepsItsReceipt lets a signal expire, and sends
// it again when it is refused once more, and when it is taken.
func TestADeadLetterThatIsSentAgainKeepsItsReceipt(t *testing.T) {
	def := counter()
	more := judge{"n > 1, or much has happened", func(s *workflow.Scope) bool { return said(s).Payload.N > 1 || s.State.Version > 4 }}
	def.Tasks[0].Wait.Condition = more
	d := newDesk(t, def)
	sig := paid("1", 1, 2)
	sig.ExpiresAt = 50
	d.signal(sig)
	first := d.receipts["1"].Answer
	d.apply(workflow.TimerFired{Stamp: workflow.Stamp{At: 51}, Timer: "expiry:1"})

	sig.Redelivered, sig.ReceivedAt, sig.ExpiresAt = true, 60, 70
	sig.RedeliveredBy, sig.From = "grace", "192.0.2.9"
	d.signal(sig)
	r := d.receipts["1"]
	if biography(r) != "accepted judged buffered expired redelivered buffered" || r.Fate != workflow.FateBuffered || r.Answer != first {
		t.Fatalf("sent again: %s, %+v", biography(r), r)
	}
	if step := r.Steps[4]; step.By != "grace" || step.From != "192.0.2.9" || r.By != "ada" {
		t.Fatalf("who redelivered it: %+v", step)
	}
	kept := r.Redelivered(&sig, &d.state)
	if kept.Outcome != workflow.KeptForWait || kept.ExpiresAt != 70 || kept.Status != workflow.Waiting || kept.WaitID != "" {
		t.Fatalf("whoever sent it again is told %+v", kept)
	}
	d.apply(workflow.TimerFired{Stamp: workflow.Stamp{At: 71}, Timer: "expiry:1"})

	sig.ReceivedAt, sig.ExpiresAt = 80, 0
	d.signal(sig)
	r = d.receipts["1"]
	if biography(r) != "accepted judged buffered expired redelivered buffered expired redelivered consumed" || r.Fate != workflow.FateConsumed || r.Answer != first {
		t.Fatalf("sent once more: %s, %+v", biography(r), r)
	}
	want := workflow.Answer{SignalID: "1", Outcome: workflow.Delivered, WaitID: "pay/1", WaitTask: "pay", Status: workflow.Success}
	if got := r.Redelivered(&sig, &d.state); got != want {
		t.Fatalf("whoever sent it once more is told %+v", got)
	}
	if d.books != (workflow.Tally{Accepted: 1, Consumed: 1}) || len(d.dead) != 2 {
		t.Fatalf("the books say %+v, with %d letters", d.books, len(d.dead))
	}
}

// TestARefusedSignalThatIsSentAgainGetsItsFirstReceipt: what was refused has none.
func TestARefusedSignalThatIsSentAgainGetsItsFirstReceipt(t *testing.T) {
	d := newDesk(t, counter())
	sig := paid("1", 1, 2)
	sig.Redelivered, sig.ExpiresAt = true, 50
	d.signal(sig)
	r := d.receipts["1"]
	if biography(r) != "accepted judged buffered" || !strings.HasPrefix(r.Steps[0].Reason, "redelivered: it had been refused before") {
		t.Fatalf("%s: %+v", biography(r), r.Steps[0])
	}
	if got := r.Redelivered(&sig, &d.state); got != r.Answer || got.Outcome != workflow.KeptForWait {
		t.Fatalf("whoever sent it is told %+v, and the receipt says %+v", got, r.Answer)
	}
}

// TestOnlyWhatHappenedSinceIsTold reads a receipt with an older delivery in it.
func TestOnlyWhatHappenedSinceIsTold(t *testing.T) {
	r := workflow.Receipt{SignalID: "1", Steps: []workflow.Step{
		{What: "accepted"}, {What: "consumed", Wait: "old/1"}, {What: "redelivered"}, {What: "expired", Reason: "old"},
		{What: "redelivered"}, {What: "judged", Reason: "new"},
	}}
	want := workflow.Answer{SignalID: "1", Outcome: workflow.KeptForWait, Status: workflow.Running, ExpiresAt: 9}
	if got := r.Redelivered(&workflow.Signal{ExpiresAt: 9}, &workflow.State{Status: workflow.Running}); got != want {
		t.Fatalf("got %+v", got)
	}
}

// TestALongBiographyKeepsItsEnds has a signal judged again and again.
func TestALongBiographyKeepsItsEnds(t *testing.T) {
	sig := paid("1", 1, 2)
	records := []workflow.Record{{Seq: 1, Type: (workflow.Signalled{}).Kind(), Signal: "1"}}
	for i := range 2 * workflow.MaxReceiptSteps {
		records = append(records, workflow.Record{Seq: uint64(i + 2), Type: workflow.SignalJudged, Signal: "1", Wait: "pay/1", Reason: fmt.Sprint(i)})
	}
	receipts := workflow.FollowInto(nil, &workflow.State{ExecID: "x"}, records, &sig, func(string) *workflow.Receipt { return nil })
	steps := receipts[0].Steps
	if len(steps) != workflow.MaxReceiptSteps || steps[0].What != "accepted" || steps[1].Record != 2 {
		t.Fatalf("%d steps, the first are %+v", len(steps), steps[:2])
	}
	for i, step := range steps[1:] {
		if step.Record <= steps[i].Record {
			t.Fatalf("step %d is %+v after %+v", i+1, step, steps[i])
		}
	}
	if last := steps[len(steps)-1]; last.Record != records[len(records)-1].Seq {
		t.Fatalf("the last step is %+v", last)
	}
}

// TestOnlyWhatIsKnownIsFollowed: a receipt that was swept does not come back,
// one that changes twice comes once, and records of nobody change nothing.
func TestOnlyWhatIsKnownIsFollowed(t *testing.T) {
	asked := map[string]int{}
	known := func(id string) *workflow.Receipt {
		if asked[id]++; id == "swept" {
			return nil
		}
		return &workflow.Receipt{SignalID: id, Fate: workflow.FateBuffered, Answer: workflow.Answer{Outcome: workflow.KeptForWait}}
	}
	receipts := workflow.FollowInto(nil, &workflow.State{}, []workflow.Record{
		{Type: workflow.WaitOpened, Wait: "pay/1"},
		{Type: workflow.SignalJudged, Signal: "2", Wait: "pay/1"},
		{Type: workflow.SignalDead, Signal: "swept"},
		{Type: workflow.SignalConsumed, Signal: "1", Wait: "pay/1"},
		{Type: workflow.WaitSatisfied, Signal: "1", Wait: "pay/1"},
		{Type: workflow.SignalDead, Signal: "2"},
	}, nil, known)
	if len(receipts) != 2 || biography(receipts[0]) != "judged dead" || biography(receipts[1]) != "consumed" || asked["2"] != 1 {
		t.Fatalf("got %+v, asked %v", receipts, asked)
	}
}

// TestTheTaskOfAWait also reads the id of a branch, and one without a run.
func TestTheTaskOfAWait(t *testing.T) {
	for wait, task := range map[string]string{"pay/1": "pay", "pay/12.bank": "pay", "odd": "odd"} {
		sig := paid("1", 2, 2)
		receipts := workflow.FollowInto(nil, &workflow.State{}, []workflow.Record{
			{Type: (workflow.Signalled{}).Kind(), Signal: "1"}, {Type: workflow.SignalConsumed, Signal: "1", Wait: wait},
		}, &sig, func(string) *workflow.Receipt { return nil })
		if a := receipts[0].Answer; a.WaitID != wait || a.WaitTask != task {
			t.Errorf("wait %s: got %+v", wait, a)
		}
	}
}

func TestTheBooksFollowEveryMove(t *testing.T) {
	for _, c := range []struct {
		from, to workflow.Fate
		want     workflow.Tally
	}{
		{"", workflow.FateConsumed, workflow.Tally{Accepted: 1, Consumed: 1}},
		{"", workflow.FateBuffered, workflow.Tally{Accepted: 1, Buffered: 1}},
		{"", workflow.FateAccepted, workflow.Tally{Accepted: 1, Buffered: 1}},
		{"", workflow.FateExpired, workflow.Tally{Accepted: 1, Expired: 1}},
		{"", workflow.FateDead, workflow.Tally{Accepted: 1, Dead: 1}},
		{workflow.FateAccepted, workflow.FateBuffered, workflow.Tally{}},
		{workflow.FateBuffered, workflow.FateConsumed, workflow.Tally{Consumed: 1, Buffered: -1}},
		{workflow.FateBuffered, workflow.FateExpired, workflow.Tally{Expired: 1, Buffered: -1}},
		{workflow.FateAccepted, workflow.FateDead, workflow.Tally{Dead: 1, Buffered: -1}},
		{workflow.FateDead, workflow.FateBuffered, workflow.Tally{Dead: -1, Buffered: 1}},
		{workflow.FateExpired, workflow.FateConsumed, workflow.Tally{Expired: -1, Consumed: 1}},
		{workflow.FateConsumed, workflow.FateConsumed, workflow.Tally{}},
	} {
		var got workflow.Tally
		if got.Move(c.from, c.to); got != c.want {
			t.Errorf("from %q to %q: got %+v", c.from, c.to, got)
		}
	}
}

// TestTheBooksOfManyMessagesBalance moves messages at random between fates, and
// counts them a second time. The sum of two books is that of their messages.
func TestTheBooksOfManyMessagesBalance(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	fates := []workflow.Fate{workflow.FateAccepted, workflow.FateBuffered, workflow.FateConsumed, workflow.FateExpired, workflow.FateDead}
	var books, half workflow.Tally
	messages := make([]workflow.Fate, 50)
	counted := func(of []workflow.Fate) (n workflow.Tally) {
		for _, fate := range of {
			if fate != "" {
				n.Accepted++
			}
			switch fate {
			case workflow.FateAccepted, workflow.FateBuffered:
				n.Buffered++
			case workflow.FateConsumed:
				n.Consumed++
			case workflow.FateExpired:
				n.Expired++
			case workflow.FateDead:
				n.Dead++
			}
		}
		return n
	}
	for range 2000 {
		i, to := rng.IntN(len(messages)), fates[rng.IntN(len(fates))]
		if i < 25 {
			half.Move(messages[i], to)
		} else {
			books.Move(messages[i], to)
		}
		messages[i] = to
		all := books
		if all.Add(half); all != counted(messages) || !all.Balanced() {
			t.Fatalf("the books say %+v, and there are %+v", all, counted(messages))
		}
	}
}

func TestBooksThatMissAMessageDoNotBalance(t *testing.T) {
	for i := range reflect.TypeFor[workflow.Tally]().NumField() {
		wrong := workflow.Tally{Accepted: 10, Consumed: 4, Buffered: 3, Expired: 2, Dead: 1}
		if !wrong.Balanced() {
			t.Fatal("10 = 4 + 3 + 2 + 1 does not balance")
		}
		field := reflect.ValueOf(&wrong).Elem().Field(i)
		if field.SetInt(field.Int() + 1); wrong.Balanced() {
			t.Errorf("it balances with one too many in column %d: %+v", i, wrong)
		}
	}
}

func TestCountsOfDeliveries(t *testing.T) {
	for outcome, want := range map[string]workflow.Counts{
		"started": {Started: 1}, "delivered": {Delivered: 1}, "ignored": {Ignored: 1}, "failed": {Failed: 1}, "passed": {Passed: 1},
		"refused": {Refused: 1}, "a word of a later version": {Refused: 1},
	} {
		var got workflow.Counts
		if got.Add(outcome); got != want {
			t.Errorf("%s: got %+v", outcome, got)
		}
	}
}

// TestReached reads in a receipt what each wait made of an event.
func TestReached(t *testing.T) {
	r := workflow.Receipt{SignalID: "e", Name: "go", Source: workflow.FromEvent, Steps: []workflow.Step{
		{What: "accepted"}, {What: "judged", Wait: "a/1", Reason: "1 > 2 is false"},
		{What: "judged", Wait: "b/1", Reason: "2 > 1 is true"}, {What: "consumed", Wait: "b/1", Reason: "1 of 2"},
	}}
	settled := []workflow.Reached{{Wait: "a/1", Reason: "1 > 2 is false"}, {Wait: "b/1", Took: true}}
	works := workflow.Reached{Wait: "c/1", Open: true, Reason: "the processor of wait c/1 works on it"}
	kept := []workflow.Buffered{{Signal: workflow.Signal{ID: "e", Name: "go"}, Transient: true, Reason: "it is paused"}}
	waits := []workflow.OpenWait{{ID: "c/1", Name: "go", Judging: "e"}, {ID: "d/1", Name: "go"}, {ID: "e/1", Name: "other"}}
	fresh := r
	fresh.Steps = r.Steps[:1]
	for what, c := range map[string]struct {
		r    workflow.Receipt
		s    *workflow.State
		want []workflow.Reached
	}{
		"the state is not known": {r, nil, settled},
		"all have decided":       {r, &workflow.State{Waits: waits[1:]}, settled},
		"a processor works":      {r, &workflow.State{Waits: waits, Buffer: kept}, append(slices.Clone(settled), works)},
		"only a processor works": {fresh, &workflow.State{Waits: waits, Buffer: kept}, []workflow.Reached{works}},
		"it came during a pause": {fresh, &workflow.State{Waits: waits[1:], Buffer: kept, Paused: true}, []workflow.Reached{{Wait: "d/1", Open: true, Reason: "it is paused"}}},
		"it has just come":       {fresh, &workflow.State{}, []workflow.Reached{}},
	} {
		if got := c.r.Reached(c.s); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %+v, want %+v", what, got, c.want)
		}
	}
}

// TestALongBiographyNamesWhoTookIt has an event judged and taken by many waits.
func TestALongBiographyNamesWhoTookIt(t *testing.T) {
	for waits, want := range map[int]int{60: 60, 100: workflow.MaxReceiptSteps - 1} {
		sig := paid("1", 1, 2)
		records := []workflow.Record{{Seq: 1, Type: (workflow.Signalled{}).Kind(), Signal: "1"}}
		for i := range waits {
			wait := fmt.Sprintf("w%d/1", i)
			records = append(records, workflow.Record{Type: workflow.SignalJudged, Signal: "1", Wait: wait + ".a"}, workflow.Record{Type: workflow.SignalConsumed, Signal: "1", Wait: wait})
		}
		r := workflow.FollowInto(nil, &workflow.State{ExecID: "x"}, records, &sig, func(string) *workflow.Receipt { return nil })[0]
		took := slices.DeleteFunc(r.Reached(nil), func(r workflow.Reached) bool { return !r.Took })
		if len(took) != want || len(r.Steps) != workflow.MaxReceiptSteps || r.Answer.WaitID != "w0/1" || took[want-1].Wait != fmt.Sprintf("w%d/1", waits-1) {
			t.Errorf("%d of %d waits in %d steps, the first %q, the last %+v", len(took), waits, len(r.Steps), r.Answer.WaitID, took[len(took)-1])
		}
	}
}

package persistence

import "github.com/signalbox/signalbox/workflow"

// The fields of everything that is kept in the binary form, in their order. A new
// field goes to the end of its structure, by way of added, and the number in open
// grows by one. Tests notice a field that is forgotten, and one that is not added.

func stateFields(c *coder, s *workflow.State) {
	outer := c.open(25)
	text(c, &s.ExecID)
	text(c, &s.WorkflowID)
	text(c, &s.Definition)
	c.unsigned(&s.Version)
	c.unsigned(&s.Seq)
	text(c, &s.Status)
	c.flag(&s.Paused)
	c.value(&s.Input)
	optional(c, &s.Trigger, originFields)
	c.value(&s.Output)
	optional(c, &s.Error, failureFields)
	signed(c, &s.CreatedAt)
	signed(c, &s.UpdatedAt)
	signed(c, &s.FinishedAt)
	list(c, &s.Tasks, taskFields)
	list(c, &s.Waits, waitFields)
	list(c, &s.Buffer, bufferedFields)
	list(c, &s.Timers, timerFields)
	list(c, &s.Held, heldFields)
	text(c, &s.Last)
	c.unsigned(&s.Context)
	list(c, &s.Recent, text)
	text(c, &s.Key)
	c.flag(&s.Unique)
	list(c, &s.Labels, labelFields)
	c.close(outer)
}

func labelFields(c *coder, l *workflow.Label) {
	outer := c.open(2)
	text(c, &l.Name)
	text(c, &l.Value)
	c.close(outer)
}

func originFields(c *coder, o *workflow.Origin) {
	outer := c.open(7)
	text(c, &o.Type)
	text(c, &o.Name)
	c.value(&o.Payload)
	text(c, &o.EventID)
	text(c, &o.CorrelationID)
	text(c, &o.SignalID)
	text(c, &o.TraceParent)
	c.close(outer)
}

func failureFields(c *coder, f *workflow.Failure) {
	outer := c.open(3)
	text(c, &f.Message)
	text(c, &f.Code)
	c.value(&f.Details)
	c.close(outer)
}

func taskFields(c *coder, t *workflow.TaskState) {
	outer := c.open(20)
	text(c, &t.ID)
	text(c, &t.Kind)
	signed(c, &t.Run)
	signed(c, &t.Attempt)
	text(c, &t.Status)
	text(c, &t.Component)
	text(c, &t.AgentID)
	text(c, &t.ActionID)
	text(c, &t.ToolID)
	c.value(&t.Input)
	c.value(&t.Request)
	signed(c, &t.TimeoutMS)
	c.value(&t.Output)
	c.value(&t.Envelope)
	optional(c, &t.Error, failureFields)
	text(c, &t.Previous)
	text(c, &t.Parent)
	signed(c, &t.CreatedAt)
	signed(c, &t.UpdatedAt)
	optional(c, &t.Gathered, gatheringFields)
	c.close(outer)
}

func gatheringFields(c *coder, g *workflow.Gathering) {
	outer := c.open(5)
	signed(c, &g.Need)
	signed(c, &g.Deadline)
	list(c, &g.Satisfied, text)
	list(c, &g.Collected, collectedFields)
	signed(c, &g.Extended)
	c.close(outer)
}

func collectedFields(c *coder, s *workflow.Collected) {
	outer := c.open(5)
	text(c, &s.Signal)
	text(c, &s.Branch)
	c.value(&s.By)
	signed(c, &s.Weight)
	c.value(&s.Envelope)
	c.close(outer)
}

func waitFields(c *coder, w *workflow.OpenWait) {
	outer := c.open(16)
	text(c, &w.ID)
	text(c, &w.Task)
	text(c, &w.Name)
	text(c, &w.Condition)
	signed(c, &w.OpenedAt)
	signed(c, &w.Deadline)
	text(c, &w.Judging)
	text(c, &w.LastJudged)
	text(c, &w.LastReason)
	text(c, &w.Path)
	text(c, &w.Key)
	text(c, &w.Branch)
	signed(c, &w.Have)
	signed(c, &w.Need)
	signed(c, &w.Limit)
	text(c, &w.Whole)
	c.close(outer)
}

func bufferedFields(c *coder, b *workflow.Buffered) {
	begin := len(c.buf)
	outer := c.open(16)
	text(c, &b.ID)
	text(c, &b.ExecID)
	text(c, &b.Name)
	c.value(&b.Payload)
	text(c, &b.CorrelationID)
	text(c, &b.Source)
	text(c, &b.By)
	signed(c, &b.ReceivedAt)
	signed(c, &b.ExpiresAt)
	c.flag(&b.Force)
	text(c, &b.Reason)
	c.unsigned(&b.JudgedAt)
	list(c, &b.Busy, text)
	c.flag(&b.Transient)
	c.flag(&b.Redelivered)
	if c.writing && !b.Taken {
		c.buf[begin]-- // as all are that are kept for a later wait
		return
	}
	added(c, func(c *coder) { c.flag(&b.Taken) })
	c.close(outer)
}

func timerFields(c *coder, t *workflow.Timer) {
	outer := c.open(4)
	text(c, &t.ID)
	text(c, &t.Kind)
	text(c, &t.Of)
	signed(c, &t.Due)
	c.close(outer)
}

func heldFields(c *coder, h *workflow.HeldInput) {
	outer := c.open(2)
	optional(c, &h.Done, doneFields)
	optional(c, &h.Failed, failedFields)
	c.close(outer)
}

func doneFields(c *coder, d *workflow.TaskDone) {
	outer := c.open(5)
	signed(c, &d.At)
	text(c, &d.Task)
	signed(c, &d.Run)
	signed(c, &d.Attempt)
	c.value(&d.Output)
	c.close(outer)
}

func failedFields(c *coder, f *workflow.TaskFailed) {
	outer := c.open(8)
	signed(c, &f.At)
	text(c, &f.Task)
	signed(c, &f.Run)
	signed(c, &f.Attempt)
	nested(c, &f.Failure, failureFields)
	c.flag(&f.TimedOut)
	c.flag(&f.Permanent)
	signed(c, &f.RetryAfterMS)
	c.close(outer)
}

func recordFields(c *coder, r *workflow.Record) {
	outer := c.open(8)
	c.unsigned(&r.Seq)
	signed(c, &r.At)
	text(c, &r.Type)
	text(c, &r.Task)
	text(c, &r.Wait)
	c.signalID(&r.Signal)
	text(c, &r.Reason)
	c.data(r)
	c.close(outer)
}

func receiptFields(c *coder, r *workflow.Receipt) {
	outer := c.open(12)
	c.signalID(&r.SignalID)
	c.execID(&r.ExecID)
	text(c, &r.Name)
	text(c, &r.Digest)
	text(c, &r.By)
	text(c, &r.Source)
	text(c, &r.Fate)
	nested(c, &r.Answer, answerFields)
	list(c, &r.Steps, stepFields)
	signed(c, &r.At)
	text(c, &r.From)
	text(c, &r.RequestID)
	c.close(outer)
}

func answerFields(c *coder, a *workflow.Answer) {
	outer := c.open(8)
	c.signalID(&a.SignalID)
	text(c, &a.Outcome)
	c.flag(&a.Duplicate)
	text(c, &a.Reason)
	text(c, &a.WaitID)
	text(c, &a.WaitTask)
	signed(c, &a.ExpiresAt)
	text(c, &a.Status)
	c.close(outer)
}

func stepFields(c *coder, s *workflow.Step) {
	begin := len(c.buf)
	outer := c.open(7)
	signed(c, &s.At)
	text(c, &s.What)
	text(c, &s.Wait)
	c.unsigned(&s.Record)
	text(c, &s.Reason)
	if c.writing && s.By == "" && s.From == "" {
		c.buf[begin] -= 2 // as nearly all steps are, which are written with every signal
		return
	}
	added(c, func(c *coder) { text(c, &s.By) })
	added(c, func(c *coder) { text(c, &s.From) })
	c.close(outer)
}

func eventReceiptFields(c *coder, r *workflow.EventReceipt) {
	outer := c.open(8)
	nested(c, &r.Event, eventFields)
	text(c, &r.Fate)
	list(c, &r.Steps, stepFields)
	list(c, &r.Deliveries, deliveryFields)
	text(c, &r.Reason)
	text(c, &r.Cause)
	optional(c, &r.Near, nearFields)
	nested(c, &r.Counts, countsFields)
	c.close(outer)
}

func countsFields(c *coder, n *workflow.Counts) {
	outer := c.open(7)
	signed(c, &n.Started)
	signed(c, &n.Delivered)
	signed(c, &n.Ignored)
	signed(c, &n.Refused)
	signed(c, &n.Failed)
	signed(c, &n.Passed)
	added(c, func(c *coder) { signed(c, &n.Buffered) })
	c.close(outer)
}

func nearFields(c *coder, n *workflow.NearMiss) {
	outer := c.open(5)
	text(c, &n.Name)
	text(c, &n.ExecID)
	text(c, &n.Wait)
	signed(c, &n.Closed)
	text(c, &n.Reason)
	c.close(outer)
}

func letterFields(c *coder, l *workflow.DeadLetter) {
	outer := c.open(19)
	text(c, &l.ID)
	text(c, &l.Kind)
	text(c, &l.MessageID)
	text(c, &l.ExecID)
	text(c, &l.WorkflowID)
	text(c, &l.Name)
	c.value(&l.Payload)
	text(c, &l.CorrelationID)
	text(c, &l.Source)
	text(c, &l.By)
	text(c, &l.TraceParent)
	c.flag(&l.Force)
	signed(c, &l.ReceivedAt)
	signed(c, &l.ExpiresAt)
	text(c, &l.Cause)
	text(c, &l.Reason)
	c.flag(&l.Accepted)
	optional(c, &l.Near, nearFields)
	signed(c, &l.At)
	c.close(outer)
}

func eventFields(c *coder, e *workflow.Event) {
	outer := c.open(12)
	text(c, &e.ID)
	text(c, &e.Name)
	c.value(&e.Payload)
	text(c, &e.CorrelationID)
	text(c, &e.Source)
	text(c, &e.By)
	signed(c, &e.ReceivedAt)
	text(c, &e.TraceParent)
	text(c, &e.From)
	text(c, &e.RequestID)
	optional(c, &e.CloudEvent, cloudEventFields)
	signed(c, &e.ExpiresAt)
	c.close(outer)
}

func cloudEventFields(c *coder, e *workflow.CloudEvent) {
	outer := c.open(6)
	text(c, &e.ID)
	text(c, &e.Subject)
	text(c, &e.Time)
	text(c, &e.DataType)
	text(c, &e.DataSchema)
	c.value(&e.Extensions)
	c.close(outer)
}

func deliveryFields(c *coder, d *workflow.Delivery) {
	outer := c.open(7)
	text(c, &d.Kind)
	text(c, &d.WorkflowID)
	text(c, &d.ExecID)
	text(c, &d.WaitID)
	text(c, &d.Outcome)
	text(c, &d.Reason)
	signed(c, &d.At)
	c.close(outer)
}

// waitRow is a row of the waits index: the wait, and the workflow that a filter
// asks for. The execution is in the key.
type waitRow struct {
	WorkflowID string `json:"workflow"`
	workflow.OpenWait
}

func waitRowFields(c *coder, w *waitRow) {
	outer := c.open(2)
	text(c, &w.WorkflowID)
	nested(c, &w.OpenWait, waitFields)
	c.close(outer)
}

// words are strings that occur in nearly every row; each is written as its
// place in this list. Words are only ever added, at the end, and by a release that
// only reads them yet: the one before refuses a word that it does not know.
var words = [...]string{
	"", // also the shortest form of the empty string
	string(workflow.Pending), string(workflow.Running), string(workflow.Waiting), string(workflow.Paused), string(workflow.Success),
	string(workflow.Failed), string(workflow.TimedOut), string(workflow.Canceled), string(workflow.Skipped),
	string(workflow.Basic), string(workflow.Wait), string(workflow.Emit), "router", "parallel", "collection", "composite", "aggregate",
	"task", "tool", "agent", "api", "event", "trigger",
	"execution.started", "signal.accepted", "timer.fired", "task.done", "task.failed", "execution.paused", "execution.resumed", "execution.canceled",
	workflow.TaskStarted, workflow.TaskSkipped, workflow.TaskRetrying, workflow.TaskSleeping, workflow.TaskEnded,
	workflow.WaitOpened, workflow.WaitSatisfied, workflow.WaitTimedOut, workflow.WaitClosed,
	workflow.SignalBuffered, workflow.SignalJudged, workflow.SignalConsumed, workflow.SignalExpired, workflow.SignalDead,
	workflow.EventEmitted, workflow.ExecutionFinished, workflow.HistoryFolded,
	string(workflow.Delivered), string(workflow.FateBuffered), string(workflow.FateAccepted), string(workflow.FateConsumed),
	string(workflow.FateExpired), string(workflow.FateDead), "judged", "started", "ignored", "refused", "failed",
	string(workflow.TimerDeadline), string(workflow.TimerRetry), string(workflow.TimerSleep), string(workflow.TimerExpiry),
	workflow.WaitVetoed, workflow.WaitExtended, workflow.WaitReminded, "wait.deadline_moved", string(workflow.TimerRemind),
}

// wordSlots finds a word's number, which it has one more than, at wordSlot of it or
// behind. Nearly every field asks, so it is a tenth full and its hash looks at three
// letters: a map took a fifth of the time of writing a row.
var wordSlots = func() (slots [1 << wordBits]uint16) {
	for i, word := range words[1:] {
		at := wordSlot(word)
		for slots[at] != 0 && words[slots[at]-1] != word { // or it is there twice, and the first counts
			at = (at + 1) % len(slots)
		}
		if slots[at] == 0 {
			slots[at] = uint16(i) + 2
		}
	}
	return slots
}()

const wordBits = 10

func wordSlot(s string) int {
	letters := uint32(s[0]) | uint32(s[len(s)/2])<<8 | uint32(s[len(s)-1])<<16 | uint32(len(s))<<24
	return int(letters * 0x9e3779b1 >> (32 - wordBits))
}

// wordNumber is the number of a word, false for any other text that is not empty.
func wordNumber(s string) (uint64, bool) {
	for at := wordSlot(s); wordSlots[at] != 0; at = (at + 1) % len(wordSlots) {
		if n := wordSlots[at] - 1; words[n] == s {
			return uint64(n), true
		}
	}
	return 0, false
}

// AppendRecords appends the row of the records of one commit.
func AppendRecords(dst []byte, records []workflow.Record) []byte {
	return encode(dst, &records, recordsFields)
}

// DecodeRecords is the inverse of AppendRecords. The error says what is wrong with the row.
func DecodeRecords(row []byte) (records []workflow.Record, err error) {
	return records, decode(row, &records, recordsFields)
}

func recordsFields(c *coder, records *[]workflow.Record) { list(c, records, recordFields) }

// AppendReceipt appends the row of a signal's receipt.
func AppendReceipt(dst []byte, r *workflow.Receipt) []byte { return encode(dst, r, receiptFields) }

// DecodeReceipt is the inverse of AppendReceipt.
func DecodeReceipt(row []byte) (*workflow.Receipt, error) {
	r := new(workflow.Receipt)
	return r, decode(row, r, receiptFields)
}

// AppendEventReceipt appends the row of an event's receipt.
func AppendEventReceipt(dst []byte, r *workflow.EventReceipt) []byte {
	return encode(dst, r, eventReceiptFields)
}

// DecodeEventReceipt is the inverse of AppendEventReceipt.
func DecodeEventReceipt(row []byte) (*workflow.EventReceipt, error) {
	r := new(workflow.EventReceipt)
	return r, decode(row, r, eventReceiptFields)
}

// AppendWaitRow appends what a row of the waits index says about a wait: a waitRow,
// whose two fields it writes without making one.
func AppendWaitRow(dst []byte, workflowID string, w *workflow.OpenWait) []byte {
	dst = append(dst, formatBinary, 2)
	return encodeFields(appendText(dst, workflowID), w, waitFields)
}

// DecodeWaitRow is the inverse of AppendWaitRow.
func DecodeWaitRow(execID string, row []byte) (workflow.WaitRow, error) {
	var w waitRow
	if err := decode(row, &w, waitRowFields); err != nil {
		return workflow.WaitRow{}, &Corrupt{ExecID: execID, Cause: "a row of its waits: " + err.Error()}
	}
	return workflow.WaitRow{ExecID: execID, WorkflowID: w.WorkflowID, OpenWait: w.OpenWait}, nil
}

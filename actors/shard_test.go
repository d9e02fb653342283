package actors

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

// desk is a seat in a shard of its own, whose post is handled when the test says so.
type desk struct {
	*seat
	jobs []func()
	came []*Deliver // for the execution that sits there
}

func newDesk() *desk {
	d := &desk{seat: &seat{shard: &shard{system: new(System)}}}
	d.shard.open()
	d.post.RegisterHandlers(d, d)
	d.shard.add(d.seat)
	return d
}

func (d *desk) Schedule(job func()) { d.jobs = append(d.jobs, job) }
func (d *desk) Throughput() int     { return throughput }

func (d *desk) InvokeSystemMessage(any) {}

func (d *desk) InvokeUserMessage(m any) {
	if deliver, ok := m.(*Deliver); ok {
		d.came = append(d.came, deliver)
		return
	}
	d.handle(m)
}

func (d *desk) EscalateFailure(reason, _ any) { panic(reason) }

// work handles everything that came.
func (d *desk) work() {
	for len(d.jobs) > 0 {
		job := d.jobs[0]
		d.jobs = d.jobs[1:]
		job()
	}
}

var (
	_ actor.MessageInvoker = (*desk)(nil)
	_ actor.Dispatcher     = (*desk)(nil)
)

func everybody(*seat) bool { return true }

// An execution is to leave after somebody has found it a seat, and before he has put
// there what he has for it.
func TestAnExecutionIsToLeaveBeforeAnythingForItHasCome(t *testing.T) {
	for name, early := range map[string]bool{"and has left when it comes": true, "and is leaving when it comes": false} {
		t.Run(name, func(t *testing.T) {
			d := newDesk()
			if c, waits := d.shard.find("x", nil); c != d.seat || waits {
				t.Fatalf("it was given %p, %t", c, waits)
			}
			d.shard.retire(everybody)
			if early {
				if d.work(); d.shard.count(false) != 0 || len(d.shard.spare) != 1 {
					t.Fatalf("%d are in memory, %d seats are free", d.shard.count(false), len(d.shard.spare))
				}
			}
			want := &Deliver{ExecID: "x"}
			if d.post.give("x", want, false) {
				t.Fatal("the post that was closed took it")
			}
			if !d.shard.give("x", want, false) {
				t.Fatal("nobody took it")
			}
			d.work()
			if len(d.came) != 1 || d.came[0] != want || d.shard.live["x"] != d.seat || d.post.closed() {
				t.Errorf("%d deliveries came", len(d.came))
			}
		})
	}
}

// A message that was meant for one who has left does not take the seat from the next.
func TestAStaleMessageTakesNobodysSeat(t *testing.T) {
	d := newDesk()
	d.shard.find("x", nil)
	d.shard.retire(everybody)
	d.work() // it has left
	d.post.PostUserMessage(retire{})
	d.post.PostUserMessage(turn{})
	if c, _ := d.shard.find("y", nil); c != d.seat {
		t.Fatal("the free seat was not given away")
	}
	d.work()
	if d.shard.live["y"] != d.seat || d.post.closed() {
		t.Fatal("the seat was taken from an execution that has just got it")
	}
	d.post.PostUserMessage(retire{})
	if !d.shard.give("y", &Deliver{ExecID: "y"}, false) {
		t.Fatal("it is given nothing")
	}
	d.shard.retire(everybody)
	d.work()
	if len(d.came) != 1 {
		t.Errorf("%d deliveries came", len(d.came))
	}
}

// A closed shard gives no seat.
func TestAClosedShardGivesNoSeats(t *testing.T) {
	d := newDesk()
	if spare := d.shard.close(); len(spare) != 1 || spare[0] != d.seat {
		t.Fatalf("%d free seats are to be given up", len(spare))
	}
	if d.shard.give("x", &Deliver{ExecID: "x"}, false) || d.shard.count(false) != 0 {
		t.Error("an execution came to life")
	}
}

// A seat that broke is free for nobody, whatever lands later for who sat there.
func TestABrokenSeatIsGivenToNobody(t *testing.T) {
	for name, breaks := range map[string]func(*desk){
		"the seat broke":       func(d *desk) { d.shard.broken(d.seat) },
		"its supervisor broke": func(d *desk) { d.shard.open() },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk()
			d.shard.find("x", nil)
			d.taken = &execution{seat: d.seat, leaving: true}
			breaks(d)
			d.landed()
			if d.taken != nil || len(d.shard.spare) != 0 || d.shard.count(false) != 0 {
				t.Errorf("%d seats are free, %d executions in memory", len(d.shard.spare), d.shard.count(false))
			}
			if d.shard.give("x", &Deliver{ExecID: "x"}, false) {
				t.Error("a seat that nobody handles was given away")
			}
		})
	}
}

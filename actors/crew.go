package actors

import "github.com/asynkron/protoactor-go/actor"

// crew runs the mailboxes of executions on goroutines that stay. The library's
// own dispatcher starts one for each message that finds an idle actor, and a
// fold needs a deeper stack than a goroutine begins with: growing it was a tenth
// of a signal's cost. Nobody waits for a free one: when all are busy another
// joins, and those beyond MaxIdle leave when they have nothing to do.
type crew struct {
	jobs chan func()
	rest chan struct{} // has a token for each goroutine that may wait for a job
	quit chan struct{}
}

func newCrew() *crew {
	return &crew{jobs: make(chan func()), rest: make(chan struct{}, MaxIdle), quit: make(chan struct{})}
}

var _ actor.Dispatcher = (*crew)(nil)

// Schedule implements actor.Dispatcher.
func (c *crew) Schedule(job func()) {
	select {
	case c.jobs <- job: // somebody waits for it
	default:
		go c.work(job)
	}
}

// Throughput implements actor.Dispatcher: so many messages of one actor are
// handled before others get their turn.
func (c *crew) Throughput() int { return throughput }

func (c *crew) work(job func()) {
	job()
	select {
	case c.rest <- struct{}{}:
	default:
		return // enough others wait already
	}
	defer func() { <-c.rest }()
	for {
		select {
		case job := <-c.jobs:
			job()
		case <-c.quit:
			return
		}
	}
}

// dismiss lets everybody go who has nothing to do.
func (c *crew) dismiss() { close(c.quit) }

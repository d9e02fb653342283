package executors

import "container/list"

// queue is a first-in, first-out queue from whose middle a job can be taken in
// constant time, so that cancelling many executions does not walk it each time.
type queue struct {
	order list.List
	at    map[*ticket]*list.Element
}

func (q *queue) len() int { return len(q.at) }

func (q *queue) push(t *ticket) {
	if q.at == nil {
		q.at = make(map[*ticket]*list.Element)
	}
	q.at[t] = q.order.PushBack(t)
}

// pop takes the oldest, or returns nil.
func (q *queue) pop() *ticket {
	front := q.order.Front()
	if front == nil {
		return nil
	}
	t, _ := q.order.Remove(front).(*ticket)
	delete(q.at, t)
	return t
}

// remove takes one out and reports whether it was there.
func (q *queue) remove(t *ticket) bool {
	e, there := q.at[t]
	if !there {
		return false
	}
	q.order.Remove(e)
	delete(q.at, t)
	return true
}

func (q *queue) clear() {
	q.order.Init()
	clear(q.at)
}

// Package executors holds the hands of a workflow: one file for each way of
// doing work (agent, tool), behind one interface. Hands know nothing of
// executions; they get a request, a key that is the same on every repeat, and
// a context that ends when the result no longer matters.
package executors

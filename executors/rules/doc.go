// Package rules says what a tool can be told to do at all: which methods,
// addresses and statuses a call may have, and what a process may be started as.
// The executors ask it before each call, and definitions when a project loads,
// so that a mistake in a literal is found before it costs a run. It knows
// nothing of either.
package rules

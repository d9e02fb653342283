// Package binary builds the real program and runs it as a child process, for
// the tests and measurements that must see what a user sees: a process that is
// started, spoken to over HTTP, asked to stop, frozen and killed.
package binary

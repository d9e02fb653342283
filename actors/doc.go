// Package actors is who acts: one supervised actor for each execution that has
// something to do, a supervisor for each shard of them, a router that fans an
// event to trigger actors and open waits, and the alarm clock. What an execution
// does with an input is decided by package workflow; what it may rely on is
// decided by package persistence; actors only bring the two together, in the six
// steps at the head of execution.go.
//
// The actor of an execution is a seat: when it has left memory another one sits
// down there. Whoever has something for an execution without a seat gives it a free
// one; its supervisor makes more of them, and has those leave that are idle.
//
// Proto.Actor is the runtime of the actors of one node. Its traps are handled
// here: a panic would lose the message, so every Receive recovers and answers
// the sender; receive timeouts race, so a supervisor sweeps; futures starve
// under load, so answers are plain callbacks that the store's writer runs; and its
// mailboxes wake somebody for each message, so an execution has one of ours, in
// which a sender who waits for the answer may do the work himself.
package actors

// Package workflow is the quiet room: the whole behaviour of a workflow as one
// pure function, Advance, and the words everybody else speaks in. It knows no
// clock, no store, no goroutine: what it needs to know comes in with an Input,
// what it wants done goes out as Records and Effects.
//
// Whoever drives it owes it five things, in this order:
//
//  1. Take what is waiting for the execution, up to a bound.
//  2. Fold Advance over it, each Input with its own time and id.
//  3. Check the new state.
//  4. Commit state, records, timers, waits and receipts in one atomic write.
//  5. Only then answer senders and perform Effects, each under its stable key;
//     their results come back as Inputs.
//
// A crash between any two is repaired by loading the state and performing
// Outstanding(state) again. Time comes first: timers that are due are fired
// before any other input of the same moment, see Overdue.
package workflow

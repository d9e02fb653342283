// Package expression is the room where a definition's texts come alive:
// templates, CEL conditions, JSON Schemas and durations. Everything in it is
// total. It ends within a work budget in a value or an error that says what to
// do, and the same scope gives the same bytes: there is no clock, environment,
// file, network or randomness behind any of its functions.
//
// An expression is compiled once, when its definition is loaded, and then only
// looks at what it refers to: a signal for one wait never pays for decoding
// what the other tasks of the execution have left behind.
package expression

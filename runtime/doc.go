// Package runtime is the node that holds it together: it gives the actors a
// store, a catalog of definitions, hands to work with and somebody to tell of
// it, starts and stops them in the right order, and is what the front door
// talks to. It is named for what it runs; it never imports the standard
// library's package of that name.
package runtime

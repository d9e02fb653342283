// Package persistence says what must be remembered: the Store contract that
// every store keeps and storetest checks. Safety lives here and nowhere else:
// a commit is atomic, and it is refused unless it was made from the version
// that is stored and by an owner at least as young as the last one.
package persistence

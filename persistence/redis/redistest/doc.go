// Package redistest starts real Redis servers for tests, and breaks them on
// purpose: it kills, stops and empties them, and it cuts connections with a proxy
// of its own.
package redistest

// Package storetest is the suite that every store passes, and the faults that a
// store or its users are tried with.
//
// Run checks the whole of persistence.Store against data that can be closed and
// opened again. Faulty is a store that refuses, delays and loses answers on
// purpose, for tests of those who use a store. FaultyFS is a disk that fails,
// tears and fills up on purpose, for tests of stores that use files.
package storetest

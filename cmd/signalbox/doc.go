// Command signalbox is the command line: one file per verb, all of them verbs
// of one cobra tree. It is the only room that ties the others together: it
// opens the store, hands it to the runtime, and the runtime to the front door.
// Every verb that talks to a node does so through the typed client in http.
package main

// Package signalbox is the root of the house. It holds no code, only the house
// rules (house_test.go), which read the whole tree. The program is in
// cmd/signalbox; what a workflow does is in workflow.
package signalbox

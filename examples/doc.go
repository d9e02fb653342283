// Package examples holds small projects that a person would start from. Each
// folder is one project with a README, its workflows and an example.txt: the
// messages that it takes and the answers that it gives, which a test runs.
package examples

import "embed"

// Files holds the YAML of every example, so that the binary can show one on a
// machine that has nothing else.
//
//go:embed */*.yaml
var Files embed.FS

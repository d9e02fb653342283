// Package definitions turns YAML into compiled workflows, kindly: it reads a
// file or a project folder, says everything that is wrong with file, line and
// column and what to do about it, and compiles templates, conditions and
// schemas under a work budget. It also keeps the catalog of versions by content
// hash, so that an execution stays on the version that it started with.
package definitions

// Package archtest holds the rules of docs/architecture.md and docs/style.md as ordinary tests: layers, sizes,
// package comments, state, references to standards, requirements and what the documents say of the code.
//
// Every rule is a function from a source tree to findings, and is itself tested with a planted violation.
// The files:
//
//	tree_test.go          reads the source; the rules' common ground
//	layers_test.go        who may import whom, and why not
//	state_test.go         no init, no package state that changes, no clock in core and proto
//	sizes_test.go         files, functions, packages, interfaces, import chains
//	packages_test.go      package comments and the package tables
//	references_test.go    RFC numbers against docs/rfc-index.md
//	requirements_test.go  docs/requirements.md against the acceptance tests
//	text_test.go          sleeps in tests, unfinished marks, paths of one machine, links and names in documents
//
// The package tables in README.md and docs/architecture.md are written from the package comments by
// `go test ./internal/archtest -run TestPackageTables -update`.
package archtest

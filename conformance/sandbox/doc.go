// Package sandbox plays every magic identity and picture of test mode through every
// protocol that is served, and holds docs/sandbox.md to what came of it.
//
// `go test ./conformance/sandbox -update` rewrites the document; the difference is reviewed
// like code.
package sandbox

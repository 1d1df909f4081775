// Package arch holds no code, only the tests that keep the shape of the house: which
// room may import which, and what may be named where. docs/ARCHITECTURE.md has the table
// that they enforce.
package arch

// Package juhe holds the vendor's documented cases as fixtures: one file of testdata a
// case, with the clause it stands for, the state that is given, the request's bytes and
// the reply. Its tests serve the requests with the gateway over a whole service.
//
// `go test ./conformance/juhe -update` rewrites the replies; the difference is reviewed
// like code.
package juhe

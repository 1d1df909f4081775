// Package explorer describes every interface that the server speaks to relying parties, once:
// paths, authentication, the fields of requests and answers, and codes. Three things are made
// of that description:
//
//   - an OpenAPI 3.1 document (OpenAPI);
//   - sample programs in seven languages (Sample);
//   - requests that are signed and sent to the server's own handlers, for people who try an
//     interface from the console (Caller).
//
// The words are the vendors'. Paths, codes, their texts and the shapes of answers are read from
// the packages that serve them; what is written here are explanations, and the fields of
// requests, whose names a test holds against those packages.
package explorer

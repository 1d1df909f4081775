// Package juhe is Juhe's face four-element check (人脸四要素核验) as Go: the messages, every
// documented code, and a client. It needs the standard library only.
//
// The words of the vendor's page ("人脸四要素开发文档" of 2024-11-21, called "seed" in the
// comments here) are kept in names and JSON tags. The call takes a name, an identity
// number, a mobile number and a portrait, and answers which of them belong together, as
// one of seventeen results: see Res.
//
// Two siblings of three elements each are here as far as they are known: verifyface/verify
// and telecom/query.
//
// A reply has error_code 0 and a result, and was charged; or another error_code, and was
// not. Both come with HTTP status 200. Client turns the latter into *Error. A result that
// says "does not match" is an answer, not an error.
package juhe

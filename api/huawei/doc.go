// Package huawei is Huawei Petal Pay's real-name service family as Go: the messages of
// its interfaces, every documented code, the PayDevAuth signature (SM2 with SM3), field
// encryption (SM2, C1C3C2) and a client for all of it. SM2 and SM3 come from
// github.com/emmansun/gmsm; everything else is the standard library's.
//
// The words of the vendor's pages are kept in names and JSON tags. "Result page" in the
// comments here is 人脸核身实人验证结果查询; "codes page" is payment-error-code-rest, "model
// page" payment-model, "guide" the vendor's signing guide.
//
// # Signing
//
// Both sides sign a text that SignString makes of a JSON object: `sign` is left out, keys
// are sorted by ASCII, key=value pairs are joined with '&'. A null is left out, an empty
// string stays; a list is the texts of its elements joined with ','; numbers and booleans
// are written as they stand in the JSON. A request carries two signatures in its header
// PayDevAuth, in this order:
//
//  1. bodySign, over the body (over path?query for GET: SignURI);
//  2. headerSign, over PayDevAuth itself without headerSign, bodySign included.
//
// An answer carries one, sign, over all its other fields. A signature is SM2 over SM3 with
// the default user id 1234567812345678, DER, base64.
//
// # A verification
//
// Client.FacePreverify with the person's name and number gives a preVerifyId; the app opens
// the capture page with it (PageURL); the page gives the app a verifyResultId; then
// Client.FaceResult says whether the face was theirs.
package huawei

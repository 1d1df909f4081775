// Package ekyc is the core: it decides whether the living person in front of a camera
// is the person they claim to be. The engine measures, sources answer, this package
// decides: thresholds, verdicts, charges and retention live here and nowhere else.
//
// It speaks no wire protocol, no SQL and reads no pixels. Rules are pure methods of
// Session, run by the Store inside one atomic update; Service strings them together:
//
//  1. Open: a relying party gets a token for a plan. Declare and Enrol give it the
//     claimed identity and the reference image.
//  2. Agree, Enter: the capture subject agrees to the authorisation text and, where
//     the plan asks, types an identity.
//  3. Challenge: the server draws what it will ask for. Look: frames from the camera are
//     measured; a Presentation answers with hints, hands out the cues when they are due,
//     and says when it is complete.
//  4. Submit: the presentation becomes one attempt: the challenge is used up and the
//     attempt begun in one update, then engine and sources outside any transaction, then
//     Finish, which decides and charges. Record is the same for an upload.
//  5. Result, Evidence: the relying party reads what came of it, for three days.
//  6. Purge: what is due is erased.
//
// Besides sessions there are direct calls, Compare and Elements, which are answered at once.
//
// A non-match is an answer, not an error: errors mean that the question could not be
// put or not be answered, and carry a Code.
package ekyc

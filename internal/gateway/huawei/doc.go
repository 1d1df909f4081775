// Package huawei serves Huawei Petal Pay's real-name interfaces over the core: it checks a
// request's signatures, makes one core call, and encodes and signs what came of it. It keeps
// no state and no rules.
//
// A request takes these steps; the first that fails is the answer:
//
//  1. The header PayDevAuth is read: there, JSON, its fields of the right types.
//  2. Its required fields are there, in the order of the vendor's table of codes.
//  3. The app, the time window, the key ids.
//  4. headerSign, the body's shape, bodySign, the access token.
//  5. The traceId was not sent before (in the database, for all nodes); the app's limits.
//  6. The interface's own parameters, and one core call.
//
// As soon as the app is known, answers are signed, errors too: with the key that
// petalpaySignKeyId names, or with the app's newest where it names none. A caller that names
// no app of ours gets an empty sign: there is no key that it could know.
//
// Where the vendor's pages are silent the choice is listed in docs/divergences/huawei.md.
// Names, numbers, openIds, tokens, signatures and secrets never reach the log.
package huawei

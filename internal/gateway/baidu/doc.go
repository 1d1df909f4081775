// Package baidu serves Baidu's H5 face verification protocol over the core: it decodes
// a request, makes one core call and encodes what came of it. It keeps no state and no
// rules; every result interface is a projection of one ekyc.Session.
//
// A request takes these steps:
//
//  1. A log_id is drawn; the path chooses the interface.
//  2. The relying party is found by access token (query), else by BCE v1 signature, else
//     by an access token in a small body; then its limits are counted.
//  3. The body is read, bounded in bytes and time, and its fields are found whatever the
//     Content-Type says: JSON, or a urlencoded form.
//  4. One core call, and its answer in the vendor's words. Errors are HTTP 200 with the
//     vendor's code from one table; causes are logged once, here, and never sent.
//
// Where the vendor's page is silent or contradicts itself the choice is listed in
// docs/divergences/baidu.md. Names, numbers, images, tokens and secrets never reach the log.
package baidu

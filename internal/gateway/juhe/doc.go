// Package juhe serves Juhe's face four-element check and two siblings of three elements,
// verifyface/verify and telecom/query, over the core: it decodes a request,
// makes one core call and encodes what came of it. It keeps no state and no rules; a reply
// is a projection of one ekyc.Elements.
//
// A request takes these steps:
//
//  1. A log id is drawn. The orderid is made of it and of the time.
//  2. The fields are found whatever the Content-Type says: in a urlencoded or multipart
//     body of bounded size, and in the query string.
//  3. The relying party is found by its key alone; then its limits are counted.
//  4. One core call, and its three outcomes as the vendor's result, from one table.
//     Errors are HTTP 200 with the vendor's code from one other table; causes are logged
//     once, here, and never sent.
//
// Where the vendor's page is silent the choice is listed in docs/divergences/juhe.md. Names,
// numbers, images and keys never reach the log.
package juhe

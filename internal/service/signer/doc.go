// Package signer signs the zones of this installation: it keeps the private parts of their keys, signs what changes,
// renews signatures before they run out, has keys replaced, and watches what the parent zones say of them.
//
// Sign is called for every change of a zone, before it is published; Run has control publish zones again whose time has
// come. Private parts lie sealed in the store and open in memory only.
//
// # Failure
//
// What cannot be signed, or does not verify when it is, is refused: the zone stays as it was published last, which becomes a
// finding long before its signatures run out. A clock that jumps is not followed (core/dnssec, Clock). A look at the
// parent that fails changes nothing.
package signer

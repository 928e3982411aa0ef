// Package dnssec is the signing of zones: the lives of a zone's keys, what is signed with which of them, how long
// signatures hold, and whether a signed zone would be believed (RFC 4033 to RFC 4035, RFC 5155, RFC 6781, RFC 7583).
//
// A Signing belongs to each signed zone: its keys without their private parts, and what is known of the parent. Advance
// moves the keys on, Build makes the records that signing adds, Verify reads the result as the strictest of resolvers would,
// by nothing that Build has computed. Time comes as an argument and is that of Clock, which a jump of the system's
// clock does not lead astray.
//
// # Failure
//
// What Verify refuses is never published: the zone stays as it was. A step of a key is taken only when whatever was published
// before can no longer lie in a cache beside which it would be bogus; a step that waits for the parent waits until
// the parent has been seen.
//
// # Known limits
//
// The algorithm of a zone's keys does not change while it is signed. NSEC3 is without opt-out, salt and further
// iterations (RFC 9276).
package dnssec

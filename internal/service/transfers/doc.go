// Package transfers moves whole zones between name servers: it hands our zones out to peers that may have them, tells
// secondaries of changes, keeps zones that have their home at another server, and lists zones in catalogs (RFC 5936,
// RFC 1995, RFC 1996, RFC 8945, RFC 9432).
//
// Nobody has a zone unless a peer is configured for it. What the service goes by is read from the store when it starts and
// whenever Reload is called. Everything that waits lies in one schedule; there is no goroutine for a zone.
//
// # Failure
//
// What a primary sends is held against the rules of its protocol and of zones before anything of it is kept: after a
// transfer that failed the last good version is answered for, until the zone's own expiry time is over; then it is no
// longer answered for at all. A server that does not hear a NOTIFY is told again for an hour.
//
// # Known limits
//
// A catalog is handed out whole. Differences of a copy of another server's zone are kept in memory: after a start it goes out
// whole at first. A catalog is not read from others.
package transfers

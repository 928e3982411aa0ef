// Package answer holds zones compiled for answering and answers questions from them, one packet in and one out: the name
// server algorithm of RFC 1034 §4.3.2 with wildcards (RFC 4592), DNAME (RFC 6672), negative answers (RFC 2308), EDNS
// (RFC 6891), cookies (RFC 7873, RFC 9018), DNSSEC (RFC 4035, RFC 5155) and small answers to ANY (RFC 8482).
//
// A zone is compiled once per change into a Zone that never changes; a Set swaps them while others read. Nothing is
// cached in between, so that a change is in the next answer. Answering allocates nothing.
//
// # Failure
//
// Compile refuses a zone that could not be answered for; the one that is there stays. What cannot be read as a question
// gets FORMERR, or nothing where it could be an answer to somebody else.
//
// # Known limits
//
// An alias is followed inside its own zone only. Names in additional sections are those that exist; wildcards are not
// expanded for them.
package answer

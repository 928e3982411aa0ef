// Package mime sees the structure of a message: its tree of parts (RFC 2045,
// RFC 2046, RFC 2231, RFC 2183), the envelope that a mail reader shows
// (RFC 5322), single sections of it by number (RFC 9051 §6.4.5.1), and the
// decoded content of a part.
//
// A tree is made once, by [Parse], in one pass over the message. It holds offsets
// and no octets of the message, so it can outlive them.
//
// # Hostile input
//
// Every function takes arbitrary octets, runs in time linear in their number and
// does not panic. A tree has at most [MaxDepth] levels and [MaxParts] parts;
// parameters and the like of all parts take at most [MaxText] octets.
//
// # Failure
//
// There is none: a part that cannot be understood is text/plain, what is past a
// limit stays part of what came before, and fields that cannot be kept are
// absent. Every octet of a message belongs to a part or to the text around parts.
package mime

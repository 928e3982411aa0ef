// Package message reads and writes Internet messages octet for octet: header
// fields (RFC 5322), Received fields (RFC 5321 §4.4, RFC 3848, RFC 6531 §4.3,
// RFC 8314 §4.3) and delivery status notifications (RFC 3464, RFC 6522,
// RFC 6533, RFC 3834), with encoded words (RFC 2047) where people read.
//
// Nothing here changes a message. Fields are handed out as they were written,
// with folding and line ends, so that joining them again gives the same header.
//
// # Hostile input
//
// Every function takes arbitrary octets, runs in time linear in their number
// and does not panic. A header block is limited to [MaxHeader] octets. Writers
// never let a value begin a new line, a new field or a new body part.
//
// # Failure
//
// A message is never lost because it cannot be understood: what is no field is
// yielded as a [Field] without a name. Where a guess would be dangerous
// ([FromAddresses]) the doubt is reported instead.
//
// # Known limits
//
// MIME structure is not parsed. Reports are written in English.
package message

// Package dns is the data of the domain name system as programs exchange it: names, types, records, zone text
// (RFC 1035 §5, RFC 3597), over a well-kept library that no other part of the program but service/resolver sees.
//
// A Record keeps its data as it is on the wire, so that what was never understood is never changed either, and
// comparing records is comparing octets (RFC 4034 §6.2 says in which order).
//
// # Failure
//
// Whatever cannot be read is an error that wraps ErrSyntax and says where and why; nothing is guessed.
//
// # Known limits
//
// The values of CAA and URI records must not have a backslash: the library reads one on the wire as the beginning of an
// escape. Such records are not Valid.
package dns

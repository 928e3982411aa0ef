// Package dkim signs Internet messages and verifies their signatures (RFC 6376, RFC 8301, RFC 8463, RFC 8616).
//
// A message is read once: its body is written into a [Body], which hashes it for every canonicalization that is
// wanted, and all signatures, made or verified, use these hashes. The header is at hand as a whole.
//
//	signatures := dkim.Read(header)
//	body := dkim.NewBody(signatures.Canonicalizations()...)
//	io.Copy(body, content)
//	results := signatures.Verify(ctx, body, lookup, now)
//
// # Hostile input
//
// Every function takes arbitrary octets, runs in time linear in their number for each of at most [MaxSignatures]
// signatures, and does not panic. Nothing is normalized: an octet more or less, a bare CR or LF among them, is another
// message.
//
// # Failure
//
// Every signature has a [Result] with one of the words of RFC 8601 §2.7.1 and a sentence for people. What DNS does not
// answer is a temperror, never a fail.
//
// # Known limits
//
// SHA-1 and RSA keys of fewer than 1,024 bits count for nothing (RFC 8301), and so do signatures with l=: whoever holds
// such a message can write below it what he likes. All three have the result policy. What is signed here has none of
// them, and RSA keys of 2,048 bits at least.
package dkim

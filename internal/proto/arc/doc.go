// Package arc validates and extends the Authenticated Received Chain of messages (RFC 8617): what each host on the way
// found when it judged the message, sealed so that a later one may believe it.
//
// It works as proto/dkim does, whose body hash and canonical forms it uses: the header is read first, the body is hashed
// as it comes, and the chain is judged at the end.
//
//	chain := arc.Read(header)
//	body := dkim.NewBody(chain.Canonicalizations()...)
//	io.Copy(body, content)
//	result := chain.Validate(ctx, body, lookup)
//
// # Hostile input
//
// Every function takes arbitrary octets and does not panic. A chain has at most [MaxSets] sets; a longer one fails
// without a look at its signatures, and so does one that is put together badly. Each seal is checked from the newest on
// until one does not hold.
//
// # Failure
//
// DNS that does not answer makes a chain fail for now: [Result.Temporary]. Such a chain is not sealed by [Seal], because
// a seal that says fail says so for ever.
//
// # Known limits
//
// Of the message signatures only the newest is checked: where in the chain the message was changed is not found out.
package arc

package dnsd

import (
	"context"
	"net/netip"
)

// Transfers answers what moves zones between name servers: NOTIFY (RFC 1996), AXFR (RFC 5936), IXFR (RFC 1995), and every
// packet that is signed by TSIG (RFC 8945), as servers that transfer also sign their questions for SOA.
type Transfers interface {
	// Serve answers one packet. It may take its time: over TCP the connection waits for it, over UDP nobody does. When it
	// returns without having sent anything, there is no answer.
	Serve(ctx context.Context, p Packet)
}

// Packet is a message that Transfers is to answer. It is good until Serve returns.
type Packet struct {
	Data   []byte // at least a header and a question
	Client netip.AddrPort
	TCP    bool
	// Plain gives the answer to a question as anybody would get it, nil where none is due. Its size is bounded as that of
	// the transport is.
	Plain func(question []byte) []byte
	// Send sends one message of the answer; over TCP there may be several.
	Send func(message []byte) error
}

package resolver

import (
	"context"
	"net"
)

// Dialer opens the connections to DNS servers. The network is "udp" or "tcp", the address host:port.
//
// What a Dialer owes: a "udp" connection keeps the bounds of datagrams (one Read, one datagram), delivers only
// what comes from the address dialled, and has a fresh, unpredictable local port each time. A net.Dialer does.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

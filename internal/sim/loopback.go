package sim

import (
	"context"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

const portTries = 20

// Ports for FreeAddress lie below those that Linux gives to outgoing connections (32768 and up): one of these may take
// a port of the upper range between the look and its use, or while a server that had it is being restarted.
const (
	firstPort = 10_000
	lastPort  = 32_000
)

// FreeAddress gives an address on 127.0.0.1 whose port was free a moment ago, by TCP and by UDP. No outgoing connection
// takes it by chance, and nobody else is given it until the test ends.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	var last error
	for range portTries {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+rand.IntN(lastPort-firstPort)))
		// An abstract socket is the mark that a port is given away: one for all processes, and gone with its own.
		mark, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", "@postroad-test-"+address)
		if err != nil {
			last = err
			continue
		}
		tb.Cleanup(func() { _ = mark.Close() })
		stream, packets, err := listenBoth(address)
		if err != nil {
			last = err
			continue
		}
		_ = stream.Close()  // only the number was wanted
		_ = packets.Close() // only the number was wanted
		return address
	}
	tb.Fatalf("no free port: %v", last)
	return ""
}

// listenBoth listens by TCP and UDP on one port; port 0 takes a free one.
func listenBoth(address string) (net.Listener, net.PacketConn, error) {
	var config net.ListenConfig
	var last error
	for range portTries {
		stream, err := config.Listen(context.Background(), "tcp", address)
		if err != nil {
			return nil, nil, err
		}
		packets, err := config.ListenPacket(context.Background(), "udp", stream.Addr().String())
		if err == nil {
			return stream, packets, nil
		}
		_ = stream.Close() // its twin was taken
		last = err
		if _, port, _ := net.SplitHostPort(address); port != "0" {
			break
		}
	}
	return nil, nil, last
}

// addrOf makes the address of an in-process connection from its text.
func addrOf(address string) net.Addr {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return &net.TCPAddr{}
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return &net.TCPAddr{}
	}
	return &net.TCPAddr{IP: net.ParseIP(host), Port: number}
}

//go:build linux && (amd64 || arm64)

package dnsd

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"postroad/internal/service/dnsd/answer"
)

// batches: packets are read and written many at a time, by recvmmsg and sendmmsg.
const batches = true

const (
	batchSize   = 32
	controlSize = 64 // octets for the address that a packet came to
)

// reusePort lets several sockets share a port, among which the kernel spreads clients.
func reusePort(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) //nolint:gosec // a file descriptor
	})
	if err != nil {
		return err
	}
	return failed
}

// mmsghdr is the kernel's struct mmsghdr.
type mmsghdr struct {
	header unix.Msghdr
	length uint32
	_      [4]byte
}

// batch is the memory of one socket's loop: it is told to the kernel once and used again and again.
type batch struct {
	received, sent [batchSize]mmsghdr
	in             [batchSize][maxQuestion]byte
	out            [batchSize][maxDatagram]byte
	inVec, outVec  [batchSize]unix.Iovec
	peers          [batchSize]unix.RawSockaddrInet6 // as they came, IPv4 ones too
	controls       [batchSize][controlSize]byte

	count, from, until int // received; to be sent from and until
	err                error
}

// serveBatches answers what comes to a socket. Answers go to the addresses that the kernel gave, as it gave them; where
// the socket is bound to all addresses, from the one that was asked.
func (w *worker) serveBatches(conn *net.UDPConn, everywhere bool) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	if everywhere {
		if err := tellAddresses(raw); err != nil {
			return err
		}
	}
	b := &batch{}
	for i := range batchSize {
		b.inVec[i].Base, b.inVec[i].Len = &b.in[i][0], maxQuestion
		b.outVec[i].Base = &b.out[i][0]
		b.received[i].header = unix.Msghdr{Name: (*byte)(unsafe.Pointer(&b.peers[i])), Iov: &b.inVec[i], Iovlen: 1}
		if everywhere {
			b.received[i].header.Control = &b.controls[i][0]
		}
	}
	receive := func(fd uintptr) bool { return b.receive(fd, everywhere) }
	send := b.send
	var failures failing
	for {
		if err := raw.Read(receive); err != nil {
			return err
		}
		if b.err != nil { // the system has no memory just now, or a way to fail that is new
			failures.wait(w.s, b.err)
			continue
		}
		failures.over()
		w.answerBatch(b, conn)
		if b.until == 0 {
			continue
		}
		if err := raw.Write(send); err != nil {
			return err
		}
		if b.count == batchSize { // there is more: let others have their turn
			runtime.Gosched()
		}
	}
}

// tellAddresses has the kernel say which address each packet was sent to. A socket for both families gives IPv4 ones in
// the form of IPv6, and takes them back so.
func tellAddresses(raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		s := int(fd) //nolint:gosec // a file descriptor
		var family int
		if family, failed = unix.GetsockoptInt(s, unix.SOL_SOCKET, unix.SO_DOMAIN); failed != nil {
			return
		}
		if family == unix.AF_INET6 {
			failed = unix.SetsockoptInt(s, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		} else {
			failed = unix.SetsockoptInt(s, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		}
	})
	if err == nil && failed != nil {
		err = fmt.Errorf("the address asked cannot be learnt: %w", failed)
	}
	return err
}

// receive takes what is there, up to batchSize packets; false when nothing is. It never waits, so the scheduler is not told
// of the system call: while it believes that one blocks it gives the processor to another thread, which then competes for
// it, and that costs a fifth of all answers.
func (b *batch) receive(fd uintptr, everywhere bool) bool {
	for i := range batchSize {
		h := &b.received[i].header
		h.Namelen = unix.SizeofSockaddrInet6
		if everywhere {
			h.Controllen = controlSize
		}
	}
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.received[0])), batchSize, unix.MSG_DONTWAIT, 0, 0)
		b.count, b.err = int(n), nil //nolint:gosec // at most batchSize
		switch errno {               //nolint:exhaustive // the others are faults
		case 0:
			return true
		case unix.EAGAIN:
			return false
		case unix.EINTR, unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH: // about an answer sent before
			continue
		default:
			b.err = os.NewSyscallError("recvmmsg", errno)
			return true
		}
	}
}

// send writes the answers; false when the socket takes no more for now. It never waits, like receive.
func (b *batch) send(fd uintptr) bool {
	for b.from < b.until {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&b.sent[b.from])), uintptr(b.until-b.from), unix.MSG_DONTWAIT, 0, 0) //nolint:gosec // positive
		switch errno {                                                                                                                                     //nolint:exhaustive // the others are faults
		case 0:
			b.from += int(n) //nolint:gosec // at most batchSize
		case unix.EAGAIN:
			return false
		case unix.EINTR:
		default:
			b.from++ // an address that nothing can be sent to
		}
	}
	return true
}

// answerBatch answers the packets received.
func (w *worker) answerBatch(b *batch, conn *net.UDPConn) {
	now := time.Now().UnixNano()
	b.from, b.until = 0, 0
	for i := range b.count {
		m := &b.received[i]
		client, ok := peer(&b.peers[i])
		if !ok || m.header.Flags&unix.MSG_TRUNC != 0 {
			w.responder.Counts.Dropped++
			continue
		}
		packet := b.in[i][:m.length]
		w.client = answer.Client{Addr: client.Addr(), Now: now}
		length, outcome := w.answer(b.out[b.until][:], packet)
		if outcome == answer.Handover {
			control := append([]byte(nil), b.controls[i][:m.header.Controllen]...)
			w.handOverUDP(packet, client, func(message []byte) error {
				_, _, err := conn.WriteMsgUDPAddrPort(message, control, client)
				return err
			})
			continue
		}
		if length == 0 {
			continue
		}
		b.outVec[b.until].Len = uint64(length) //nolint:gosec // at most maxDatagram
		out := &b.sent[b.until].header
		*out = unix.Msghdr{Name: m.header.Name, Namelen: m.header.Namelen, Iov: &b.outVec[b.until], Iovlen: 1}
		if m.header.Controllen > 0 {
			out.Control, out.Controllen = m.header.Control, m.header.Controllen
			forgetInterface(b.controls[i][:m.header.Controllen])
		}
		b.until++
	}
	w.s.meter.transports[0].add(&w.responder.Counts)
}

// peer reads an address as the kernel gives it.
func peer(a *unix.RawSockaddrInet6) (netip.AddrPort, bool) {
	switch a.Family {
	case unix.AF_INET:
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(a))
		return netip.AddrPortFrom(netip.AddrFrom4(four.Addr), networkOrder(four.Port)), true
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), networkOrder(a.Port)), true
	}
	return netip.AddrPort{}, false
}

// networkOrder reads a port that stands in memory as on the wire.
func networkOrder(port uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], port)
	return binary.BigEndian.Uint16(b[:])
}

// forgetInterface takes the interface out of what the kernel told of a packet: the way back may lead through another. An
// IPv6 link-local address means nothing without it.
func forgetInterface(control []byte) {
	const head = unix.SizeofCmsghdr
	if len(control) < head {
		return
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	switch {
	case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(control) >= head+unix.SizeofInet4Pktinfo:
		(*unix.Inet4Pktinfo)(unsafe.Pointer(&control[head])).Ifindex = 0
	case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(control) >= head+unix.SizeofInet6Pktinfo:
		if info := (*unix.Inet6Pktinfo)(unsafe.Pointer(&control[head])); !netip.AddrFrom16(info.Addr).IsLinkLocalUnicast() {
			info.Ifindex = 0
		}
	}
}

package answer

import (
	"encoding/binary"

	"postroad/internal/proto/dns"
)

// Codes of answers (RFC 1035 §4.1.1, RFC 6891 §9, RFC 6672 §2.2).
const (
	codeOK       = 0
	codeFormErr  = 1
	codeServFail = 2
	codeNXDomain = 3
	codeNotImp   = 4
	codeRefused  = 5
	codeYXDomain = 6
	codeBadVers  = 16
)

// Parts of the second and third pair of octets of a header.
const (
	bitQR   = 0x80 // third octet
	bitAA   = 0x04
	bitTC   = 0x02
	bitRD   = 0x01
	bitCD   = 0x10 // fourth octet
	header  = 12
	classIN = 1
)

// Numbers of EDNS options.
const (
	optionNSID   = 3
	optionCookie = 10
)

// question is what a packet asks.
type question struct {
	name   [256]byte  // lower-case
	starts [128]uint8 // of labels, the root's left out
	length int
	labels int
	kind   dns.Type
	class  uint16
	end    int // of the question in the packet; 12 when there is none

	edns, do, nsid bool
	signed         bool // with TSIG or SIG(0)
	version        uint8
	size           int
	cookie         []byte // client's, with the server's when there is one
}

// read reads a packet of at least 12 octets. The code that it gives is that of the answer; with codeOK the question is whole.
func (q *question) read(packet []byte) int {
	q.end, q.length, q.labels = header, 0, 0
	q.edns, q.do, q.nsid, q.signed, q.version, q.size, q.cookie = false, false, false, false, 0, 512, nil
	if packet[4] != 0 || packet[5] != 1 {
		return codeFormErr
	}
	at := header
	for {
		if at >= len(packet) {
			return codeFormErr
		}
		n := int(packet[at])
		if n == 0 {
			break
		}
		if n > 63 || at+n+1 >= len(packet) || at+n+1-header > 254 {
			return codeFormErr
		}
		q.starts[q.labels] = uint8(at - header) //nolint:gosec // at most 254
		q.labels++
		at += n + 1
	}
	at++
	if at+4 > len(packet) {
		return codeFormErr
	}
	q.length = copy(q.name[:], packet[header:at])
	lower(q.name[:q.length])
	q.kind = dns.Type(binary.BigEndian.Uint16(packet[at:]))
	q.class = binary.BigEndian.Uint16(packet[at+2:])
	q.end = at + 4
	more := int(binary.BigEndian.Uint16(packet[10:]))
	before := int(binary.BigEndian.Uint16(packet[6:])) + int(binary.BigEndian.Uint16(packet[8:]))
	if before+more == 0 && q.end == len(packet) {
		return codeOK
	}
	return q.readRecords(packet, before, more)
}

// readRecords goes over the records behind the question and reads the OPT record (RFC 6891 §6.1).
func (q *question) readRecords(packet []byte, before, more int) int {
	at := q.end
	for i := range before + more {
		start := at
		for {
			if at >= len(packet) {
				return codeFormErr
			}
			n := int(packet[at])
			at++
			if n == 0 {
				break
			}
			if n >= 0xC0 {
				at++
				break
			}
			if n > 63 {
				return codeFormErr
			}
			at += n
		}
		if at+10 > len(packet) {
			return codeFormErr
		}
		kind := dns.Type(binary.BigEndian.Uint16(packet[at:]))
		length := int(binary.BigEndian.Uint16(packet[at+8:]))
		if at+10+length > len(packet) {
			return codeFormErr
		}
		switch {
		case kind == dns.TypeOPT:
			if q.edns || i < before || packet[start] != 0 || !q.readOptions(packet[at+10:at+10+length]) {
				return codeFormErr
			}
			q.edns = true
			q.size = max(512, int(binary.BigEndian.Uint16(packet[at+2:])))
			q.version = packet[at+5]
			q.do = packet[at+6]&0x80 != 0
		case kind == dns.TypeTSIG && i >= before:
			if i != before+more-1 {
				return codeFormErr // RFC 8945 §5.1
			}
			q.signed = true
		}
		at += 10 + length
	}
	if at != len(packet) {
		return codeFormErr
	}
	return codeOK
}

// readOptions reads the options that mean something here.
func (q *question) readOptions(data []byte) bool {
	for len(data) > 0 {
		if len(data) < 4 {
			return false
		}
		code, length := binary.BigEndian.Uint16(data), int(binary.BigEndian.Uint16(data[2:]))
		if 4+length > len(data) {
			return false
		}
		switch code {
		case optionCookie:
			if length != 8 && (length < 16 || length > 40) {
				return false // RFC 7873 §5.2.2
			}
			if q.cookie == nil { // of several only the first counts
				q.cookie = data[4 : 4+length]
			}
		case optionNSID:
			q.nsid = true
		}
		data = data[4+length:]
	}
	return true
}

package resolver

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"postroad/internal/core/facts"
	wire "postroad/internal/proto/dns"
)

const (
	headerSize  = 12
	chainMax    = 8 // aliases followed for one question
	positiveMax = 24 * time.Hour
	negativeMax = time.Hour // RFC 2308 §5
	ttlMin      = time.Second
)

// question is what is asked; the name is folded and has no last dot.
type question struct {
	name string
	kind uint16
}

func (q question) String() string { return dns.TypeToString[q.kind] + " " + q.name }

// outcome is what one answer, or a chain of them, says about a question.
type outcome struct {
	status facts.Status
	mx     []facts.MX
	null   bool
	addrs  []netip.Addr
	txt    []string
	hosts  []string // of PTR records

	raw     bool // records of any type are wanted as they are
	records []wire.Record

	aliases int           // CNAME records followed
	next    string        // the alias to ask for, when the answer stops there; library notation
	ttl     time.Duration // how long it may be kept, not yet bounded below
	heard   string        // what the answer was, in a few words
}

// verdict is what a packet is to an open question.
type verdict uint8

const (
	foreign     verdict = iota + 1 // not the answer to this question: ignore it
	otherCase                      // the answer, but for the case of letters
	bareRefusal                    // a header with an error code and nothing else
	truncated                      // TC: to be asked again by TCP (RFC 7766 §5)
	complete                       // the answer, to be read
)

// judge compares a packet with the packed query it may answer. Nothing but the header and the question of it is
// looked at.
func judge(query, packet []byte) verdict {
	if len(packet) < headerSize || len(query) < headerSize {
		return foreign
	}
	flags := binary.BigEndian.Uint16(packet[2:])
	const response, opcode, tc = 1 << 15, 15 << 11, 1 << 9
	if !bytes.Equal(packet[:2], query[:2]) || flags&response == 0 || flags&opcode != 0 {
		return foreign
	}
	rcode := int(flags & 15)
	if binary.BigEndian.Uint16(packet[4:]) == 0 && len(packet) == headerSize && rcode != dns.RcodeSuccess && rcode != dns.RcodeNameError {
		return bareRefusal
	}
	asked := questionOf(query)
	if binary.BigEndian.Uint16(packet[4:]) != 1 || len(packet) < headerSize+len(asked) {
		return foreign
	}
	echoed := packet[headerSize : headerSize+len(asked)]
	switch {
	case bytes.Equal(echoed, asked) && flags&tc != 0:
		return truncated
	case bytes.Equal(echoed, asked):
		return complete
	case sameQuestion(echoed, asked):
		return otherCase
	}
	return foreign
}

// questionOf gives the question section of a query packed here: name, type and class.
func questionOf(query []byte) []byte {
	end := headerSize
	for end < len(query) && query[end] != 0 {
		end += 1 + int(query[end])
	}
	return query[headerSize:min(end+5, len(query))]
}

// sameQuestion compares without regard to the case of the name's letters. Type and class must be equal.
func sameQuestion(a, b []byte) bool {
	name := len(b) - 4
	return name >= 0 && len(a) == len(b) && bytes.Equal(a[name:], b[name:]) && lower(string(a[:name])) == lower(string(b[:name]))
}

func temporary(heard string) outcome { return outcome{status: facts.Temporary, heard: heard} }

// refusal is the outcome of an answer with an error code.
func refusal(code int) outcome {
	name, known := dns.RcodeToString[code]
	if !known {
		name = "RCODE " + strconv.Itoa(code)
	}
	return temporary(name)
}

// interpret reads the answer to a question for a name (folded, library notation with last dot).
func interpret(packet []byte, name string, kind uint16) outcome {
	var message dns.Msg
	if err := message.Unpack(packet); err != nil {
		return temporary("malformed answer")
	}
	if message.Rcode != dns.RcodeSuccess && message.Rcode != dns.RcodeNameError {
		return refusal(message.Rcode)
	}
	out := outcome{ttl: positiveMax}
	for {
		switch found := collect(message.Answer, name, kind, &out); {
		case found < 0:
			return temporary("malformed record")
		case found > 0 && message.Rcode == dns.RcodeNameError:
			return temporary("NXDOMAIN with records")
		case found > 0:
			out.status = facts.Found
			out.heard = plural(found, "record")
			return out
		}
		target, ttl, ok := alias(message.Answer, name)
		if !ok {
			break
		}
		if out.aliases++; out.aliases > chainMax {
			return temporary("chain of more than 8 aliases")
		}
		name, out.ttl = target, min(out.ttl, ttl)
	}
	return nothing(&message, name, out)
}

// nothing reads an answer that has no record of the type for the name at the end of the chain.
func nothing(message *dns.Msg, name string, out outcome) outcome {
	ttl, stated := negativeTTL(message.Ns, name)
	referral := false
	for _, rr := range message.Ns {
		referral = referral || rr.Header().Rrtype == dns.TypeNS
	}
	switch {
	case len(message.Answer) > 0 && out.aliases == 0:
		return temporary("answer about another name")
	case message.Rcode == dns.RcodeNameError:
		out.status, out.heard = facts.NXDomain, "NXDOMAIN"
	case stated:
		out.status, out.heard = facts.NoData, "no record"
	case out.aliases > 0:
		out.next, out.heard = name, "alias"
		return out
	case referral:
		return temporary("referral") // a server that does not look further (RFC 2308 §2.2)
	case message.RecursionAvailable || message.Authoritative:
		out.status, out.heard = facts.NoData, "no record"
	default:
		return temporary("empty answer without recursion")
	}
	out.ttl = min(out.ttl, ttl, negativeMax)
	return out
}

// collect takes the records of a type and name into out and gives their number, -1 when one is malformed.
func collect(section []dns.RR, name string, kind uint16, out *outcome) int {
	found, empty := 0, 0
	for _, rr := range section {
		header := rr.Header()
		if header.Rrtype != kind || header.Class != dns.ClassINET || lower(header.Name) != name {
			continue
		}
		found++
		out.ttl = min(out.ttl, ttlOf(header.Ttl))
		if out.raw {
			record, err := recordOf(rr)
			if err != nil {
				return -1
			}
			out.records = append(out.records, record)
			continue
		}
		switch rr := rr.(type) {
		case *dns.MX:
			if rr.Mx == "" {
				return -1
			}
			if rr.Mx == "." {
				if rr.Preference == 0 {
					empty++
				}
				continue
			}
			if host, ok := hostName(rr.Mx); ok {
				out.mx = append(out.mx, facts.MX{Preference: rr.Preference, Host: host})
			}
		case *dns.A:
			addr, ok := netip.AddrFromSlice(rr.A.To4())
			if !ok {
				return -1
			}
			out.addrs = append(out.addrs, addr)
		case *dns.AAAA:
			addr, ok := netip.AddrFromSlice(rr.AAAA)
			if !ok {
				return -1
			}
			out.addrs = append(out.addrs, addr)
		case *dns.TXT:
			if len(rr.Txt) == 0 {
				return -1
			}
			var text strings.Builder
			for _, part := range rr.Txt {
				text.WriteString(octets(part))
			}
			out.txt = append(out.txt, text.String())
		case *dns.PTR:
			if host, ok := hostName(rr.Ptr); ok {
				out.hosts = append(out.hosts, host)
			}
		default:
			return -1
		}
	}
	out.null = found == 1 && empty == 1 // RFC 7505 §3
	return found
}

// recordOf gives a record of the library as the program holds it.
func recordOf(rr dns.RR) (wire.Record, error) {
	buf := make([]byte, dns.Len(rr)+1)
	end, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return wire.Record{}, err
	}
	_, begin, err := dns.UnpackDomainName(buf[:end], 0)
	if err != nil {
		return wire.Record{}, err
	}
	header := rr.Header()
	ttl := uint32(ttlOf(header.Ttl) / time.Second) //nolint:gosec // it came from one
	return wire.Record{Name: lower(header.Name), Type: wire.Type(header.Rrtype), TTL: ttl, Data: bytes.Clone(buf[begin+10 : end])}, nil
}

// alias gives the target of a name's CNAME record.
func alias(section []dns.RR, name string) (string, time.Duration, bool) {
	for _, rr := range section {
		cname, ok := rr.(*dns.CNAME)
		if ok && cname.Hdr.Class == dns.ClassINET && cname.Target != "" && lower(cname.Hdr.Name) == name {
			return lower(cname.Target), ttlOf(cname.Hdr.Ttl), true
		}
	}
	return "", 0, false
}

// negativeTTL is the smaller of the TTL and the minimum of a zone's SOA that may speak for the name
// (RFC 2308 §5); zero and false without one.
func negativeTTL(section []dns.RR, name string) (time.Duration, bool) {
	for _, rr := range section {
		soa, ok := rr.(*dns.SOA)
		if ok && soa.Hdr.Class == dns.ClassINET && soa.Mbox != "" && within(name, lower(soa.Hdr.Name)) {
			return min(ttlOf(soa.Hdr.Ttl), ttlOf(soa.Minttl)), true
		}
	}
	return 0, false
}

// ttlOf takes a TTL with the top bit set for zero (RFC 2181 §8).
func ttlOf(seconds uint32) time.Duration {
	if seconds > 1<<31-1 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

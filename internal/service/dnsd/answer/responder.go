package answer

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"

	"postroad/internal/proto/dns"
)

// Client is who asks, and how.
type Client struct {
	Addr netip.Addr
	TCP  bool
	Now  int64 // nanoseconds since 1970
}

// Options are what answers depend on beside the zones. The zero value works.
type Options struct {
	Secret  func(day uint32) [16]byte // for cookies (Cookies.Secret); nil: none are given
	NSID    string                    // told to who asks for it (RFC 5001); "": nobody is told
	Limiter *Limiter                  // nil: no limit
	// Transfers: what belongs to transfers between name servers is handed to the caller, instead of refused: opcode NOTIFY,
	// AXFR and IXFR, and whatever is signed by TSIG.
	Transfers bool
}

// Outcome is what became of a packet.
type Outcome uint8

// The outcomes.
const (
	Dropped  Outcome = iota // no answer is due
	Answered                // there is one
	Limited                 // no answer, by the rate limit
	Slipped                 // by the rate limit, an empty answer that says to come by TCP
	Handover                // the caller is to answer (Options.Transfers)
)

// Sizes of messages (RFC 6891 §6.2.5, and what passes everywhere unfragmented).
const (
	maxUDP = 1232
	maxTCP = 65535
	// roomy is up to where the name servers of a zone are told beside what was asked. Beyond, they would only make answers
	// large.
	roomy    = 512
	maxHops  = 8 // aliases followed
	maxProof = 8
	maxAdd   = 24 // names with addresses in the additional section, delegations' glue aside
)

// Counts is what a responder has done. Whoever reads them sets them back to zero.
type Counts struct {
	Types     [1 + len(types)]uint32 // by TypeIndex
	Codes     [codeBadVers + 1]uint32
	Dropped   uint32
	Limited   uint32
	Slipped   uint32
	Truncated uint32
}

// types are those that are counted one by one.
var types = [...]dns.Type{dns.TypeA, dns.TypeAAAA, dns.TypeMX, dns.TypeTXT, dns.TypeNS, dns.TypeSOA, dns.TypeCNAME, dns.TypeSRV, dns.TypePTR, dns.TypeDS, dns.TypeDNSKEY, dns.TypeCAA, dns.TypeTLSA, dns.TypeHTTPS, dns.TypeANY}

// TypeNames names what Counts.Types counts.
func TypeNames() []string {
	names := []string{"other"}
	for _, t := range types {
		names = append(names, t.String())
	}
	return names
}

// CodeNames names what Counts.Codes counts, "" where there is no such code.
func CodeNames() [codeBadVers + 1]string {
	return [codeBadVers + 1]string{codeOK: "NOERROR", codeFormErr: "FORMERR", codeServFail: "SERVFAIL", codeNXDomain: "NXDOMAIN", codeNotImp: "NOTIMP", codeRefused: "REFUSED", codeYXDomain: "YXDOMAIN", codeBadVers: "BADVERS"}
}

func typeIndex(kind dns.Type) int {
	for i, t := range types {
		if t == kind {
			return i + 1
		}
	}
	return 0
}

// Responder answers packets one after the other. A goroutine has one of its own.
type Responder struct {
	Counts Counts

	set     *Set
	options Options
	cookies Cookies

	q        question
	client   *Client
	out      []byte
	n        int // octets written
	limit    int // of the records, so that the OPT record fits behind them
	code     int
	aa, tc   bool
	answered uint32    // the RRset that was asked for; 0 as long as there are aliases alone
	sections [3]uint16 // records in answer, authority, additional
	section  int
	what     uint64 // the kind of the answer, for the limit
	trusted  bool   // by its cookie
	fresh    bool   // its cookie is to be used on
	slips    uint32

	z       *Zone
	apexOff int // where the zone's name stands in the message
	name    lookup
	seen    [maxHops + 1]uint64
	moves   [maxHops]uint32 // DNAME RRsets that are in the answer
	movesN  int
	proofs  [maxProof]proof
	proved  int
	adds    [4]addition
	added   int
	addrs   [maxAdd]uint32 // nodes whose addresses are there
	addrsN  int
}

// lookup is a name that is looked for in the zone: the question's, then those that aliases lead to.
type lookup struct {
	text   [256]byte // lower-case
	starts [129]uint8
	length int
	labels int
	off    int // where it stands in the message
	hash   uint64
}

// addition is an RRset whose targets' addresses are to be added.
type addition struct {
	set   uint32
	start int // of its records in the message
	room  int // up to where addresses may go
	glue  int // the delegation whose glue it is; else noNode
}

// NewResponder makes a responder for a set of zones.
func NewResponder(s *Set, o Options) *Responder {
	return &Responder{set: s, options: o, cookies: Cookies{Secret: o.Secret}}
}

// Answer writes the answer to a packet into out, which should have room for 65,535 octets, over UDP for 1,232, and gives
// its length. It never writes more. packet is left alone, and not looked at afterwards.
func (r *Responder) Answer(out, packet []byte, client *Client) (int, Outcome) {
	if len(packet) < header || packet[2]&bitQR != 0 || len(out) < roomy {
		r.Counts.Dropped++
		return 0, Dropped
	}
	r.client, r.out, r.code, r.aa, r.tc = client, out, codeOK, false, false
	r.movesN = 0
	r.sections, r.section, r.proved, r.added, r.addrsN, r.what, r.trusted, r.fresh, r.answered = [3]uint16{}, 0, 0, 0, 0, 0, false, false, 0
	opcode := packet[2] >> 3 & 15
	r.code = r.q.read(packet)
	r.n = copy(out, packet[:r.q.end])
	out[2] = packet[2]&(0x78|bitRD) | bitQR
	out[3] = packet[3] & bitCD // RFC 4035 §3.1.6
	size := maxTCP
	if !client.TCP {
		size = min(r.q.size, maxUDP)
	}
	r.limit = min(size, len(out)) - r.optLength()
	if r.q.cookie != nil && r.options.Secret != nil {
		r.trusted, r.fresh = r.cookies.check(r.q.cookie, client.Addr, seconds(client.Now))
	}
	switch {
	case r.code != codeOK && opcode != 0:
		r.code = codeNotImp
	case r.code != codeOK:
	case r.q.edns && r.q.version != 0:
		r.code = codeBadVers
	case r.options.Transfers && (r.q.signed || opcode == 4 || r.q.kind == dns.TypeAXFR || r.q.kind == dns.TypeIXFR):
		return 0, Handover
	case opcode != 0:
		r.code = codeNotImp
	default:
		r.Counts.Types[typeIndex(r.q.kind)]++
		r.query()
	}
	if limit := r.options.Limiter; limit != nil && !client.TCP && !r.trusted {
		if r.what == 0 {
			r.what = errorOf(r.code)
		}
		if !limit.allow(client.Addr, r.what, client.Now) {
			if r.slips++; r.slips%2 == 0 {
				r.Counts.Limited++
				return 0, Limited
			}
			r.truncate()
			r.Counts.Slipped++
			return r.finish(), Slipped
		}
	}
	return r.finish(), Answered
}

// query answers a question.
func (r *Responder) query() {
	q := &r.q
	if q.class != classIN {
		r.code = codeRefused
		return
	}
	switch q.kind { //nolint:exhaustive // the others are of records
	case dns.TypeAXFR, dns.TypeIXFR:
		r.code = codeRefused
		return
	case dns.TypeOPT, dns.TypeTSIG, 0, 249: // TKEY
		r.code = codeFormErr
		return
	case 253, 254: // MAILB, MAILA
		r.code = codeNotImp
		return
	}
	z := r.match()
	if z == nil {
		r.code = codeRefused
		return
	}
	if z.expired {
		r.code = codeServFail
		return
	}
	r.z = z
	r.apexOff = header + q.length - int(z.apexLen)
	r.resolve()
}

// match finds the zone that is nearest above the question's name. One whose ownership is not shown stands back behind
// every other, and answers for its SOA and NS records alone. DS records are asked of the side of the parent, where that
// has the delegation (RFC 4035 §3.1.4.1): where it has none, its word that there is nothing would end the child's names
// too (RFC 8020).
func (r *Responder) match() *Zone {
	q := &r.q
	n := &r.name
	n.length, n.labels, n.off = q.length, q.labels, header
	q.starts[q.labels] = uint8(q.length - 1) //nolint:gosec // at most 254
	var pending, child *Zone
	first := max(0, q.labels-int(r.set.maxLabels.Load()))
	for i := first; i <= q.labels; i++ {
		suffix := q.name[q.starts[i]:q.length]
		hash := maphash.Bytes(seed, suffix)
		if i == 0 {
			n.hash = hash
		}
		z := r.set.look(hash, suffix)
		switch {
		case z == nil:
			continue
		case z.pending:
			if i == 0 && pending == nil {
				pending = z
			}
			continue
		case i == 0 && q.kind == dns.TypeDS && q.labels > 0:
			child = z
			continue
		case child != nil && z.delegates(q.name[:q.length-int(z.apexLen)], n.hash):
			return z
		case child != nil:
			return child
		}
		if first > 0 {
			n.hash = maphash.Bytes(seed, q.name[:q.length])
		}
		return z
	}
	if child != nil {
		return child
	}
	if pending != nil && (q.kind == dns.TypeSOA || q.kind == dns.TypeNS) {
		return pending
	}
	return nil
}

// delegates reports whether a name is that of a delegation in the zone.
func (z *Zone) delegates(rel []byte, hash uint64) bool {
	n := z.find(rel, hash)
	return n != noNode && z.block[z.node(n)+nodeFlags]&(flagCut|flagOccluded) == flagCut
}

// optLength is what the OPT record of the answer will take.
func (r *Responder) optLength() int {
	if !r.q.edns {
		return 0
	}
	n := 11
	if r.q.cookie != nil && r.options.Secret != nil {
		n += 4 + clientCookie + serverCookie
	}
	if r.q.nsid && r.options.NSID != "" {
		n += 4 + len(r.options.NSID)
	}
	return n
}

// truncate takes all records away and says that there are some (RFC 2181 §9).
func (r *Responder) truncate() {
	r.n, r.sections, r.tc = r.q.end, [3]uint16{}, true
}

// finish writes header and OPT record and gives the length of the message.
func (r *Responder) finish() int {
	out := r.out
	if r.aa {
		out[2] |= bitAA
	}
	if r.tc {
		out[2] |= bitTC
		r.Counts.Truncated++
	}
	r.Counts.Codes[r.code]++
	out[3] |= uint8(r.code & 15) //nolint:gosec // four bits
	out[4], out[5] = 0, 0
	if r.q.end > header {
		out[5] = 1
	}
	if r.q.edns {
		r.sections[2]++
		r.finishOPT()
	}
	binary.BigEndian.PutUint16(out[6:], r.sections[0])
	binary.BigEndian.PutUint16(out[8:], r.sections[1])
	binary.BigEndian.PutUint16(out[10:], r.sections[2])
	return r.n
}

func (r *Responder) finishOPT() {
	b := r.out[r.n : r.n+11]
	length := r.optLength() - 11
	b[0], b[1], b[2] = 0, 0, byte(dns.TypeOPT)
	binary.BigEndian.PutUint16(b[3:], maxUDP)
	b[5], b[6], b[7], b[8] = byte(r.code>>4), 0, 0, 0
	if r.q.do {
		b[7] = 0x80
	}
	binary.BigEndian.PutUint16(b[9:], uint16(length)) //nolint:gosec // a few options
	r.n += 11
	if length == 0 {
		return
	}
	if r.q.cookie != nil && r.options.Secret != nil {
		b := r.out[r.n : r.n+28]
		binary.BigEndian.PutUint16(b, optionCookie)
		binary.BigEndian.PutUint16(b[2:], clientCookie+serverCookie)
		if r.fresh {
			copy(b[4:], r.q.cookie)
		} else {
			copy(b[4:], r.q.cookie[:clientCookie])
			r.cookies.make((*[serverCookie]byte)(b[12:]), b[4:12], b[9:9], r.client.Addr, seconds(r.client.Now))
		}
		r.n += 28
	}
	if r.q.nsid && r.options.NSID != "" {
		binary.BigEndian.PutUint16(r.out[r.n:], optionNSID)
		binary.BigEndian.PutUint16(r.out[r.n+2:], uint16(len(r.options.NSID))) //nolint:gosec // configured
		r.n += 4 + copy(r.out[r.n+4:], r.options.NSID)
	}
}

// seconds is a time as cookies have it (RFC 9018 §4.3: modulo 2^32).
func seconds(now int64) uint32 { return uint32(now / 1_000_000_000) } //nolint:gosec // modulo 2^32

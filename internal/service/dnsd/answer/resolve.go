package answer

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"slices"

	"postroad/internal/proto/dns"
)

// Where a name stands in a zone.
type standing uint8

const (
	atNode     standing = iota // the name is there
	atWildcard                 // it is not, and a wildcard covers it (RFC 4592 §3.3.1)
	atCut                      // it is at or below a delegation
	atDNAME                    // it is below a DNAME record
	nowhere                    // it does not exist
)

// place finds the current name: where it stands, and the node that counts, which is the closest encloser when it is
// nowhere. closest is the number of labels that the closest encloser lacks.
func (r *Responder) place() (s standing, n, closest int) {
	z, l := r.z, &r.name
	end := l.length - int(z.apexLen)
	n = z.find(l.text[:end], l.hash)
	for n == noNode {
		closest++
		from := l.starts[closest]
		n = z.find(l.text[from:max(end, int(from))], maphash.Bytes(seed, l.text[from:l.length]))
	}
	at := z.node(n)
	flags := z.block[at+nodeFlags]
	if flags&flagOccluded != 0 {
		n = int(z.u32(at + nodeLink))
		if z.block[z.node(n)+nodeFlags]&flagCut != 0 {
			return atCut, n, closest
		}
		return atDNAME, n, closest
	}
	switch {
	case flags&flagCut != 0 && (closest > 0 || r.q.kind != dns.TypeDS):
		return atCut, n, closest
	case closest == 0:
		return atNode, n, 0
	case flags&flagDNAME != 0:
		return atDNAME, n, closest
	case flags&flagParent != 0:
		return atWildcard, int(z.u32(at + nodeLink)), closest
	}
	return nowhere, n, closest
}

// resolve answers the question from the zone, following aliases in it.
func (r *Responder) resolve() {
	z := r.z
	r.aa = true
	l := &r.name
	l.length = copy(l.text[:], r.q.name[:r.q.length])
	copy(l.starts[:], r.q.starts[:r.q.labels+1])
	for hop := 0; ; hop++ {
		r.seen[hop] = l.hash
		s, n, closest := r.place()
		at := z.node(n)
		follow := false
		switch s {
		case atCut:
			r.refer(n)
			return
		case nowhere:
			r.code = codeNXDomain
			z.counters.NXDomain.Add(1)
			r.proveNothing(n, closest)
			r.deny()
			return
		case atDNAME:
			follow = r.substitute(at)
		case atNode, atWildcard:
			follow = r.atName(s, n, closest)
		}
		if !follow || hop+1 == maxHops || r.turned(hop) {
			r.close()
			return
		}
	}
}

// turned reports whether the current name was looked for before.
func (r *Responder) turned(hop int) bool {
	return slices.Contains(r.seen[:hop+1], r.name.hash)
}

// atName answers from a node. It reports whether the answer goes on at the target of an alias.
func (r *Responder) atName(s standing, n, closest int) (follow bool) {
	z := r.z
	at := z.node(n)
	kind := uint16(r.q.kind)
	var set uint32
	switch r.q.kind { //nolint:exhaustive // the others are plain
	case dns.TypeANY:
		kind, set = z.first(at) // RFC 8482 §4.1
	case dns.TypeRRSIG:
		if _, set = z.first(at); set != 0 && z.u16(set+setSigs) == 0 {
			set = 0
		}
	default:
		set = z.set(at, kind)
	}
	if set == 0 {
		kind = uint16(dns.TypeCNAME)
		set = z.set(at, kind)
	}
	if s == atWildcard && (r.q.do && z.denial != 0) {
		r.proveCover(closest)
	}
	if set == 0 {
		r.what = z.hash | 1
		z.counters.NoData.Add(1)
		r.proveNoData(s, n, closest)
		r.deny()
		return false
	}
	if r.what == 0 {
		r.what = z.hash ^ uint64(set)<<1
	}
	start := r.n
	own := r.name.off == header && s == atNode
	if r.q.kind == dns.TypeRRSIG && kind != uint16(dns.TypeCNAME) {
		if !r.putSigs(set, r.name.off) {
			r.truncate()
		}
		return false
	}
	if !r.put(set, r.name.off, own && start == r.q.end) {
		r.truncate()
		return false
	}
	if kind == uint16(dns.TypeCNAME) && r.q.kind != dns.TypeCNAME && r.q.kind != dns.TypeANY {
		return r.alias(start)
	}
	r.answered = set
	if z.u16(set+setTargets) != 0 {
		r.add(addition{set: set, start: start, room: r.limit, glue: noNode})
	}
	if r.q.kind == dns.TypeA || r.q.kind == dns.TypeAAAA {
		r.addrs[0], r.addrsN = uint32(n), 1 //nolint:gosec // a node number
	}
	return false
}

// alias makes the target of the CNAME record at a place in the message the current name, if it is to be followed.
func (r *Responder) alias(start int) bool {
	l := &r.name
	n := 0
	at := start + 12
	for b := int(r.out[at]); b != 0; b = int(r.out[at]) {
		if b >= 0xC0 {
			n += copy(l.text[n:], r.z.apex())
			return r.step(start+12, n)
		}
		if n+b+1 > 254 {
			return false
		}
		n += copy(l.text[n:], r.out[at:at+1+b])
		at += 1 + b
	}
	l.text[n] = 0
	return r.z.apexLen == 1 && r.step(start+12, n+1)
}

// step makes the name of n octets in the look-up's text the current one. It stands at a place in the message. A name that
// belongs to another zone of the set is not followed: whoever asked asks there.
func (r *Responder) step(off, n int) bool {
	l := &r.name
	lower(l.text[:n])
	l.length, l.off = n, off
	if n == int(r.z.apexLen) {
		l.off = r.apexOff // where off holds but a pointer to it
	}
	l.labels = 0
	for i := 0; l.text[i] != 0; i += 1 + int(l.text[i]) {
		l.starts[l.labels] = uint8(i) //nolint:gosec // at most 254
		l.labels++
	}
	l.starts[l.labels] = uint8(n - 1) //nolint:gosec // at most 254
	l.hash = maphash.Bytes(seed, l.text[:n])
	for i := range l.labels - int(r.z.labels) {
		suffix := l.text[l.starts[i]:n]
		if z := r.set.look(maphash.Bytes(seed, suffix), suffix); z != nil && !z.pending {
			return false
		}
	}
	return true
}

// substitute answers with the DNAME record of the node at a place, and the CNAME record that it makes of the current name
// (RFC 6672 §3.1).
func (r *Responder) substitute(at uint32) bool {
	z, l := r.z, &r.name
	set := z.set(at, uint16(dns.TypeDNAME))
	prefix := l.length - int(z.apexLen) - int(z.block[at+nodeName]) // octets of the name that are replaced
	owner := l.off + prefix
	if z.block[at+nodeName] == 0 {
		owner = r.apexOff
	}
	if !r.moved(set) && !r.put(set, owner, false) {
		r.truncate()
		return false
	}
	if r.what == 0 {
		r.what = z.hash ^ uint64(set)<<1
	}
	// The target of a DNAME record is not compressed.
	data := z.records(set)
	ttl := binary.BigEndian.Uint32(data[6:])
	name := data[12:]
	if prefix+len(name) > 255 {
		r.code = codeYXDomain
		return false
	}
	size := 12 + prefix + len(name)
	if r.n+size > r.limit {
		r.truncate()
		return false
	}
	record := r.n
	b := r.out[record : record+size]
	binary.BigEndian.PutUint16(b, 0xC000|uint16(l.off)) //nolint:gosec // near the beginning
	b[2], b[3], b[4], b[5] = 0, byte(dns.TypeCNAME), 0, classIN
	binary.BigEndian.PutUint32(b[6:], ttl)
	n := 12 + r.spelling(b[12:], prefix)
	tail := len(name) - int(z.apexLen)
	inside := tail >= 0 && z.apexLen > 1 && foldedEqual(name[tail:], z.apex()) && boundary(name, tail)
	if inside {
		n += copy(b[n:], name[:tail])
		binary.BigEndian.PutUint16(b[n:], 0xC000|uint16(r.apexOff)) //nolint:gosec // in the question
		n += 2
	} else {
		n += copy(b[n:], name)
	}
	binary.BigEndian.PutUint16(b[10:], uint16(n-12)) //nolint:gosec // a name
	r.n += n
	r.sections[r.section]++
	if r.q.kind == dns.TypeCNAME || r.q.kind == dns.TypeANY || !inside && z.apexLen > 1 {
		return false
	}
	copy(l.text[prefix:], name)
	return r.step(record+12, prefix+len(name))
}

// moved reports whether a DNAME record is in the answer, and notes that it is from now on: no record is twice in an answer.
func (r *Responder) moved(set uint32) bool {
	if slices.Contains(r.moves[:r.movesN], set) {
		return true
	}
	r.moves[r.movesN] = set
	r.movesN++
	return false
}

// spelling writes the first octets of the current name as they were asked for, where that is the question's.
func (r *Responder) spelling(b []byte, length int) int {
	if r.name.off == header {
		return copy(b, r.out[header:header+length])
	}
	return copy(b, r.name.text[:length])
}

// close ends a positive answer: what proves that a wildcard was right, the zone's name servers where there is room, and
// addresses.
func (r *Responder) close() {
	if r.tc || r.section > 0 { // truncated, or denied
		return
	}
	r.z.counters.Positive.Add(1)
	if !r.putProofs() {
		r.truncate()
		return
	}
	r.section = 1
	z := r.z
	if r.answered != 0 && z.ns != 0 && z.ns != r.answered {
		room := min(roomy-r.optLength(), r.limit)
		if start := r.n; r.n+r.length(z.ns) <= room && r.put(z.ns, r.apexOff, false) {
			r.add(addition{set: z.ns, start: start, room: room, glue: noNode})
		}
	}
	r.putAddresses()
}

// deny ends a negative answer: SOA record and proofs (RFC 2308 §2, RFC 4035 §3.1.3).
func (r *Responder) deny() {
	if r.what == 0 {
		r.what = r.z.hash | 1
	}
	r.section = 1
	if !r.putSOA() || !r.putProofs() {
		r.truncate()
	}
	r.added = 0
}

// refer ends an answer at a delegation: its NS records, its DS records or the proof that there are none, and glue (RFC
// 1034 §4.3.2, RFC 4035 §3.1.4).
func (r *Responder) refer(n int) {
	z := r.z
	at := z.node(n)
	if r.sections[0] == 0 {
		r.aa = false
	}
	r.what = z.hash ^ uint64(at)<<1
	z.counters.Referrals.Add(1)
	r.section = 1
	ns := z.set(at, uint16(dns.TypeNS))
	start := r.n
	owner := r.apexOff
	if length := int(z.block[at+nodeName]); length > 0 {
		owner = r.name.off + r.name.length - int(z.apexLen) - length
	}
	if !r.put(ns, owner, false) {
		r.truncate()
		return
	}
	if r.q.do && z.denial != 0 {
		if ds := z.set(at, uint16(dns.TypeDS)); ds != 0 {
			if !r.put(ds, owner, false) {
				r.truncate()
				return
			}
		} else {
			r.proveNoDS(n)
		}
	}
	if !r.putProofs() {
		r.truncate()
		return
	}
	r.added = 0
	r.add(addition{set: ns, start: start, room: r.limit, glue: n})
	r.putAddresses()
}

// length is what an RRset will take.
func (r *Responder) length(set uint32) int {
	n := r.z.u16(set + setLen)
	if r.q.do {
		n += r.z.u16(set + setSigLen)
	}
	return n
}

// put writes an RRset with an owner that stands at a place in the message, with its signatures where they are wanted. It
// reports whether there was room. ready: the RRset is the question's own and stands directly behind it.
func (r *Responder) put(set uint32, owner int, ready bool) bool {
	z := r.z
	h := z.block[set : set+setHeader]
	records, sigs := binary.LittleEndian.Uint16(h), binary.LittleEndian.Uint16(h[setSigs:])
	length := int(binary.LittleEndian.Uint16(h[setLen:]))
	fixes := uint32(binary.LittleEndian.Uint16(h[setFixes:]))
	data := set + setHeader + fixEntry*fixes + target*uint32(binary.LittleEndian.Uint16(h[setTargets:]))
	total := length
	if r.q.do {
		total += int(binary.LittleEndian.Uint16(h[setSigLen:]))
		records += sigs
	}
	start := r.n
	if start+total > r.limit || start > maxShared && fixes > 0 {
		return false
	}
	copy(r.out[start:r.limit], z.block[data:data+uint32(total)]) //nolint:gosec // at most a message
	r.n += total
	r.sections[r.section] += records
	if ready {
		return true
	}
	if owner != header {
		r.setOwners(start, owner)
	}
	for f := z.block[set+setHeader:][:fixEntry*fixes]; len(f) > 0; f = f[fixEntry:] {
		at, to := start+int(binary.LittleEndian.Uint16(f)), int(binary.LittleEndian.Uint16(f[2:]))
		if to == toApex {
			to = r.apexOff
		} else {
			to += start
		}
		binary.BigEndian.PutUint16(r.out[at:], 0xC000|uint16(to)) //nolint:gosec // at most twice maxShared
	}
	return true
}

// setOwners points the owners of the records from a place on to another.
func (r *Responder) setOwners(start, owner int) {
	pointer := 0xC000 | uint16(owner) //nolint:gosec // within reach, as callers see to
	for at := start; at < r.n; at += 12 + int(binary.BigEndian.Uint16(r.out[at+10:])) {
		binary.BigEndian.PutUint16(r.out[at:], pointer)
	}
}

// putSigs writes the signatures of an RRset alone.
func (r *Responder) putSigs(set uint32, owner int) bool {
	z := r.z
	length, total := z.u16(set+setLen), z.u16(set+setSigLen)
	start := r.n
	if start+total > r.limit {
		return false
	}
	from := int(set) + setHeader + fixEntry*z.u16(set+setFixes) + target*z.u16(set+setTargets) + length
	copy(r.out[start:], z.block[from:from+total])
	r.n += total
	r.sections[r.section] += uint16(z.u16(set + setSigs)) //nolint:gosec // two octets
	r.setOwners(start, owner)
	return true
}

// putOwned writes an RRset of NSEC or NSEC3 records, whose owner is labels and then the zone's name.
func (r *Responder) putOwned(set uint32, labels []byte) bool {
	z := r.z
	if len(labels) == 0 {
		return r.put(set, r.apexOff, false)
	}
	data := z.records(set)
	if r.q.do {
		data = data[:len(data)+z.u16(set+setSigLen)]
	}
	start := r.n
	if start+len(labels)+len(data) > r.limit || start > 0x3FFF {
		return false
	}
	r.n += copy(r.out[start:], labels)
	binary.BigEndian.PutUint16(r.out[r.n:], 0xC000|uint16(r.apexOff)) //nolint:gosec // in the question
	first := r.n
	r.n += 2 + copy(r.out[first+2:], data[2:])
	r.sections[r.section] += uint16(z.u16(set + setRecords)) //nolint:gosec // two octets
	if r.q.do {
		r.sections[r.section] += uint16(z.u16(set + setSigs)) //nolint:gosec // two octets
	}
	r.setOwners(first+12+int(binary.BigEndian.Uint16(r.out[first+10:])), start)
	return true
}

// putSOA writes the SOA record with the TTL of negative answers (RFC 2308 §5).
func (r *Responder) putSOA() bool {
	start := r.n
	if !r.put(r.z.soa, r.apexOff, false) {
		return false
	}
	for at := start; at < r.n; at += 12 + int(binary.BigEndian.Uint16(r.out[at+10:])) {
		if ttl := r.out[at+6 : at+10]; binary.BigEndian.Uint32(ttl) > r.z.negative {
			binary.BigEndian.PutUint32(ttl, r.z.negative)
		}
	}
	return true
}

// add notes an RRset for putAddresses.
func (r *Responder) add(a addition) {
	if r.added < len(r.adds) {
		r.adds[r.added] = a
		r.added++
	}
}

// putAddresses fills the additional section. Glue that names a server inside its own delegation has to be there, or the
// answer is truncated (RFC 9471 §3); all else may be left out.
func (r *Responder) putAddresses() {
	r.section = 2
	z := r.z
	for _, a := range r.adds[:r.added] {
		list := z.block[a.set+setHeader+fixEntry*uint32(z.u16(a.set+setFixes)):][:target*z.u16(a.set+setTargets)] //nolint:gosec // two octets
		for ; len(list) > 0; list = list[target:] {
			n := binary.LittleEndian.Uint32(list[2:])
			at := z.node(int(n))
			needed := a.glue != noNode && z.block[at+nodeFlags]&flagOccluded != 0 && int(z.u32(at+nodeLink)) == a.glue || int(n) == a.glue
			if r.hasAddresses(n) {
				continue
			}
			owner := a.start + int(binary.LittleEndian.Uint16(list))
			if n == 0 {
				owner = r.apexOff
			}
			for _, kind := range [...]dns.Type{dns.TypeA, dns.TypeAAAA} {
				set := z.set(at, uint16(kind))
				if set == 0 || owner > 0x3FFF {
					continue
				}
				if (r.n+r.length(set) > a.room || !r.put(set, owner, false)) && needed && !r.client.TCP {
					r.tc = true
				}
			}
		}
	}
}

// hasAddresses reports whether the addresses of a node are there, or may not be, and notes that they are from now on.
func (r *Responder) hasAddresses(n uint32) bool {
	if slices.Contains(r.addrs[:r.addrsN], n) {
		return true
	}
	if r.addrsN == len(r.addrs) {
		return true
	}
	r.addrs[r.addrsN] = n
	r.addrsN++
	return false
}

// inQuestion gives where in the question a name without the apex stands, if it is one of those above the question's.
func (r *Responder) inQuestion(rel []byte) (int, bool) {
	end := r.q.length - int(r.z.apexLen)
	from := end - len(rel)
	if from < 0 || !bytes.Equal(r.q.name[from:end], rel) || !boundary(r.q.name[:], from) {
		return 0, false
	}
	return header + from, true
}

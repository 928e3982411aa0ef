package answer

import (
	"hash/maphash"
	"slices"

	"postroad/internal/proto/dns"
)

// proof is a record that denies: of NSEC the number of a node, of NSEC3 that of a hash.
type proof uint32

// prove notes a record for the authority section, once.
func (r *Responder) prove(p proof) {
	if slices.Contains(r.proofs[:r.proved], p) {
		return
	}
	if r.proved < len(r.proofs) {
		r.proofs[r.proved] = p
		r.proved++
	}
}

// putProofs writes them.
func (r *Responder) putProofs() bool {
	z := r.z
	r.section = 1
	for _, p := range r.proofs[:r.proved] {
		if z.hashes != 0 {
			entry := z.hashes + hashEntry*uint32(p)
			var label [33]byte
			label[0] = 32
			appendBase32(label[:1], z.block[entry:entry+20])
			if !r.putOwned(z.u32(entry+20), label[:]) {
				return false
			}
			continue
		}
		at := z.node(int(p))
		set, rel := z.set(at, uint16(dns.TypeNSEC)), z.rel(at)
		if off, ok := r.inQuestion(rel); ok {
			if !r.put(set, off, false) {
				return false
			}
		} else if !r.putOwned(set, rel) {
			return false
		}
	}
	return true
}

// denies reports whether answers prove what they deny.
func (r *Responder) denies() bool { return r.q.do && r.z.denial != 0 }

// last gives the last node up to n that has an NSEC record.
func (z *Zone) last(n int) proof {
	return proof(z.u32(z.denial + denialEntry*uint32(n))) //nolint:gosec // a node number
}

// own gives the number of the NSEC3 record of a node.
func (z *Zone) own(n int) (proof, bool) {
	p := z.u32(z.denial + denialEntry*uint32(n)) //nolint:gosec // a node number
	return proof(p - 1), p != 0
}

// proveCover proves that the current name less closest-1 labels does not exist, the one that is a label longer than its
// closest encloser (RFC 4035 §3.1.3.3, RFC 5155 §7.2.6).
func (r *Responder) proveCover(closest int) {
	z, l := r.z, &r.name
	from := l.starts[closest-1]
	if z.hashes != 0 {
		p, _ := z.lookHash(l.text[from:l.length])
		r.prove(proof(p))
		return
	}
	r.prove(z.last(z.before(l.text[from : l.length-int(z.apexLen)])))
}

// proveNothing proves that neither the current name nor a wildcard for it exists. n is the closest encloser (RFC 4035
// §3.1.3.2, RFC 5155 §7.2.2).
func (r *Responder) proveNothing(n, closest int) {
	if !r.denies() {
		return
	}
	z, l := r.z, &r.name
	if z.hashes != 0 {
		n = r.proveEncloser(n, closest)
		if p := z.u32(z.denial + denialEntry*uint32(n) + 4); p != 0 { //nolint:gosec // a node number
			r.prove(proof(p - 1))
		}
		return
	}
	r.proveCover(closest)
	var wildcard [256]byte
	wildcard[0], wildcard[1] = 1, '*'
	length := 2
	if from, end := int(l.starts[closest]), l.length-int(z.apexLen); from < end {
		length += copy(wildcard[2:], l.text[from:end])
	}
	r.prove(z.last(z.before(wildcard[:min(length, 255)])))
}

// proveEncloser proves the closest encloser that can be proved, from the node n up, and that the name a label longer does
// not exist (RFC 5155 §7.2.1). It gives that node.
func (r *Responder) proveEncloser(n, closest int) int {
	z, l := r.z, &r.name
	end := l.length - int(z.apexLen)
	for {
		if p, ok := z.own(n); ok {
			r.prove(p)
			break
		}
		closest++
		from := int(l.starts[closest])
		n = z.find(l.text[from:max(end, from)], maphash.Bytes(seed, l.text[from:l.length]))
	}
	if closest > 0 {
		r.proveCover(closest)
	}
	return n
}

// proveNoData proves that a name has no record of the type. At a wildcard the proof that nothing stands in its way is made
// already (RFC 4035 §3.1.3.1, §3.1.3.4, RFC 5155 §7.2.3 to §7.2.5).
func (r *Responder) proveNoData(s standing, n, closest int) {
	if !r.denies() {
		return
	}
	z, l := r.z, &r.name
	if z.hashes == 0 {
		r.prove(z.last(n))
		return
	}
	p, ok := z.own(n)
	switch {
	case s == atWildcard:
		if ok {
			r.prove(p)
		}
		from, end := int(l.starts[closest]), l.length-int(z.apexLen)
		encloser := z.find(l.text[from:max(end, from)], maphash.Bytes(seed, l.text[from:l.length]))
		if p, ok := z.own(encloser); ok {
			r.prove(p)
		}
	case ok:
		r.prove(p)
	default: // opt-out
		r.proveEncloser(n, 0)
	}
}

// proveNoDS proves that the delegation at a node has no DS record.
func (r *Responder) proveNoDS(n int) {
	z := r.z
	if z.hashes == 0 {
		r.prove(z.last(n))
		return
	}
	if p, ok := z.own(n); ok {
		r.prove(p)
		return
	}
	// The current name may be below the delegation.
	lacks := 0
	for length := int(z.block[z.node(n)+nodeName]); ; lacks++ {
		if r.name.length-int(z.apexLen)-int(r.name.starts[lacks]) == length {
			break
		}
	}
	r.proveEncloser(n, lacks)
}

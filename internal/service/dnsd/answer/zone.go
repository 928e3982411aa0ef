package answer

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"sync/atomic"
)

// seed keeps the tables' order from those who choose names.
var seed = maphash.MakeSeed()

// Zone is a zone ready to answer. It never changes, its counters aside. Everything lies in one block, so that a
// hundred thousand zones are few objects:
//
//	apex      its name on the wire, lower-case
//	RRsets    header, fix-ups, targets, records ready to be copied, their RRSIG records
//	nodes     header, name without the apex, directory of RRsets: type and place
//	places    of the nodes, in canonical order (RFC 4034 §6.1); the first is the apex
//	slots     a hash table of node numbers
//	denial    in signed zones, per node what proves that something beside it is not there
//	hashes    of NSEC3 records, sorted, each with the place of its RRset
type Zone struct {
	block    []byte
	counters *Counters
	hash     uint64 // of the apex
	places   uint32
	count    uint32 // nodes
	slots    uint32
	mask     uint32
	soa      uint32 // RRsets of the apex; 0: none
	ns       uint32
	negative uint32 // TTL of negative answers (RFC 2308 §5)
	serial   uint32
	denial   uint32 // 0: not signed
	hashes   uint32 // 0: NSEC, or not signed
	hashed   uint32 // number of hashes
	salt     uint32
	saltLen  uint8
	rounds   uint8 // additional iterations of NSEC3
	apexLen  uint8
	labels   uint8
	pending  bool
	expired  bool // everything is answered with SERVFAIL
}

// Counters count the answers of one zone. A zone that takes the place of another goes on counting where that one was.
type Counters struct {
	Positive, Referrals, NoData, NXDomain atomic.Uint64
}

// The header of a node, before its name and directory.
const (
	nodeFlags  = 0
	nodeName   = 1 // length of the name
	nodeSets   = 2 // number of RRsets, 2 octets
	nodeLink   = 4 // a node number, 4 octets: see flags
	nodeHeader = 8
	setEntry   = 6 // type, place
)

// What a node is.
const (
	flagCut      = 1 << iota // a delegation: NS records below the apex
	flagDNAME                // names below it are somewhere else
	flagOccluded             // below a delegation or DNAME, whose number is the link
	flagParent               // the link is the number of the wildcard below it
)

// The header of an RRset, before fix-ups, targets, records and signatures.
const (
	setRecords = 0 // number of records
	setSigs    = 2 // number of RRSIG records
	setLen     = 4 // octets of the records
	setSigLen  = 6 // octets of the RRSIG records
	setFixes   = 8
	setTargets = 10
	setHeader  = 12
	fixEntry   = 4 // where in the records a compression pointer stands, and what to: toApex or a place in the records
	toApex     = 0xFFFF
	target     = 6 // where in the records a name of this zone begins, and its node number
)

const noNode = -1

func (z *Zone) u16(at uint32) int    { return int(binary.LittleEndian.Uint16(z.block[at:])) }
func (z *Zone) u32(at uint32) uint32 { return binary.LittleEndian.Uint32(z.block[at:]) }

func (z *Zone) apex() []byte { return z.block[:z.apexLen] }

// node gives the place of a node.
func (z *Zone) node(n int) uint32 { return z.u32(z.places + 4*uint32(n)) } //nolint:gosec // a node number

// rel gives the name of the node at a place, without the apex.
func (z *Zone) rel(at uint32) []byte {
	return z.block[at+nodeHeader:][:z.block[at+nodeName]]
}

// find gives the number of the node with a name, which is without the apex, and the hash of the whole name.
func (z *Zone) find(rel []byte, hash uint64) int {
	tag := uint32(hash>>32) &^ slotNode
	for i := uint32(hash) & z.mask; ; i = (i + 1) & z.mask { //nolint:gosec // the lower bits
		slot := z.u32(z.slots + 4*i)
		if slot == 0 {
			return noNode
		}
		if slot&^slotNode == tag {
			n := int(slot&slotNode) - 1
			if bytes.Equal(z.rel(z.node(n)), rel) {
				return n
			}
		}
	}
}

// slotNode are the bits of a slot that are the node's number plus one; the others are of its hash.
const slotNode = 1<<24 - 1

// set gives the place of the RRset of a type at the node at a place, 0 for none.
func (z *Zone) set(at uint32, kind uint16) uint32 {
	entry := at + nodeHeader + uint32(z.block[at+nodeName])
	for n := z.u16(at + nodeSets); n > 0; n-- {
		if binary.LittleEndian.Uint16(z.block[entry:]) == kind {
			return z.u32(entry + 2)
		}
		entry += setEntry
	}
	return 0
}

// first gives the type and the place of the first RRset of the node at a place; 0 for none.
func (z *Zone) first(at uint32) (kind uint16, set uint32) {
	if z.u16(at+nodeSets) == 0 {
		return 0, 0
	}
	entry := at + nodeHeader + uint32(z.block[at+nodeName])
	return binary.LittleEndian.Uint16(z.block[entry:]), z.u32(entry + 2)
}

// Serial is the version of the zone's content.
func (z *Zone) Serial() uint32 { return z.serial }

// Pending reports whether only SOA and NS of the apex are answered.
func (z *Zone) Pending() bool { return z.pending }

// Counters are the zone's counters.
func (z *Zone) Counters() *Counters { return z.counters }

// before gives the number of the last node whose name is not behind rel in canonical order; the apex is before all.
func (z *Zone) before(rel []byte) int {
	low, high := 0, int(z.count)
	for high-low > 1 {
		middle := (low + high) / 2
		if compare(z.rel(z.node(middle)), rel) <= 0 {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

// compare orders names below the same apex canonically (RFC 4034 §6.1). They are lower-case and without the apex.
func compare(a, b []byte) int {
	var x, y [128]uint8
	i, j := starts(a, &x), starts(b, &y)
	for i > 0 && j > 0 {
		i--
		j--
		p, q := int(x[i]), int(y[j])
		if c := bytes.Compare(a[p+1:p+1+int(a[p])], b[q+1:q+1+int(b[q])]); c != 0 {
			return c
		}
	}
	return i - j
}

// starts fills in where labels begin and gives their number.
func starts(name []byte, at *[128]uint8) int {
	n := 0
	for i := 0; i < len(name) && name[i] != 0; i += 1 + int(name[i]) {
		at[n] = uint8(i) //nolint:gosec // a name has at most 255 octets
		n++
	}
	return n
}

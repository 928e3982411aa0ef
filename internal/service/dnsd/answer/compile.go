package answer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"math/bits"
	"slices"
	"sync"

	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
)

// ErrZone says that a zone cannot be answered for. The error that wraps it says why.
var ErrZone = errors.New("the zone cannot be published")

const (
	// maxAnswer is what the records of one RRset with their signatures may take: a message less its header, the longest
	// question and an OPT record with all its options.
	maxAnswer = 65535 - 12 - 259 - 11 - 64
	// maxShared is the last place in an RRset that others of its records point to: pointers reach 16,383 octets (RFC 1035
	// §4.1.4), and something may stand before the RRset.
	maxShared = 0x1FFF
	maxNodes  = slotNode - 1
)

// compilers keep their buffers from one zone to the next.
var compilers = sync.Pool{New: func() any { return &compiler{seen: map[string]uint16{}} }}

// Compile makes a zone ready to answer. Records have to be in order, as zone.Zone says. What a pending zone says has TTL 0,
// and no addresses stand beside it: whose it is nobody has shown, and resolvers that were led here by an old delegation
// would go by the NS records of a stranger for as long as they keep them.
func Compile(z *zone.Zone) (*Zone, error) {
	c, _ := compilers.Get().(*compiler)
	defer compilers.Put(c)
	out, err := c.compile(z)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrZone, z.Domain, err)
	}
	return out, nil
}

type compiler struct {
	zone    *Zone
	apex    []byte
	block   []byte
	names   []byte        // of the nodes, end to end
	records []*dns.Record // of the nodes; those of a node together
	nodes   []node
	sets    []set // of the node at hand
	hashed  []hashed
	places  []uint32

	body    []byte // the RRset at hand
	sigs    []byte
	fixes   []fix
	targets []fix
	seen    map[string]uint16 // names in body
}

type node struct {
	name     [2]int // in names
	records  [2]int // in records
	flags    uint8
	link     int
	place    uint32
	occluder int // the node that occludes what is below this one
}

type set struct {
	kind  dns.Type
	place uint32
}

type fix struct {
	at uint16
	to uint32
}

type hashed struct {
	hash  [20]byte
	place uint32
	set   []*dns.Record
}

func (c *compiler) compile(z *zone.Zone) (*Zone, error) {
	c.zone = &Zone{serial: z.Serial, pending: z.Pending, counters: &Counters{}}
	c.block, c.names, c.records, c.nodes, c.hashed, c.places = c.block[:0], c.names[:0], c.records[:0], c.nodes[:0], c.hashed[:0], c.places[:0]
	defer func() { clear(c.records); clear(c.hashed); c.zone = nil }()
	var err error
	if c.apex, err = dns.AppendName(c.apex[:0], z.Apex()); err != nil {
		return nil, err
	}
	lower(c.apex)
	c.block = append(c.block, c.apex...)
	for len(c.block)%4 != 0 {
		c.block = append(c.block, 0)
	}
	c.zone.apexLen = uint8(len(c.apex)) //nolint:gosec // a name has at most 255 octets
	var at [128]uint8
	c.zone.labels = uint8(starts(c.apex, &at)) //nolint:gosec // at most 127
	c.zone.hash = maphash.Bytes(seed, c.apex)
	if err := c.gather(z); err != nil {
		return nil, err
	}
	c.link()
	for i := range c.nodes {
		if err := c.writeNode(&c.nodes[i]); err != nil {
			return nil, err
		}
	}
	if err := c.finish(); err != nil {
		return nil, err
	}
	out := c.zone
	out.block = bytes.Clone(c.block)
	return out, nil
}

// gather sorts the records into nodes, empty non-terminals among them, and the NSEC3 records away.
func (c *compiler) gather(z *zone.Zone) error {
	c.nodes = append(c.nodes, node{occluder: noNode})
	plain, signed := z.Records, z.Signatures
	var last string
	var wire [256]byte
	for len(plain)+len(signed) > 0 {
		from := &plain
		if len(plain) == 0 || len(signed) > 0 && dns.Compare(signed[0], plain[0]) < 0 {
			from = &signed
		}
		r := &(*from)[0]
		*from = (*from)[1:]
		if len(r.Data) > dns.MaxData {
			return fmt.Errorf("%s %s has %d octets", r.Name, r.Type, len(r.Data))
		}
		if r.Type == dns.TypeNSEC3 || covers(r) == dns.TypeNSEC3 {
			if err := c.takeHashed(r); err != nil {
				return err
			}
			continue
		}
		if r.Name != last || len(c.records) == 0 {
			name, err := dns.AppendName(wire[:0], r.Name)
			if err != nil {
				return err
			}
			lower(name)
			if err := c.enter(name, r); err != nil {
				return err
			}
			last = r.Name
		}
		c.records = append(c.records, r)
		c.nodes[len(c.nodes)-1].records[1] = len(c.records)
	}
	if len(c.nodes) > maxNodes {
		return fmt.Errorf("%d names are too many", len(c.nodes))
	}
	return nil
}

// covers gives the type that a record's signature is of; 0 when it is none.
func covers(r *dns.Record) dns.Type {
	if r.Type != dns.TypeRRSIG || len(r.Data) < 18 {
		return 0
	}
	return dns.Type(binary.BigEndian.Uint16(r.Data))
}

// enter begins the node of a name, after the empty non-terminals above it.
func (c *compiler) enter(name []byte, r *dns.Record) error {
	rel, ok := bytes.CutSuffix(name, c.apex)
	if !ok || !boundary(name, len(rel)) {
		return fmt.Errorf("%s is not in the zone", r.Name)
	}
	last := c.name(len(c.nodes) - 1)
	switch order := compare(last, rel); {
	case order > 0:
		return fmt.Errorf("%s stands at the wrong place", r.Name)
	case order == 0 && (len(rel) > 0 || len(c.records) > 0):
		return fmt.Errorf("%s stands at two places", r.Name)
	case order == 0:
		return nil // the apex, which is there
	}
	var at, above [128]uint8
	n, m := starts(rel, &at), starts(last, &above)
	common := 0
	for common < n && common < m && sameLabel(rel[at[n-1-common]:], last[above[m-1-common]:]) {
		common++
	}
	for i := n - 1 - common; i >= 0; i-- {
		begin := len(c.names)
		c.names = append(c.names, rel[at[i]:]...)
		c.nodes = append(c.nodes, node{name: [2]int{begin, len(c.names)}, records: [2]int{len(c.records), len(c.records)}, occluder: noNode})
	}
	return nil
}

// boundary reports whether a label of a name begins at a place.
func boundary(name []byte, at int) bool {
	i := 0
	for i < at {
		i += 1 + int(name[i])
	}
	return i == at
}

func sameLabel(a, b []byte) bool {
	return a[0] == b[0] && bytes.Equal(a[1:1+int(a[0])], b[1:1+int(b[0])])
}

// name is a node's name, without the apex.
func (c *compiler) name(n int) []byte { return c.names[c.nodes[n].name[0]:c.nodes[n].name[1]] }

// number gives the node of a name without the apex.
func (c *compiler) number(rel []byte) int {
	n, ok := slices.BinarySearchFunc(c.nodes, rel, func(n node, rel []byte) int { return compare(c.names[n.name[0]:n.name[1]], rel) })
	if !ok {
		return noNode
	}
	return n
}

// link finds delegations, DNAMEs and wildcards, and tells the nodes concerned. Nodes are in order, so that what is above
// a node was seen before it.
func (c *compiler) link() {
	for i := range c.nodes {
		n := &c.nodes[i]
		if i > 0 {
			rel := c.name(i)
			above := c.number(rel[1+int(rel[0]):])
			n.occluder = c.nodes[above].occluder
			if rel[0] == 1 && rel[1] == '*' {
				if up := &c.nodes[above]; up.flags&flagOccluded == 0 {
					up.flags |= flagParent
					up.link = i
				}
			}
		}
		if n.occluder != noNode {
			n.flags |= flagOccluded
			n.link = n.occluder
			continue
		}
		for _, r := range c.records[n.records[0]:n.records[1]] {
			switch {
			case r.Type == dns.TypeNS && i > 0:
				n.flags |= flagCut
			case r.Type == dns.TypeDNAME:
				n.flags |= flagDNAME
			}
		}
		if n.flags&(flagCut|flagDNAME) != 0 {
			n.occluder = i
		}
	}
}

// writeNode writes the RRsets of a node, and the node.
func (c *compiler) writeNode(n *node) error {
	c.sets = c.sets[:0]
	list := c.records[n.records[0]:n.records[1]]
	sigs := list[:0:0]
	if i := slices.IndexFunc(list, func(r *dns.Record) bool { return r.Type == dns.TypeRRSIG }); i >= 0 {
		j := i
		for j < len(list) && list[j].Type == dns.TypeRRSIG {
			j++
		}
		sigs = list[i:j]
	}
	rel := c.names[n.name[0]:n.name[1]]
	for i := 0; i < len(list); {
		kind := list[i].Type
		j := i
		for j < len(list) && list[j].Type == kind {
			j++
		}
		switch {
		case kind.Meta():
			return fmt.Errorf("%s %s is no record of a zone", list[i].Name, kind)
		case kind != dns.TypeRRSIG:
			place, err := c.writeSet(list[i:j], sigs, len(rel))
			if err != nil {
				return err
			}
			c.sets = append(c.sets, set{kind, place})
		}
		i = j
	}
	n.place = c.place()
	c.places = append(c.places, n.place)
	link := uint32(n.link) //nolint:gosec // a node number
	c.block = append(c.block, n.flags, uint8(len(rel)))
	c.block = binary.LittleEndian.AppendUint16(c.block, uint16(len(c.sets))) //nolint:gosec // there are 65,535 types
	c.block = binary.LittleEndian.AppendUint32(c.block, link)
	c.block = append(c.block, rel...)
	for _, s := range c.sets {
		c.block = binary.LittleEndian.AppendUint16(c.block, uint16(s.kind))
		c.block = binary.LittleEndian.AppendUint32(c.block, s.place)
	}
	return nil
}

func (c *compiler) place() uint32 { return uint32(len(c.block)) } //nolint:gosec // records of one zone fit

// writeSet writes an RRset, with those of sigs that are over it, as it stands in an answer to a question for its owner:
// directly behind the question. rel is the length of the owner without the apex.
func (c *compiler) writeSet(list, sigs []*dns.Record, rel int) (uint32, error) {
	c.body, c.sigs, c.fixes, c.targets = c.body[:0], c.sigs[:0], c.fixes[:0], c.targets[:0]
	clear(c.seen)
	kind, ttl := list[0].Type, list[0].TTL
	for _, r := range list {
		ttl = min(ttl, r.TTL) // RFC 2181 §5.2: one TTL for all
	}
	if c.zone.pending {
		ttl = 0
	}
	for _, r := range list {
		c.body = appendHead(c.body, kind, ttl)
		length := len(c.body)
		c.body = append(c.body, 0, 0)
		if err := c.appendData(r, len(list) > 1); err != nil {
			return 0, fmt.Errorf("%s %s: %w", r.Name, kind, err)
		}
		if len(c.body) > maxAnswer {
			break
		}
		binary.BigEndian.PutUint16(c.body[length:], uint16(len(c.body)-length-2)) //nolint:gosec // shorter than the data
	}
	count := 0
	for _, r := range sigs {
		if covers(r) == kind {
			c.sigs = appendHead(c.sigs, dns.TypeRRSIG, min(r.TTL, ttl))
			c.sigs = binary.BigEndian.AppendUint16(c.sigs, uint16(len(r.Data))) //nolint:gosec // gather has seen to it
			c.sigs = append(c.sigs, r.Data...)
			count++
		}
	}
	if len(c.body)+len(c.sigs) > maxAnswer {
		return 0, fmt.Errorf("the %s records of %s do not fit into a message: take some away", kind, list[0].Name)
	}
	start := 12 + rel + len(c.apex) + 4
	for _, f := range c.fixes {
		to := start + int(f.to)
		if f.to == toApex {
			to = 12 + rel
		}
		binary.BigEndian.PutUint16(c.body[f.at:], 0xC000|uint16(to)) //nolint:gosec // at most maxShared and a question
	}
	place := c.place()
	for _, n := range []int{len(list), count, len(c.body), len(c.sigs), len(c.fixes), len(c.targets)} {
		c.block = binary.LittleEndian.AppendUint16(c.block, uint16(n)) //nolint:gosec // less than maxAnswer each
	}
	for _, f := range c.fixes {
		c.block = binary.LittleEndian.AppendUint16(c.block, f.at)
		c.block = binary.LittleEndian.AppendUint16(c.block, uint16(f.to)) //nolint:gosec // at most maxShared, or toApex
	}
	for _, t := range c.targets {
		c.block = binary.LittleEndian.AppendUint16(c.block, t.at)
		c.block = binary.LittleEndian.AppendUint32(c.block, t.to)
	}
	c.block = append(c.block, c.body...)
	c.block = append(c.block, c.sigs...)
	return place, nil
}

// appendHead appends a record's owner, which is the name of the question, up to its TTL.
func appendHead(b []byte, kind dns.Type, ttl uint32) []byte {
	b = append(b, 0xC0, 12)
	b = binary.BigEndian.AppendUint16(b, uint16(kind))
	b = append(b, 0, 1)
	return binary.BigEndian.AppendUint32(b, ttl)
}

// appendData appends a record's data with its names compressed where that is allowed (RFC 3597 §4).
func (c *compiler) appendData(r *dns.Record, several bool) error {
	var before, names int
	compress := true
	switch r.Type { //nolint:exhaustive // the others have no names that matter
	case dns.TypeNS, dns.TypeCNAME, dns.TypePTR:
		names = 1
	case dns.TypeMX:
		before, names = 2, 1
	case dns.TypeSOA:
		names = 2
	case dns.TypeSRV:
		before, names, compress = 6, 1, false
	case dns.TypeDNAME:
		names, compress = 1, false
	}
	data := r.Data
	if len(data) < before {
		return errors.New("its data is too short")
	}
	c.body = append(c.body, data[:before]...)
	data = data[before:]
	for range names {
		n := nameLength(data)
		if n == 0 {
			return errors.New("its data holds no name where one belongs")
		}
		c.appendName(data[:n], r.Type, compress, several)
		data = data[n:]
	}
	c.body = append(c.body, data...)
	return nil
}

// nameLength is the length of the uncompressed name at the beginning of data; 0 when there is none.
func nameLength(data []byte) int {
	for i := 0; i < len(data) && i < 255; i += 1 + int(data[i]) {
		switch {
		case data[i] == 0:
			return i + 1
		case data[i] > 63:
			return 0
		}
	}
	return 0
}

func (c *compiler) appendName(name []byte, kind dns.Type, compress, several bool) {
	c.aim(name, kind)
	for at := 0; ; at += 1 + int(name[at]) {
		rest := name[at:]
		if compress && len(rest) == len(c.apex) && len(rest) > 1 && foldedEqual(rest, c.apex) {
			c.fixes = append(c.fixes, fix{uint16(len(c.body)), toApex}) //nolint:gosec // less than maxAnswer and a record
			c.body = append(c.body, 0, 0)
			return
		}
		if name[at] == 0 {
			c.body = append(c.body, 0)
			return
		}
		if compress && several {
			if to, ok := c.seen[string(rest)]; ok {
				c.fixes = append(c.fixes, fix{uint16(len(c.body)), uint32(to)}) //nolint:gosec // as above
				c.body = append(c.body, 0, 0)
				return
			}
			if len(c.body) < maxShared {
				c.seen[string(rest)] = uint16(len(c.body)) //nolint:gosec // just compared
			}
		}
		c.body = append(c.body, name[at:at+1+int(name[at])]...)
	}
}

// aim notes the name about to be appended when its addresses belong into the additional section.
func (c *compiler) aim(name []byte, kind dns.Type) {
	if c.zone.pending || kind != dns.TypeMX && kind != dns.TypeNS && kind != dns.TypeSRV || len(name) < len(c.apex) || len(c.body) > 0x3FFF {
		return
	}
	var folded [255]byte
	full := folded[:copy(folded[:], name)]
	lower(full)
	rel, ok := bytes.CutSuffix(full, c.apex)
	if !ok || !boundary(full, len(rel)) {
		return
	}
	n := c.number(rel)
	if n == noNode || kind != dns.TypeNS && c.nodes[n].flags&(flagOccluded|flagCut) != 0 {
		return
	}
	for _, r := range c.records[c.nodes[n].records[0]:c.nodes[n].records[1]] {
		if r.Type == dns.TypeA || r.Type == dns.TypeAAAA {
			c.targets = append(c.targets, fix{uint16(len(c.body)), uint32(n)}) //nolint:gosec // compared above
			return
		}
	}
}

// finish writes the tables behind the nodes.
func (c *compiler) finish() error {
	z := c.zone
	z.block = c.block
	apex := c.places[0]
	z.soa, z.ns = z.set(apex, uint16(dns.TypeSOA)), z.set(apex, uint16(dns.TypeNS))
	if z.soa == 0 || z.u16(z.soa+setRecords) != 1 {
		return errors.New("it needs one SOA record")
	}
	body := z.records(z.soa)
	if len(body) < 12+20 {
		return errors.New("its SOA record is too short")
	}
	z.negative = min(binary.BigEndian.Uint32(body[6:]), binary.BigEndian.Uint32(body[len(body)-4:]))
	z.places, z.count = c.place(), uint32(len(c.nodes)) //nolint:gosec // at most maxNodes
	for _, p := range c.places {
		c.block = binary.LittleEndian.AppendUint32(c.block, p)
	}
	c.writeSlots()
	if len(c.hashed) > 0 || z.set(apex, uint16(dns.TypeNSEC)) != 0 {
		if err := c.writeDenial(); err != nil {
			return err
		}
	}
	return nil
}

// records gives the records of an RRset as they answer a question for its owner.
func (z *Zone) records(set uint32) []byte {
	at := set + setHeader + fixEntry*uint32(z.u16(set+setFixes)) + target*uint32(z.u16(set+setTargets)) //nolint:gosec // within the block
	return z.block[at:][:z.u16(set+setLen)]
}

func (c *compiler) writeSlots() {
	z := c.zone
	size := uint32(1) << bits.Len32(z.count+z.count/2)
	z.slots, z.mask = c.place(), size-1
	c.block = slices.Grow(c.block, int(4*size))
	table := c.block[len(c.block) : len(c.block)+int(4*size)]
	c.block = c.block[:len(c.block)+int(4*size)]
	clear(table)
	var full [512]byte
	for n := range c.nodes {
		hash := maphash.Bytes(seed, append(append(full[:0], c.name(n)...), c.apex...))
		i := uint32(hash) & z.mask //nolint:gosec // the lower bits
		for binary.LittleEndian.Uint32(table[4*i:]) != 0 {
			i = (i + 1) & z.mask
		}
		binary.LittleEndian.PutUint32(table[4*i:], uint32(hash>>32)&^slotNode|uint32(n+1)) //nolint:gosec // at most maxNodes
	}
}

// lower makes the letters of a name small (RFC 4343). Lengths of labels are no letters.
func lower(name []byte) {
	for i, b := range name {
		if b-'A' < 26 {
			name[i] = b | 0x20
		}
	}
}

// foldedEqual compares names of the same length, the second in lower case.
func foldedEqual(a, b []byte) bool {
	for i, x := range a {
		if x-'A' < 26 {
			x |= 0x20
		}
		if x != b[i] {
			return false
		}
	}
	return true
}

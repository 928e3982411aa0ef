package answer

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // the hash of NSEC3 (RFC 5155 §11)
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"postroad/internal/proto/dns"
)

const (
	denialEntry = 8  // NSEC: the last node up to here that has a record; NSEC3: number of its own hash and of the hash before that of its wildcard, each plus one
	hashEntry   = 24 // hash, place of the RRset
	// maxRounds is the number of additional iterations that are taken; RFC 9276 §3.1 wants none.
	maxRounds = 100
)

// takeHashed puts an NSEC3 record, or a signature over one, to its hash.
func (c *compiler) takeHashed(r *dns.Record) error {
	var wire [256]byte
	name, err := dns.AppendName(wire[:0], r.Name)
	if err != nil {
		return err
	}
	lower(name)
	var hash [20]byte
	if name[0] != 32 || !bytes.Equal(name[33:], c.apex) || !fromBase32(hash[:], name[1:33]) {
		return fmt.Errorf("%s is no owner of an NSEC3 record", r.Name)
	}
	if n := len(c.hashed); n == 0 || c.hashed[n-1].hash != hash {
		c.hashed = append(c.hashed, hashed{hash: hash})
	}
	h := &c.hashed[len(c.hashed)-1]
	if r.Type == dns.TypeNSEC3 { // before its signatures
		h.set = slices.Insert(h.set, 0, r)
	} else {
		h.set = append(h.set, r)
	}
	return nil
}

// fromBase32 reads 20 octets in lower-case base32hex (RFC 4648 §7).
func fromBase32(out, text []byte) bool {
	n, err := base32.HexEncoding.WithPadding(base32.NoPadding).Decode(out, bytes.ToUpper(text))
	return err == nil && n == len(out)
}

// appendBase32 is the other way.
func appendBase32(b, hash []byte) []byte {
	const digits = "0123456789abcdefghijklmnopqrstuv"
	for i := 0; i+5 <= len(hash); i += 5 {
		v := uint64(hash[i])<<32 | uint64(hash[i+1])<<24 | uint64(hash[i+2])<<16 | uint64(hash[i+3])<<8 | uint64(hash[i+4])
		for shift := 35; shift >= 0; shift -= 5 {
			b = append(b, digits[v>>shift&31])
		}
	}
	return b
}

// writeDenial writes what negative answers prove with.
func (c *compiler) writeDenial() error {
	z := c.zone
	if len(c.hashed) > 0 {
		if err := c.writeHashes(); err != nil {
			return err
		}
	}
	table := c.place()
	last := 0
	for n := range c.nodes {
		own, second := uint32(0), uint32(0)
		if z.hashes != 0 {
			z.block = c.block
			own, second = c.hashesOf(n)
		} else {
			if z.set(c.places[n], uint16(dns.TypeNSEC)) != 0 {
				last = n
			}
			own = uint32(last) //nolint:gosec // a node number
		}
		c.block = binary.LittleEndian.AppendUint32(c.block, own)
		c.block = binary.LittleEndian.AppendUint32(c.block, second)
	}
	z.denial = table
	return nil
}

// writeHashes writes the NSEC3 records of the chain that NSEC3PARAM names, and the table of their hashes.
func (c *compiler) writeHashes() error {
	z := c.zone
	params := z.set(c.places[0], uint16(dns.TypeNSEC3PARAM))
	if params == 0 {
		return errors.New("it has NSEC3 records and no NSEC3PARAM record")
	}
	data := z.records(params)[12:]
	if len(data) < 5 || data[0] != 1 || len(data) < 5+int(data[4]) {
		return errors.New("its NSEC3PARAM record is none that can be served")
	}
	rounds, salt := binary.BigEndian.Uint16(data[2:]), data[5:5+int(data[4])]
	if rounds > maxRounds {
		return fmt.Errorf("its NSEC3 records take %d additional iterations, more than %d", rounds, maxRounds)
	}
	z.rounds, z.saltLen, z.salt = uint8(rounds), data[4], c.place()
	c.block = append(c.block, salt...)
	c.hashed = slices.DeleteFunc(c.hashed, func(h hashed) bool {
		return h.set[0].Type != dns.TypeNSEC3 || !slices.ContainsFunc(h.set, func(r *dns.Record) bool {
			return r.Type == dns.TypeNSEC3 && len(r.Data) >= 5+len(salt) && r.Data[0] == 1 &&
				binary.BigEndian.Uint16(r.Data[2:]) == rounds && bytes.Equal(r.Data[4:5+len(salt)], data[4:5+len(salt)])
		})
	})
	slices.SortFunc(c.hashed, func(a, b hashed) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	for i := range c.hashed {
		h := &c.hashed[i]
		records := slices.IndexFunc(h.set, func(r *dns.Record) bool { return r.Type != dns.TypeNSEC3 })
		if records < 0 {
			records = len(h.set)
		}
		var err error
		if h.place, err = c.writeSet(h.set[:records], h.set[records:], 33); err != nil {
			return err
		}
	}
	z.hashes, z.hashed = c.place(), uint32(len(c.hashed)) //nolint:gosec // one per name
	for i := range c.hashed {
		c.block = append(c.block, c.hashed[i].hash[:]...)
		c.block = binary.LittleEndian.AppendUint32(c.block, c.hashed[i].place)
	}
	z.block = c.block
	if z.hashed == 0 || z.ownHash(c.apex) == 0 {
		return errors.New("no NSEC3 record is that of its apex")
	}
	return nil
}

// hashesOf gives the entry of a node: the number of its own hash plus one, 0 where it has none, and that of the hash before
// the one of its wildcard.
func (c *compiler) hashesOf(n int) (own, wildcard uint32) {
	var full [512]byte
	name := append(append(append(full[:0], 1, '*'), c.name(n)...), c.apex...)
	own = c.zone.ownHash(name[2:])
	if len(name) <= 255 {
		i, _ := c.zone.lookHash(name)
		wildcard = i + 1
	}
	return own, wildcard
}

// ownHash gives the number plus one of the hash of a name, 0 where there is none.
func (z *Zone) ownHash(name []byte) uint32 {
	if i, found := z.lookHash(name); found {
		return i + 1
	}
	return 0
}

// lookHash hashes a whole name, lower-case, and gives the number of that hash or of the one before it in the circle.
func (z *Zone) lookHash(name []byte) (number uint32, found bool) {
	var buf [255 + 255]byte
	salt := z.block[z.salt:][:z.saltLen]
	n := copy(buf[:], name)
	n += copy(buf[n:], salt)
	hash := sha1.Sum(buf[:n]) //nolint:gosec // as above
	for range z.rounds {
		n = copy(buf[:], hash[:])
		n += copy(buf[n:], salt)
		hash = sha1.Sum(buf[:n]) //nolint:gosec // as above
	}
	low, high := uint32(0), z.hashed
	for low < high {
		middle := (low + high) / 2
		if bytes.Compare(z.block[z.hashes+hashEntry*middle:][:20], hash[:]) <= 0 {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low == 0 {
		return z.hashed - 1, false
	}
	return low - 1, bytes.Equal(z.block[z.hashes+hashEntry*(low-1):][:20], hash[:])
}

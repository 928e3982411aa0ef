package zone

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"postroad/internal/proto/dns"
)

// ErrEncoding says that octets are no encoded records. Every error of Decode wraps it.
var ErrEncoding = errors.New("not the encoding of a zone's records")

// The encoding of records, as a store keeps it: encodingV1, the number of records, and of each record one octet of
// marks, its owner as on the wire (unless it is that of the record before; where it ends in the owner of the first
// record, one octet firstOwner stands for that), its type, its TTL (unless it is that of the record before), the length of
// its data, and the data. Numbers are those of encoding/binary's Uvarint.
const (
	encodingV1 = 1

	sameOwner = 1
	sameTTL   = 2

	firstOwner = 0xC0
	// minRecord is the fewest octets that a record takes: marks, type, length.
	minRecord = 3
	// maxWire is the longest name on the wire (RFC 1035 §3.1).
	maxWire = 255
)

// Encode gives records in the compact form in which they are stored; it is smallest when they are in the order of
// dns.Compare. It panics for an owner that is no absolute name, which dns.Name never gives.
func Encode(records []dns.Record) []byte {
	size := 8
	for _, r := range records {
		size += len(r.Data) + 16
	}
	b := binary.AppendUvarint(append(make([]byte, 0, size), encodingV1), uint64(len(records)))
	var wire, first []byte
	for i, r := range records {
		same := i > 0 && r.Name == records[i-1].Name
		var marks byte
		if same {
			marks |= sameOwner
		}
		if i > 0 && r.TTL == records[i-1].TTL {
			marks |= sameTTL
		}
		b = append(b, marks)
		if !same {
			var err error
			if wire, err = dns.AppendName(wire[:0], r.Name); err != nil {
				panic(fmt.Sprintf("zone.Encode: owner: %v", err))
			}
			if i == 0 {
				first = bytes.Clone(wire)
				b = append(b, wire...)
			} else {
				b = appendOwner(b, wire, first)
			}
		}
		b = binary.AppendUvarint(b, uint64(r.Type))
		if marks&sameTTL == 0 {
			b = binary.AppendUvarint(b, uint64(r.TTL))
		}
		b = append(binary.AppendUvarint(b, uint64(len(r.Data))), r.Data...)
	}
	return b
}

// appendOwner appends an owner, its end shortened if it is first.
func appendOwner(b, wire, first []byte) []byte {
	for at := 0; wire[at] != 0; at += 1 + int(wire[at]) {
		if len(wire)-at == len(first) && bytes.Equal(wire[at:], first) {
			return append(append(b, wire[:at]...), firstOwner)
		}
	}
	return append(b, wire...)
}

// Decode reads what Encode wrote. The data of the records lie in b, which the caller leaves alone from now on.
func Decode(b []byte) ([]dns.Record, error) {
	if len(b) == 0 || b[0] != encodingV1 {
		return nil, fmt.Errorf("%w: it does not begin with version %d", ErrEncoding, encodingV1)
	}
	d := decoder{rest: b[1:]}
	count := d.number(uint64(len(b) / minRecord))
	if d.failed {
		return nil, fmt.Errorf("%w: the number of records", ErrEncoding)
	}
	records := make([]dns.Record, count)
	var few [64]span
	owners := few[:]
	if count > uint64(len(few)) {
		owners = make([]span, count)
	}
	d.names = make([]byte, 0, min(32*count+64, 1<<16))
	var last span
	var ttl uint32
	for i := range records {
		marks := d.octet()
		if marks&sameOwner == 0 {
			last = d.owner(owners[0], i == 0)
		}
		owners[i] = last
		records[i].Type = dns.Type(d.number(1<<16 - 1)) //nolint:gosec // number has held it to 16 bits
		if marks&sameTTL == 0 {
			ttl = uint32(d.number(1<<32 - 1)) //nolint:gosec // number has held it to 32 bits
		}
		records[i].TTL = ttl
		records[i].Data = d.take(d.number(dns.MaxData))
		if d.failed || marks > sameOwner|sameTTL || i == 0 && marks != 0 {
			return nil, fmt.Errorf("%w: record %d of %d", ErrEncoding, i+1, count)
		}
	}
	if len(d.rest) > 0 {
		return nil, fmt.Errorf("%w: %d octets after the last record", ErrEncoding, len(d.rest))
	}
	// One string holds all names.
	names := string(d.names)
	for i := range records {
		records[i].Name = names[owners[i].from:owners[i].to]
	}
	return records, nil
}

// span is where a name lies among the names.
type span struct {
	from, to int
	wire     int // octets on the wire, the last zero among them
}

// decoder takes an encoding apart. Once something was not right, failed stays set.
type decoder struct {
	rest   []byte
	names  []byte // the texts of all owners so far
	failed bool
}

// take gives the next n octets.
func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.rest)) {
		d.failed, d.rest = true, nil
		return nil
	}
	head := d.rest[:n:n]
	d.rest = d.rest[n:]
	return head
}

// octet gives the next octet.
func (d *decoder) octet() byte {
	if len(d.rest) == 0 {
		d.failed = true
		return 0
	}
	c := d.rest[0]
	d.rest = d.rest[1:]
	return c
}

// number reads a number of at most limit.
func (d *decoder) number(limit uint64) uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 || v > limit {
		d.failed, d.rest = true, nil
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// owner reads an owner and adds its text to the names.
func (d *decoder) owner(first span, isFirst bool) span {
	s := span{from: len(d.names)}
	for {
		length := d.octet()
		switch {
		case length == firstOwner && !isFirst:
			if s.wire == 0 || first.wire > 1 {
				d.names = append(d.names, d.names[first.from:first.to]...)
			}
			s.wire += first.wire
		case length == 0:
			if s.wire == 0 {
				d.names = append(d.names, '.')
			}
			s.wire++
		case length > 63:
			d.failed = true
			return s
		default:
			d.names = append(dns.AppendLabel(d.names, d.take(uint64(length))), '.')
			if s.wire += 1 + int(length); s.wire < maxWire && !d.failed {
				continue
			}
		}
		s.to = len(d.names)
		d.failed = d.failed || s.wire > maxWire
		return s
	}
}

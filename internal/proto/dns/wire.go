package dns

import (
	"encoding/binary"
	"fmt"

	codec "github.com/miekg/dns"
)

// ReadRecord reads the record at off of a message: its owner in lower case, its data with every name that may be
// compressed written out and all else octet for octet (RFC 3597 §4). Data that is none of its type is an error.
func ReadRecord(msg []byte, off int) (r Record, class uint16, end int, err error) {
	name, at, err := codec.UnpackDomainName(msg, off)
	if err != nil || at+10 > len(msg) {
		return Record{}, 0, 0, fmt.Errorf("%w: a record's owner on the wire", ErrSyntax)
	}
	r = Record{Name: codec.CanonicalName(name), Type: Type(binary.BigEndian.Uint16(msg[at:])), TTL: binary.BigEndian.Uint32(msg[at+4:])}
	class = binary.BigEndian.Uint16(msg[at+2:])
	begin := at + 10
	end = begin + int(binary.BigEndian.Uint16(msg[at+8:]))
	if end > len(msg) {
		return Record{}, 0, 0, fmt.Errorf("%w: the data of %.80s ends beyond the message", ErrSyntax, r.Name)
	}
	if r.TTL > 1<<31-1 {
		r.TTL = 0 // RFC 2181 §8
	}
	if r.Data, err = readData(msg, begin, end, r.Type); err != nil {
		return Record{}, 0, 0, fmt.Errorf("%w: data of %.80s %s", ErrSyntax, r.Name, r.Type)
	}
	if r.Type.Meta() {
		return r, class, end, nil
	}
	if _, known := codec.TypeToRR[uint16(r.Type)]; known && len(r.Data) == 0 && r.Type != 10 && r.Type != 42 { // NULL, APL
		return Record{}, 0, 0, fmt.Errorf("%w: no data of %.80s %s", ErrSyntax, r.Name, r.Type)
	}
	if _, err := r.library(); err != nil {
		return Record{}, 0, 0, err
	}
	return r, class, end, nil
}

// A wireLayout is how the data of a type with names that may be compressed is built: octets before the names, how many
// names there are, and what follows.
type wireLayout struct {
	before, names int
	text          int // character-strings between the octets and the names
	compressed    bool
}

// layouts are those of RFC 3597 §4: of RFC 1035, which all may compress, and of the later ones that a receiver
// decompresses all the same.
func (t Type) wireLayout() (l wireLayout, compressed bool) {
	l = wireLayouts[t]
	return l, l.compressed
}

var wireLayouts = map[Type]wireLayout{
	TypeNS: {names: 1, compressed: true}, TypeCNAME: {names: 1, compressed: true}, TypePTR: {names: 1, compressed: true},
	TypeSOA: {names: 2, compressed: true}, TypeMX: {before: 2, names: 1, compressed: true},
	// MD, MF, MB, MG, MR, MINFO
	3: {names: 1, compressed: true}, 4: {names: 1, compressed: true}, 7: {names: 1, compressed: true}, 8: {names: 1, compressed: true},
	9: {names: 1, compressed: true}, 14: {names: 2, compressed: true},
	// RP, AFSDB, RT, PX, SIG, NXT
	17: {names: 2}, 18: {before: 2, names: 1}, 21: {before: 2, names: 1}, 26: {before: 2, names: 2}, 24: {before: 18, names: 1}, 30: {names: 1},
	TypeSRV: {before: 6, names: 1}, TypeNAPTR: {before: 4, text: 3, names: 1}, TypeDNAME: {names: 1},
}

// readData gives the data between begin and end with its names written out.
func readData(msg []byte, begin, end int, t Type) ([]byte, error) {
	l, _ := t.wireLayout()
	at := begin + l.before
	for range l.text {
		if at >= end {
			return nil, ErrSyntax
		}
		at += 1 + int(msg[at])
	}
	if at > end {
		return nil, ErrSyntax
	}
	data := append(make([]byte, 0, end-begin), msg[begin:at]...)
	for range l.names {
		name, next, err := codec.UnpackDomainName(msg[:end], at)
		if err != nil || next > end {
			return nil, ErrSyntax
		}
		if data, err = AppendName(data, name); err != nil {
			return nil, err
		}
		at = next
	}
	return append(data, msg[at:end]...), nil
}

// compression knows where the names of a message are, so that a later one points there (RFC 1035 §4.1.4). Letters keep
// their case: only names of the same octets are shared.
type compression map[string]uint16

// appendName appends a name given on the wire, uncompressed, to the message.
func (c compression) appendName(msg, name []byte) []byte {
	for at := 0; name[at] != 0; at += 1 + int(name[at]) {
		if where, there := c[string(name[at:])]; there {
			msg = append(msg, name[:at]...)
			return binary.BigEndian.AppendUint16(msg, 0xC000|where)
		}
		if where := len(msg) + at; where < 0x4000 {
			c[string(name[at:])] = uint16(where) //nolint:gosec // 14 bits
		}
	}
	return append(msg, name...)
}

// appendRecord appends a record of class IN.
func (c compression) appendRecord(msg []byte, r *Record) ([]byte, error) {
	var buf [256]byte
	owner, err := AppendName(buf[:0], r.Name)
	if err != nil {
		return msg, err
	}
	msg = c.appendName(msg, owner)
	msg = binary.BigEndian.AppendUint16(msg, uint16(r.Type))
	msg = binary.BigEndian.AppendUint16(msg, codec.ClassINET)
	msg = binary.BigEndian.AppendUint32(msg, r.TTL)
	size := len(msg)
	msg = append(msg, 0, 0)
	if l, compressed := r.Type.wireLayout(); compressed && len(r.Data) >= l.before {
		msg = append(msg, r.Data[:l.before]...)
		at := l.before
		for range l.names {
			next, err := skipName(r.Data, at)
			if err != nil || next > len(r.Data) || next-at >= 2 && r.Data[next-2] >= 0xC0 {
				return msg, fmt.Errorf("%w: data of %s %s", ErrSyntax, r.Name, r.Type)
			}
			msg = c.appendName(msg, r.Data[at:next])
			at = next
		}
		msg = append(msg, r.Data[at:]...)
	} else {
		msg = append(msg, r.Data...)
	}
	length := len(msg) - size - 2
	if length > MaxData {
		return msg, fmt.Errorf("%w: %d octets of data", ErrSyntax, length)
	}
	binary.BigEndian.PutUint16(msg[size:], uint16(length)) //nolint:gosec // checked above
	return msg, nil
}

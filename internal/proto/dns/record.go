package dns

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	codec "github.com/miekg/dns"
)

// ErrSyntax says that something is no name, record or zone text. Every error of reading wraps it.
var ErrSyntax = errors.New("not valid DNS data")

// The longest name and label on the wire, in octets (RFC 1035 §2.3.4, §3.1).
const (
	maxName  = 255
	maxLabel = 63
)

// MaxData is the longest data of a record, in octets (RFC 1035 §3.2.1).
const MaxData = 65535

// Record is one resource record of class IN.
type Record struct {
	// Name is its owner: absolute, in lower case, with the last dot, unusual octets escaped as in zone text (RFC 1035 §5.1).
	Name string
	Type Type
	// TTL is how long others may keep it, in seconds, at most 2^31-1 (RFC 2181 §8).
	TTL uint32
	// Data is its RDATA as on the wire, no name in it compressed, letters of names as they were written.
	Data []byte
}

// Name reads a name as people and zone texts write it and gives it absolute and in lower case. A name without the last
// dot is completed by origin, "@" is the origin itself; with an empty origin every name is taken as absolute.
func Name(text, origin string) (string, error) {
	switch {
	case text == "@" && origin != "":
		text = origin
	case text == "":
		return "", fmt.Errorf("%w: an empty name", ErrSyntax)
	case !codec.IsFqdn(text) && origin != "" && origin != ".":
		text += "." + origin
	}
	text = codec.Fqdn(text)
	wire, err := AppendName(nil, text)
	if err != nil {
		return "", err
	}
	name, _, err := codec.UnpackDomainName(wire, 0)
	if err != nil {
		return "", fmt.Errorf("%w: the name %.80q: %w", ErrSyntax, text, err)
	}
	return codec.CanonicalName(name), nil
}

// AppendName appends an absolute name as on the wire, uncompressed (RFC 1035 §3.1), its letters as they are.
func AppendName(b []byte, name string) ([]byte, error) {
	var buf [255]byte
	n, err := codec.PackDomainName(name, buf[:], 0, nil, false)
	if err != nil || name == "" {
		return b, fmt.Errorf("%w: the name %.80q", ErrSyntax, name)
	}
	return append(b, buf[:n]...), nil
}

// ReadName gives the uncompressed name at the beginning of data and how many octets it takes.
func ReadName(data []byte) (name string, n int, err error) {
	var buf [256]byte
	text := buf[:0]
	for n < len(data) && n < maxName {
		length := int(data[n])
		n++
		switch {
		case length == 0 && n == 1:
			return ".", 1, nil
		case length == 0:
			return string(text), n, nil
		case length > maxLabel:
			return "", 0, fmt.Errorf("%w: a name on the wire: a label of %d octets, or a compressed name", ErrSyntax, length)
		case length > len(data)-n:
			return "", 0, fmt.Errorf("%w: a name on the wire is cut off", ErrSyntax)
		}
		text = append(AppendLabel(text, data[n:n+length]), '.')
		n += length
	}
	return "", 0, fmt.Errorf("%w: a name on the wire does not end", ErrSyntax)
}

// Below reports whether name is zone or a name below it. Both are absolute.
func Below(name, zone string) bool { return codec.IsSubDomain(zone, name) }

// Labels gives the labels of an absolute name, the leftmost first, escaped as in the name.
func Labels(name string) []string { return codec.SplitDomainName(name) }

// Parent gives the name without its first label; of the root, the root.
func Parent(name string) string {
	next, end := codec.NextLabel(name, 0)
	if end {
		return "."
	}
	return name[next:]
}

// Data reads the data of a record from its text in a zone file; relative names in it are completed by origin. The
// form of RFC 3597 (\# LENGTH HEX) is understood for every type.
func Data(t Type, text, origin string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, fmt.Errorf("%w: a line break in the data of a record", ErrSyntax)
	}
	as := t
	if strings.HasPrefix(strings.TrimLeft(text, " \t"), `\#`) {
		as = noType // of types that it knows, the library would leave out octets that are too many
	}
	data, err := parseData(as, text, origin)
	if err == nil {
		err = Record{Name: ".", Type: t, Data: data}.Valid()
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}

// parseData has the library read the data of a record.
func parseData(t Type, text, origin string) ([]byte, error) {
	parser := codec.NewZoneParser(strings.NewReader(". 0 IN "+t.String()+" "+text+"\n"), codec.Fqdn(origin), "")
	rr, ok := parser.Next()
	if err := parser.Err(); err != nil {
		return nil, fmt.Errorf("%w: %s %.80q: %s", ErrSyntax, t, text, strings.TrimPrefix(err.Error(), "dns: "))
	}
	if !ok || Type(rr.Header().Rrtype) != t {
		return nil, fmt.Errorf("%w: %s %.80q", ErrSyntax, t, text)
	}
	data, err := wireData(rr)
	if err == nil && len(data) == 0 && !mayBeEmpty(t) {
		return nil, fmt.Errorf("%w: %s without data", ErrSyntax, t)
	}
	return data, err
}

// noType is a type that is nobody's: its data is read and written by RFC 3597 alone (RFC 6895 §3.1, private use).
const noType Type = 65534

// wireData gives the data of a record of the library.
func wireData(rr codec.RR) ([]byte, error) {
	buf := make([]byte, codec.Len(rr)+1)
	end, err := codec.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrSyntax, codec.TypeToString[rr.Header().Rrtype], err)
	}
	_, begin, err := codec.UnpackDomainName(buf[:end], 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	return bytes.Clone(buf[begin+10 : end]), nil
}

// library gives the record as the library's.
func (r Record) library() (codec.RR, error) {
	wire, err := AppendName(nil, r.Name)
	if err != nil {
		return nil, err
	}
	wire = binary.BigEndian.AppendUint16(wire, uint16(r.Type))
	wire = binary.BigEndian.AppendUint16(wire, codec.ClassINET)
	wire = binary.BigEndian.AppendUint32(wire, r.TTL)
	if len(r.Data) > MaxData {
		return nil, fmt.Errorf("%w: %d octets of data", ErrSyntax, len(r.Data))
	}
	wire = binary.BigEndian.AppendUint16(wire, uint16(len(r.Data)))
	wire = append(wire, r.Data...)
	rr, end, err := codec.UnpackRR(wire, 0)
	if err != nil || end != len(wire) {
		return nil, fmt.Errorf("%w: data of %s %s", ErrSyntax, r.Name, r.Type)
	}
	return rr, nil
}

// Text is the record's data as in a zone file, its names absolute. Data that is none of its type is shown in the form
// of RFC 3597.
func (r Record) Text() string {
	if rr, err := r.library(); err == nil && r.Type.hasText() {
		return strings.TrimPrefix(rr.String(), rr.Header().String())
	}
	return r.generic()
}

// hasText reports whether zone text has a form for the type besides that of RFC 3597.
func (t Type) hasText() bool {
	_, known := codec.TypeToRR[uint16(t)]
	return known && t != TypeNULL && !t.Meta()
}

// generic is the data in the form that every type has (RFC 3597 §5).
func (r Record) generic() string {
	return strings.TrimRight(fmt.Sprintf("\\# %d %X", len(r.Data), r.Data), " ")
}

// String is the record as a line of a zone file, without the line's end.
func (r Record) String() string {
	return fmt.Sprintf("%s\t%d\tIN\t%s\t%s", r.Name, r.TTL, r.Type, r.Text())
}

// Compare orders records canonically: by owner (RFC 4034 §6.1), type, data; TTLs play no part.
func Compare(a, b Record) int {
	if c := CompareNames(a.Name, b.Name); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(a.Type, b.Type), bytes.Compare(a.Data, b.Data))
}

// CompareNames orders absolute lower-case names canonically: label by label from the right, octet by octet (RFC 4034 §6.1).
func CompareNames(a, b string) int {
	if a == b {
		return 0
	}
	var left, right [256]byte
	x, errX := AppendName(left[:0], a)
	y, errY := AppendName(right[:0], b)
	if errX != nil || errY != nil {
		return cmp.Compare(a, b)
	}
	return compareWire(x, y)
}

// compareWire orders names on the wire.
func compareWire(a, b []byte) int {
	var starts [2][128]uint8
	var counts [2]int
	for i, wire := range [2][]byte{a, b} {
		for at := 0; wire[at] != 0; at += 1 + int(wire[at]) {
			starts[i][counts[i]] = uint8(at) //nolint:gosec // a name has at most 255 octets
			counts[i]++
		}
	}
	for i := 1; i <= counts[0] && i <= counts[1]; i++ {
		x, y := int(starts[0][counts[0]-i]), int(starts[1][counts[1]-i])
		if c := bytes.Compare(a[x+1:x+1+int(a[x])], b[y+1:y+1+int(b[y])]); c != 0 {
			return c
		}
	}
	return cmp.Compare(counts[0], counts[1])
}

// Valid gives an error unless the data is of the record's type: whole, in the one form that there is for what it says,
// and such that zone text can say it. Types that are not known have any data.
func (r Record) Valid() error {
	rr, err := r.library()
	if err != nil {
		return err
	}
	data, err := wireData(rr)
	if err == nil && bytes.Equal(data, r.Data) && r.Type.hasText() {
		// The library takes data that ends early; its zone text does not.
		data, err = parseData(r.Type, r.Text(), ".")
	}
	if err != nil || !bytes.Equal(data, r.Data) {
		return fmt.Errorf("%w: data of %s %s", ErrSyntax, r.Name, r.Type)
	}
	return nil
}

// mayBeEmpty reports whether a record of the type can have no data: of those that are known, NULL and APL (RFC 3123 §4).
func mayBeEmpty(t Type) bool {
	_, known := codec.TypeToRR[uint16(t)]
	return !known || t == TypeNULL || t == Type(codec.TypeAPL)
}

package dns

import (
	"crypto/sha1" //nolint:gosec // the only hash that NSEC3 has (RFC 5155 §11)
	"encoding/base32"
	"fmt"
	"slices"
	"strings"
)

// HashOctets is the length of a hashed name.
const HashOctets = sha1.Size

// HashName is the hash of an absolute lower-case name by which NSEC3 records are ordered (RFC 5155 §5).
func HashName(name string, salt []byte, iterations uint16) ([HashOctets]byte, error) {
	wire, err := AppendName(make([]byte, 0, 255+len(salt)), name)
	if err != nil {
		return [HashOctets]byte{}, err
	}
	sum := sha1.Sum(append(wire, salt...)) //nolint:gosec // see above
	for range iterations {
		sum = sha1.Sum(append(sum[:], salt...)) //nolint:gosec // see above
	}
	return sum, nil
}

// HashLabel is a hash as the first label of a NSEC3 record's owner, in lower case (RFC 5155 §3.3).
func HashLabel(hash [HashOctets]byte) string {
	return strings.ToLower(base32.HexEncoding.EncodeToString(hash[:]))
}

// AppendBitmap appends the types of a NSEC or NSEC3 record (RFC 4034 §4.1.2), given in any order.
func AppendBitmap(b []byte, types []Type) []byte {
	types = slices.Clone(types)
	slices.Sort(types)
	for i := 0; i < len(types); {
		window := byte(types[i] >> 8)
		var bits [32]byte
		n := 0
		for ; i < len(types) && byte(types[i]>>8) == window; i++ {
			low := byte(types[i]) //nolint:gosec // the other half is the window
			bits[low/8] |= 0x80 >> (low % 8)
			n = int(low/8) + 1
		}
		b = append(append(b, window, byte(n)), bits[:n]...) //nolint:gosec // at most 32
	}
	return b
}

// ReadBitmap gives the types of a bitmap in order.
func ReadBitmap(b []byte) ([]Type, error) {
	var types []Type
	for last := -1; len(b) > 0; {
		if len(b) < 3 || int(b[0]) <= last || b[1] == 0 || b[1] > 32 || len(b) < 2+int(b[1]) {
			return nil, fmt.Errorf("%w: a bitmap of types", ErrSyntax)
		}
		last = int(b[0])
		for i, octet := range b[2 : 2+int(b[1])] {
			for bit := range 8 {
				if octet&(0x80>>bit) != 0 {
					types = append(types, Type(last<<8|i<<3|bit)) //nolint:gosec // last has 8 bits
				}
			}
		}
		b = b[2+int(b[1]):]
	}
	return types, nil
}

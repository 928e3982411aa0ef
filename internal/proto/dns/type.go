package dns

import (
	"fmt"
	"strconv"
	"strings"

	codec "github.com/miekg/dns"
)

// Type is a record type (IANA, DNS parameters).
type Type uint16

// The types that the program knows by name.
const (
	TypeA          Type = 1
	TypeNS         Type = 2
	TypeCNAME      Type = 5
	TypeSOA        Type = 6
	TypeNULL       Type = 10
	TypePTR        Type = 12
	TypeMX         Type = 15
	TypeTXT        Type = 16
	TypeAAAA       Type = 28
	TypeSRV        Type = 33
	TypeNAPTR      Type = 35
	TypeDNAME      Type = 39
	TypeOPT        Type = 41
	TypeDS         Type = 43
	TypeSSHFP      Type = 44
	TypeRRSIG      Type = 46
	TypeNSEC       Type = 47
	TypeDNSKEY     Type = 48
	TypeNSEC3      Type = 50
	TypeNSEC3PARAM Type = 51
	TypeTLSA       Type = 52
	TypeCDS        Type = 59
	TypeCDNSKEY    Type = 60
	TypeSVCB       Type = 64
	TypeHTTPS      Type = 65
	TypeTSIG       Type = 250
	TypeIXFR       Type = 251
	TypeAXFR       Type = 252
	TypeANY        Type = 255
	TypeCAA        Type = 257
)

// String is the type's mnemonic, TYPE123 when it has none (RFC 3597 §5).
func (t Type) String() string {
	if s, ok := codec.TypeToString[uint16(t)]; ok && t != 0 && t != reserved {
		return s
	}
	return "TYPE" + strconv.Itoa(int(t))
}

// ParseType reads a mnemonic in any case, or TYPE123.
func ParseType(text string) (Type, error) {
	upper := strings.ToUpper(text)
	if t, ok := codec.StringToType[upper]; ok {
		return Type(t), nil
	}
	if digits, ok := strings.CutPrefix(upper, "TYPE"); ok {
		if n, err := strconv.ParseUint(digits, 10, 16); err == nil {
			return Type(n), nil
		}
	}
	return 0, fmt.Errorf("%w: no record type %.40q", ErrSyntax, text)
}

// DNSSEC reports whether records of the type are made by signing a zone (RFC 4034, RFC 5155, RFC 7344). DS is not: it
// belongs to a delegation and is written by people.
func (t Type) DNSSEC() bool {
	return t == TypeRRSIG || t == TypeNSEC || t == TypeDNSKEY || t == TypeNSEC3 || t == TypeNSEC3PARAM || t == TypeCDS || t == TypeCDNSKEY
}

// Meta reports whether the type is never one of stored records (RFC 6895 §3.1): a question's, or a message's own.
func (t Type) Meta() bool { return t == 0 || t == TypeOPT || t >= 128 && t <= 255 || t == reserved }

// reserved is the type that stands for none (RFC 6895 §3.1).
const reserved Type = 65535

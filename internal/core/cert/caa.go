package cert

import "strings"

// CAA is one property of a CAA record (RFC 8659 §4.1).
type CAA struct {
	Critical bool
	Tag      string // lower case
	Value    string
}

// ReadCAA reads the data of a CAA record.
func ReadCAA(data []byte) (CAA, bool) {
	if len(data) < 2 {
		return CAA{}, false
	}
	n := int(data[1])
	if n == 0 || len(data) < 2+n {
		return CAA{}, false
	}
	return CAA{Critical: data[0]&0x80 != 0, Tag: strings.ToLower(string(data[2 : 2+n])), Value: string(data[2+n:])}, true
}

// Permits reports whether the records that hold for a name, all of one owner, let an authority issue that goes by one of
// these names in them (RFC 8659 §4.2); and whom they let where not. What an authority would have to know and does not
// forbids it.
func Permits(records []CAA, authority []string) (ok bool, others []string) {
	restricted := false
	for _, r := range records {
		switch r.Tag {
		case "issue":
			restricted = true
			issuer, _, _ := strings.Cut(r.Value, ";")
			issuer = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(issuer), "."))
			for _, a := range authority {
				ok = ok || issuer != "" && issuer == strings.ToLower(a)
			}
			if issuer != "" {
				others = append(others, issuer)
			}
		case "issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone":
		default:
			if r.Critical {
				return false, others
			}
		}
	}
	return ok || !restricted, others
}

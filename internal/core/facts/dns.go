package facts

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"time"

	"postroad/internal/proto/dns"
)

// Answer is what one server said to one question of any type.
type Answer struct {
	// Name and Type are the question; the name is lower-case, without trailing dot ("" is the root).
	Name string
	Type dns.Type
	// Server is the name of the server asked, where it was asked by name; Address is host:port.
	Server  string
	Address string
	Status  Status
	// Code is the response code by its name, as "NOERROR", "SERVFAIL"; empty when nothing came.
	Code string
	// Authoritative: the server answers for the zone itself (AA, RFC 1035 §4.1.1).
	Authoritative bool
	// Records are those of the type asked for, at the name or at the end of its chain of aliases, by the canonical order.
	// The slice belongs to the caller.
	Records []dns.Record
	// Aliases are the targets of CNAME records followed, in order.
	Aliases []string
	// Refers are the name servers that the server names for Name itself, when it only hands it on to them; sorted.
	Refers []string
	// Took is the time until the answer was there.
	Took time.Duration
	Origin
}

// Denies reports whether the server answers for the zone and says that there are no such records.
func (a *Answer) Denies() bool {
	return a.Authoritative && (a.Status == NoData || a.Status == NXDomain)
}

// Grants reports whether the server answers for the zone and has such records.
func (a *Answer) Grants() bool { return a.Authoritative && a.Status == Found }

// Lame reports whether the server said something, and not for the zone: it is no name server of it (RFC 9499 §7).
func (a *Answer) Lame() bool {
	switch a.Code {
	case "":
		return false
	case "NOERROR", "NXDOMAIN":
		return !a.Authoritative
	case "REFUSED", "NOTAUTH":
		return true
	}
	return false
}

// MX reads the records as exchangers, the best one first, equal ones by name. A null MX is an entry without host.
func (a *Answer) MX() []MX {
	var out []MX
	for _, r := range a.Records {
		if r.Type != dns.TypeMX || len(r.Data) < 3 {
			continue
		}
		if host, ok := Host(r.Data[2:]); ok {
			out = append(out, MX{Preference: binary.BigEndian.Uint16(r.Data), Host: host})
		}
	}
	slices.SortFunc(out, func(a, b MX) int {
		return cmp.Or(cmp.Compare(a.Preference, b.Preference), cmp.Compare(a.Host, b.Host))
	})
	return out
}

// Hosts reads the records as names, of NS, CNAME and PTR records: lower-case, without last dot, sorted.
func (a *Answer) Hosts() []string {
	var out []string
	for _, r := range a.Records {
		if r.Type != dns.TypeNS && r.Type != dns.TypeCNAME && r.Type != dns.TypePTR {
			continue
		}
		if host, ok := Host(r.Data); ok {
			out = append(out, host)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Addrs reads the records as addresses, of A and AAAA records, in their order.
func (a *Answer) Addrs() []netip.Addr {
	var out []netip.Addr
	for _, r := range a.Records {
		if addr, ok := netip.AddrFromSlice(r.Data); ok && (r.Type == dns.TypeA || r.Type == dns.TypeAAAA) {
			out = append(out, addr)
		}
	}
	return out
}

// Texts reads the records as texts, the character-strings of each joined without space (RFC 7208 §3.3).
func (a *Answer) Texts() []string {
	var out []string
	for _, r := range a.Records {
		if r.Type != dns.TypeTXT {
			continue
		}
		var text []byte
		for data := r.Data; len(data) > 0; {
			n := min(1+int(data[0]), len(data))
			text, data = append(text, data[1:n]...), data[n:]
		}
		out = append(out, string(text))
	}
	return out
}

// Serial is the serial number of the SOA record (RFC 1035 §3.3.13); false without one.
func (a *Answer) Serial() (uint32, bool) {
	for _, r := range a.Records {
		if r.Type == dns.TypeSOA && len(r.Data) >= 22 {
			return binary.BigEndian.Uint32(r.Data[len(r.Data)-20:]), true
		}
	}
	return 0, false
}

// TTLOfRecords is the least lifetime of the records; 0 without any.
func (a *Answer) TTLOfRecords() time.Duration {
	if len(a.Records) == 0 {
		return 0
	}
	least := a.Records[0].TTL
	for _, r := range a.Records[1:] {
		least = min(least, r.TTL)
	}
	return time.Duration(least) * time.Second
}

// Lines are the texts of the records' data as in a zone file, sorted: equal for equal sets.
func (a *Answer) Lines() []string {
	out := make([]string, len(a.Records))
	for i, r := range a.Records {
		out[i] = r.Text()
	}
	slices.Sort(out)
	return out
}

// Host reads a name on the wire: lower-case, without last dot; "" is the root. False when it is none.
func Host(data []byte) (string, bool) {
	name, _, err := dns.ReadName(data)
	if err != nil {
		return "", false
	}
	return strings.ToLower(strings.TrimSuffix(name, ".")), true
}

// NameServer is one of a zone's name servers.
type NameServer struct {
	// Name is lower-case, without last dot.
	Name string
	// Addrs are those at which it can be asked, sorted.
	Addrs []netip.Addr
	// Barred are addresses that DNS gives for it and that are not on the public Internet: nobody asks them from here.
	Barred []netip.Addr
	// Problem says why no address can be asked; empty when one can.
	Problem string
}

// Delegation is how the public tree leads from the root to the zone in which a name lies.
type Delegation struct {
	// Name is the name asked for, lower-case, without trailing dot.
	Name string
	// Status is Found when the zone was reached and has the name or anything below it, NXDomain when a server that
	// answers for Zone says that the name does not exist, Temporary when the way could not be gone to its end.
	Status Status
	// Zone is the zone in which the name lies: the name itself when it is delegated, else one above it; "" is the root.
	Zone string
	// Parent is the zone that delegates Zone; "" is the root.
	Parent string
	// NS are the name servers of Zone as its parent names them, sorted.
	NS []string
	// DS are the DS records of Zone at the parent (RFC 4034 §5).
	DS []dns.Record
	// Servers are those of NS with their addresses, in the same order; Above are the parent's.
	Servers []NameServer
	Above   []NameServer
	// Whole: every name of NS was looked at. It is not when there are more of them than a zone may have here.
	Whole bool
	Origin
}

// Delegated reports whether the name itself is a zone, handed out by the zone above.
func (d *Delegation) Delegated() bool { return d.Status == Found && d.Zone == d.Name && d.Name != "" }

// Security is what a validating resolver says of a name (RFC 4035 §4.3).
type Security uint8

// The states of a name. The zero value is none.
const (
	// SecurityUnknown: no validating resolver could say.
	SecurityUnknown Security = iota + 1
	// Insecure: the name lies in a zone that is not signed, or whose parent has no DS record for it.
	Insecure
	// Secure: the answer was validated.
	Secure
	// Bogus: the answer does not validate; whoever validates sees nothing of the name.
	Bogus
)

// String gives the state in the words of explanations.
func (s Security) String() string {
	switch s {
	case Insecure:
		return "insecure"
	case Secure:
		return "secure"
	case Bogus:
		return "bogus"
	}
	return "unknown"
}

// MarshalText makes the state its word in JSON.
func (s Security) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

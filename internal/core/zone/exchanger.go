package zone

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"postroad/internal/core/finding"
	"postroad/internal/proto/dns"
)

// DefaultTTL is that of records for which nobody has chosen one, in seconds.
const DefaultTTL = 3600

// DefaultPreference is that of an exchanger for which nobody has chosen one, and the step to the next of a list.
const DefaultPreference = 10

// MaxExchangers bounds the exchangers of a name: more than a sender would ever try.
const MaxExchangers = 50

// NullHost is the host of the one entry that says that a name takes no mail (RFC 7505 §3).
const NullHost = "."

// Exchanger is an MX entry (RFC 1035 §3.3.9).
type Exchanger struct {
	Preference uint16 `json:"preference"` // lower is better, 0 is the best (RFC 5321 §5.1)
	Host       string `json:"host"`       // A-label in lower case without the last dot; NullHost in the null MX
}

// Null reports whether this is the null MX.
func (x Exchanger) Null() bool { return x.Host == NullHost }

// String is the entry as zone files have it, without the host's last dot.
func (x Exchanger) String() string { return strconv.Itoa(int(x.Preference)) + " " + x.Host }

// data is the entry on the wire.
func (x Exchanger) data() ([]byte, error) {
	return dns.AppendName(binary.BigEndian.AppendUint16(nil, x.Preference), absolute(x.Host))
}

// absolute is a name with its last dot.
func absolute(host string) string {
	if strings.HasSuffix(host, ".") {
		return host
	}
	return host + "."
}

// bare is an absolute name as people write it: in lower case without the last dot; the root stays a dot.
func bare(name string) string {
	if name == "." {
		return name
	}
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

// Role is what an exchanger is among those of its name.
type Role string

// The roles.
const (
	RolePrimary Role = "primary" // of the lowest preference: it is tried first
	RoleBackup  Role = "backup"  // tried while no better one can be reached
	RoleNull    Role = "null"    // no exchanger at all: the name takes no mail
)

// RoleOf tells the role of one of a list's exchangers. Those of equal preference share it.
func RoleOf(list []Exchanger, x Exchanger) Role {
	switch {
	case x.Null():
		return RoleNull
	case slices.ContainsFunc(list, func(other Exchanger) bool { return other.Preference < x.Preference }):
		return RoleBackup
	}
	return RolePrimary
}

// SortExchangers puts the best first; equal ones by name.
func SortExchangers(list []Exchanger) {
	slices.SortFunc(list, func(a, b Exchanger) int {
		return cmp.Or(cmp.Compare(a.Preference, b.Preference), cmp.Compare(a.Host, b.Host))
	})
}

// Exchangers gives the MX entries of an owner, an absolute name, best first.
func (z *Zone) Exchangers(owner string) []Exchanger {
	var out []Exchanger
	for _, r := range RRset(z.Records, owner, dns.TypeMX) {
		if len(r.Data) < 3 {
			continue
		}
		if host, _, err := dns.ReadName(r.Data[2:]); err == nil {
			out = append(out, Exchanger{Preference: binary.BigEndian.Uint16(r.Data), Host: bare(host)})
		}
	}
	SortExchangers(out)
	return out
}

// WithExchangers gives the zone with these and no other MX entries of an owner. The TTL stays what it was.
func (z *Zone) WithExchangers(owner string, list []Exchanger) (Zone, error) {
	all := make([][]byte, 0, len(list))
	for _, x := range list {
		data, err := x.data()
		if err != nil {
			return Zone{}, err
		}
		all = append(all, data)
	}
	return z.with(owner, dns.TypeMX, all), nil
}

// NameServers gives the hosts of the NS records of the apex, without the last dot, in order.
func (z *Zone) NameServers() []string {
	var out []string
	for _, r := range RRset(z.Records, z.Apex(), dns.TypeNS) {
		if host, _, err := dns.ReadName(r.Data); err == nil {
			out = append(out, bare(host))
		}
	}
	slices.Sort(out)
	return out
}

// WithNameServers gives the zone with these and no other NS records at its apex, the first of them the SOA's primary.
func (z *Zone) WithNameServers(hosts []string) (Zone, error) {
	all := make([][]byte, 0, len(hosts))
	for _, host := range hosts {
		data, err := dns.AppendName(nil, absolute(host))
		if err != nil {
			return Zone{}, err
		}
		all = append(all, data)
	}
	out := z.with(z.Apex(), dns.TypeNS, all)
	if len(all) == 0 {
		return out, nil
	}
	r, i := SOARecord(out.Records, z.Apex())
	if i < 0 {
		return out, nil
	}
	soa, err := ReadSOA(r)
	if err != nil {
		return Zone{}, err
	}
	soa.MName = absolute(hosts[0])
	out.Records[i], err = soa.Record(r.Name, r.TTL)
	return out, err
}

// at gives the records of an owner.
func (z *Zone) at(owner string) []dns.Record {
	byName := func(r dns.Record, name string) int { return dns.CompareNames(r.Name, name) }
	begin, found := slices.BinarySearchFunc(z.Records, owner, byName)
	if !found {
		return nil
	}
	end := begin + 1
	for end < len(z.Records) && z.Records[end].Name == owner {
		end++
	}
	return z.Records[begin:end]
}

// with gives the zone with these and no other data of a type at an owner. The records of z stay as they are.
func (z *Zone) with(owner string, t dns.Type, all [][]byte) Zone {
	ttl := uint32(DefaultTTL)
	if old := RRset(z.Records, owner, t); len(old) > 0 {
		ttl = old[0].TTL
	}
	set := make([]dns.Record, 0, len(all))
	for _, data := range all {
		set = append(set, dns.Record{TTL: ttl, Data: data})
	}
	out := *z
	out.Records = Replace(z.Records, owner, t, set...)
	return out
}

// Target tells what is wrong with a host as the target of MX or NS records, by the zone's own records; empty when
// nothing is. known is false for a host of which the zone says nothing: one outside it, or below a delegation.
func (z *Zone) Target(host string) (fault finding.Name, known bool) {
	name := absolute(host)
	if !dns.Below(name, z.Apex()) {
		return "", false
	}
	for above := name; above != z.Apex(); above = dns.Parent(above) {
		for _, r := range z.at(above) {
			switch {
			case r.Type == dns.TypeNS:
				return "", false
			case r.Type == dns.TypeDNAME && above != name:
				return finding.MXTargetCNAME, true
			}
		}
	}
	if slices.ContainsFunc(z.at(z.Apex()), func(r dns.Record) bool { return r.Type == dns.TypeDNAME }) && name != z.Apex() {
		return finding.MXTargetCNAME, true
	}
	return addressed(z.covering(name)), true
}

// covering gives the records that answer for a name: its own, or those of the wildcard that covers it (RFC 4592
// §3.3.1). exists is false when the name does not exist.
func (z *Zone) covering(name string) (records []dns.Record, exists bool) {
	if z.exists(name) {
		return z.at(name), true
	}
	for encloser := dns.Parent(name); dns.Below(encloser, z.Apex()); encloser = dns.Parent(encloser) {
		if z.exists(encloser) || encloser == z.Apex() {
			records = z.at("*." + encloser)
			return records, len(records) > 0
		}
	}
	return nil, false
}

// exists reports whether there are records at a name or below it.
func (z *Zone) exists(name string) bool {
	i, found := slices.BinarySearchFunc(z.Records, name, func(r dns.Record, name string) int { return dns.CompareNames(r.Name, name) })
	return found || i < len(z.Records) && dns.Below(z.Records[i].Name, name)
}

// addressed judges the records of a target.
func addressed(records []dns.Record, exists bool) finding.Name {
	if !exists {
		return finding.MXTargetNXDomain
	}
	fault := finding.MXTargetNoAddress
	for _, r := range records {
		if r.Type == dns.TypeCNAME {
			return finding.MXTargetCNAME
		}
		if r.Type == dns.TypeA || r.Type == dns.TypeAAAA {
			fault = ""
		}
	}
	return fault
}

// Addresses gives the addresses that the zone's own records give a host.
func (z *Zone) Addresses(host string) []netip.Addr {
	var out []netip.Addr
	records, _ := z.covering(absolute(host))
	for _, r := range records {
		if r.Type != dns.TypeA && r.Type != dns.TypeAAAA {
			continue
		}
		if a, ok := netip.AddrFromSlice(r.Data); ok {
			out = append(out, a.Unmap())
		}
	}
	return out
}

// Addressed reports whether the zone's own name has an address: where mail goes when there is no MX record (RFC 5321
// §5.1).
func (z *Zone) Addressed(owner string) bool {
	return addressed(z.covering(owner)) == ""
}

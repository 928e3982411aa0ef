package zone

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"postroad/internal/proto/dns"
)

// SOA is the content of a zone's start of authority (RFC 1035 §3.3.13). The numbers but Serial are seconds.
type SOA struct {
	// MName is the name server that changes come from, absolute.
	MName string
	// RName is the mailbox of whoever is responsible for the zone, as a name: absolute, the first label is the local part.
	// RName and Mailbox lead from and to the address.
	RName  string
	Serial uint32
	// Refresh, Retry and Expire tell secondaries how often to ask, how soon again, and when to give up.
	Refresh, Retry, Expire uint32
	// Minimum is how long others remember that something does not exist, if the record's TTL is not less (RFC 2308 §4).
	Minimum uint32
}

// soaNumbers is the length of what follows the two names.
const soaNumbers = 20

// ReadSOA reads a SOA record.
func ReadSOA(r dns.Record) (SOA, error) {
	wrong := func() (SOA, error) {
		return SOA{}, fmt.Errorf("%w: %s %s is not what a SOA record says", dns.ErrSyntax, r.Name, r.Type)
	}
	if r.Type != dns.TypeSOA {
		return wrong()
	}
	mname, n, err := dns.ReadName(r.Data)
	if err != nil {
		return SOA{}, err
	}
	rname, m, err := dns.ReadName(r.Data[n:])
	if err != nil {
		return SOA{}, err
	}
	rest := r.Data[n+m:]
	if len(rest) != soaNumbers {
		return wrong()
	}
	at := func(i int) uint32 { return binary.BigEndian.Uint32(rest[4*i:]) }
	return SOA{MName: mname, RName: rname, Serial: at(0), Refresh: at(1), Retry: at(2), Expire: at(3), Minimum: at(4)}, nil
}

// Record gives the SOA record of the zone of that name.
func (s SOA) Record(apex string, ttl uint32) (dns.Record, error) {
	data, err := dns.AppendName(nil, s.MName)
	if err == nil {
		data, err = dns.AppendName(data, s.RName)
	}
	if err != nil {
		return dns.Record{}, err
	}
	for _, n := range [...]uint32{s.Serial, s.Refresh, s.Retry, s.Expire, s.Minimum} {
		data = binary.BigEndian.AppendUint32(data, n)
	}
	return dns.Record{Name: apex, Type: dns.TypeSOA, TTL: ttl, Data: data}, nil
}

// Mailbox is RName as a mail address, without the domain's last dot.
func (s SOA) Mailbox() string {
	labels := dns.Labels(s.RName)
	if len(labels) == 0 {
		return ""
	}
	local, domain := unescape(labels[0]), strings.Join(labels[1:], ".")
	if domain == "" {
		return local
	}
	return local + "@" + domain
}

// RName gives a mail address the form in which a SOA record has it (RFC 1035 §8): dots of the local part are escaped.
func RName(address string) (string, error) {
	at := strings.LastIndexByte(address, '@')
	if at < 1 || at == len(address)-1 {
		return "", fmt.Errorf("%w: %.80q is not a mail address such as hostmaster@example.net", dns.ErrSyntax, address)
	}
	name := string(dns.AppendLabel(nil, []byte(address[:at]))) + "." + strings.TrimSuffix(address[at+1:], ".") + "."
	if _, err := dns.AppendName(nil, name); err != nil {
		return "", fmt.Errorf("%w: the mail address %.80q does not fit into a SOA record", dns.ErrSyntax, address)
	}
	return name, nil
}

// unescape gives a label's octets.
func unescape(label string) string {
	wire, err := dns.AppendName(nil, label+".")
	if err != nil || len(wire) < 2 {
		return label
	}
	return string(wire[1 : len(wire)-1])
}

// SOARecord finds the SOA record at the apex, and where it is among the records; -1 if there is none.
func SOARecord(records []dns.Record, apex string) (dns.Record, int) {
	i := slices.IndexFunc(records, func(r dns.Record) bool { return r.Type == dns.TypeSOA && r.Name == apex })
	if i < 0 {
		return dns.Record{}, -1
	}
	return records[i], i
}

// SetSerial gives the zone a serial, in Serial and in its SOA record, of which nothing else changes. Records and data that
// others hold are not touched.
func (z *Zone) SetSerial(serial uint32) {
	z.Serial = serial
	soa, i := SOARecord(z.Records, z.Apex())
	if i < 0 || len(soa.Data) < soaNumbers {
		return
	}
	z.Records = slices.Clone(z.Records)
	soa.Data = bytes.Clone(soa.Data)
	binary.BigEndian.PutUint32(soa.Data[len(soa.Data)-soaNumbers:], serial)
	z.Records[i] = soa
}

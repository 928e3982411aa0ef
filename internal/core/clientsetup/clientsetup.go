// Package clientsetup is how mail programs find the servers of a domain's users: where these are, and the DNS records that
// lead there (RFC 6186, RFC 8314 §5.1).
package clientsetup

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"postroad/internal/core/directory"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
)

// Service is where users' mail programs connect, one for the whole installation. A port of 0 is not offered.
type Service struct {
	Host        string // A-label without the last dot
	IMAPS       uint16 // IMAP over TLS
	IMAP        uint16 // IMAP with STARTTLS
	Submissions uint16 // submission over TLS (RFC 8314 §3.3)
	Submission  uint16 // submission with STARTTLS (RFC 6409)
	HTTPS       uint16 // where set-up files are fetched
}

// Offered says that mail can be read and sent by users' programs.
func (s *Service) Offered() bool {
	return s.Host != "" && (s.IMAPS != 0 || s.IMAP != 0) && (s.Submissions != 0 || s.Submission != 0)
}

// Serves says whether users of a domain have their mailboxes here. It is for what is told to strangers: a domain whose
// ownership is not shown has none.
func Serves(d *directory.Domain) bool { return d.Proved && keeps(d.Effective()) }

// Leads says whether the records of a domain's zone lead to us: where somebody chose so, and not where we follow what
// public DNS says.
func Leads(d *directory.Domain) bool { return keeps(d.Mode) }

func keeps(m directory.Mode) bool { return m == directory.ModeLocal || m == directory.ModeSplit }

// httpsPort is where programs look for set-up files, whatever a record says.
const httpsPort = 443

// Records are the records of a domain by which programs find the service; none where the service is not Offered.
func (s *Service) Records(domain string) ([]dns.Record, error) {
	if !s.Offered() {
		return nil, nil
	}
	host, err := dns.AppendName(nil, s.Host+".")
	if err != nil {
		return nil, fmt.Errorf("host of the service: %w", err)
	}
	var out []dns.Record
	for _, l := range []struct {
		label    string
		priority uint16 // the lower one is preferred: over TLS from the first octet (RFC 8314 §3)
		port     uint16
	}{
		{"_imaps._tcp", 0, s.IMAPS},
		{"_imap._tcp", 10, s.IMAP},
		{"_submissions._tcp", 0, s.Submissions},
		{"_submission._tcp", 10, s.Submission},
		{"_autodiscover._tcp", 0, s.HTTPS},
	} {
		if l.port == 0 {
			continue
		}
		data := binary.BigEndian.AppendUint16(nil, l.priority)
		data = binary.BigEndian.AppendUint16(data, 1)
		data = binary.BigEndian.AppendUint16(data, l.port)
		out = append(out, dns.Record{Name: l.label + "." + domain + ".", Type: dns.TypeSRV, TTL: zone.DefaultTTL, Data: append(data, host...)})
	}
	if s.HTTPS == httpsPort {
		for _, label := range []string{"autoconfig.", "autodiscover."} {
			out = append(out, dns.Record{Name: label + domain + ".", Type: dns.TypeCNAME, TTL: zone.DefaultTTL, Data: host})
		}
	}
	return out, nil
}

// State is how a wanted record stands in a zone.
type State string

// The states.
const (
	Present State = "present" // as wanted
	Missing State = "missing"
	Other   State = "other" // there is something else, which somebody wrote
)

// Look tells how a wanted record stands in a zone.
func Look(z *zone.Zone, wanted dns.Record) State {
	state := Missing
	for _, r := range z.Records {
		if r.Name != wanted.Name {
			continue
		}
		switch {
		case r.Type == wanted.Type && bytes.Equal(r.CanonicalData(), wanted.CanonicalData()):
			return Present
		case r.Type == wanted.Type || r.Type == dns.TypeCNAME || wanted.Type == dns.TypeCNAME:
			state = Other
		}
	}
	return state
}

// Add gives the zone with those of the wanted records that are missing, and these. A record that would break a rule of
// zones is left out.
func Add(z zone.Zone, wanted []dns.Record) (out zone.Zone, added []dns.Record) {
	refused := len(zone.Refused(zone.Check(&z, zone.Limits{})))
	for _, r := range wanted {
		if Look(&z, r) != Missing {
			continue
		}
		next := z
		next.Records = zone.Add(z.Records, r)
		if len(zone.Refused(zone.Check(&next, zone.Limits{}))) > refused {
			continue
		}
		z, added = next, append(added, r)
	}
	return z, added
}

// Remove gives the zone without those of the records that stand in it as they are, and these.
func Remove(z zone.Zone, records []dns.Record) (out zone.Zone, removed []dns.Record) {
	for _, r := range records {
		if Look(&z, r) == Present {
			z.Records = zone.Remove(z.Records, r)
			removed = append(removed, r)
		}
	}
	return z, removed
}

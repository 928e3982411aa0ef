package providers

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/libdns/libdns"

	"postroad/internal/core/publish"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
)

// records is what is needed of a service.
type records interface {
	libdns.RecordGetter
	libdns.RecordSetter
	libdns.RecordDeleter
}

// readSets gives RRsets of a service's zone.
func readSets(ctx context.Context, s records, apex string, sets []publish.Set) ([]dns.Record, error) {
	all, err := s.GetRecords(ctx, apex)
	if err != nil {
		return nil, err
	}
	var out []dns.Record
	for _, r := range all {
		rr := r.RR()
		name, err := dns.Name(libdns.AbsoluteName(rr.Name, apex), "")
		if err != nil {
			continue
		}
		t, err := dns.ParseType(rr.Type)
		if err != nil || !slices.Contains(sets, publish.Set{Name: name, Type: t}) {
			continue
		}
		one, err := fromService(rr, name, t)
		if err != nil {
			return nil, fmt.Errorf("the service has a record that cannot be read: %s %s: %w", name, rr.Type, err)
		}
		out = append(out, one)
	}
	return zone.Sort(out), nil
}

// writeSets makes a change of a service's zone.
func writeSets(ctx context.Context, s records, apex string, d zone.Difference) error {
	sets := make([]publish.Set, len(d))
	var before []dns.Record
	for i, c := range d {
		sets[i] = publish.Set{Name: c.Name, Type: c.Type}
		before = append(before, c.Before...)
	}
	now, err := readSets(ctx, s, apex, sets)
	if err != nil {
		return err
	}
	if len(zone.Plan(before, now)) > 0 {
		return publish.ErrChanged
	}
	var set, gone []libdns.Record
	for _, c := range d {
		for _, r := range c.After {
			set = append(set, toService(r, apex))
		}
		if len(c.After) == 0 {
			for _, r := range c.Before {
				gone = append(gone, toService(r, apex))
			}
		}
	}
	if len(set) > 0 {
		if _, err := s.SetRecords(ctx, apex, set); err != nil {
			return err
		}
	}
	if len(gone) > 0 {
		_, err = s.DeleteRecords(ctx, apex, gone)
	}
	return err
}

// fromService reads a record as libdns has it: the text of a TXT record is not quoted.
func fromService(rr libdns.RR, name string, t dns.Type) (dns.Record, error) {
	r := dns.Record{Name: name, Type: t, TTL: uint32(rr.TTL / time.Second)} //nolint:gosec // a TTL is 31 bits
	if t == dns.TypeTXT {
		for part := range slices.Chunk([]byte(rr.Data), 255) {
			r.Data = append(append(r.Data, byte(len(part))), part...)
		}
		if len(r.Data) == 0 {
			r.Data = []byte{0}
		}
		return r, r.Valid()
	}
	var err error
	if r.Data, err = dns.Data(t, rr.Data, ""); err != nil && !strings.HasSuffix(rr.Data, ".") {
		r.Data, err = dns.Data(t, rr.Data+".", "") // a service may leave the last dot out
	}
	return r, err
}

// toService writes a record as libdns has it.
func toService(r dns.Record, apex string) libdns.RR {
	rr := libdns.RR{Name: libdns.RelativeName(r.Name, apex), TTL: time.Duration(r.TTL) * time.Second, Type: r.Type.String(), Data: r.Text()}
	if r.Type == dns.TypeTXT {
		rr.Data = joined(r.Data)
	}
	return rr
}

// joined is the text of a TXT record's data.
func joined(data []byte) string {
	var b strings.Builder
	for len(data) > 0 {
		n := min(int(data[0]), len(data)-1)
		b.Write(data[1 : 1+n])
		data = data[1+n:]
	}
	return b.String()
}

// quoted is a text as services want TXT records: character-strings of at most 255 octets, in quotes.
func quoted(text string) string {
	var parts []string
	for part := range slices.Chunk([]byte(text), 255) {
		parts = append(parts, `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(string(part))+`"`)
	}
	if len(parts) == 0 {
		return `""`
	}
	return strings.Join(parts, " ")
}

// unquoted reads the text of a TXT record, in quotes or not.
func unquoted(text string) string {
	if !strings.HasPrefix(text, `"`) {
		return text
	}
	data, err := dns.Data(dns.TypeTXT, text, "")
	if err != nil {
		return text
	}
	return joined(data)
}

// webAddress judges where a token may be sent.
func webAddress(at netip.AddrPort, plain, operator bool) error {
	if a := at.Addr(); plain && (!operator || !a.IsLoopback() && !a.IsPrivate()) {
		return errNotPrivate
	}
	return public(at.Addr(), operator)
}

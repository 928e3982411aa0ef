package controltest

import (
	"context"
	"sync"
	"time"

	"postroad/internal/core/dnssec"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
)

// Pen signs zones with a key that is always the same and one record, and is the zone above all zones.
type Pen struct {
	Fail error // nothing can be signed
	Mute error // the zone above does not answer

	mu     sync.Mutex
	signed []string
	ds     map[string][]byte
}

// SetDS gives a domain a DS record in the zone above; none for an empty one.
func (p *Pen) SetDS(domain string, ds []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ds == nil {
		p.ds = map[string][]byte{}
	}
	p.ds[domain] = ds
}

// Sign signs.
func (p *Pen) Sign(_ context.Context, z *zone.Zone, _ time.Time) error {
	if p.Fail != nil {
		return p.Fail
	}
	z.Signatures = nil
	if z.Signing == nil {
		return nil
	}
	soa, _ := zone.SOARecord(z.Records, z.Apex())
	p.mu.Lock()
	p.signed = append(p.signed, z.Domain+" "+soa.Text())
	p.mu.Unlock()
	z.Signing = z.Signing.Clone()
	if len(z.Signing.Keys) == 0 {
		z.Signing.Keys = []dnssec.Key{{ID: "key of " + z.Domain, State: dnssec.Active, DNSKEY: []byte{1, 1, 3, 13, 0}}}
		z.NewKeys = []dnssec.SealedKey{{ID: "key of " + z.Domain, Sealed: []byte("sealed")}}
	}
	z.Signatures = []dns.Record{{Name: z.Apex(), Type: dns.TypeDNSKEY, TTL: 3600, Data: z.Signing.Keys[0].DNSKEY}}
	return nil
}

// Signed lists what was signed: the domain, and the data of its SOA record.
func (p *Pen) Signed() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.signed
}

// Look finds the DS that a domain was given.
func (p *Pen) Look(_ context.Context, domain string) (dnssec.Look, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	look := dnssec.Look{At: time.Now(), TTL: time.Hour, Source: "the zone above"}
	if ds := p.ds[domain]; len(ds) > 0 {
		look.DS = [][]byte{ds}
	}
	return look, p.Mute
}

// Now is the time.
func (p *Pen) Now() time.Time { return time.Now() }

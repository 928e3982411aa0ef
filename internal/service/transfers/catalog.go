package transfers

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"log/slog"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/transfer"
	"postroad/internal/core/zone"
	"postroad/internal/obs"
	"postroad/internal/proto/dns"
)

const (
	renewDelay = 200 * time.Millisecond // what changes in so short a time is listed together
	renewPause = time.Second            // between two versions
)

// The numbers of a catalog's records, in seconds.
const (
	catalogTTL     = 0 // nobody but secondaries asks
	catalogRefresh = 3600
	catalogRetry   = 600
	catalogExpire  = 14 * 86400
)

// catalog is a catalog zone that is answered for. What it lists is read from served when somebody fetches it.
type catalog struct {
	of     transfer.Catalog
	serial uint32
	since  time.Time // when it got the serial
}

// follow takes up the catalogs that are configured, and gives up those that are no longer.
func (s *Service) follow(c *config) {
	s.mu.Lock()
	var gone []string // of them those that are answered for: a domain of the name goes before a catalog
	for name := range s.catalogs {
		if !slices.ContainsFunc(c.catalogs, func(cat transfer.Catalog) bool { return cat.Name == name }) {
			if _, hosted := s.served[name]; !hosted {
				gone = append(gone, name)
			}
			delete(s.catalogs, name)
		}
	}
	var changed []string
	for _, cat := range c.catalogs {
		if old := s.catalogs[cat.Name]; old == nil || old.of != cat {
			if old == nil {
				old = &catalog{}
				s.catalogs[cat.Name] = old
			}
			old.of = cat
			changed = append(changed, cat.Name)
		}
	}
	s.mu.Unlock()
	for _, name := range gone {
		s.schedule.drop(task{taskCatalog, name})
		s.o.Names.Withdraw(name)
	}
	for _, name := range changed {
		s.renew(context.Background(), name)
	}
}

// listed has all catalogs written anew, as what they list may have changed.
func (s *Service) listed() {
	at := time.Now().Add(renewDelay)
	for _, cat := range s.config.Load().catalogs {
		s.schedule.set(task{taskCatalog, cat.Name}, at)
	}
}

// renew gives a catalog a new serial and tells those who have it. Everybody is answered for its SOA and NS records, and
// nobody for what it lists.
func (s *Service) renew(ctx context.Context, name string) {
	now := time.Now()
	s.mu.Lock()
	cat := s.catalogs[name]
	if _, hosted := s.served[name]; cat == nil || hosted {
		s.mu.Unlock()
		return
	}
	if wait := cat.since.Add(renewPause).Sub(now); wait > 0 {
		s.mu.Unlock()
		s.schedule.set(task{taskCatalog, name}, now.Add(wait))
		return
	}
	// The clock keeps it growing from one start to the next (RFC 1982).
	serial := uint32(now.Unix()) //nolint:gosec // serials come round
	if cat.serial != 0 && !zone.Newer(serial, cat.serial) {
		serial = zone.NextSerial(cat.serial)
	}
	cat.serial, cat.since = serial, now
	owner := cat.of.Account
	s.mu.Unlock()
	z := &zone.Zone{Domain: name, Account: owner, Serial: serial, Pending: true}
	var err error
	if z.Records, err = catalogHead(name, serial); err != nil {
		s.o.Log.ErrorContext(ctx, "a catalog cannot be written", slog.String(obs.KeyDomain, name), slog.Any(obs.KeyError, err))
		return
	}
	slices.SortFunc(z.Records, dns.Compare)
	publish, err := s.o.Names.Prepare(z)
	if err != nil {
		s.o.Log.ErrorContext(ctx, "a catalog cannot be answered for", slog.String(obs.KeyDomain, name), slog.Any(obs.KeyError, err))
		return
	}
	publish()
	s.announce(name, owner)
}

// catalogHead is the SOA record of a catalog and its NS record, which names no server (RFC 9432 §4.1).
func catalogHead(name string, serial uint32) ([]dns.Record, error) {
	apex := name + "."
	soa, err := zone.SOA{MName: "invalid.", RName: "invalid.", Serial: serial, Refresh: catalogRefresh, Retry: catalogRetry, Expire: catalogExpire}.Record(apex, catalogTTL)
	if err != nil {
		return nil, err
	}
	none, err := dns.AppendName(nil, "invalid.")
	if err != nil {
		return nil, err
	}
	return []dns.Record{soa, {Name: apex, Type: dns.TypeNS, TTL: catalogTTL, Data: none}}, nil
}

// members gives the content of a catalog (RFC 9432 §4): version 2, and each zone under a label of its own, that stays.
func (s *Service) members(name string) []dns.Record {
	s.mu.Lock()
	cat := s.catalogs[name]
	if cat == nil {
		s.mu.Unlock()
		return nil
	}
	serial := cat.serial
	var domains []string
	for domain, z := range s.served {
		if !z.pending && (cat.of.Every || z.account == cat.of.Account) {
			domains = append(domains, domain)
		}
	}
	s.mu.Unlock()
	all, err := catalogHead(name, serial)
	if err != nil {
		return nil
	}
	slices.Sort(domains)
	all = append(all, dns.Record{Name: "version." + name + ".", Type: dns.TypeTXT, TTL: catalogTTL, Data: []byte("\x012")})
	for _, domain := range domains {
		sum := sha256.Sum256([]byte(domain))
		label := strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:20]))
		target, err := dns.AppendName(nil, domain+".")
		if err != nil {
			continue // a domain's name is one
		}
		all = append(all, dns.Record{Name: label + ".zones." + name + ".", Type: dns.TypePTR, TTL: catalogTTL, Data: target})
	}
	return all
}

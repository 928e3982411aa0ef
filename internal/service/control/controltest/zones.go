package controltest

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/dnssec"
	"postroad/internal/core/zone"
	"postroad/internal/service/control"
)

// Zone reads one zone.
func (m *Memory) Zone(_ context.Context, scope account.Scope, domain string) (zone.Zone, error) {
	m.Lock()
	defer m.Unlock()
	z, ok := m.Hosted[domain]
	if !ok || !scope.Has(z.Account) {
		return zone.Zone{}, control.ErrNotFound
	}
	z.Pending = false // not kept
	return z, nil
}

// Zones reads all zones in order.
func (m *Memory) Zones(_ context.Context, scope account.Scope, yield func(zone.Zone) error) error {
	m.Lock()
	list := inScope(scope, m.Hosted, func(z zone.Zone) account.ID { return z.Account })
	m.Unlock()
	for _, z := range list {
		z.Pending = false
		if err := yield(z); err != nil {
			return err
		}
	}
	return nil
}

// Serials gives the serials of all zones.
func (m *Memory) Serials(context.Context, account.Scope) (map[string]uint32, error) {
	m.Lock()
	defer m.Unlock()
	out := map[string]uint32{}
	for name, z := range m.Hosted {
		out[name] = z.Serial
	}
	return out, nil
}

// inDNS is the name server's side of Memory.
type inDNS struct{ m *Memory }

// Prepare takes every zone with records, unless FailPrepare is set.
func (n inDNS) Prepare(z *zone.Zone) (func(), error) {
	n.m.Lock()
	defer n.m.Unlock()
	if n.m.FailPrepare != nil {
		return nil, n.m.FailPrepare
	}
	if len(z.Records) == 0 {
		return nil, errors.New("the zone has no records")
	}
	kept := *z
	return func() {
		n.m.Lock()
		defer n.m.Unlock()
		n.m.Answered[kept.Domain] = kept
	}, nil
}

// Withdraw forgets a zone.
func (n inDNS) Withdraw(domain string) {
	n.m.Lock()
	defer n.m.Unlock()
	delete(n.m.Answered, domain)
}

// Statistics tells the serial of a zone that is answered for.
func (n inDNS) Statistics(domain string) (zone.Statistics, bool) {
	n.m.Lock()
	defer n.m.Unlock()
	z, there := n.m.Answered[domain]
	return zone.Statistics{Serial: z.Serial}, there
}

// keepKeys keeps the private parts that come with zones.
func (m *Memory) keepKeys(list []zone.Zone) {
	for i := range list {
		for _, k := range list[i].NewKeys {
			k.Account, k.Domain = list[i].Account, list[i].Domain
			m.Secrets[k.ID] = k
		}
		list[i].NewKeys = nil
	}
}

// ZoneKey gives the private part of a key.
func (m *Memory) ZoneKey(_ context.Context, scope account.Scope, id string) (dnssec.SealedKey, error) {
	m.Lock()
	defer m.Unlock()
	k, ok := m.Secrets[id]
	if !ok || !scope.Has(k.Account) {
		return dnssec.SealedKey{}, control.ErrNotFound
	}
	return k, nil
}

// ZoneKeys lists the keys by their zones.
func (m *Memory) ZoneKeys(_ context.Context, scope account.Scope) ([]dnssec.SealedKey, error) {
	m.Lock()
	defer m.Unlock()
	list := inScope(scope, m.Secrets, func(k dnssec.SealedKey) account.ID { return k.Account })
	for i := range list {
		list[i].Sealed = nil
	}
	slices.SortFunc(list, func(a, b dnssec.SealedKey) int {
		return cmp.Or(cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

// MarkZoneKeys notes since when keys are unused.
func (m *Memory) MarkZoneKeys(_ context.Context, _ account.Scope, ids []string, unused time.Time) error {
	m.Lock()
	defer m.Unlock()
	for _, id := range ids {
		if k, ok := m.Secrets[id]; ok {
			k.Unused = unused
			m.Secrets[id] = k
		}
	}
	return nil
}

// DropZoneKeys destroys private parts.
func (m *Memory) DropZoneKeys(_ context.Context, _ account.Scope, ids []string) error {
	m.Lock()
	defer m.Unlock()
	for _, id := range ids {
		delete(m.Secrets, id)
	}
	return nil
}

// DueZones lists the zones that are to be signed again.
func (m *Memory) DueZones(_ context.Context, _ account.Scope, at time.Time, limit int) ([]string, error) {
	m.Lock()
	defer m.Unlock()
	due := map[string]time.Time{}
	for name, z := range m.Hosted {
		if z.Signing == nil {
			continue
		}
		if d := z.Signing.Due(z.Signatures); !d.After(at) {
			due[name] = d
		}
	}
	list := slices.SortedFunc(maps.Keys(due), func(a, b string) int { return cmp.Or(due[a].Compare(due[b]), cmp.Compare(a, b)) })
	return list[:min(limit, len(list))], nil
}

// SignedZones lists all zones that are signed.
func (m *Memory) SignedZones(context.Context, account.Scope) ([]string, error) {
	m.Lock()
	defer m.Unlock()
	var list []string
	for name, z := range m.Hosted {
		if z.Signing != nil {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list, nil
}

package controltest

import (
	"context"
	"errors"

	"postroad/internal/core/account"
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

package controltest

import (
	"context"

	"postroad/internal/core/account"
	"postroad/internal/core/transfer"
	"postroad/internal/service/control"
)

// exchanged is what Memory holds of transfers.
type exchanged struct {
	keys        map[string]transfer.Key
	peers       map[string]transfer.Peer
	secondaries map[string]transfer.Secondary
	catalogs    map[string]transfer.Catalog
}

func newExchanged() exchanged {
	return exchanged{map[string]transfer.Key{}, map[string]transfer.Peer{}, map[string]transfer.Secondary{}, map[string]transfer.Catalog{}}
}

func (e *exchanged) put(s *transfer.Settings) {
	put(e.keys, s.Keys, func(k transfer.Key) string { return k.ID })
	put(e.peers, s.Peers, func(p transfer.Peer) string { return p.ID })
	put(e.secondaries, s.Secondaries, func(z transfer.Secondary) string { return z.Domain })
	put(e.catalogs, s.Catalogs, func(c transfer.Catalog) string { return c.Name })
}

// remove removes what a removal names, and what lies in the domain with the name.
func (e *exchanged) remove(r control.Removal, domain string) {
	switch r.Kind {
	case control.KindTSIGKey:
		delete(e.keys, r.ID)
	case control.KindTransfer:
		delete(e.peers, r.ID)
	case control.KindSecondary:
		delete(e.secondaries, r.ID)
	case control.KindCatalog:
		delete(e.catalogs, r.ID)
	case control.KindDomain:
		delete(e.secondaries, domain)
		for id, p := range e.peers {
			if p.Zone == domain {
				delete(e.peers, id)
			}
		}
	}
}

// Transfers reads what is configured of transfers.
func (m *Memory) Transfers(_ context.Context, scope account.Scope) (transfer.Settings, error) {
	m.Lock()
	defer m.Unlock()
	return transfer.Settings{
		Keys:        inScope(scope, m.exchanged.keys, func(k transfer.Key) account.ID { return k.Account }),
		Peers:       inScope(scope, m.exchanged.peers, func(p transfer.Peer) account.ID { return p.Account }),
		Secondaries: inScope(scope, m.exchanged.secondaries, func(z transfer.Secondary) account.ID { return z.Account }),
		Catalogs:    inScope(scope, m.exchanged.catalogs, func(c transfer.Catalog) account.ID { return c.Account }),
	}, nil
}

// Copy reads what was fetched of a secondary's zone.
func (m *Memory) Copy(_ context.Context, scope account.Scope, domain string) (transfer.Copy, error) {
	m.Lock()
	defer m.Unlock()
	z, there := m.exchanged.secondaries[domain]
	if !there || !scope.Has(z.Account) {
		return transfer.Copy{}, control.ErrNotFound
	}
	return transfer.Copy{}, nil // nothing is fetched in memory
}

// unsealed seals nothing.
type unsealed struct{}

// Seal gives what it is given.
func (unsealed) Seal(plain []byte, _ string) []byte { return plain }

package controltest

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/core/primary"
	"postroad/internal/service/control"
)

// probes gives those in scope that are wanted, by address.
func (m *Memory) probes(scope account.Scope, wanted func(*primary.Probe) bool) []primary.Probe {
	m.Lock()
	defer m.Unlock()
	out := inScope(scope, m.Probed, func(p primary.Probe) account.ID { return p.Account })
	out = slices.DeleteFunc(out, func(p primary.Probe) bool { return !wanted(&p) })
	slices.SortFunc(out, func(a, b primary.Probe) int { return cmp.Compare(a.Address, b.Address) })
	return out
}

// ForwardProbes lists what is known of forwards.
func (m *Memory) ForwardProbes(_ context.Context, scope account.Scope, domain string) ([]primary.Probe, error) {
	return m.probes(scope, func(p *primary.Probe) bool { return domain == "" || p.Domain == domain }), nil
}

// OpenForwardProbes lists those under way.
func (m *Memory) OpenForwardProbes(_ context.Context, scope account.Scope) ([]primary.Probe, error) {
	return m.probes(scope, func(p *primary.Probe) bool { return p.State != primary.StateNone }), nil
}

// ForwardProbe gives one by its serial.
func (m *Memory) ForwardProbe(_ context.Context, scope account.Scope, serial string) (primary.Probe, error) {
	list := m.probes(scope, func(p *primary.Probe) bool { return p.Serial == serial })
	if len(list) == 0 {
		return primary.Probe{}, control.ErrNotFound
	}
	return list[0], nil
}

// CountForwardProbes counts those of an account sent after a time.
func (m *Memory) CountForwardProbes(_ context.Context, scope account.Scope, owner account.ID, since time.Time) (int, error) {
	return len(m.probes(scope, func(p *primary.Probe) bool { return p.Account == owner && p.Sent.After(since) })), nil
}

// PutForwardProbes keeps new ones.
func (m *Memory) PutForwardProbes(_ context.Context, _ account.Scope, list []primary.Probe) error {
	m.Lock()
	defer m.Unlock()
	for _, p := range list {
		m.Probed[p.Address] = p
	}
	return nil
}

// SetForwardProbe keeps what has become of one.
func (m *Memory) SetForwardProbe(_ context.Context, _ account.Scope, was, is primary.Probe) (bool, error) {
	m.Lock()
	defer m.Unlock()
	now, there := m.Probed[was.Address]
	if !there || now.Serial != was.Serial || now.State != was.State || !now.Left.Equal(was.Left) || !now.Judged.Equal(was.Judged) {
		return false, nil
	}
	m.Probed[was.Address] = is
	return true, nil
}

// RemoveForwardProbes forgets some.
func (m *Memory) RemoveForwardProbes(_ context.Context, _ account.Scope, addresses []string) error {
	m.Lock()
	defer m.Unlock()
	for _, address := range addresses {
		delete(m.Probed, address)
	}
	return nil
}

// outbox puts what is sent into memory's queue.
type outbox struct{ m *Memory }

func (o outbox) NewID(at time.Time) mail.ID { return mail.NewID(at, 0, 1, rand.Uint64()) }

func (o outbox) Accept(_ context.Context, _ account.Scope, st mail.Stored) error {
	o.m.Lock()
	defer o.m.Unlock()
	for i := range st.Rows {
		st.Rows[i].Row, st.Rows[i].State = mail.Row{ID: st.Message.ID, N: i}, mail.StateWaiting
	}
	o.m.Queued = append(o.m.Queued, mail.Listed{Message: *st.Message, Rows: st.Rows})
	o.m.Outgoing = append(o.m.Outgoing, string(st.Content.Inline))
	return nil
}

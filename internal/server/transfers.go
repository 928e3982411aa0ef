package server

import (
	"context"

	"postroad/internal/core/zone"
	"postroad/internal/service/control"
	"postroad/internal/service/dnsd"
	"postroad/internal/service/transfers"
)

// joinTransfers makes the service that moves zones between name servers; it works when control has started.
func (s *Server) joinTransfers() {
	s.transfers = transfers.New(transfers.Options{
		Store: s.stores.control, Names: s.dnsd, Domains: domains{s}, Box: s.box, Dialer: s.opts.Dialer, Metrics: s.metrics, Log: s.log,
	})
}

// startTransfers begins to move zones: it knows by now which are answered for.
func (s *Server) startTransfers(context.Context) error {
	if s.transfers == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	stop, err := s.transfers.Start(ctx)
	if err != nil {
		cancel()
		return err
	}
	s.atEnd(func(context.Context) { cancel(); stop() })
	if s.cfg.Store.DSN != "" { // other nodes may be told of changes in the place of this one
		s.meanwhile(s.transfers.Follow)
	}
	return nil
}

// exchange is what follows changes of transfers; nil on a node that answers no questions.
func (s *Server) exchange() interface{ Reload(context.Context) error } {
	if s.transfers == nil {
		return nil
	}
	return s.transfers
}

// domains tells transfers of domains.
type domains struct{ s *Server }

// Proved implements transfers.Domains.
func (d domains) Proved(domain string) (proved, there bool) {
	found, there := d.s.control.Directory().Domain(domain)
	return there && found.Proved, there
}

// transferring shows transfers as the name server wants it.
type transferring struct{ s *Server }

// Serve implements dnsd.Transfers.
func (t transferring) Serve(ctx context.Context, p dnsd.Packet) {
	t.s.transfers.Serve(ctx, transfers.Packet(p))
}

// published is the name server, with transfers told of what it answers for.
type published struct{ s *Server }

var _ control.Names = published{}

// Prepare implements control.Names.
func (p published) Prepare(z *zone.Zone) (func(), error) {
	publish, err := p.s.dnsd.Prepare(z)
	if err != nil {
		return nil, err
	}
	known := zone.Zone{Domain: z.Domain, Account: z.Account, Serial: z.Serial, Pending: z.Pending}
	return func() {
		publish()
		p.s.transfers.Published(&known)
	}, nil
}

// Withdraw implements control.Names.
func (p published) Withdraw(domain string) {
	p.s.dnsd.Withdraw(domain)
	p.s.transfers.Withdrawn(domain)
}

// Statistics implements control.Names.
func (p published) Statistics(domain string) (zone.Statistics, bool) {
	return p.s.dnsd.Statistics(domain)
}

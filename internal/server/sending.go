package server

import (
	"context"
	"fmt"

	"postroad/internal/core/account"
	"postroad/internal/core/sending"
	service "postroad/internal/service/sending"
)

// joinSending starts the service that holds what users send against limits.
func (s *Server) joinSending(ctx context.Context) error {
	c := &s.cfg.Sending
	limits := func(hour, day int) sending.Limits {
		return sending.Limits{Hour: int64(max(hour, 0)), Day: int64(max(day, 0))}
	}
	s.sending = service.New(service.Config{
		Login: limits(c.LoginHour, c.LoginDay), Domain: limits(c.DomainHour, c.DomainDay), Account: limits(c.AccountHour, c.AccountDay),
		PauseAfter: int64(max(c.PauseAfter, 0)),
		Pause: func(ctx context.Context, owner account.ID, login, reason string) error {
			return s.control.PauseLogin(ctx, owner, login, reason)
		},
		Rule:   func(k sending.Key) sending.Rule { return s.control.SendingRule(k) },
		Shared: s.cfg.Store.DSN != "",
	}, s.stores.control, s.log)
	if err := s.sending.Start(ctx); err != nil {
		return fmt.Errorf("read what users have sent: %w", err)
	}
	s.atEnd(s.sending.Stop)
	return nil
}

package queue

import (
	"context"
	"maps"
	"slices"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/core/sending"
)

// turn has all that users have sent looked at, and so held, while they are paused; else it lets go what was held for that, and
// nothing that somebody holds. Of what is let go the rows of logins that are paused for themselves are held again.
func (s *Service) turn(ctx context.Context, sent mail.Sent) error {
	f, action := Filter{Sent: sent}, mail.Expedite
	if !s.halts(sent) {
		f.States, f.Sent.Halted, action = []mail.State{mail.StateHeld}, true, mail.Release
	}
	_, err := s.change(ctx, account.System(), f, action, nil)
	return err
}

// halts reports whether all that users have sent is held by now.
func (s *Service) halts(sent mail.Sent) bool {
	dir, owner := s.dir.View().Directory, sent.Account
	if owner == "" { // of an earlier program, which knew logins of domains that are here
		if d, ok := dir.Domain(sending.DomainOf(sent.Login)); ok {
			owner = d.Account
		}
	}
	if sent.Login != "" {
		return dir.Paused(owner, sent.Login)
	}
	_, paused := dir.DomainPausedFor(owner, sent.Domain)
	return paused
}

// halted remembers logins for whose pause rows were held just now, and lets these go where the pause is over meanwhile: who
// resumed the login may not have seen them.
func (s *Service) halted(logins []mail.Sent) {
	if len(logins) == 0 {
		return
	}
	s.mu.Lock()
	for _, login := range logins {
		s.paused[login] = struct{}{}
	}
	s.mu.Unlock()
	s.letResumedGo()
}

// letResumedGo lets go what this node has held for pauses that are over as it knows by now: another node may have resumed the
// login before this one had heard of that.
func (s *Service) letResumedGo() {
	s.mu.Lock()
	logins := slices.Collect(maps.Keys(s.paused))
	s.mu.Unlock()
	if len(logins) == 0 {
		return
	}
	over := slices.DeleteFunc(logins, s.halts)
	s.mu.Lock()
	for _, login := range over {
		delete(s.paused, login)
	}
	s.mu.Unlock()
	for _, login := range over {
		if err := s.turn(context.WithoutCancel(s.ctx), login); err != nil {
			s.log.ErrorContext(s.ctx, "what a login has sent is not let go yet", "login", login.Login, "error", err)
			s.mu.Lock()
			s.paused[login] = struct{}{}
			s.mu.Unlock()
		}
	}
}

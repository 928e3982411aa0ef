package queue

import (
	"context"
	"maps"
	"slices"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
)

// turnLogin has all that a login has sent looked at, and so held, while it is paused; else it lets go what was held for that,
// and nothing that somebody holds.
func (s *Service) turnLogin(ctx context.Context, login string) error {
	f, action := Filter{Login: login}, mail.Expedite
	if !s.dir.View().Directory.Paused(login) {
		f.States, f.Reply, action = []mail.State{mail.StateHeld}, mail.Paused(login), mail.Release
	}
	_, err := s.change(ctx, account.System(), f, action, nil)
	return err
}

// halted remembers logins for whose pause rows were held just now, and lets these go where the pause is over meanwhile: who
// resumed the login may not have seen them.
func (s *Service) halted(logins []string) {
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
	over := slices.DeleteFunc(logins, s.dir.View().Directory.Paused)
	s.mu.Lock()
	for _, login := range over {
		delete(s.paused, login)
	}
	s.mu.Unlock()
	for _, login := range over {
		if err := s.turnLogin(context.WithoutCancel(s.ctx), login); err != nil {
			s.log.ErrorContext(s.ctx, "what a login has sent is not let go yet", "login", login, "error", err)
			s.mu.Lock()
			s.paused[login] = struct{}{}
			s.mu.Unlock()
		}
	}
}

package control

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/obs"
	"postroad/internal/service/control/settings"
)

// settingRerouting names the installation's memory of domains whose queued mail is being decided anew: a JSON list of
// mail.Rerouted.
const settingRerouting = "queued_mail_being_rerouted"

// rerouted lists the domains whose queued mail is to be decided anew when a plan is applied.
func (s *Service) rerouted(before *directory.Snapshot, plan *Plan) []mail.Rerouted {
	if s.o.Queue == nil {
		return nil
	}
	var out []mail.Rerouted
	for i := range plan.Delta.PutDomains {
		d := &plan.Delta.PutDomains[i]
		old, _ := before.Domain(d.Name)
		if r, moved := settings.Rerouted(old, d); moved {
			out = append(out, r)
		}
	}
	for _, name := range plan.Delta.RemoveDomains {
		if old, there := before.Domain(name); !there || !old.Proved {
			continue // its mail went as that of any foreign domain does
		}
		out = append(out, mail.Rerouted{Domain: name, Gone: true})
	}
	return out
}

// intendReroute remembers domains whose queued mail is about to be decided anew, so that a crash leaves none behind.
// s.mu is held.
func (s *Service) intendReroute(ctx context.Context, list []mail.Rerouted) error {
	if len(list) == 0 {
		return nil
	}
	if s.moving == nil {
		s.moving = map[string]mail.Rerouted{}
	}
	for i := range list {
		r := &list[i]
		old := s.moving[r.Domain]
		r.Moved, r.Gone = r.Moved || old.Moved, r.Gone || old.Gone && !r.Moved
		if !r.Kept {
			r.Kept, r.Hold = old.Kept, old.Hold
		}
		s.moving[r.Domain] = *r
	}
	return s.rememberReroutes(ctx)
}

func (s *Service) rememberReroutes(ctx context.Context) error {
	text := ""
	if len(s.moving) > 0 {
		b, err := json.Marshal(slices.Collect(maps.Values(s.moving)))
		if err != nil {
			return err
		}
		text = string(b)
	}
	return s.o.Store.SetSetting(ctx, account.System(), settingRerouting, text)
}

// reroute has queued mail decided anew. What fails is done at the next start; a row is decided anew in any case before
// its next attempt.
func (s *Service) reroute(ctx context.Context, list []mail.Rerouted) {
	if len(list) == 0 {
		return
	}
	err := s.o.Queue.Reroute(ctx, list)
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, r := range list {
			if s.moving[r.Domain] == r {
				delete(s.moving, r.Domain)
			}
		}
		err = s.rememberReroutes(ctx)
	}
	if err != nil {
		s.o.Log.ErrorContext(ctx, "queued mail could not be decided anew yet", slog.Any(obs.KeyError, err))
	}
}

// finishReroutes does what a crash has left undone.
func (s *Service) finishReroutes(ctx context.Context) error {
	text, err := s.o.Store.Setting(ctx, account.System(), settingRerouting)
	if err != nil || text == "" || s.o.Queue == nil {
		return err
	}
	var list []mail.Rerouted
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return fmt.Errorf("read whose queued mail is to be decided anew: %w", err)
	}
	for i := range list {
		if d, there := s.Directory().Domain(list[i].Domain); there && d.Proved {
			list[i].Gone = false // what was about to be recorded never was
			list[i].Moved, list[i].Hold = true, d.Hold
		}
	}
	if err := s.o.Queue.Reroute(ctx, list); err != nil {
		return err
	}
	return s.rememberReroutes(ctx)
}

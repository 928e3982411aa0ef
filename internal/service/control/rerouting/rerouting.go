// Package rerouting has queued mail of domains decided anew when a change lets it go another way, so that a crash in
// between leaves none behind.
package rerouting

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/core/sending"
	"postroad/internal/obs"
	"postroad/internal/service/control/boxes"
	"postroad/internal/service/control/mailqueue"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/settings"
)

// Keeper knows whose mail is being decided anew. Without a Queue there is none.
type Keeper struct {
	Queue  mailqueue.Queue
	Memory boxes.Memory
	Log    *slog.Logger

	mu     sync.Mutex
	moving map[string]mail.Rerouted // domains whose queued mail is being decided anew; guarded by mu
}

// settingRerouting names the installation's memory of domains whose queued mail is being decided anew: a JSON list of
// mail.Rerouted.
const settingRerouting = "queued_mail_being_rerouted"

// Of lists the domains whose queued mail is to be decided anew when a plan is applied, and the senders that it pauses or resumes.
func (k *Keeper) Of(before *directory.Snapshot, p *plan.Plan) []mail.Rerouted {
	if k.Queue == nil {
		return nil
	}
	var out []mail.Rerouted
	for i := range p.Delta.PutDomains {
		d := &p.Delta.PutDomains[i]
		old, _ := before.Domain(d.Name)
		if r, moved := settings.Rerouted(old, d); moved {
			out = append(out, r)
		}
	}
	for _, name := range p.Delta.RemoveDomains {
		if old, there := before.Domain(name); !there || !old.Proved {
			continue // its mail went as that of any foreign domain does
		}
		out = append(out, mail.Rerouted{Domain: name, Gone: true})
	}
	for i := range p.Delta.PutSenders {
		r := &p.Delta.PutSenders[i]
		if old := before.SendingRule(r.Key); (old.Pause == nil) == (r.Pause == nil) {
			continue
		}
		sent := mail.Rerouted{SentBy: r.Account}
		switch r.Kind {
		case sending.Login:
			sent.Login = r.ID
		case sending.Domain:
			sent.Logins = r.ID
		case sending.Account:
		}
		out = append(out, sent)
	}
	return out
}

// Intend remembers domains whose queued mail is about to be decided anew, so that a crash leaves none behind.
func (k *Keeper) Intend(ctx context.Context, list []mail.Rerouted) error {
	if len(list) == 0 {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.moving == nil {
		k.moving = map[string]mail.Rerouted{}
	}
	for i := range list {
		r := &list[i]
		old := k.moving[r.Key()]
		r.Moved, r.Gone = r.Moved || old.Moved, r.Gone || old.Gone && !r.Moved
		if !r.Kept {
			r.Kept, r.Hold = old.Kept, old.Hold
		}
		k.moving[r.Key()] = *r
	}
	return k.remember(ctx)
}

// remember writes down what is under way. k.mu is held.
func (k *Keeper) remember(ctx context.Context) error {
	text := ""
	if len(k.moving) > 0 {
		b, err := json.Marshal(slices.Collect(maps.Values(k.moving)))
		if err != nil {
			return err
		}
		text = string(b)
	}
	return k.Memory.SetSetting(ctx, account.System(), settingRerouting, text)
}

// Do has queued mail decided anew. What fails is done at the next start; a row is decided anew in any case before
// its next attempt.
func (k *Keeper) Do(ctx context.Context, list []mail.Rerouted) {
	if len(list) == 0 {
		return
	}
	err := k.Queue.Reroute(ctx, list)
	if err == nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		for _, r := range list {
			if k.moving[r.Key()] == r {
				delete(k.moving, r.Key())
			}
		}
		err = k.remember(ctx)
	}
	if err != nil {
		k.Log.ErrorContext(ctx, "queued mail could not be decided anew yet", slog.Any(obs.KeyError, err))
	}
}

// Finish does what a crash has left undone.
func (k *Keeper) Finish(ctx context.Context, now *directory.Snapshot) error {
	text, err := k.Memory.Setting(ctx, account.System(), settingRerouting)
	if err != nil || text == "" || k.Queue == nil {
		return err
	}
	var list []mail.Rerouted
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return fmt.Errorf("read whose queued mail is to be decided anew: %w", err)
	}
	for i := range list {
		if d, there := now.Domain(list[i].Domain); there && d.Proved {
			list[i].Gone = false // what was about to be recorded never was
			list[i].Moved, list[i].Hold = true, d.Hold
		}
	}
	if err := k.Queue.Reroute(ctx, list); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.remember(ctx)
}

// Package boxes keeps the mailbox store in step with what is configured.
//
// # Failure
//
// A mailbox that cannot be made or removed now is made or removed before the next change or at the next start.
package boxes

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/mailbox"
	"postroad/internal/obs"
)

// Keeper makes and removes mailboxes. Without Boxes it does nothing.
type Keeper struct {
	Boxes  Boxes
	Memory Memory
	Log    *slog.Logger

	unmade atomic.Bool // something could not be done yet
}

// Due reports whether Mend has something to do.
func (k *Keeper) Due() bool { return k.unmade.Load() }

// boxesAtATime is how many mailboxes are made or removed at a time; their commits share flushes.
const boxesAtATime = 64

// settingRemoving names the installation's memory of mailboxes whose removal has begun: a JSON list of ids.
const settingRemoving = "mailboxes_being_removed"

// IntendRemoval remembers mailboxes that are about to go, so that a crash leaves no messages behind.
func (k *Keeper) IntendRemoval(ctx context.Context, ids []string) error {
	if len(ids) == 0 || k.Boxes == nil {
		return nil
	}
	text, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	return k.Memory.SetSetting(ctx, account.System(), settingRemoving, string(text))
}

// Remove removes mailboxes with their messages and forgets the intent. What fails is done at the next start.
func (k *Keeper) Remove(ctx context.Context, ids []string) {
	if len(ids) == 0 || k.Boxes == nil {
		return
	}
	if err := k.remove(ctx, ids); err != nil {
		k.unmade.Store(true)
		k.Log.ErrorContext(ctx, "a mailbox could not be removed yet", slog.Any(obs.KeyError, err))
	}
}

func (k *Keeper) remove(ctx context.Context, ids []string) error {
	var g errgroup.Group
	g.SetLimit(boxesAtATime)
	for _, id := range ids {
		g.Go(func() error { return k.Boxes.Remove(ctx, account.System(), id) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return k.Memory.SetSetting(ctx, account.System(), settingRemoving, "")
}

// Mend brings the mailbox store to what is configured: it finishes removals that had begun, makes mailboxes that are
// missing and sets quotas that differ. Mailboxes that nobody configured are left alone and counted in the log.
func (k *Keeper) Mend(ctx context.Context, snap *directory.Snapshot) error {
	if k.Boxes == nil {
		return nil
	}
	configured := map[string]*directory.Mailbox{}
	for d := range snap.Domains() {
		for m := range snap.Mailboxes(d.Name) {
			configured[m.ID] = m
		}
	}
	if err := k.finishRemovals(ctx, configured); err != nil {
		return fmt.Errorf("finish the removal of mailboxes: %w", err)
	}
	usage, err := k.Boxes.Usage(ctx, account.System(), nil)
	if err != nil {
		return fmt.Errorf("read what mailboxes there are: %w", err)
	}
	var g errgroup.Group
	g.SetLimit(boxesAtATime)
	made := 0
	for id, m := range configured {
		if u, ok := usage[id]; ok && u.Quota == m.Quota {
			continue
		}
		made++
		g.Go(func() error {
			return k.Boxes.Create(ctx, account.System(), mailbox.Mailbox{ID: m.ID, Account: m.Account, Quota: m.Quota})
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("make mailboxes: %w", err)
	}
	k.unmade.Store(false)
	if made > 0 {
		k.Log.InfoContext(ctx, "mailboxes made or corrected", slog.Int(obs.KeyCount, made))
	}
	if strange := len(usage) + made - len(configured); strange > 0 && made == 0 {
		k.Log.WarnContext(ctx, "there are mailboxes that are not configured; they are kept", slog.Int(obs.KeyCount, strange))
	}
	return nil
}

func (k *Keeper) finishRemovals(ctx context.Context, configured map[string]*directory.Mailbox) error {
	text, err := k.Memory.Setting(ctx, account.System(), settingRemoving)
	if err != nil || text == "" {
		return err
	}
	var ids, gone []string
	if err := json.Unmarshal([]byte(text), &ids); err != nil {
		return err
	}
	for _, id := range ids {
		if _, still := configured[id]; !still {
			gone = append(gone, id)
		}
	}
	return k.remove(ctx, gone)
}

// Make makes new mailboxes and sets changed quotas. A mailbox that cannot be made now is made before the
// next change or at the next start; mail for it is deferred until then.
func (k *Keeper) Make(ctx context.Context, list []directory.Mailbox) {
	if k.Boxes == nil {
		return
	}
	var g errgroup.Group
	g.SetLimit(boxesAtATime)
	for _, m := range list {
		g.Go(func() error {
			return k.Boxes.Create(ctx, account.System(), mailbox.Mailbox{ID: m.ID, Account: m.Account, Quota: m.Quota})
		})
	}
	if err := g.Wait(); err != nil {
		k.unmade.Store(true)
		k.Log.ErrorContext(ctx, "a mailbox could not be made yet", slog.Any(obs.KeyError, err))
	}
}

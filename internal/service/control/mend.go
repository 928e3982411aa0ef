package control

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/mailbox"
	"postroad/internal/obs"
)

// boxesAtATime is how many mailboxes are made or removed at a time; their commits share flushes.
const boxesAtATime = 64

// settingRemoving names the installation's memory of mailboxes whose removal has begun: a JSON list of ids.
const settingRemoving = "mailboxes_being_removed"

// intendRemoval remembers mailboxes that are about to go, so that a crash leaves no messages behind.
func (s *Service) intendRemoval(ctx context.Context, ids []string) error {
	if len(ids) == 0 || s.o.Boxes == nil {
		return nil
	}
	text, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	return s.o.Store.SetSetting(ctx, account.System(), settingRemoving, string(text))
}

// unmakeBoxes removes mailboxes with their messages and forgets the intent. What fails is done at the next start.
func (s *Service) unmakeBoxes(ctx context.Context, ids []string) {
	if len(ids) == 0 || s.o.Boxes == nil {
		return
	}
	if err := s.removeBoxes(ctx, ids); err != nil {
		s.unmade.Store(true)
		s.o.Log.ErrorContext(ctx, "a mailbox could not be removed yet", slog.Any(obs.KeyError, err))
	}
}

func (s *Service) removeBoxes(ctx context.Context, ids []string) error {
	var g errgroup.Group
	g.SetLimit(boxesAtATime)
	for _, id := range ids {
		g.Go(func() error { return s.o.Boxes.Remove(ctx, account.System(), id) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return s.o.Store.SetSetting(ctx, account.System(), settingRemoving, "")
}

// mend brings the mailbox store to what is configured: it finishes removals that had begun, makes mailboxes that are
// missing and sets quotas that differ. Mailboxes that nobody configured are left alone and counted in the log.
func (s *Service) mend(ctx context.Context) error {
	if s.o.Boxes == nil {
		return nil
	}
	configured := map[string]*directory.Mailbox{}
	snap := s.Directory()
	for d := range snap.Domains() {
		for m := range snap.Mailboxes(d.Name) {
			configured[m.ID] = m
		}
	}
	if err := s.finishRemovals(ctx, configured); err != nil {
		return fmt.Errorf("finish the removal of mailboxes: %w", err)
	}
	usage, err := s.o.Boxes.Usage(ctx, account.System(), nil)
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
			return s.o.Boxes.Create(ctx, account.System(), mailbox.Mailbox{ID: m.ID, Account: m.Account, Quota: m.Quota})
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("make mailboxes: %w", err)
	}
	s.unmade.Store(false)
	if made > 0 {
		s.o.Log.InfoContext(ctx, "mailboxes made or corrected", slog.Int(obs.KeyCount, made))
	}
	if strange := len(usage) + made - len(configured); strange > 0 && made == 0 {
		s.o.Log.WarnContext(ctx, "there are mailboxes that are not configured; they are kept", slog.Int(obs.KeyCount, strange))
	}
	return nil
}

func (s *Service) finishRemovals(ctx context.Context, configured map[string]*directory.Mailbox) error {
	text, err := s.o.Store.Setting(ctx, account.System(), settingRemoving)
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
	return s.removeBoxes(ctx, gone)
}

package transfers

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"postroad/internal/core/transfer"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Undoable reports whether an audit entry is of a kind that PlanUndo takes back.
func Undoable(action string) bool {
	kind, _, _ := strings.Cut(action, " ")
	return slices.Contains([]plan.Kind{plan.KindTSIGKey, plan.KindTransfer, plan.KindSecondary, plan.KindCatalog}, plan.Kind(kind))
}

// back plans what takes a change back.
type back func(ctx context.Context, a *Access, actor rights.Actor) (plan.Plan, error)

// readSides reads what an audit entry says of a thing before and after; nil where it was not there.
func readSides[T any](e *plan.Entry) (before, after *T, err error) {
	if e.Before != "" && json.Unmarshal([]byte(e.Before), &before) != nil || e.After != "" && json.Unmarshal([]byte(e.After), &after) != nil || before == nil && after == nil {
		return nil, nil, words.Lost("its entry cannot be read any more")
	}
	return before, after, nil
}

// CanUndo tells for audit entries whether PlanUndo would find a way back.
func (a *Access) CanUndo(ctx context.Context, actor rights.Actor) func(e *plan.Entry) bool {
	var mine *transfer.Settings
	return func(e *plan.Entry) bool {
		if mine == nil {
			all, err := a.Store.Transfers(ctx, actor.Scope)
			if err != nil {
				return false
			}
			mine = &all
		}
		_, err := judge(mine, e)
		return err == nil
	}
}

// PlanUndo plans that a change is taken back, as its audit entry tells it.
func (a *Access) PlanUndo(ctx context.Context, actor rights.Actor, e *plan.Entry) (plan.Plan, error) {
	mine, err := a.Store.Transfers(ctx, actor.Scope)
	if err != nil {
		return plan.Plan{}, err
	}
	way, err := judge(&mine, e)
	if err != nil {
		return plan.Plan{}, err
	}
	p, err := way(ctx, a, actor)
	p.Asks = p.Asks || !p.Empty()
	return p, err
}

// judge finds what takes a change back, by what is configured now, or says why nothing does.
func judge(mine *transfer.Settings, e *plan.Entry) (back, error) {
	kind, _, _ := strings.Cut(e.Action, " ")
	switch plan.Kind(kind) { //nolint:exhaustive // Undoable has told them apart
	case plan.KindTSIGKey:
		return judgeKey(mine, e)
	case plan.KindTransfer:
		return judgePeer(mine, e)
	case plan.KindSecondary:
		return judgeSecondary(mine, e)
	}
	return judgeCatalog(mine, e)
}

func judgeKey(mine *transfer.Settings, e *plan.Entry) (back, error) {
	_, after, err := readSides[Key](e)
	if err != nil {
		return nil, err
	}
	if after == nil {
		return nil, words.Lost("the secret of a key that was removed is not kept")
	}
	if !slices.ContainsFunc(mine.Keys, func(k transfer.Key) bool { return showKey(&k) == *after }) {
		return nil, words.Since("the key " + after.Name)
	}
	return func(ctx context.Context, a *Access, actor rights.Actor) (plan.Plan, error) {
		return a.PlanKeyRemove(ctx, actor, after.Name)
	}, nil
}

func judgePeer(mine *transfer.Settings, e *plan.Entry) (back, error) {
	before, after, err := readSides[Peer](e)
	if err != nil {
		return nil, err
	}
	alike := func(with *Peer) func(transfer.Peer) bool {
		return func(p transfer.Peer) bool {
			is := showPeer(&p)
			return is.Zone == with.Zone && is.Key == with.Key && is.Notify == with.Notify && slices.Equal(is.From, with.From)
		}
	}
	if after != nil {
		if !slices.ContainsFunc(mine.Peers, alike(after)) {
			return nil, words.Since("who has the zone " + after.Zone)
		}
		return func(ctx context.Context, a *Access, actor rights.Actor) (plan.Plan, error) {
			return a.deny(ctx, actor, after.Zone, alike(after))
		}, nil
	}
	if slices.ContainsFunc(mine.Peers, alike(before)) {
		return nil, words.Since("who has the zone " + before.Zone)
	}
	return func(ctx context.Context, a *Access, actor rights.Actor) (plan.Plan, error) {
		return a.planPeer(ctx, actor, PeerSpec{Zone: before.Zone, Key: before.Key, From: before.From, Notify: before.Notify})
	}, nil
}

func judgeSecondary(mine *transfer.Settings, e *plan.Entry) (back, error) {
	before, after, err := readSides[Secondary](e)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(mine.Secondaries, func(z transfer.Secondary) bool { return z.Domain == e.Domain })
	switch {
	case (i >= 0) != (after != nil), i >= 0 && showSecondary(&mine.Secondaries[i]) != *after:
		return nil, words.Since("where the zone " + words.Show(e.Domain) + " is fetched from")
	case before == nil:
		return func(ctx context.Context, a *Access, actor rights.Actor) (plan.Plan, error) {
			return a.PlanSecondaryRemove(ctx, actor, e.Domain)
		}, nil
	}
	return func(ctx context.Context, a *Access, actor rights.Actor) (plan.Plan, error) {
		return a.PlanSecondarySet(ctx, actor, SecondarySpec{Domain: e.Domain, Primary: before.Primary, Key: before.Key})
	}, nil
}

func judgeCatalog(mine *transfer.Settings, e *plan.Entry) (back, error) {
	before, after, err := readSides[Catalog](e)
	if err != nil {
		return nil, err
	}
	there := slices.ContainsFunc(mine.Catalogs, func(c transfer.Catalog) bool { return c.Name == e.Subject })
	switch {
	case there != (after != nil):
		return nil, words.Since("the catalog " + e.Subject)
	case before == nil:
		return func(ctx context.Context, a *Access, actor rights.Actor) (plan.Plan, error) {
			return a.PlanCatalogOff(ctx, actor, e.Subject)
		}, nil
	}
	spec := CatalogSpec{Name: before.Name}
	if !before.Every {
		spec.Account = string(before.Account)
	}
	return func(ctx context.Context, a *Access, actor rights.Actor) (plan.Plan, error) {
		return a.PlanCatalogOn(ctx, actor, spec)
	}, nil
}

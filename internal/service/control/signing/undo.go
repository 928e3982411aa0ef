package signing

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/dnssec"
	"postroad/internal/core/finding"
	"postroad/internal/core/zone"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Keys keeps the private parts of keys.
type Keys interface {
	// ZoneKey gives the private part of a key; words.ErrNotFound.
	ZoneKey(ctx context.Context, scope account.Scope, id string) (dnssec.SealedKey, error)
}

// usable is how long after its last use a key is taken into use again. It is destroyed a day later, at the earliest.
const usable = 29 * 24 * time.Hour

// Undoable reports whether an audit entry is of a kind that PlanUndo takes back.
func Undoable(action string) bool {
	kind, _, _ := strings.Cut(action, " ")
	return kind == string(plan.KindDNSSEC)
}

// Kept reports whether the private parts of all keys that a zone was signed with are still there.
func Kept(ctx context.Context, keys Keys, scope account.Scope, domain string, s *dnssec.Signing) (bool, error) {
	for i := range s.Keys {
		k := &s.Keys[i]
		if k.State == dnssec.Removed {
			continue
		}
		kept, err := keys.ZoneKey(ctx, scope, k.ID)
		switch {
		case errors.Is(err, words.ErrNotFound):
			return false, nil
		case err != nil:
			return false, err
		case kept.Domain != domain, !kept.Unused.IsZero() && time.Since(kept.Unused) > usable:
			return false, nil
		}
	}
	return len(s.Keys) > 0, nil
}

// Resumed gives how a zone is signed that comes back with the keys that it had.
func Resumed(s *dnssec.Signing) *dnssec.Signing {
	out := s.Clone()
	out.Resumed = true
	return out
}

// reverse is what takes a change of a zone's signing back: the zone as it is, and how it is signed then.
type reverse struct {
	domain *directory.Domain
	zone   zone.Zone
	next   *dnssec.Signing
	change plan.Change
}

// judge finds what takes a change back, or says why nothing does. It asks nobody outside.
func (a *Access) judge(ctx context.Context, actor rights.Actor, st *rights.State, e *plan.Entry) (reverse, error) {
	d, z, err := a.hosted(ctx, actor, st, e.Domain)
	if err != nil {
		return reverse{}, err
	}
	r := reverse{domain: d, zone: z, change: plan.Change{Kind: plan.KindDNSSEC, Verb: plan.VerbSet, Subject: z.Domain, Domain: z.Domain, Account: z.Account}}
	_, verb, _ := strings.Cut(e.Action, " ")
	if verb == string(plan.VerbRemove) {
		return a.judgeOff(ctx, actor, e, r)
	}
	var before, after *Info
	if json.Unmarshal([]byte(e.After), &after) != nil || after == nil || e.Before != "" && json.Unmarshal([]byte(e.Before), &before) != nil {
		return r, words.Lost("its entry cannot be read any more")
	}
	is := z.Signing
	switch {
	case is == nil || is.Denial.String() != after.Denial || is.Withdrawn != after.Withdrawn || is.Scheme.String() != after.Scheme:
		return r, words.Since("how " + words.Show(d.Name) + " is signed")
	case before == nil:
		r.change.Verb, r.change.Before = plan.VerbRemove, former{info(is), is}
		return r, nil
	case before.Replacing != after.Replacing:
		return r, words.Lost("a key that takes over goes its way")
	}
	r.next = is.Clone()
	if r.next.Denial.UnmarshalText([]byte(before.Denial)) != nil {
		return r, words.Lost("its entry cannot be read any more")
	}
	r.next.Withdrawn = before.Withdrawn
	r.change.Before, r.change.After = info(is), info(r.next)
	return r, nil
}

// judgeOff is judge for a zone that is signed no longer.
func (a *Access) judgeOff(ctx context.Context, actor rights.Actor, e *plan.Entry, r reverse) (reverse, error) {
	var before former
	if json.Unmarshal([]byte(e.Before), &before) != nil || before.Signing == nil {
		return r, words.Lost("its entry cannot be read any more")
	}
	if r.zone.Signing != nil {
		return r, words.Since("how " + words.Show(r.domain.Name) + " is signed")
	}
	if a.Parents == nil {
		return r, words.Lost("no zone is signed by this program")
	}
	kept, err := Kept(ctx, a.Keys, actor.Scope, r.domain.Name, before.Signing)
	if err != nil {
		return r, err
	}
	if !kept {
		return r, words.Lost("the zone's keys are no longer kept")
	}
	r.next = Resumed(before.Signing)
	r.change.Verb, r.change.After = plan.VerbAdd, info(r.next)
	return r, nil
}

// CanUndo reports whether PlanUndo would take a change back.
func (a *Access) CanUndo(ctx context.Context, actor rights.Actor, st *rights.State, e *plan.Entry) bool {
	_, err := a.judge(ctx, actor, st, e)
	return err == nil
}

// PlanUndo plans that a change of how a zone is signed is taken back, as its audit entry tells it. A zone that was switched
// off is signed again with the keys that it had.
func (a *Access) PlanUndo(ctx context.Context, actor rights.Actor, st *rights.State, e *plan.Entry) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	r, err := a.judge(ctx, actor, st, e)
	if err != nil {
		return p, err
	}
	z, name := r.zone, words.Show(r.domain.Name)
	switch r.change.Verb { //nolint:exhaustive // the others are of other things
	case plan.VerbRemove:
		a.warnOff(ctx, &p, &z)
		p.Say("%s is no longer signed.", name)
	case plan.VerbAdd:
		p.Say("%s is signed again, with the keys that it had.", name)
	default:
		p.Say("%s is signed as before: with %s.", name, strings.ToUpper(r.next.Denial.String()))
		if r.next.Withdrawn != z.Signing.Withdrawn {
			p.Say("Whether the parent is asked to remove the DS is as before, too.")
		}
	}
	z.Signing = r.next
	if r.change.Verb == plan.VerbAdd {
		if look, err := a.Parents.Look(ctx, z.Domain); err == nil && !wouldLead(&z, look, a.now()) {
			p.Warn("%s: the zone above %s has a DS record of the key %s, which is not a key of this zone: have it replaced at the registrar by the one that postroad dnssec show gives.", finding.DNSSECDSStale, name, tags(look.DS))
		}
	}
	p.Asks = true
	p.Tx.PutZones = append(p.Tx.PutZones, z)
	p.Record(r.change)
	return p, nil
}

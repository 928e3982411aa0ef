package dkim

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/dkimkey"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Undoable reports whether an audit entry is of a kind that PlanUndo takes back.
func Undoable(action string) bool {
	kind, _, _ := strings.Cut(action, " ")
	return kind == string(plan.KindDKIM)
}

// reverse is what takes a change of a domain's keys back.
type reverse struct {
	domain    *directory.Domain
	is, next  dkimkey.Domain
	sentences []string
}

// judge finds what takes a change back, or says why nothing does.
func (a *Access) judge(ctx context.Context, actor rights.Actor, st *rights.State, e *plan.Entry) (reverse, error) {
	d, is, there, err := a.load(ctx, actor, st, e.Domain)
	if err != nil {
		return reverse{}, err
	}
	r := reverse{domain: d, is: is, next: is.Clone()}
	// Of a domain of which nobody had said anything, keys are made when somebody sends as it.
	none := dkimkey.Domain{Algorithms: dkimkey.Both()}
	before := Show(&none)
	var after *DKIMInfo
	if json.Unmarshal([]byte(e.After), &after) != nil || after == nil || e.Before != "" && json.Unmarshal([]byte(e.Before), &before) != nil {
		return r, words.Lost("its entry cannot be read any more")
	}
	if now := Show(&is); !there || !alike(&now, after) {
		return r, words.Since("how the mail of " + words.Show(d.Name) + " is signed")
	}
	algorithms, ok := dkimkey.ParseAlgorithms(before.Algorithms)
	if !ok {
		return r, words.Lost("its entry cannot be read any more")
	}
	r.next.Off, r.next.Algorithms, r.next.Rotate = !before.On, algorithms, time.Duration(before.Rotate)*24*time.Hour
	now := time.Now().UTC()
	for i := range is.Keys {
		if err := r.back(&is.Keys[i], find(before.Keys, is.Keys[i].Selector), now, a.keep(st)); err != nil {
			return r, err
		}
	}
	for i := range before.Keys {
		if k := &before.Keys[i]; find(after.Keys, k.Selector) == nil {
			if err := r.bring(k, now); err != nil {
				return r, err
			}
		}
	}
	place := func(k dkimkey.Key) int {
		return slices.IndexFunc(before.Keys, func(o DKIMKey) bool { return o.Selector == k.Selector })
	}
	slices.SortStableFunc(r.next.Keys, func(x, y dkimkey.Key) int { return place(x) - place(y) })
	return r, r.lasts(st, now)
}

// alike reports whether a domain is signed in the same way, with the same keys in the same states.
func alike(x, y *DKIMInfo) bool {
	return x.On == y.On && x.Algorithms == y.Algorithms && x.Rotate == y.Rotate && slices.EqualFunc(x.Keys, y.Keys, func(a, b DKIMKey) bool {
		return a.Selector == b.Selector && a.Algorithm == b.Algorithm && a.State == b.State && a.Made.Equal(b.Made)
	})
}

func find(list []DKIMKey, selector string) *DKIMKey {
	for i := range list {
		if list[i].Selector == selector {
			return &list[i]
		}
	}
	return nil
}

// back gives a key that is there the state that it had; nil: it was not there.
func (r *reverse) back(k *dkimkey.Key, was *DKIMKey, now time.Time, keep time.Duration) error {
	next := &r.next
	switch {
	case was == nil && k.State == dkimkey.Active:
		return words.Lost("the key " + k.Selector + " signs, and goes on until it is replaced or signing is switched off")
	case was == nil:
		next.Keys = slices.DeleteFunc(next.Keys, func(o dkimkey.Key) bool { return o.Selector == k.Selector })
		next.Keep(k, now)
		r.say("The key %s goes, and its record with it.", k.Selector)
	case was.State == string(k.State):
	case k.State == dkimkey.Active && was.State == string(dkimkey.Retired):
		next.Retire(k.Selector, now, keep)
		r.say("The key %s signs no more; its record stays as long as mail may be on its way.", k.Selector)
	case k.State == dkimkey.Retired && was.State == string(dkimkey.Active):
		kept, ok := next.Take(k.Selector, was.Made, now)
		if !ok || len(kept.Sealed) == 0 {
			return words.Lost("the private part of the key " + k.Selector + " is forgotten")
		}
		if at, there := next.Key(k.Selector); there {
			*at = kept
			at.State, at.Since, at.Until = dkimkey.Active, now, time.Time{}
		}
		r.say("The key %s signs again.", k.Selector)
	default:
		return words.Lost("the key " + k.Selector + " goes its way")
	}
	return nil
}

// bring brings back a key that is gone.
func (r *reverse) bring(was *DKIMKey, now time.Time) error {
	retired := was.State == string(dkimkey.Retired)
	if retired && (was.Until == nil || !now.Before(*was.Until)) {
		return nil // nothing bears its signature any more
	}
	k, ok := r.next.Take(was.Selector, was.Made, now)
	if !ok {
		return words.Lost("the key " + was.Selector + " is forgotten")
	}
	if retired {
		k.State, k.Until = dkimkey.Retired, *was.Until
		r.next.Keys = append(r.next.Keys, k)
		r.say("The record of the retired key %s comes back.", k.Selector)
		return nil
	}
	k.State, k.Since, k.Seen, k.Until = dkimkey.Published, now, time.Time{}, time.Time{}
	r.next.Keys = append(r.next.Keys, k)
	r.say("The key %s comes back; it signs once the world has been seen to have its record.", k.Selector)
	return nil
}

// lasts refuses what would not last: what the program itself would do again at its next look.
func (r *reverse) lasts(st *rights.State, now time.Time) error {
	switch {
	case r.next.Aged(now) && !r.is.Aged(now):
		return words.Lost(fmt.Sprintf("the keys are older than %s, so they would be replaced again by themselves; postroad dkim on %s --rotate 0 ends that", words.Plural(int64(r.next.Rotate.Hours()/24), "day", "days"), r.domain.Name))
	case !r.next.Off && len(r.next.Lacks()) > len(r.is.Lacks()) && Sends(st, r.domain):
		return words.Lost("users send as " + words.Show(r.domain.Name) + ", so keys would be made again by themselves; postroad dkim off " + r.domain.Name + " ends the signing")
	}
	return nil
}

func (r *reverse) say(format string, args ...any) {
	r.sentences = append(r.sentences, fmt.Sprintf(format, args...))
}

// CanUndo reports whether PlanUndo would take a change back.
func (a *Access) CanUndo(ctx context.Context, actor rights.Actor, st *rights.State, e *plan.Entry) bool {
	_, err := a.judge(ctx, actor, st, e)
	return err == nil
}

// PlanUndo plans that a change of how a domain's mail is signed is taken back, as its audit entry tells it. Keys that it took
// out of use are kept for a month for that; a key that was replaced by another one is not.
func (a *Access) PlanUndo(ctx context.Context, actor rights.Actor, st *rights.State, e *plan.Entry) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	r, err := a.judge(ctx, actor, st, e)
	if err != nil {
		return p, err
	}
	name := words.Show(r.domain.Name)
	switch {
	case r.next.Off != r.is.Off && r.next.Off:
		p.Say("Mail that is sent from here as %s is no longer signed.", name)
	case r.next.Off != r.is.Off:
		p.Say("Mail that is sent from here as %s is signed, with %s.", name, algorithms(r.next.Algorithms))
	default:
		p.Say("Mail that is sent from here as %s is signed as before, with %s.", name, algorithms(r.next.Algorithms))
	}
	for _, sentence := range r.sentences {
		p.Say("%s", sentence)
	}
	p.Asks = true
	return p, a.change(ctx, &p, r.domain, plan.VerbSet, &r.is, &r.next)
}

package dkim

import (
	"context"
	"errors"
	"slices"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/dkimkey"
	"postroad/internal/core/finding"
	"postroad/internal/proto/dkim"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Look is what was seen of a domain's keys.
type Look struct {
	Keys dkimkey.Domain // as they were
	Seen map[string]dkimkey.Seen
}

// Look looks at the world for a domain's keys; one without keys has seen nothing.
func (a *Access) Look(ctx context.Context, domain string) (Look, error) {
	keys, err := a.Store.DKIM(ctx, account.System(), domain)
	if errors.Is(err, words.ErrNotFound) {
		return Look{}, nil
	}
	if err != nil {
		return Look{}, err
	}
	return Look{Keys: keys, Seen: a.See(ctx, &keys)}, nil
}

// Says tells in sentences what was seen of the keys that sign or are to sign: of all of them, or of those alone that nobody
// can be checked by, or that wait.
func (l *Look) Says(all bool, now time.Time) []string {
	var out []string
	for i := range l.Keys.Keys {
		k := &l.Keys.Keys[i]
		seen := l.Seen[k.Selector]
		there := seen.State == dkim.Published
		waits := there && k.State == dkimkey.Published && now.Before(l.Keys.From(k))
		if k.State == dkimkey.Retired || there && !waits && !all {
			continue
		}
		sentence := k.Selector + ": " + seen.Says
		if waits {
			sentence += "; it signs from " + words.When(l.Keys.From(k)) + " on, when no cache can hold any longer that there was no record"
		}
		out = append(out, sentence+".")
	}
	return out
}

// Sends reports whether somebody may send as a domain from here: it is proved and has a mailbox.
func Sends(st *rights.State, d *directory.Domain) bool {
	if !d.Proved {
		return false
	}
	for range st.Directory.Mailboxes(d.Name) {
		return true
	}
	return false
}

// PlanRound plans what follows for a domain's keys from a look at the world and from time: those that were seen sign, those
// whose time is over go, those that are too old are replaced, and with lacking those that are lacking are made.
func (a *Access) PlanRound(ctx context.Context, actor rights.Actor, st *rights.State, name string, look Look, lacking bool) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	d, old, there, err := a.load(ctx, actor, st, name)
	if err != nil {
		return plan.Plan{}, err
	}
	now := time.Now().UTC()
	next := old.Clone()
	for i := range next.Keys {
		if k := &next.Keys[i]; k.Seen.IsZero() && look.Seen[k.Selector].State == dkim.Published {
			k.Seen = now
		}
	}
	for _, sentence := range next.Advance(now, a.keep(st)) {
		p.Say("%s", sentence)
	}
	verb := plan.VerbSet
	if lacking && d.Proved && !next.Off && a.Seal != nil {
		made, err := a.fill(&next, now)
		if err != nil {
			return plan.Plan{}, err
		}
		if len(made) > 0 {
			p.Say("Keys by which the mail of %s is signed are made.", words.Show(d.Name))
		}
		if !there && len(made) > 0 {
			verb = plan.VerbAdd
		}
	}
	if a.Seal != nil && d.Proved && next.Aged(now) {
		return p, a.rotate(ctx, &p, d, &old, &next)
	}
	if !slices.EqualFunc(next.Keys, old.Keys, func(x, y dkimkey.Key) bool {
		return x.Selector == y.Selector && x.State == y.State && x.Seen.Equal(y.Seen)
	}) {
		return p, a.change(ctx, &p, d, verb, &old, &next)
	}
	if next.Forget(now) {
		p.Tx.PutDKIM, p.Upkeep = append(p.Tx.PutDKIM, next), true
	}
	if there && d.Zone == directory.ZoneHosted {
		return p, a.publish(ctx, &p, d, &old, &old)
	}
	return p, nil
}

// Pace is when a domain's keys are looked at again.
func (l *Look) Pace() time.Duration {
	if len(l.Keys.Waiting()) > 0 {
		return time.Minute
	}
	return time.Hour
}

// names are the findings about keys.
var names = []finding.Name{finding.DKIMNotPublished, finding.DKIMTruncated, finding.DKIMWrong}

// Judge gives what is wrong with the records of a domain's keys, and which of the findings are not; neither for what could
// not be asked. Keys that are new have time to be entered.
func (l *Look) Judge(domain string, now time.Time) (wrong []finding.Finding, right []finding.Name) {
	found := map[finding.Name]string{}
	for i := range l.Keys.Keys {
		k := &l.Keys.Keys[i]
		s := l.Seen[k.Selector]
		name := finding.Name("")
		switch s.State {
		case dkim.Unpublished:
			if k.State != dkimkey.Retired && now.After(k.Made.Add(patience)) {
				name = finding.DKIMNotPublished
			}
		case dkim.Misplaced:
			name = finding.DKIMNotPublished
		case dkim.Truncated:
			name = finding.DKIMTruncated
		case dkim.Several, dkim.Damaged, dkim.OtherKey, dkim.Revoked:
			name = finding.DKIMWrong
		case dkim.Published:
		default:
			return nil, nil
		}
		if _, there := found[name]; name != "" && !there {
			found[name] = s.Says
		}
	}
	for _, name := range names {
		if says, is := found[name]; is {
			wrong = append(wrong, finding.Finding{Name: name, Domain: domain, Evidence: says, Since: now})
		} else {
			right = append(right, name)
		}
	}
	return wrong, right
}

// patience is how long a new key's record may be missing before that is told.
const patience = time.Hour

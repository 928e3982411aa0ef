package settings

import (
	"reflect"
	"slices"
	"time"

	"postroad/internal/core/directory"
)

// Back gives the settings that lead from what is shown of a domain now to what was shown of it before. What has not
// changed is left alone. An onboarding window ends when it would have ended.
func Back(now, before *Info, at time.Time) Domain {
	var set Domain
	text := func(a, b string) *string {
		if a == b {
			return nil
		}
		return &b
	}
	list := func(a, b []string, differ bool) *[]string {
		if slices.Equal(a, b) && !differ {
			return nil
		}
		b = slices.Clone(b)
		return &b
	}
	set.Mode, set.Zone = text(now.Mode, before.Mode), text(now.Zone, before.Zone)
	set.ExchangerSet, set.NameServerSet = text(now.ExchangerSet, before.ExchangerSet), text(now.NameServerSet, before.NameServerSet)
	set.NextHops = list(now.NextHops, before.NextHops, now.OperatorHops != before.OperatorHops)
	set.Gateways = list(now.Gateways, before.Gateways, false)
	if set.ExchangerSet != nil && *set.ExchangerSet != "" {
		set.Gateways = nil // the set says them
	}
	if before.Judge != "" {
		set.Judge, set.SPFFail, set.Unchecked = text(now.Judge, before.Judge), text(now.SPFFail, before.SPFFail), text(now.Unchecked, before.Unchecked)
	}
	set.Forwarders = list(now.Forwarders, before.Forwarders, false)
	set.Primary = text(now.Primary, before.Primary)
	if before.Recipients != "" {
		set.Recipients = text(now.Recipients, before.Recipients)
	}
	if before.Unreachable != "" {
		set.Unreachable = text(now.Unreachable, before.Unreachable)
	}
	if now.Dual != before.Dual {
		set.Dual = &before.Dual
	}
	if now.Proved != before.Proved {
		set.Proved = &before.Proved
	}
	if now.HoldSeconds != before.HoldSeconds {
		hold := time.Duration(before.HoldSeconds) * time.Second
		set.Hold = &hold
	}
	if left := remaining(before.Onboarding, at); left != remaining(now.Onboarding, at) {
		set.Onboarding = &left
	}
	return set
}

func remaining(until *time.Time, at time.Time) time.Duration {
	if until == nil {
		return 0
	}
	return max(0, until.Sub(at))
}

// Alike reports whether what is shown of a domain differs in nothing that was chosen: times, and what follows from
// public DNS or from other settings, are no choice.
func Alike(a, b *Info, at time.Time) bool {
	chosen := func(i *Info) Info {
		out := *i
		out.ModeSince, out.Since, out.EffectiveMode, out.Arrangement, out.Created = nil, nil, "", "", time.Time{}
		out.LeavingUntil, out.LeavingFrom = nil, ""
		if out.Judge == "" { // shown before it could be chosen
			out.Judge, out.SPFFail, out.Unchecked = string(directory.JudgeEnforce), string(directory.SeverityAccept), string(directory.SeverityAccept)
		}
		out.ProofBy, out.ProofAt, out.ProofLostAt, out.ProofEndsAt = "", nil, nil, nil
		if out.Onboarding = ahead(deref(i.Onboarding), at); out.Onboarding != nil {
			second := out.Onboarding.UTC().Round(2 * time.Second)
			out.Onboarding = &second
		}
		if len(out.NextHops) == 0 {
			out.NextHops = nil
		}
		if len(out.Gateways) == 0 {
			out.Gateways = nil
		}
		if len(out.Forwarders) == 0 {
			out.Forwarders = nil
		}
		return out
	}
	return reflect.DeepEqual(chosen(a), chosen(b))
}

func deref(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

package routing

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
)

// AutoMode is the mode that public DNS gives a domain (docs/routing.md, Modes): local where the best exchanger is ours,
// backup where ours is there and another is better, remote where none is ours. ok is false when DNS gives none: the
// domain does not exist or takes no mail, or a look-up failed without which it cannot be known. The evidence says what
// DNS said, and who.
func AutoMode(x facts.ExchangersAnswer, ours func(netip.Addr) bool) (mode directory.Mode, evidence string, ok bool) {
	evidence = autoEvidence(x)
	list, reply := Candidates(x.MX)
	if reply.Code != 0 || len(list) == 0 {
		return "", evidence, false
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b facts.MX) int { return cmp.Compare(a.Preference, b.Preference) })
	best, own, addressed := list[0].Preference, false, false
	for _, mx := range list {
		a := x.Addrs[mx.Host]
		if slices.ContainsFunc(a.Addrs, func(addr netip.Addr) bool { return ours(addr.Unmap()) }) {
			if mx.Preference == best {
				return directory.ModeLocal, evidence, true
			}
			own = true
			continue
		}
		if a.Status != facts.Found && a.Status != facts.NoData && a.Status != facts.NXDomain || a.Partial {
			return "", evidence, false // it might be ours
		}
		addressed = addressed || len(a.Addrs) > 0
	}
	switch {
	case own && addressed:
		return directory.ModeBackup, evidence, true
	case own: // nobody better can be reached
		return "", evidence, false
	case addressed:
		return directory.ModeRemote, evidence, true
	}
	return "", evidence, false
}

// shownExchangers is how many exchangers an evidence names.
const shownExchangers = 5

func autoEvidence(x facts.ExchangersAnswer) string {
	var b strings.Builder
	b.WriteString("MX records of " + x.MX.Name + ": ")
	list, _ := Candidates(x.MX)
	switch {
	case x.MX.Null:
		b.WriteString("null MX")
	case x.MX.Status != facts.Found:
		b.WriteString(x.MX.Status.String())
	}
	for i, mx := range list[:min(len(list), shownExchangers)] {
		if i > 0 || x.MX.Status != facts.Found {
			b.WriteString(", ")
		}
		b.WriteString(strconv.Itoa(int(mx.Preference)) + " " + mx.Host)
		a := x.Addrs[mx.Host]
		if len(a.Addrs) > 0 {
			b.WriteString(" (" + a.Addrs[0].String() + ")")
		} else {
			b.WriteString(" (" + a.Status.String() + ")")
		}
	}
	b.WriteString("; " + x.MX.Source)
	return b.String()
}

// AutoWatch is what is remembered of a domain of mode auto between observations. The zero value remembers nothing.
type AutoWatch struct {
	seen  directory.Mode // another mode than the one that holds, seen and not agreed on yet
	since time.Time
	ttl   time.Duration
}

// Observe takes an observation and reports whether the domain switches to what was seen. It does when two agree that lie
// the first one's TTL apart, with none in between that says otherwise; fresh says that nothing was ever observed of the
// domain, so that the first counts at once.
func (w *AutoWatch) Observe(current, seen directory.Mode, ok, fresh bool, at time.Time, ttl time.Duration) bool {
	switch {
	case !ok:
		*w = AutoWatch{}
		return false
	case fresh:
		*w = AutoWatch{}
		return true
	case seen == current:
		*w = AutoWatch{}
		return false
	case w.seen != seen:
		*w = AutoWatch{seen: seen, since: at, ttl: ttl}
		return false
	case at.Sub(w.since) < w.ttl:
		return false
	}
	*w = AutoWatch{}
	return true
}

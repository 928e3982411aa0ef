package outbounds

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/proto/spf"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/undo"
	"postroad/internal/service/control/words"
)

// lookTime bounds the look at DNS while somebody waits for a plan.
const lookTime = 5 * time.Second

// seen are the addresses of a source that receivers see, with what is said in EHLO from there. What leaves from a private address
// is seen as that of some translator, which nobody knows here.
func seen(source *directory.Source, each func(addr netip.Addr, helo string)) {
	for _, s := range []struct {
		addr netip.Addr
		helo string
	}{{source.V4, source.HeloV4}, {source.V6, source.HeloV6}} {
		if s.addr.IsValid() && !s.addr.IsLoopback() && !s.addr.IsPrivate() {
			each(s.addr, s.helo)
		}
	}
}

// term is the one by which an SPF record covers an address (RFC 7208 §5.6).
func term(addr netip.Addr) string {
	if addr.Is4() {
		return "ip4:" + addr.String()
	}
	return "ip6:" + addr.String()
}

// coverage is what the SPF record of a domain says of the addresses from which its mail leaves.
type coverage struct {
	known bool     // DNS has said it of all of them
	says  []string // of those that are not covered, or not known to be
	terms []string // that are missing
}

// covered asks the SPF record of a domain for the addresses of a source.
func (a *Access) covered(ctx context.Context, domain string, source *directory.Source) coverage {
	c := coverage{known: true}
	seen(source, func(addr netip.Addr, helo string) {
		if helo == "" {
			helo = a.Ours.Hostname
		}
		o := a.SPF(ctx, addr, helo, "postmaster@"+domain)
		if o.Result == spf.Pass {
			return
		}
		says := fmt.Sprintf("SPF of %s for %s: %s", words.Show(domain), addr, o.Result)
		switch {
		case o.Mechanism != "":
			says += " by " + o.Mechanism
		case o.Problem != "":
			says += " (" + strings.TrimSuffix(o.Problem, ".") + ")"
		}
		c.says = append(c.says, says)
		if o.Result == spf.TempError {
			c.known = false
			return
		}
		c.terms = append(c.terms, term(addr))
	})
	return c
}

// tellAuthority says in a plan what SPF has to do with the addresses of a route: of a domain, whether its record covers them as
// the world sees it, and what to add if not; of the installation, what the records of all domains need.
func (a *Access) tellAuthority(ctx context.Context, p *plan.Plan, st *rights.State, o *directory.Outbound) {
	var terms []string
	seen(&o.Source, func(addr netip.Addr, _ string) { terms = append(terms, term(addr)) })
	way, _ := st.Directory.With(p.Delta).Outbound(o.Domain)
	if len(terms) == 0 || way.Smart() || a.SPF == nil {
		settle(p, o.Domain)
		return
	}
	if o.Domain == "" {
		p.Say("The SPF record of each domain whose mail leaves from there has to cover it (%s): %s tells of domains where it does not.", strings.Join(terms, " "), finding.SourceNotAuthorised)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	switch c := a.covered(ctx, o.Domain, &o.Source); {
	case len(c.terms) > 0:
		p.Warn("%s: %s. Receivers may take mail of %s from there for forged: add %s to the SPF record of %s first, before its all.",
			finding.SourceNotAuthorised, strings.Join(c.says, finding.Between), words.Show(o.Domain), strings.Join(c.terms, " "), words.Show(o.Domain))
	case !c.known:
		p.Say("Whether the SPF record of %s covers it (%s) is not known: %s.", words.Show(o.Domain), strings.Join(terms, " "), strings.Join(c.says, finding.Between))
	default:
		p.Say("The SPF record of %s covers it.", words.Show(o.Domain))
		settle(p, o.Domain)
	}
}

// settle drops the finding about the addresses of a domain's route, which a plan ends.
func settle(p *plan.Plan, domain string) {
	if domain != "" {
		p.Tx.DropFindings = append(p.Tx.DropFindings, finding.Finding{Domain: domain, Name: finding.SourceNotAuthorised})
	}
}

// Judge gives the finding about the addresses that were chosen for a domain's mail to leave from, with evidence where its SPF
// record does not cover one of them. chosen is false where none were, or receivers do not see them; known where DNS could tell.
func (a *Access) Judge(ctx context.Context, st *rights.State, domain string, now time.Time) (f finding.Finding, chosen, known bool) {
	f = finding.Finding{Name: finding.SourceNotAuthorised, Domain: domain, Since: now}
	way, _ := st.Directory.Outbound(domain)
	if way.Smart() || way.Source.IsZero() || !sends(st, domain) {
		return f, false, true
	}
	c := a.covered(ctx, domain, &way.Source)
	if len(c.terms) > 0 {
		f.Evidence = strings.Join(c.says, finding.Between)
	}
	return f, true, c.known
}

// sends reports whether mail of a domain is expected to leave from here: addresses were chosen for it, or it has mailboxes.
func sends(st *rights.State, domain string) bool {
	if own, there := undo.FindOutbound(st.Directory, domain); there && !own.Source.IsZero() {
		return true
	}
	for range st.Directory.Mailboxes(domain) {
		return true
	}
	return false
}

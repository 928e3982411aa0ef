package identities

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/proto/dns"
	"postroad/internal/proto/spf"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/settings"
	"postroad/internal/service/control/words"
)

// authority is whether the domain of an identity authorises mail that is sent from here as it.
type authority struct {
	known bool
	yes   bool
	says  string // the evidence, one line
	spf   string // what SPF says, one line; empty where it was not asked
}

// authority asks: by a route through the domain's own server, which answers for what it takes; by a key of the domain that signs
// here; or by its SPF record for every address from which mail leaves. Either of the latter is enough for DMARC (RFC 9989), since both are of the domain in the From field.
func (a *Access) authority(ctx context.Context, st *rights.State, i *directory.Identity) authority {
	domain := i.Address[strings.LastIndexByte(i.Address, '@')+1:]
	if way, ok := st.Directory.RelayOf(i); ok {
		return authority{known: true, yes: true, says: "mail as " + i.Address + " leaves through " + settings.ShowHost(way.Hop)}
	}
	if d, ours := st.Directory.Domain(domain); ours && d.Proved && d.Account == i.Account && a.Keys != nil {
		keys, err := a.Keys.DKIM(ctx, account.System(), domain)
		if err == nil && len(keys.Signing()) > 0 {
			return authority{known: true, yes: true, says: "mail of " + words.Show(domain) + " is signed here, by the key " + keys.Signing()[0].Selector}
		}
		if err != nil && !errors.Is(err, words.ErrNotFound) {
			return authority{says: "the keys of " + words.Show(domain) + " could not be read"}
		}
	}
	from := a.leaving()
	if a.Resolver == nil || len(from) == 0 {
		return authority{says: "from which addresses mail leaves is not configured (addresses), so SPF cannot be asked"}
	}
	for _, addr := range from {
		o := a.SPF(ctx, addr, a.Hostname, i.Address)
		says := fmt.Sprintf("SPF of %s for %s: %s", words.Show(domain), addr, o.Result)
		switch {
		case o.Mechanism != "":
			says += " by " + o.Mechanism
		case o.Problem != "":
			says += " (" + strings.TrimSuffix(o.Problem, ".") + ")"
		}
		switch o.Result {
		case spf.Pass:
		case spf.TempError:
			return authority{says: says}
		default:
			return authority{known: true, says: i.Address + ": " + says + "; no key of it signs here", spf: says}
		}
	}
	return authority{known: true, yes: true, says: fmt.Sprintf("SPF of %s covers this server", words.Show(domain))}
}

// SPF asks what the SPF record of a sender's domain says of mail from an address that says EHLO by a name. Without a resolver
// it is not known.
func (a *Access) SPF(ctx context.Context, addr netip.Addr, helo, sender string) spf.Outcome {
	if a.Resolver == nil {
		return spf.Outcome{Result: spf.TempError, Problem: "No DNS is asked."}
	}
	return spf.Check(ctx, records{a.Resolver}, spf.Query{Addr: addr, Helo: helo, Sender: sender, Receiver: a.Hostname, At: time.Now()})
}

// tellAuthority says in a plan whether the domain of an identity authorises what is sent as it, and what to do if not.
func (a *Access) tellAuthority(ctx context.Context, p *plan.Plan, st *rights.State, i *directory.Identity) {
	domain := i.Address[strings.LastIndexByte(i.Address, '@')+1:]
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	switch found := a.authority(ctx, st, i); {
	case found.yes:
		p.Say("Receivers can believe it: %s.", found.says)
	case !found.known:
		p.Say("Whether receivers can believe it is not known: %s.", found.says)
	default:
		p.Say("%s: %s. Receivers may refuse mail as %s. Either have its mail signed here: add %s with mode remote, prove it, say dkim on, and enter the DKIM record that dkim show gives. Or have it leave through the server of %s: postroad outbound set HOST:PORT --identity %s --user USER --password-stdin. Or have the SPF record of %s name this server (%s).",
			finding.IdentityNotAuthorised, found.spf, i.Address, words.Show(domain), words.Show(domain), i.Address, words.Show(domain), a.mechanisms())
	}
}

// lookTime bounds the look at DNS while somebody waits for a plan.
const lookTime = 5 * time.Second

// leaving are the addresses from which mail leaves for the Internet, as far as they are known.
func (a *Access) leaving() []netip.Addr {
	return slices.DeleteFunc(slices.Clone(a.Addresses), func(addr netip.Addr) bool { return addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast() })
}

// mechanisms are those by which an SPF record names this server.
func (a *Access) mechanisms() string {
	var out []string
	for _, addr := range a.leaving() {
		if addr.Is4() {
			out = append(out, "ip4:"+addr.String())
		} else {
			out = append(out, "ip6:"+addr.String())
		}
	}
	return strings.Join(out, " ")
}

// mostDomains is how many domains of identities are asked for in one look at a domain's mailboxes.
const mostDomains = 50

// Judge gives the finding about the identities of a domain's mailboxes: there when one is not authorised, gone when all are.
// false when that cannot be told now.
func (a *Access) Judge(ctx context.Context, st *rights.State, domain string, now time.Time) (f finding.Finding, gone, known bool) {
	f = finding.Finding{Name: finding.IdentityNotAuthorised, Domain: domain, Since: now}
	var asked []string
	for box := range st.Directory.Mailboxes(domain) {
		for _, i := range st.Directory.Identities(box.ID) {
			of := i.Address[strings.LastIndexByte(i.Address, '@')+1:]
			if _, routed := st.Directory.RelayOf(&i); routed || !st.Directory.Holds(&i, now) || slices.Contains(asked, of) || len(asked) == mostDomains {
				continue
			}
			asked = append(asked, of)
			switch found := a.authority(ctx, st, &i); {
			case !found.known:
				return f, false, false
			case !found.yes && (f.Evidence == "" || found.says < f.Evidence): // always the same one
				f.Evidence = found.says
			}
		}
	}
	return f, f.Evidence == "", true
}

// Routed reports whether what is sent as an identity of a domain's mailboxes leaves by a route that is set for it.
func Routed(st *rights.State, domain string) bool {
	for box := range st.Directory.Mailboxes(domain) {
		for _, i := range st.Directory.Identities(box.ID) {
			if _, routed := st.Directory.RelayOf(&i); routed {
				return true
			}
		}
	}
	return false
}

// records asks DNS as SPF wants it.
type records struct{ resolver Resolver }

func (r records) ask(ctx context.Context, name string, kind dns.Type) (facts.Answer, error) {
	answer := r.resolver.Recursive(ctx, name, kind)
	switch answer.Status {
	case facts.Found:
		return answer, nil
	case facts.NoData, facts.NXDomain:
		return answer, spf.ErrNotFound
	default:
		return answer, fmt.Errorf("%w: %s", errNone, answer.Detail)
	}
}

// TXT implements spf.Resolver.
func (r records) TXT(ctx context.Context, name string) ([]string, error) {
	answer, err := r.ask(ctx, name, dns.TypeTXT)
	return answer.Texts(), err
}

// Addrs implements spf.Resolver.
func (r records) Addrs(ctx context.Context, name string, six bool) ([]netip.Addr, error) {
	kind := dns.TypeA
	if six {
		kind = dns.TypeAAAA
	}
	answer, err := r.ask(ctx, name, kind)
	return answer.Addrs(), err
}

// MX implements spf.Resolver.
func (r records) MX(ctx context.Context, name string) ([]string, error) {
	answer, err := r.ask(ctx, name, dns.TypeMX)
	var hosts []string
	for _, mx := range answer.MX() {
		if mx.Host != "" {
			hosts = append(hosts, mx.Host)
		}
	}
	return hosts, err
}

// PTR implements spf.Resolver.
func (r records) PTR(ctx context.Context, addr netip.Addr) ([]string, error) {
	answer, err := r.ask(ctx, reverse(addr), dns.TypePTR)
	return answer.Hosts(), err
}

// reverse is the name of an address's PTR records (RFC 1035 §3.5).
func reverse(addr netip.Addr) string {
	var b strings.Builder
	if addr.Is4() {
		for _, octet := range slices.Backward(addr.AsSlice()) {
			fmt.Fprintf(&b, "%d.", octet)
		}
		return b.String() + "in-addr.arpa"
	}
	for _, octet := range slices.Backward(addr.AsSlice()) {
		fmt.Fprintf(&b, "%x.%x.", octet&15, octet>>4)
	}
	return b.String() + "ip6.arpa"
}

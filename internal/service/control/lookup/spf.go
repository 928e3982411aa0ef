package lookup

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/facts"
	"postroad/internal/core/policy"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// SPFQuestion asks for the SPF record of any domain, in the words of people.
type SPFQuestion struct {
	Domain string
	IP     string // of a client; empty: only what the record costs
	Helo   string
	Sender string // reverse-path; empty: postmaster of the domain
}

// SPF looks at the SPF record of any domain.
func (l *Access) SPF(ctx context.Context, actor rights.Actor, q SPFQuestion) (policy.SPFView, error) {
	asked, err := policy.AskSPF(q.Domain, q.IP, q.Helo, q.Sender)
	if err != nil {
		return policy.SPFView{}, words.Invalid(words.Quote(q.IP)+" is no IP address.", "write 192.0.2.1 or 2001:db8::1")
	}
	if l.Resolver == nil {
		return policy.SPFView{}, words.Invalid("Nobody can be asked here.", "")
	}
	release, err := l.limits.enter(actor, time.Now())
	if err != nil {
		return policy.SPFView{}, err
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	return policy.ViewSPF(ctx, plainDNS{l.Resolver}, asked), nil
}

// plainDNS asks the configured resolvers, past the cache.
type plainDNS struct{ Resolver }

// TXT implements policy.DNS.
func (r plainDNS) TXT(ctx context.Context, name string) facts.TXTAnswer {
	a := r.Recursive(ctx, name, dns.TypeTXT)
	return facts.TXTAnswer{Name: name, Status: a.Status, Records: a.Texts(), Origin: a.Origin}
}

// MX implements policy.DNS.
func (r plainDNS) MX(ctx context.Context, name string) facts.MXAnswer {
	a := r.Recursive(ctx, name, dns.TypeMX)
	list := slices.DeleteFunc(a.MX(), func(mx facts.MX) bool { return mx.Host == "" })
	return facts.MXAnswer{Name: name, Status: a.Status, Records: list, Origin: a.Origin}
}

// Family implements policy.DNS.
func (r plainDNS) Family(ctx context.Context, host string, six bool) facts.AddrAnswer {
	kind := dns.TypeA
	if six {
		kind = dns.TypeAAAA
	}
	a := r.Recursive(ctx, host, kind)
	return facts.AddrAnswer{Name: host, Status: a.Status, Addrs: a.Addrs(), Origin: a.Origin}
}

// Names implements policy.DNS.
func (r plainDNS) Names(ctx context.Context, addr netip.Addr) facts.NamesAnswer {
	a := r.Recursive(ctx, reverse(addr), dns.TypePTR)
	return facts.NamesAnswer{Addr: addr, Status: a.Status, Hosts: a.Hosts(), Origin: a.Origin}
}

// reverse is the name at which an address's names stand (RFC 1035 §3.5).
func reverse(a netip.Addr) string {
	octets := a.AsSlice()
	var b strings.Builder
	for i := len(octets) - 1; i >= 0; i-- {
		if a.Is4() {
			fmt.Fprintf(&b, "%d.", octets[i])
		} else {
			fmt.Fprintf(&b, "%x.%x.", octets[i]&15, octets[i]>>4)
		}
	}
	if a.Is4() {
		return b.String() + "in-addr.arpa"
	}
	return b.String() + "ip6.arpa"
}

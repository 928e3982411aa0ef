package deliver

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/proto/smtp"
)

// target is one address to be tried.
type target struct {
	host string // name for replies, reports and certificates
	addr place
	twin bool // the host has equals, among which chance decides

	operator bool // the operator named the host: it may lie where nobody else may send
}

// plan is where a lane's mail is to be tried, in order, and under which demands.
type plan struct {
	targets  []target
	verify   bool                // verified TLS is demanded; else it is opportunistic
	outbound *directory.Outbound // a login is demanded; nil: none
	route    directory.Outbound  // by which the mail leaves; zero: none
	lmtp     bool
}

// nowhere is why a lane has no target at all.
type nowhere struct {
	reply smtp.Reply
	own   bool // a domain of this installation: nothing that DNS says is permanent (docs/routing.md)
	spare bool // of a domain whose mail is delivered here: only the copies of dual delivery have nowhere to go

	finding  finding.Name // the diagnosis for domains of this installation; empty for none
	evidence string
}

// result is what becomes of the lane's mail. Deferred means that the lane is down, the others hold for each row.
func (n *nowhere) result() mail.Result {
	switch {
	case n.reply.Temporary():
		return mail.Deferred
	case n.spare:
		return mail.Delivered
	case n.own:
		return mail.Held
	}
	return mail.Failed
}

var (
	replyLoop      = smtp.Reply{Code: 554, Enhanced: smtp.Enhanced{5, 4, 6}, Text: "the address is this server itself"}
	replyHopLoop   = smtp.Reply{Code: 451, Enhanced: smtp.Enhanced{4, 4, 6}, Text: "the next hop is this server itself"}
	replyHopNoAddr = smtp.Reply{Code: 451, Enhanced: smtp.Enhanced{4, 4, 4}, Text: "the next hop has no address"}
	replyHopDNS    = smtp.Reply{Code: 451, Enhanced: smtp.Enhanced{4, 4, 3}, Text: "the next hop could not be looked up"}
	replyNoRoute   = smtp.Reply{Code: 451, Enhanced: smtp.Enhanced{4, 3, 5}, Text: "the outbound route was removed"}
	replyNoFamily  = smtp.Reply{Code: 451, Enhanced: smtp.Enhanced{4, 4, 4}, Text: "no host of the destination has an address of the family from which this mail leaves: "}
	replyNoAgent   = smtp.Reply{Code: 451, Enhanced: smtp.Enhanced{4, 3, 5}, Text: "no such transport"}
)

// plan finds the targets of a lane. Of exchangers that are equal the one to avoid comes last, as does one that
// failed a moment ago. Without any target it says why.
func (s *Service) plan(ctx context.Context, lane mail.Lane, avoid string) (plan, *nowhere) {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	switch lane.Transport() {
	case mail.TransportRemote:
		domain, _ := routing.ParseRemote(lane.Key())
		route := s.routeOf(lane)
		if route.Smart() { // it has got a smart host since the mail was taken
			return s.byHops(ctx, lane, route)
		}
		p, why := s.byMX(ctx, domain, avoid)
		if why != nil {
			return p, why
		}
		return p.from(route)
	case mail.TransportRelay, mail.TransportLMTP:
		return s.byHops(ctx, lane, s.routeOf(lane))
	case mail.TransportLocal:
	}
	return plan{}, &nowhere{reply: replyNoAgent, own: true}
}

// byMX orders the exchangers of a domain (RFC 5321 §5.1).
func (s *Service) byMX(ctx context.Context, domain, avoid string) (plan, *nowhere) {
	if strings.HasPrefix(domain, "[") {
		if addr, ok := literal(domain); ok {
			return s.byLiteral(domain, addr)
		}
	}
	d, known := s.dir.View().Directory.Domain(domain)
	var own *directory.Domain
	keep := routing.Better
	if known && d.Proved {
		own, keep = d, routing.KeepFor(d)
	}
	nowhere := func(reply smtp.Reply, said facts.MXAnswer) *nowhere {
		why := byDNS(reply, own, said)
		if own == nil && s.leaving(domain) {
			return why.later()
		}
		return why
	}
	said := s.resolver.MX(ctx, domain)
	list, reply := routing.Candidates(said)
	if reply.Code != 0 {
		return plan{}, nowhere(reply, said)
	}
	if len(list) > maxExchangers {
		slices.SortStableFunc(list, func(a, b facts.MX) int { return cmp.Compare(a.Preference, b.Preference) })
		list = list[:maxExchangers]
	}
	exchangers, reply := routing.Exchangers(list, s.addrs(ctx, list), s.self.Answers, keep, rand.Shuffle)
	if reply.Code != 0 {
		return plan{}, nowhere(reply, said)
	}
	late := func(x routing.Exchanger) int {
		if x.Host == avoid || s.hosts.failing(at(netip.AddrPortFrom(x.Addrs[0], s.cfg.Port))) {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(exchangers, func(a, b routing.Exchanger) int {
		return cmp.Or(cmp.Compare(a.Preference, b.Preference), cmp.Compare(late(a), late(b)))
	})
	var p plan
	for i, x := range exchangers {
		twin := i > 0 && exchangers[i-1].Preference == x.Preference || i+1 < len(exchangers) && exchangers[i+1].Preference == x.Preference
		for _, a := range x.Addrs {
			p.targets = append(p.targets, target{host: x.Host, addr: at(netip.AddrPortFrom(a, s.cfg.Port)), twin: twin})
		}
	}
	return p, nil
}

// byLiteral is for mail to an address literal in place of a domain (RFC 5321 §4.1.3).
func (s *Service) byLiteral(domain string, addr netip.Addr) (plan, *nowhere) {
	if s.self.Answers(addr) {
		return plan{}, &nowhere{reply: replyLoop}
	}
	return plan{targets: []target{{host: domain, addr: at(netip.AddrPortFrom(addr, s.cfg.Port))}}}, nil
}

// addrs looks up the addresses of all exchangers at once.
func (s *Service) addrs(ctx context.Context, list []facts.MX) map[string]facts.AddrAnswer {
	out := make(map[string]facts.AddrAnswer, len(list))
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, mx := range list {
		wg.Go(func() {
			a := s.lookUp(ctx, mx.Host)
			mu.Lock()
			out[mx.Host] = a
			mu.Unlock()
		})
	}
	wg.Wait()
	return out
}

// lookUp gives a host's addresses as they are dialled and judged: an IPv4 address in the clothes of IPv6 is one.
func (s *Service) lookUp(ctx context.Context, host string) facts.AddrAnswer {
	a := s.resolver.Addrs(ctx, host)
	for i := range a.Addrs {
		a.Addrs[i] = a.Addrs[i].Unmap()
	}
	return a
}

// maxExchangers bounds the look-ups that a foreign zone can cause.
const maxExchangers = 50

// smtpPort is where strangers bring mail (RFC 5321 §4.5.4.2).
const smtpPort = 25

// byHops resolves the explicit hosts of a lane, or the smart host of its outbound route, in their order.
func (s *Service) byHops(ctx context.Context, lane mail.Lane, o directory.Outbound) (plan, *nowhere) {
	hops, operator, id := routing.ParseHops(lane.Key())
	p := plan{lmtp: lane.Transport() == mail.TransportLMTP}
	if id != "" {
		if !o.Smart() {
			return p, &nowhere{own: true, reply: replyNoRoute}
		}
		// The route as it is now: its password is for its host, not for the one it had when the mail was taken.
		hops = []routing.Hop{{Host: o.Hop.Host, Port: o.Hop.Port}}
		p.verify, operator = o.Verified(), o.Operator
		if o.User != "" {
			p.outbound = &o
		}
	}
	problem, looping := replyHopNoAddr, ""
	for _, h := range hops {
		if h.Socket() {
			p.targets = append(p.targets, target{host: h.Host, addr: place{socket: h.Host}})
			continue
		}
		for _, a := range s.addressesOf(ctx, h.Host, &problem) {
			to := netip.AddrPortFrom(a, h.Port)
			if s.self.Listens(to) || h.Port == smtpPort && s.self.Answers(a) {
				problem, looping = replyHopLoop, h.String()+" is "+to.String()
				continue
			}
			if len(p.targets) < routing.MaxAddresses {
				p.targets = append(p.targets, target{host: h.Host, addr: at(to), operator: operator})
			}
		}
	}
	if len(p.targets) == 0 {
		why := &nowhere{own: true, reply: problem}
		if problem == replyHopLoop {
			why.finding, why.evidence = finding.RouteLoopSelf, "the next hop "+looping
		}
		return p, why
	}
	return p.from(o)
}

// addressesOf gives the addresses of an explicit host; problem says why there are none.
func (s *Service) addressesOf(ctx context.Context, host string, problem *smtp.Reply) []netip.Addr {
	if a, ok := literal(host); ok {
		return []netip.Addr{a}
	}
	answer := s.lookUp(ctx, host)
	if answer.Status == facts.Temporary {
		*problem = replyHopDNS
	}
	return answer.Addrs
}

// literal reads an address or an address literal (RFC 5321 §4.1.3).
func literal(host string) (netip.Addr, bool) {
	if len(host) > 2 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
		if len(host) > 5 && strings.EqualFold(host[:5], "IPv6:") {
			host = host[5:]
		}
	}
	a, err := netip.ParseAddr(host)
	return a.Unmap(), err == nil
}

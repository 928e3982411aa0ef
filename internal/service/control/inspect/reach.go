package inspect

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/core/routing"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/control/words"
)

// Reach is what public DNS says of the servers that take a domain's mail, as this installation sees it.
type Reach struct {
	Asked   bool // there is somebody to ask
	Known   bool // DNS has answered
	Answer  facts.ExchangersAnswer
	Others  []routing.Exchanger // where mail may be handed on to
	Reply   smtp.Reply          // why nowhere; code 0 when there are others
	Servers []Server            // the exchangers that DNS names, best first
}

// Server is one exchanger that DNS names.
type Server struct {
	Host       string
	Preference uint16
	Addrs      []netip.Addr
	Ours       bool // mail sent there comes to this installation
}

// askTime is how long somebody who waits for a plan or a page waits for DNS.
const askTime = 5 * time.Second

// Reach asks public DNS where a domain's mail goes, and where it could be handed on to by the domain's mode.
func (e *Explainer) Reach(ctx context.Context, snap *directory.Snapshot, d *directory.Domain) Reach {
	var r Reach
	if e.Facts == nil {
		return r
	}
	r.Asked = true
	answer, ok := e.Facts.Exchangers(d.Name)
	if !ok || answer.MX.Status == facts.Temporary {
		ask, cancel := context.WithTimeout(ctx, askTime)
		e.Facts.Fetch(ask, routing.Need{Kind: routing.NeedExchangers, Domain: d.Name})
		cancel()
		answer, ok = e.Facts.Exchangers(d.Name)
	}
	if r.Answer = answer; !ok {
		return r
	}
	self := e.World(snap).Self
	list, reply := routing.Candidates(answer.MX)
	r.Reply = reply
	if reply.Code == 0 {
		r.Others, r.Reply = routing.Exchangers(list, answer.Addrs, self.Answers, routing.KeepFor(d), func(int, func(int, int)) {})
	}
	r.Known = !r.Reply.Temporary()
	for _, mx := range list {
		a := answer.Addrs[mx.Host].Addrs
		r.Servers = append(r.Servers, Server{Host: mx.Host, Preference: mx.Preference, Addrs: a, Ours: self.Answers != nil && slices.ContainsFunc(a, self.Answers)})
	}
	slices.SortStableFunc(r.Servers, func(a, b Server) int { return cmp.Compare(a.Preference, b.Preference) })
	return r
}

// ComesBack reports whether all exchangers of a domain are this installation, as far as that is known without asking,
// and names the best of them.
func (e *Explainer) ComesBack(snap *directory.Snapshot, d *directory.Domain) (string, bool) {
	if e.Facts == nil {
		return "", false
	}
	answer, ok := e.Facts.Exchangers(d.Name)
	if !ok {
		return "", false
	}
	list, reply := routing.Candidates(answer.MX)
	if reply.Code != 0 || len(list) == 0 {
		return "", false
	}
	_, reply = routing.Exchangers(list, answer.Addrs, e.World(snap).Self.Answers, routing.KeepFor(d), func(int, func(int, int)) {})
	best := slices.MinFunc(list, func(a, b facts.MX) int { return cmp.Compare(a.Preference, b.Preference) })
	return best.Host, routing.LeadsBack(reply)
}

// Lifetime is how long others may remember what DNS says.
func (r *Reach) Lifetime() time.Duration {
	ttl := r.Answer.MX.TTL
	for _, a := range r.Answer.Addrs {
		ttl = max(ttl, a.TTL)
	}
	return ttl
}

// Evidence is what DNS said, and who said it, in one line.
func (r *Reach) Evidence() string {
	return strings.TrimSuffix(describeMX(&r.Answer.MX), ".") + ": " + r.Reply.String()
}

// Missing names what is wrong with a domain whose mail shall go to others by DNS, while DNS leads nowhere else; empty
// when it leads somewhere, or says nothing.
func (r *Reach) Missing(mode directory.Mode) finding.Name {
	switch {
	case !r.Known || r.Reply.Code == 0:
		return ""
	case mode == directory.ModeSplit && slices.ContainsFunc(r.Servers, func(s Server) bool { return s.Ours }):
		return finding.RouteLoopSelf
	}
	return finding.PrimaryMXMissing
}

// Sentence says in plain words which machine gets a domain's mail now, as public DNS tells senders.
func (r *Reach) Sentence(name string) string {
	switch {
	case !r.Asked:
		return ""
	case len(r.Servers) == 0 || r.Answer.MX.Status == facts.Temporary:
		return describeMX(&r.Answer.MX)
	}
	var parts []string
	for i, s := range r.Servers[:min(len(r.Servers), maxServers)] {
		text := s.Host
		if r.Answer.MX.Status == facts.NoData {
			text += ", the address of the domain itself as there are no MX records"
		} else {
			text += " (" + strconv.Itoa(int(s.Preference)) + ")"
		}
		switch {
		case s.Ours:
			text += ", which is this installation"
		case len(s.Addrs) == 0:
			text += ", which has no address"
		default:
			text += " at " + s.Addrs[0].String() + ", which is another server"
		}
		if i > 0 {
			text = "then to " + text
		}
		parts = append(parts, text)
	}
	if more := len(r.Servers) - len(parts); more > 0 {
		parts = append(parts, words.Plural(int64(more), "more", "more"))
	}
	return "Public DNS tells senders to bring mail for " + words.Show(name) + " to " + strings.Join(parts, "; ") + "."
}

// maxServers is how many exchangers a sentence names.
const maxServers = 5

package inspect

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// ExplainRequest asks what would happen to mail for an address.
type ExplainRequest struct {
	Address string
	Sender  string // reverse-path; empty: the login's own address, or none
	Client  string // IP address; empty: none
	As      string // stranger (also when empty), local, or the full address of a login
}

// Explainer answers by the configuration, and by DNS where a domain is not ours.
type Explainer struct {
	Resolver Resolver // nil: nothing is said of exchangers
	// World makes the view of a directory: what this installation is, and what it knows of the world.
	World func(*directory.Snapshot) routing.View
	Dial  Dial  // tries other servers, for proposals; nil: nobody does
	Facts Facts // learns what a decision lacks; nil: it is explained as it stands
	Judge Judge // tells how strangers would be judged; nil: nobody does
	// DeliverPort is the port of exchangers found by MX records.
	DeliverPort uint16
	// TrustedNetworks are those of the configuration: a client in them is explained as trusted.
	TrustedNetworks []netip.Prefix
}

// Explanation is a decision with its reasons.
type Explanation struct {
	Address       string               `json:"address"`
	EffectiveMode string               `json:"effective_mode" doc:"Empty for domains that are not ours"`
	Class         string               `json:"class" enum:"local,relay,remote,foreign"`
	Reply         ExplainReply         `json:"reply" doc:"What RCPT would answer"`
	DeliverHere   bool                 `json:"deliver_here" doc:"A copy goes into a mailbox here"`
	Mailboxes     []string             `json:"mailboxes" doc:"Mailboxes here that get a copy"`
	NextHops      []ExplainHop         `json:"next_hops" doc:"Where copies go that leave, in the order in which it is tried"`
	Reasons       []ExplainReason      `json:"reasons"`
	WhyNot        []ExplainNot         `json:"why_not" doc:"The ways that it does not take, and why"`
	Judging       []string             `json:"judging" doc:"What would be found out about a stranger's mail, in sentences; empty without a client and a sender"`
	Destinations  []ExplainDestination `json:"destinations" doc:"Every final destination"`
}

// ExplainReply is a reply by its parts.
type ExplainReply struct {
	Code     int    `json:"code"`
	Enhanced string `json:"enhanced"`
	Text     string `json:"text"`
}

// String is the reply in one line.
func (r ExplainReply) String() string {
	return strings.TrimSpace(strconv.Itoa(r.Code) + " " + r.Enhanced + " " + r.Text)
}

// ExplainHop is one next hop.
type ExplainHop struct {
	Host       string `json:"host" doc:"Name or address, or the path of a unix socket"`
	Port       uint16 `json:"port" doc:"0 for a unix socket"`
	Preference uint16 `json:"preference" doc:"Of the MX record; 0 for a next hop that is given"`
	TLS        string `json:"tls" enum:"opportunistic,verified,none" doc:"verified: nothing is sent but under TLS with a verified certificate; opportunistic: TLS where it is offered; none at a unix socket"`
	Transport  string `json:"transport" enum:"remote,relay,lmtp" doc:"remote by MX records, relay to a next hop that is given, lmtp to one that speaks LMTP"`
}

// ExplainReason is one step of the decision.
type ExplainReason struct {
	Rule     string `json:"rule"`
	Fact     string `json:"fact"`
	Age      int64  `json:"age" doc:"Seconds since the fact was learned; 0 for what is configured here"`
	Sentence string `json:"sentence"`
}

// ExplainDestination is one final destination.
type ExplainDestination struct {
	Address   string `json:"address"`
	Transport string `json:"transport"`
	Lane      string `json:"lane"`
}

// Explain asks the route decision and tells its reasons; for exchangers it asks DNS.
func (e *Explainer) Explain(ctx context.Context, actor rights.Actor, st *rights.State, q ExplainRequest) (Explanation, error) {
	rcpt, err := smtp.ParseAddress(q.Address, true)
	if err != nil {
		return Explanation{}, words.Invalid(words.Quote(q.Address)+" is no address.", "write it as name@example.org")
	}
	if d, ours := st.Directory.Domain(rcpt.Domain); ours {
		if err := actor.MustOwn(d.Account, "domain", words.Show(d.Name)); err != nil {
			return Explanation{}, err
		}
	}
	session, err := e.session(actor, st, q)
	if err != nil {
		return Explanation{}, err
	}
	session.UTF8 = rcpt.NeedsUTF8() || session.Sender.NeedsUTF8()
	out := e.explain(ctx, actor, st, session, rcpt)
	d, ours := st.Directory.Domain(rcpt.Domain)
	if ours && e.Judge != nil && session.Kind == routing.Stranger && session.Client.IsValid() && !session.Sender.IsNull() && out.Reply.Code < 500 {
		out.Judging = e.Judge.Foresee(ctx, d, session.Client, session.Sender.String())
	}
	return out, nil
}

// explain decides for a session and tells why, as far as the actor may see it.
func (e *Explainer) explain(ctx context.Context, actor rights.Actor, st *rights.State, session routing.Session, rcpt smtp.Address) Explanation {
	d := e.decide(ctx, st, session, rcpt)
	if left, gone := st.Directory.Departed(rcpt.Domain); gone && time.Now().Before(left.Leaving.Until) && !actor.Scope.Has(left.Account) {
		d.Reasons = d.Reasons[:1] // what somebody else had is not told
	}
	out := Explanation{
		Address: rcpt.String(), EffectiveMode: string(d.EffectiveMode), Class: string(d.Class),
		Reply:     ExplainReply{Code: d.Reply.Code, Enhanced: d.Reply.Enhanced.String(), Text: d.Reply.Text},
		Mailboxes: []string{}, NextHops: []ExplainHop{}, Reasons: []ExplainReason{}, Judging: []string{}, Destinations: []ExplainDestination{},
	}
	out.WhyNot = whyNot(st, &d, rcpt)
	if !actor.Operator {
		hideOthers(actor, st, &d)
	}
	for _, r := range d.Reasons {
		out.Reasons = append(out.Reasons, ExplainReason{Rule: r.Rule.String(), Fact: r.Fact, Age: int64(r.Age.Seconds()), Sentence: r.Sentence()})
	}
	for _, to := range d.Destinations {
		e.destination(ctx, st, &out, to)
	}
	if d.Reply.Temporary() && d.Class != routing.ClassForeign {
		e.later(ctx, st, &out, rcpt)
	}
	return out
}

// later adds the next hops of a recipient that is refused for now: where its mail would go once it is taken.
func (e *Explainer) later(ctx context.Context, st *rights.State, out *Explanation, rcpt smtp.Address) {
	d := routing.Decide(e.World(st.Directory), routing.Session{Kind: routing.Accepted}, rcpt)
	for _, to := range d.Destinations {
		if to.Transport != mail.TransportLocal && to.Account == d.Account {
			e.leaves(ctx, st, out, to)
		}
	}
}

// decide asks for the route as receive does, and learns what is lacking for it.
func (e *Explainer) decide(ctx context.Context, st *rights.State, session routing.Session, rcpt smtp.Address) routing.Decision {
	var fetch func(routing.Need)
	if e.Facts != nil {
		fetch = func(n routing.Need) { e.Facts.Fetch(ctx, n) }
	}
	return routing.Ask(func() routing.View { return e.World(st.Directory) }, fetch, session, rcpt)
}

// hideOthers cuts a decision where it goes on through addresses of an account that is out of scope: whoever leads
// mail to somebody else's address does not learn what that stands for.
func hideOthers(actor rights.Actor, st *rights.State, d *routing.Decision) {
	for i, r := range d.Reasons {
		dom, ours := st.Directory.Domain(r.Fact[strings.LastIndexByte(r.Fact, '@')+1:])
		if !ours || actor.Scope.Has(dom.Account) {
			continue
		}
		d.Reasons = d.Reasons[:i]
		d.Destinations = slices.DeleteFunc(d.Destinations, func(to routing.Destination) bool { return !actor.Scope.Has(to.Account) })
		return
	}
}

// session is the client that a request describes.
func (e *Explainer) session(actor rights.Actor, st *rights.State, q ExplainRequest) (routing.Session, error) {
	var out routing.Session
	switch q.As {
	case "", "stranger":
		out.Kind = routing.Stranger
	case "local":
		if err := actor.MustOperate("ask as the program itself"); err != nil {
			return out, err
		}
		out.Kind, out.Account = routing.Local, account.Operator
	default:
		m, err := actor.Mailbox(st, q.As)
		if err != nil {
			return out, err
		}
		out.Kind, out.Login, out.Account = routing.Login, m.Address(), m.Account
		out.Sender = smtp.Address{Local: m.Local, Domain: m.Domain}
	}
	if q.Sender != "" {
		sender, err := smtp.ParseAddress(q.Sender, true)
		if err != nil {
			return out, words.Invalid("The sender "+words.Quote(q.Sender)+" is no address.", "write it as name@example.org")
		}
		out.Sender = sender
	}
	if q.Client != "" {
		client, err := netip.ParseAddr(q.Client)
		if err != nil || client.Zone() != "" {
			return out, words.Invalid("The client "+words.Quote(q.Client)+" is no IP address.", "")
		}
		out.Client = client.Unmap()
		trusted := func(p netip.Prefix) bool { return p.Contains(out.Client) }
		if out.Kind == routing.Stranger && slices.ContainsFunc(e.TrustedNetworks, trusted) && ownSender(st, out.Sender) {
			out.Kind = routing.Trusted
		}
	}
	return out, nil
}

// ownSender reports whether a trusted network may send as an address: as any domain hosted here. What it sends as
// somebody else is a stranger's mail.
func ownSender(st *rights.State, sender smtp.Address) bool {
	if sender.IsNull() {
		return true
	}
	d, ok := st.Directory.Domain(sender.Domain)
	return ok && d.Proved
}

func (e *Explainer) destination(ctx context.Context, st *rights.State, out *Explanation, to routing.Destination) {
	out.Destinations = append(out.Destinations, ExplainDestination{Address: to.Address, Transport: string(to.Transport), Lane: string(to.Lane)})
	if to.Transport == mail.TransportLocal {
		out.DeliverHere = true
		out.Mailboxes = append(out.Mailboxes, to.Address)
		return
	}
	e.leaves(ctx, st, out, to)
}

// leaves adds the next hops of a destination elsewhere.
func (e *Explainer) leaves(ctx context.Context, st *rights.State, out *Explanation, to routing.Destination) {
	switch to.Transport {
	case mail.TransportLocal:
	case mail.TransportRelay, mail.TransportLMTP:
		_, _, route := routing.ParseHops(to.Lane.Key())
		for _, h := range to.Hops {
			tls := tlsOffered
			switch {
			case demands(st, route):
				tls = tlsVerified
			case h.Socket():
				tls = tlsNone
			}
			out.hop(ExplainHop{Host: h.Host, Port: h.Port, TLS: tls, Transport: string(to.Transport)})
		}
	case mail.TransportRemote:
		domain, _ := routing.ParseRemote(to.Lane.Key())
		e.exchangers(ctx, st, out, domain)
	}
}

// demands reports whether an outbound route demands verified TLS.
func demands(st *rights.State, id string) bool {
	if id == "" {
		return false
	}
	o, ok := st.Directory.OutboundByID(id)
	return ok && o.Verified()
}

func (e *Explanation) hop(h ExplainHop) {
	if !slices.Contains(e.NextHops, h) {
		e.NextHops = append(e.NextHops, h)
	}
}

// ruleMX stands in place of a rule for what DNS said beyond the decision.
const ruleMX = "mx"

// The demands of TLS.
const (
	tlsOffered  = "opportunistic"
	tlsVerified = "verified"
	tlsNone     = "none"
)

// maxLookUps bounds the exchangers whose addresses are asked for in one explanation.
const maxLookUps = 20

// exchangers adds the exchangers of a domain and what DNS said (RFC 5321 §5.1).
func (e *Explainer) exchangers(ctx context.Context, st *rights.State, out *Explanation, domain string) {
	if e.Resolver == nil {
		return
	}
	a := e.Resolver.MX(ctx, domain)
	said := func(sentence string) {
		out.Reasons = append(out.Reasons, ExplainReason{Rule: ruleMX, Fact: domain, Age: int64(a.Age(time.Now()).Seconds()), Sentence: sentence})
	}
	said(describeMX(&a))
	list, reply := routing.Candidates(a)
	list = list[:min(len(list), maxLookUps)]
	var best []routing.Exchanger
	if reply.Code == 0 {
		addrs := make(map[string]facts.AddrAnswer, len(list))
		for _, mx := range list {
			if _, asked := addrs[mx.Host]; !asked {
				addrs[mx.Host] = e.Resolver.Addrs(ctx, mx.Host)
			}
		}
		view, keep := e.World(st.Directory), routing.Better
		if d, ours := st.Directory.Domain(domain); ours && d.Proved {
			keep = routing.KeepFor(d)
		}
		best, reply = routing.Exchangers(list, addrs, view.Self.Answers, keep, func(int, func(i, j int)) {})
	}
	for _, x := range best {
		out.hop(ExplainHop{Host: x.Host, Port: e.DeliverPort, Preference: x.Preference, TLS: tlsOffered, Transport: string(mail.TransportRemote)})
	}
	if len(best) == 0 && reply.Temporary() {
		for _, mx := range list {
			out.hop(ExplainHop{Host: mx.Host, Port: e.DeliverPort, Preference: mx.Preference, TLS: tlsOffered, Transport: string(mail.TransportRemote)})
		}
	}
	if reply.Code != 0 {
		said("An attempt now would end with: " + reply.String() + ".")
	}
}

// describeMX tells what DNS said about a domain's exchangers, and who said it.
func describeMX(a *facts.MXAnswer) string {
	name, by := words.Show(a.Name), " ("+a.Source+")."
	switch {
	case a.Null:
		return "The domain " + name + " says that it takes no mail" + by
	case a.Status == facts.Found && len(a.Records) == 0:
		return "The MX records of " + name + " name no usable host" + by
	case a.Status == facts.Found:
		best := slices.MinFunc(a.Records, func(x, y facts.MX) int { return cmp.Compare(x.Preference, y.Preference) })
		return "The domain " + name + " names " + words.Plural(int64(len(a.Records)), "exchanger", "exchangers") + "; the best is " + best.Host +
			" with preference " + strconv.Itoa(int(best.Preference)) + by
	case a.Status == facts.NoData:
		return "The domain " + name + " has no MX records, so its own address counts" + by
	case a.Status == facts.NXDomain:
		return "There is no domain " + name + " in DNS" + by
	}
	return "The MX records of " + name + " cannot be learned just now: " + a.Detail + "."
}

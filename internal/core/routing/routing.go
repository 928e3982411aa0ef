// Package routing decides where a recipient's mail goes. Decide is the only place where that is decided.
//
// Receive asks it at RCPT; queue, explain, plans and loop proof ask it with another view. It is pure: it looks
// nothing up, and what it says of a recipient depends on its arguments alone. What may be looked up afterwards
// (the exchangers of a foreign domain) is ordered by Exchangers, a second pure function.
//
// What a decision needs to know of the world, the view answers from what it remembers. What it does not remember
// Decide names in Need, together with a temporary reply: the caller fetches the fact and asks again, or gives the
// reply.
package routing

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/proto/smtp"
)

// SessionKind is who asks.
type SessionKind uint8

// The kinds of session.
const (
	Stranger SessionKind = iota // anybody who connects to the MX listener
	Login                       // a mailbox user after AUTH
	Local                       // mail made here: reports
	Trusted                     // a client in trusted_networks
	Accepted                    // the queue, deciding anew for a row it has accepted
)

// String is the kind in the words of commands.
func (k SessionKind) String() string {
	switch k {
	case Stranger:
		return "stranger"
	case Login:
		return "login"
	case Local:
		return "local"
	case Trusted:
		return "trusted"
	case Accepted:
		return "accepted"
	}
	return "unknown"
}

// Session is what is known of the client when it names a recipient.
type Session struct {
	Kind    SessionKind
	Login   string     // full address, for Login
	Account account.ID // of the login
	Sender  smtp.Address
	Author  smtp.Address // of the message's From field, for Login; zero while it is not known
	Client  netip.Addr
	Helo    string
	TLS     string
	UTF8    bool  // the message needs SMTPUTF8 (RFC 6531)
	Size    int64 // of the message in octets as declared at MAIL (RFC 1870); 0 undeclared
}

// own reports whether the session may send to anywhere.
func (s *Session) own() bool { return s.Kind != Stranger }

// View is what a decision is made from.
type View struct {
	Directory *directory.Snapshot
	Self      Self
	Now       time.Time // windows are judged by it
	// Facts is what is remembered of the world; nil: nothing, so that each fact is in need.
	Facts Facts
	// Hops is what explicit next hops offer; nil: nothing is known of any.
	Hops Hops
	// Returns finds the senders of forwarded mail; nil: no sender is rewritten here.
	Returns Returns
	// Stale says that the directory was not confirmed by the store for 30 s: a negative answer may then be
	// wrong and is given as temporary (routing.md, Inputs).
	Stale bool
}

// Self is every name and address this installation answers for.
type Self struct {
	Hostname      string // A-label, lower case; postmaster@Hostname takes what nobody else does
	RoutingDomain string // A-label, lower case; the domain of routing addresses, empty without
	// Answers reports whether mail for an address comes back to us; nil: no address does.
	Answers func(netip.Addr) bool
}

func (s *Self) answers(a netip.Addr) bool { return s.Answers != nil && s.Answers(a) }

// Class is the outcome in one word.
type Class string

// The classes.
const (
	ClassLocal   Class = "local"   // delivered into mailboxes here, or expanded
	ClassSplit   Class = "split"   // delivered here where it is known, else handed to the domain's real server
	ClassBackup  Class = "backup"  // held for the domain's real server
	ClassRelay   Class = "relay"   // handed to the domain's own server
	ClassRemote  Class = "remote"  // our domain, whose mail is elsewhere
	ClassForeign Class = "foreign" // not our domain
)

// Rule names what decided a step. Text is made when it is shown.
type Rule uint8

// The rules, in the order in which they are asked.
const (
	RuleAddressForm Rule = iota + 1
	RuleDomainOurs
	RuleDomainForeign
	RuleDomainInert
	RuleModeLocal
	RuleModeRelay
	RuleModeRemote
	RuleMailbox
	RulePlusAddress
	RuleAlias
	RuleForward
	RuleGroup
	RuleCatchAll
	RulePostmaster
	RuleUnknownRecipient
	RuleExpansionLimit
	RuleNextHop
	RuleByMX
	RuleOutbound
	RuleOwnUser
	RuleRelayDenied
	RuleStaleView
	RuleNextHopLMTP
	RuleHopUTF8
	RuleHopSize
	RuleOutboundVerified
	RuleAutoMode
	RuleModeSplit
	RuleModeBackup
	RuleGateway
	RuleGatewayBypassed
	RuleOnboarding
	RuleLeaving
	RuleDualDelivery
	RuleRoutingAddress
	RuleRecipientsAccept
	RuleRecipientPresent
	RuleRecipientAbsent
	RuleRecipientUnreachable
	RuleListOutdated
	RuleKnownHere
	RuleExchanger
	RuleNoExchanger
	RuleExchangersUnknown
	RuleNeeded
	RuleProofGrace
	RuleProofLost
	RuleReturned
	RuleReturnRefused
	RuleSource
	RuleIdentityRoute
)

// Reason is one step of a decision: the rule that spoke and the fact it spoke of.
type Reason struct {
	Rule Rule
	Fact string
	Age  time.Duration // of the fact; 0 for what is configured here
}

// Hop is a place a message may go to next. Preference is that of the exchanger; 0 for explicit hops. The host of
// a unix socket is its path, its port 0.
type Hop struct {
	Host       string
	Port       uint16
	Preference uint16
}

// Socket reports whether the hop is a unix socket of this machine.
func (h Hop) Socket() bool { return strings.HasPrefix(h.Host, "/") }

// Destination is one final destination of a recipient.
type Destination struct {
	Transport mail.Transport
	Lane      mail.Lane
	Address   string     // what the mailbox or the next hop is told
	Mailbox   string     // mailbox id, for local
	Quota     int64      // of that mailbox in octets; 0 without limit
	Account   account.ID // owner of the destination's domain; empty for foreign ones
	Hops      []Hop      // explicit hops; empty for local and for routes by MX
	Copy      bool       // of dual delivery: nobody is told when it cannot be delivered
	Archive   bool       // an archive copy: the sender is never told anything of it
	Forward   string     // address of the rule that leads to a server that is not its domain's own; empty for others
}

// Decision is the outcome for one recipient.
type Decision struct {
	EffectiveMode directory.Mode // empty for domains that are not ours
	Class         Class
	Account       account.ID // owner of the recipient's domain; empty for foreign ones
	Domain        string
	Reply         smtp.Reply // what RCPT answers: 250, or why not
	Destinations  []Destination
	Reasons       []Reason
	Need          *Need // a fact without which nothing can be decided; nil in all other cases
}

// Accepted reports whether the recipient is taken.
func (d *Decision) Accepted() bool { return d.Reply.Code == 250 }

// maxDestinations bounds what one recipient may expand to.
const maxDestinations = 1000

// Decide says what happens to mail for a recipient. It allocates nothing but its result.
func Decide(v View, s Session, rcpt smtp.Address) Decision {
	var d Decision
	if rcpt.Domain == "" {
		if !strings.EqualFold(rcpt.Local, "postmaster") {
			d.refuse(replyNoDomain, RuleAddressForm, rcpt.Local)
			return d
		}
		rcpt.Domain = v.Self.Hostname
	}
	d.Domain = rcpt.Domain
	if r, bad := refusedForm(rcpt, s.own()); bad {
		d.refuse(r, RuleAddressForm, rcpt.Local)
		return d
	}
	dom, ours := v.Directory.Domain(rcpt.Domain)
	switch {
	case rcpt.Domain == v.Self.RoutingDomain && rcpt.Domain != "":
		decideRoutingAddress(&d, v, rcpt)
	case !ours:
		d.reason(RuleDomainForeign, rcpt.Domain)
		decideForeign(&d, v, &s, rcpt)
	case !dom.Proved:
		d.reason(RuleDomainInert, rcpt.Domain)
		if !d.unowned(v, &s, dom) {
			decideForeign(&d, v, &s, rcpt)
		}
	default:
		d.Account, d.EffectiveMode = dom.Account, dom.Effective()
		d.reason(RuleDomainOurs, dom.Name)
		if !dom.Proof.Lost.IsZero() {
			d.reason(RuleProofGrace, minute(dom.Proof.Ends()))
		}
		decideOurs(&d, v, &s, rcpt, dom)
	}
	d.offered(v, &s)
	if v.Stale && d.Reply.Permanent() {
		d.refuse(replyStale, RuleStaleView, "")
	}
	return d
}

func (d *Decision) reason(r Rule, fact string) {
	if d.Reasons == nil {
		d.Reasons = make([]Reason, 0, 4)
	}
	d.Reasons = append(d.Reasons, Reason{Rule: r, Fact: fact})
}

func (d *Decision) refuse(reply smtp.Reply, r Rule, fact string) {
	d.Reply, d.Destinations = reply, nil
	d.reason(r, fact)
}

// refusedForm finds addresses that smuggle a second route into the local part. Strangers may use none of
// them; our own users may write foreign local parts as they are.
func refusedForm(a smtp.Address, own bool) (smtp.Reply, bool) {
	if strings.HasPrefix(a.Domain, "[") {
		if own {
			return smtp.Reply{}, false
		}
		return replyRelay, true
	}
	if !own && strings.ContainsAny(a.Local, "%!@:") {
		return replyRoute, true
	}
	return smtp.Reply{}, false
}

// relay sends to the domain's explicit hosts, all of which speak SMTP or all LMTP.
func (d *Decision) relay(dom *directory.Domain, address string) {
	hops, key := explicitHops(dom.NextHops), dom.HopList()
	lane, rule := Onward(dom), RuleNextHop
	if lane.Transport() == mail.TransportLMTP {
		rule = RuleNextHopLMTP
	}
	d.reason(rule, strings.TrimSuffix(key, directory.OperatorMark))
	d.Destinations = append(d.Destinations, Destination{
		Transport: lane.Transport(), Lane: lane, Address: address, Account: dom.Account, Hops: hops,
	})
	d.Reply = replyAccepted
}

func (d *Decision) byMX(rcpt smtp.Address, owner account.ID) {
	d.reason(RuleByMX, rcpt.Domain)
	d.Destinations = append(d.Destinations, Destination{
		Transport: mail.TransportRemote, Lane: mail.MakeLane(mail.TransportRemote, rcpt.Domain),
		Address: rcpt.String(), Account: owner,
	})
	d.Reply = replyAccepted
}

func decideForeign(d *Decision, v View, s *Session, rcpt smtp.Address) {
	d.Class = ClassForeign
	if left, ok := v.Directory.Departed(rcpt.Domain); ok && (s.Kind == Stranger || s.Kind == Accepted) && v.Now.Before(left.Leaving.Until) {
		d.departed(v, s, rcpt, left)
		return
	}
	if !s.own() {
		d.refuse(replyRelay, RuleRelayDenied, rcpt.Domain)
		return
	}
	d.reason(RuleOwnUser, s.Login)
	d.leaves(v, s, nil, rcpt)
}

// leaves sends to a foreign domain: by the route of the address elsewhere as which a login sends, else by that of the
// responsible domain. Where a rule sends it on, that is the rule's, and of the former kind those of its own account alone:
// whoever has the rule sees the route.
func (d *Decision) leaves(v View, s *Session, rule *directory.Rule, rcpt smtp.Address) {
	responsible := s.Sender.Domain
	if rule != nil {
		responsible = rule.Domain
	}
	if s.Kind == Login {
		for _, as := range [...]smtp.Address{s.Author, s.Sender} {
			if out, ok := v.Directory.Relay(s.Login, as, v.Now); ok && (rule == nil || rule.Account == out.Account) {
				d.reason(RuleIdentityRoute, as.String())
				d.through(&out, rcpt)
				return
			}
		}
	}
	d.outward(v, responsible, rcpt)
}

// outward sends to a foreign domain by the outbound route of the responsible domain.
func (d *Decision) outward(v View, responsible string, rcpt smtp.Address) {
	out, _ := v.Directory.Outbound(responsible)
	d.through(&out, rcpt)
}

// through sends to a foreign domain by an outbound route: through its smart host or by MX.
func (d *Decision) through(out *directory.Outbound, rcpt smtp.Address) {
	if !out.Source.IsZero() {
		d.reason(RuleSource, out.Source.String())
	}
	if !out.Smart() {
		d.byMX(rcpt, "")
		if !out.Source.IsZero() {
			last := &d.Destinations[len(d.Destinations)-1]
			last.Lane += mail.Lane(OutboundMark + out.ID)
		}
		return
	}
	list := []directory.NextHop{{Host: out.Hop.Host, Port: out.Hop.Port, Operator: out.Operator}}
	hops, key := explicitHops(list), directory.HopList(list)
	rule := RuleOutbound
	if out.Verified() {
		rule = RuleOutboundVerified
	}
	d.reason(rule, strings.TrimSuffix(key, directory.OperatorMark))
	if out.Verified() || !out.Source.IsZero() || out.Identity != "" {
		key += OutboundMark + out.ID
	}
	d.Destinations = append(d.Destinations, Destination{
		Transport: mail.TransportRelay, Lane: mail.MakeLane(mail.TransportRelay, key), Address: rcpt.String(), Hops: hops,
	})
	d.Reply = replyAccepted
}

// OutboundMark parts the domain of a remote lane, or the host of a relay lane, from the id of the outbound route whose
// addresses, demands and login it needs.
const OutboundMark = "#"

// ParseRemote reads a remote lane's key: the domain, and the id of the outbound route, if any.
func ParseRemote(key string) (domain, outbound string) {
	domain, outbound, _ = strings.Cut(key, OutboundMark)
	return domain, outbound
}

// explicitHops gives hops in the order in which they are tried.
func explicitHops(list []directory.NextHop) []Hop {
	hops := make([]Hop, len(list))
	for i, h := range list {
		hops[i] = Hop{Host: h.Host, Port: h.Port}
	}
	return hops
}

// ParseHops reads the hops back from a relay or lmtp lane's key; operator says that the operator named them, outbound
// is the id of the outbound route, if any. Entries that are neither host and port nor the path of a unix socket are left out.
func ParseHops(key string) (hops []Hop, operator bool, outbound string) {
	key, outbound, _ = strings.Cut(key, OutboundMark)
	key, operator = strings.CutSuffix(key, directory.OperatorMark)
	for part := range strings.SplitSeq(key, ",") {
		if h := (Hop{Host: part}); h.Socket() {
			hops = append(hops, h)
			continue
		}
		i := strings.LastIndexByte(part, ':')
		if i < 0 {
			continue
		}
		port, err := strconv.ParseUint(part[i+1:], 10, 16)
		if err != nil {
			continue
		}
		hops = append(hops, Hop{Host: part[:i], Port: uint16(port)})
	}
	return hops, operator, outbound
}

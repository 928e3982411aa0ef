// Package advise proposes a routing mode for a domain from what has been observed of it, with the reasons.
//
// It decides nothing: what it proposes is a command for people to type, or not.
package advise

import (
	"strconv"
	"strings"

	"postroad/internal/core/directory"
)

// Server is one exchanger of the domain in public DNS.
type Server struct {
	Host       string
	Preference uint16
	Ours       bool // mail sent there comes to this installation
	Asked      bool // somebody tried to reach it
	Answers    bool // it took the connection
}

// Observed is what is known of a domain.
type Observed struct {
	Name      string
	DNS       DNS
	Servers   []Server // best first
	Mailboxes int      // mailboxes and addresses of the domain here
	NextHops  []string // that were given, as people name them
}

// DNS is what public DNS says of a domain's exchangers.
type DNS uint8

// What public DNS may say.
const (
	Silent DNS = iota // it does not answer
	Names             // it names exchangers, or the domain has an address of its own
	None              // the domain does not exist, or has nothing that takes mail
	Null              // the domain says that it takes no mail
)

// Proposal is a mode with its reasons and the command that chooses it.
type Proposal struct {
	Mode     directory.Mode
	NextHops []string
	Reasons  []string // sentences
	Command  string
}

// Choose proposes a mode. When little is known it says so, and proposes what loses no mail.
func Choose(o Observed) Proposal {
	var p Proposal
	best, ours, other := o.ranks()
	switch {
	case o.DNS == Silent:
		p.say("Public DNS does not answer just now, so where senders bring the mail is not known.")
	case o.DNS == Null:
		p.say("Public DNS says that " + o.Name + " takes no mail (null MX).")
	case o.DNS == None || len(o.Servers) == 0:
		p.say("Public DNS names no server that takes mail for " + o.Name + ".")
	case best.Ours && other == nil:
		p.say("Public DNS names this installation alone (" + best.Host + ").")
	case best.Ours:
		p.say("Public DNS names this installation (" + best.Host + ") as the best exchanger, and others behind it.")
	case ours != nil:
		p.say("Public DNS names " + best.Host + " as the best exchanger, and this installation (" + ours.Host + ") behind it.")
	default:
		p.say("Public DNS names " + best.Host + " as the best exchanger, and this installation nowhere.")
	}
	o.reached(&p, other)
	switch {
	case o.Mailboxes == 1:
		p.say("One mailbox or address of the domain is here.")
	case o.Mailboxes > 1:
		p.say(strconv.Itoa(o.Mailboxes) + " mailboxes and addresses of the domain are here.")
	default:
		p.say("No mailbox and no address of the domain is here.")
	}
	if len(o.NextHops) > 0 {
		p.say("The domain's own server is given: " + strings.Join(o.NextHops, ", ") + ".")
	}
	o.decide(&p, best, ours, other)
	p.Command = "postroad domain set " + o.Name + " --mode " + string(p.Mode)
	for _, h := range p.NextHops {
		p.Command += " --next-hop " + h
	}
	return p
}

// ranks gives the best exchanger, the best of ours and the best of others; nil where there is none.
func (o *Observed) ranks() (best, ours, other *Server) {
	for i := range o.Servers {
		s := &o.Servers[i]
		if best == nil {
			best = s
		}
		if s.Ours && ours == nil {
			ours = s
		}
		if !s.Ours && other == nil {
			other = s
		}
	}
	return best, ours, other
}

// reached tells whether the best of the other exchangers answers.
func (o *Observed) reached(p *Proposal, other *Server) {
	switch {
	case other == nil || !other.Asked:
	case other.Answers:
		p.say("The server " + other.Host + " answers.")
	default:
		p.say("The server " + other.Host + " does not answer from here.")
	}
}

// decide is the table of this package: who is named in DNS, whether mailboxes are here, whether a next hop is given.
func (o *Observed) decide(p *Proposal, best, ours, other *Server) {
	here, hops := o.Mailboxes > 0, len(o.NextHops) > 0
	switch {
	case hops && here:
		p.choose(directory.ModeSplit, "What is here is delivered here, everything else is handed to the domain's own server.")
		p.NextHops = o.NextHops
	case hops:
		p.choose(directory.ModeRelay, "Everything is handed to the domain's own server, which is asked about recipients.")
		p.NextHops = o.NextHops
	case o.DNS != Names || best == nil:
		p.choose(directory.ModeLocal, "Nobody else is known to take the mail; set MX records to this installation when it shall be received here.")
	case best.Ours && other != nil && !here:
		p.choose(directory.ModeLocal, "Senders come here first: make the mailboxes here, or name the domain's own server with --next-hop and choose relay.")
	case best.Ours:
		p.choose(directory.ModeLocal, "Senders come here first, so the mail is delivered here.")
	case ours != nil && here:
		p.choose(directory.ModeSplit, "The main server is elsewhere: what is here is delivered here, everything else is handed on to it.")
	case ours != nil:
		p.choose(directory.ModeBackup, "The main server is elsewhere: mail is held here while it is down and handed on to it.")
	case here:
		p.choose(directory.ModeSplit, "The main server is elsewhere: mail of our own users for what is here is delivered here, everything else goes there.")
	default:
		p.choose(directory.ModeRemote, "The mail is received elsewhere; mail of our own users goes there.")
	}
}

func (p *Proposal) say(sentence string) { p.Reasons = append(p.Reasons, sentence) }

func (p *Proposal) choose(m directory.Mode, because string) {
	p.Mode = m
	p.say(because)
}

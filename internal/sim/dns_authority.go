package sim

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// NewAuthority makes a server without sockets that answers as the name server of its zones and of nothing else: AA set,
// a referral for what a zone hands on, with the addresses that the zone's text has for it, REFUSED outside. The text may
// have addresses of names outside of the zone, which a referral then brings along although the zone has no say in them.
func NewAuthority(tb testing.TB, zones Zones) *DNS {
	tb.Helper()
	d := NewDNS(tb, nil)
	d.servant = true
	for origin, text := range zones {
		d.SetZone(origin, text)
	}
	return d
}

// AllowTransfer has the server give its zones to anybody who asks for them (AXFR, RFC 5936).
func (d *DNS) AllowTransfer() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gives = true
}

// transfer is a whole zone in one message.
func (d *DNS) transfer(reply *dns.Msg, origin string) *dns.Msg {
	z := d.zones[origin]
	if z == nil || !d.gives {
		reply.Rcode = dns.RcodeRefused
		return reply
	}
	reply.Authoritative = true
	reply.Answer = append(reply.Answer, z.soa)
	for _, records := range z.owners {
		for _, rr := range records {
			if rr.Header().Rrtype != dns.TypeSOA {
				reply.Answer = append(reply.Answer, rr)
			}
		}
	}
	reply.Answer = append(reply.Answer, z.soa)
	return reply
}

// answerAsServant is what the zones say when they are asked themselves.
func (d *DNS) answerAsServant(query *dns.Msg) *dns.Msg {
	reply := new(dns.Msg)
	reply.SetReply(query)
	asked := query.Question[0]
	owner := dns.CanonicalName(asked.Name)
	d.mu.Lock()
	defer d.mu.Unlock()
	if asked.Qtype == dns.TypeAXFR {
		return d.transfer(reply, owner)
	}
	for range answerLoops {
		z := d.servedZone(owner, asked.Qtype)
		if z == nil {
			if len(reply.Answer) == 0 {
				reply.Rcode = dns.RcodeRefused
			}
			return reply
		}
		if cut, list := z.cutAbove(owner, asked.Qtype); cut != "" {
			reply.Ns = list
			reply.Extra = append(reply.Extra, z.glue(list)...)
			return reply
		}
		reply.Authoritative = true
		records, exists := z.at(owner)
		var alias *dns.CNAME
		matched := false
		for _, rr := range records {
			if cname, ok := rr.(*dns.CNAME); ok {
				alias = cname
			}
			if rr.Header().Rrtype == asked.Qtype {
				reply.Answer, matched = append(reply.Answer, rr), true
			}
		}
		if matched {
			return reply
		}
		if alias == nil {
			if !exists {
				reply.Rcode = dns.RcodeNameError
			}
			reply.Ns = append(reply.Ns, z.soa)
			return reply
		}
		reply.Answer = append(reply.Answer, alias)
		owner = dns.CanonicalName(alias.Target)
	}
	return reply
}

// servedZone is the deepest zone that has a name; of a DS record the one above its owner (RFC 4035 §3.1.4.1).
func (d *DNS) servedZone(owner string, kind uint16) *zone {
	var best *zone
	for origin, z := range d.zones {
		if kind == dns.TypeDS && origin == owner {
			continue
		}
		if dns.IsSubDomain(origin, owner) && (best == nil || dns.CountLabel(origin) > dns.CountLabel(best.origin)) {
			best = z
		}
	}
	return best
}

// cutAbove gives the delegation below the apex that hands on a name, and its NS records.
func (z *zone) cutAbove(owner string, kind uint16) (string, []dns.RR) {
	labels := dns.SplitDomainName(owner)
	for n := dns.CountLabel(z.origin) + 1; n <= len(labels); n++ {
		cut := dns.Fqdn(strings.Join(labels[len(labels)-n:], "."))
		if cut == owner && kind == dns.TypeDS {
			break
		}
		var list []dns.RR
		for _, rr := range z.owners[cut] {
			if rr.Header().Rrtype == dns.TypeNS {
				list = append(list, rr)
			}
		}
		if len(list) > 0 {
			return cut, list
		}
	}
	return "", nil
}

// glue gives the addresses that a zone has for the targets of NS records.
func (z *zone) glue(list []dns.RR) []dns.RR {
	var out []dns.RR
	for _, rr := range list {
		ns, ok := rr.(*dns.NS)
		if !ok {
			continue
		}
		for _, a := range z.owners[dns.CanonicalName(ns.Ns)] {
			if t := a.Header().Rrtype; t == dns.TypeA || t == dns.TypeAAAA {
				out = append(out, a)
			}
		}
	}
	return out
}

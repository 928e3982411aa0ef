package routing

import (
	"cmp"
	"net/netip"
	"slices"

	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/proto/smtp"
)

// Exchanger is a host that takes a domain's mail, with the addresses to try in order.
type Exchanger struct {
	Host       string
	Preference uint16
	Addrs      []netip.Addr
}

// MaxAddresses is the number of addresses tried in one attempt, over all exchangers (RFC 5321 §5.1).
const MaxAddresses = 10

// Replies for domains whose exchangers cannot be used. For a domain of this installation none of them is
// permanent; the caller holds the mail instead (routing.md).
var (
	replyDNSTemporary = smtp.Reply{Code: 451, Enhanced: smtp.Enhanced{4, 4, 3}, Text: "the domain's exchangers could not be looked up"}
	replyNoDomainDNS  = smtp.Reply{Code: 550, Enhanced: smtp.Enhanced{5, 1, 2}, Text: "the domain does not exist"}
	replyNullMX       = smtp.Reply{Code: 556, Enhanced: smtp.Enhanced{5, 1, 10}, Text: "the domain takes no mail (null MX)"}
	replyNoAddress    = smtp.Reply{Code: 550, Enhanced: smtp.Enhanced{5, 4, 4}, Text: "no exchanger of the domain has an address"}
	replyLoopSelf     = smtp.Reply{Code: 554, Enhanced: smtp.Enhanced{5, 4, 6}, Text: "the domain's exchangers lead back to this server"}
)

// Candidates names the exchangers of an MX answer whose addresses are needed: those listed, or the domain
// itself when it has no MX records at all (RFC 5321 §5.1). A reply with a code says that there is nowhere to go.
func Candidates(mx facts.MXAnswer) ([]facts.MX, smtp.Reply) {
	switch mx.Status {
	case facts.Found:
		if mx.Null {
			return nil, replyNullMX
		}
		return mx.Records, smtp.Reply{}
	case facts.NoData:
		return []facts.MX{{Host: mx.Name}}, smtp.Reply{}
	case facts.NXDomain:
		return nil, replyNoDomainDNS
	case facts.Temporary:
		return nil, replyDNSTemporary
	}
	return nil, replyDNSTemporary
}

// LeadsBack reports whether a reply of Exchangers says that the way leads back to ourselves.
func LeadsBack(r smtp.Reply) bool { return r.Enhanced == replyLoopSelf.Enhanced }

// Keep says which exchangers remain where we are one of them ourselves.
type Keep uint8

// What remains.
const (
	Better Keep = iota // those better than we are, so that no loop can arise (RFC 5321 §5.1)
	Others             // all but ourselves: the real server of a split domain may stand behind us
)

// KeepFor is what remains for a domain's mail: the real server of a split domain, or of one with explicit routes, may
// stand behind us in DNS; for all others what is not better than we are would come back.
func KeepFor(d *directory.Domain) Keep {
	switch d.Effective() {
	case directory.ModeSplit, directory.ModeRelay:
		return Others
	case directory.ModeLocal, directory.ModeBackup, directory.ModeRemote, directory.ModeAuto:
	}
	return Better
}

// Exchangers orders a domain's exchangers for an attempt: by preference, equal ones in the order that shuffle
// makes (RFC 5321 §5.1), without ourselves and, by keep, without those that are not better than we are. Whether
// an exchanger is ourselves is judged by its addresses. A reply with a code says that there is nowhere to go.
func Exchangers(list []facts.MX, addrs map[string]facts.AddrAnswer, ours func(netip.Addr) bool, keep Keep, shuffle func(n int, swap func(i, j int))) ([]Exchanger, smtp.Reply) {
	list = slices.Clone(list)
	shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	slices.SortStableFunc(list, func(a, b facts.MX) int { return cmp.Compare(a.Preference, b.Preference) })
	own := -1 // preference of the best exchanger that is ourselves
	self := func(mx facts.MX) bool { return slices.ContainsFunc(addrs[mx.Host].Addrs, ours) }
	if i := slices.IndexFunc(list, self); i >= 0 {
		own = int(list[i].Preference)
	}
	temporary, room := false, MaxAddresses
	out := make([]Exchanger, 0, len(list))
	for _, mx := range list {
		if own >= 0 && (keep == Better && int(mx.Preference) >= own || self(mx)) {
			continue
		}
		a := addrs[mx.Host]
		temporary = temporary || a.Status == facts.Temporary || a.Partial
		take := a.Addrs[:min(len(a.Addrs), room)]
		if len(take) == 0 {
			continue
		}
		room -= len(take)
		out = append(out, Exchanger{Host: mx.Host, Preference: mx.Preference, Addrs: take})
	}
	switch {
	case len(out) > 0:
		return out, smtp.Reply{}
	case temporary:
		return nil, replyDNSTemporary
	case own >= 0:
		return nil, replyLoopSelf
	}
	return nil, replyNoAddress
}

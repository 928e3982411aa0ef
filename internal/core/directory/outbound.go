package directory

import (
	"maps"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/proto/smtp"
)

// outbounds are the ways out by their ids, and the ids by what they are for. It never changes.
type outbounds struct {
	byID    map[string]Outbound
	byPlace map[string]string
}

func newOutbounds(list []Outbound) outbounds { return outbounds{}.with(list, nil) }

// with gives the ways out after a change.
func (o outbounds) with(put []Outbound, remove []string) outbounds {
	if len(put) == 0 && len(remove) == 0 {
		return o
	}
	next := outbounds{byID: make(map[string]Outbound, len(o.byID)+len(put)), byPlace: make(map[string]string, len(o.byID)+len(put))}
	maps.Copy(next.byID, o.byID)
	for _, id := range remove {
		delete(next.byID, id)
	}
	for i := range put {
		next.byID[put[i].ID] = put[i]
	}
	for id, out := range next.byID {
		next.byPlace[out.place()] = id
	}
	return next
}

// at gives the way for a place, completed by the installation's, else the installation's; own says that it is that place's.
func (o outbounds) at(place string) (way Outbound, own, ok bool) {
	all, general := o.byID[o.byPlace[""]]
	way, own = o.byID[o.byPlace[place]]
	switch {
	case place == "" || !own:
		return all, false, general
	case general:
		return way.over(&all), true, true
	}
	return way, true, true
}

// Outbound finds the way out for a sender's domain: its own, and where that leaves something open, the installation's.
func (s *Snapshot) Outbound(domain string) (Outbound, bool) {
	way, _, ok := s.outbounds.at(domain)
	return way, ok
}

// OutboundByID finds a way out, completed by the installation's where it leaves something open.
func (s *Snapshot) OutboundByID(id string) (Outbound, bool) {
	o, ok := s.outbounds.byID[id]
	if all, general := s.outbounds.byID[s.outbounds.byPlace[""]]; ok && general && all.ID != id {
		o = o.over(&all)
	}
	return o, ok
}

// Outbounds lists all ways out as they are set, in no particular order.
func (s *Snapshot) Outbounds() []Outbound { return slices.Collect(maps.Values(s.outbounds.byID)) }

// Relay finds the way out for what a login sends as an address elsewhere that was shown to be its user's: the one of that
// address, else of its domain, that the login's account has set; where the domain is the account's own here, else the domain's.
// What other accounts have set for the same address or domain is never found. false where the login has no such address, or no
// way is set for it.
func (s *Snapshot) Relay(login string, a smtp.Address, now time.Time) (Outbound, bool) {
	i := strings.LastIndexByte(login, '@')
	if i <= 0 || a.Domain == "" {
		return Outbound{}, false
	}
	box, ok := s.Mailbox(login[i+1:], FoldLocal(login[:i]))
	if !ok || !s.identifies(box, a, now) {
		return Outbound{}, false
	}
	return s.relay(box.Account, FoldAddress(a))
}

// relay finds the way out for an identity of an account.
func (s *Snapshot) relay(owner account.ID, address string) (Outbound, bool) {
	domain := address[strings.LastIndexByte(address, '@')+1:]
	places := []string{relayPlace(owner, address), relayPlace(owner, domain)}
	if d, ours := s.Domain(domain); ours && d.Proved && d.Account == owner {
		places = append(places, domain)
	}
	for _, place := range places {
		if set := s.outbounds.byID[s.outbounds.byPlace[place]]; set.Smart() {
			way, _, _ := s.outbounds.at(place)
			return way, true
		}
	}
	return Outbound{}, false
}

// RelayOf is Relay for an identity of a mailbox, whether it holds or not.
func (s *Snapshot) RelayOf(i *Identity) (Outbound, bool) { return s.relay(i.Account, i.Address) }

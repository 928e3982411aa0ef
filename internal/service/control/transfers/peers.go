package transfers

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/transfer"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Peer is somebody who may have a zone, or a server that is told of its changes, as listings show it.
type Peer struct {
	Zone    string     `json:"zone" doc:"A domain, or a catalog and every zone in it"`
	Account account.ID `json:"account"`
	Key     string     `json:"key,omitempty" doc:"TSIG key that it must sign with, or that NOTIFY is signed with"`
	From    []string   `json:"from,omitempty" doc:"Networks that it may ask from; none: from anywhere, under the key"`
	Notify  string     `json:"notify,omitempty" doc:"Server that is told of changes; then this is no leave to have the zone"`
}

func showPeer(p *transfer.Peer) Peer {
	out := Peer{Zone: p.Zone, Account: p.Account, Key: p.Key}
	for _, n := range p.Networks {
		out.From = append(out.From, n.String())
	}
	if p.Tells() {
		out.Notify = p.Notify.String()
	}
	return out
}

// what says in words what a peer is.
func what(p *transfer.Peer) string {
	signed := ""
	if p.Key != "" {
		signed = "under the key " + p.Key
	}
	if p.Tells() {
		return strings.TrimSpace("the server " + p.Notify.String() + " " + signed)
	}
	from := ""
	if len(p.Networks) > 0 {
		from = "from " + strings.Join(showPeer(p).From, ", ")
	}
	return strings.TrimSpace(from + " " + signed)
}

// Peers lists who may have zones in scope, and who is told, by zone.
func (a *Access) Peers(ctx context.Context, actor rights.Actor) ([]Peer, error) {
	all, err := a.Store.Transfers(ctx, actor.Scope)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all.Peers, func(x, y transfer.Peer) int {
		return cmp.Or(cmp.Compare(x.Zone, y.Zone), cmp.Compare(what(&x), what(&y)))
	})
	out := make([]Peer, 0, len(all.Peers))
	for i := range all.Peers {
		out = append(out, showPeer(&all.Peers[i]))
	}
	return out, nil
}

// PeerSpec is a wanted peer of a zone.
type PeerSpec struct {
	Zone   string   // a domain or a catalog
	Key    string   // by name; empty for none
	From   []string // networks and addresses
	Notify string   // server to tell; then From is empty
}

// maxPeers bounds the peers of one zone.
const maxPeers = 50

// read reads a spec.
func (a *Access) read(ctx context.Context, actor rights.Actor, spec PeerSpec) (transfer.Peer, zoned, error) {
	z, err := a.zone(ctx, actor, spec.Zone)
	if err != nil {
		return transfer.Peer{}, z, err
	}
	peer := transfer.Peer{ID: newID(), Account: z.account, Zone: z.name, Operator: actor.Operator}
	if peer.Key, err = a.key(ctx, actor, spec.Key, z.account); err != nil {
		return peer, z, err
	}
	if spec.Notify != "" {
		peer.Notify, err = server(actor, spec.Notify)
		return peer, z, err
	}
	peer.Networks, err = networks(spec.From)
	if err == nil && peer.Key == "" && len(peer.Networks) == 0 {
		err = words.Invalid("It is not said who may have the zone.", "name a key by --key, networks by --from, or both")
	}
	if everybody := func(n netip.Prefix) bool { return n.Bits() < 8 }; err == nil && peer.Key == "" && slices.ContainsFunc(peer.Networks, everybody) {
		err = words.Invalid("So large a network would open the zone to strangers.", "name a key by --key as well")
	}
	return peer, z, err
}

// PlanAllow plans that somebody may have a zone.
func (a *Access) PlanAllow(ctx context.Context, actor rights.Actor, spec PeerSpec) (plan.Plan, error) {
	spec.Notify = ""
	return a.planPeer(ctx, actor, spec)
}

// PlanNotify plans that a server is told of a zone's changes.
func (a *Access) PlanNotify(ctx context.Context, actor rights.Actor, spec PeerSpec) (plan.Plan, error) {
	if spec.From = nil; spec.Notify == "" {
		return plan.Plan{}, words.Invalid("It is not said which server is to be told.", "name its address and port")
	}
	return a.planPeer(ctx, actor, spec)
}

func (a *Access) planPeer(ctx context.Context, actor rights.Actor, spec PeerSpec) (plan.Plan, error) {
	p := a.begin(actor)
	peer, z, err := a.read(ctx, actor, spec)
	if err != nil {
		return p, err
	}
	all, err := a.Store.Transfers(ctx, account.System())
	if err != nil {
		return p, err
	}
	n := 0
	for i := range all.Peers {
		old := &all.Peers[i]
		if old.Zone != z.name {
			continue
		}
		if n++; same(old, &peer) {
			return p, nil
		}
	}
	if n >= maxPeers {
		return p, words.Invalid("The zone has as many peers as are allowed.", "remove others first, or name a network")
	}
	p.Tx.PutTransfers.Peers = []transfer.Peer{peer}
	p.Record(plan.Change{Kind: plan.KindTransfer, Verb: plan.VerbAdd, Subject: z.name, Domain: domainOf(z), Account: z.account, After: showPeer(&peer)})
	if peer.Tells() {
		p.Say("Changes of %s are told to %s.", showZone(z), what(&peer))
		p.Say("It still needs leave to fetch the zone: transfer allow.")
	} else {
		p.Say("Whoever asks for %s %s gets all of its records.", showZone(z), what(&peer))
		if peer.Key == "" {
			p.Warn("Nothing but the address is asked of them: a key is better.")
		}
	}
	if z.domain != nil && z.domain.Zone != directory.ZoneHosted {
		p.Say("The zone is not hosted here: there is nothing to fetch, unless it is served as a secondary.")
	}
	if z.domain != nil && !z.domain.Proved {
		p.Say("Nobody gets it before the ownership of the domain is shown.")
	}
	return p, nil
}

// same reports whether two peers are the same in everything that people write.
func same(a, b *transfer.Peer) bool {
	return a.Zone == b.Zone && a.Key == b.Key && a.Notify == b.Notify && slices.Equal(a.Networks, b.Networks)
}

func domainOf(z zoned) string {
	if z.domain == nil {
		return ""
	}
	return z.name
}

func showZone(z zoned) string {
	if z.domain == nil {
		return "the catalog " + z.name + " and the zones in it"
	}
	return words.Show(z.name)
}

// PlanDeny plans that peers of a zone are no longer any: those that have all that the spec names, without more than the
// zone all of them.
func (a *Access) PlanDeny(ctx context.Context, actor rights.Actor, spec PeerSpec) (plan.Plan, error) {
	p := a.begin(actor)
	from, err := networks(spec.From)
	if err != nil {
		return p, err
	}
	var notify netip.AddrPort
	if spec.Notify != "" {
		if notify, err = server(rights.System(), spec.Notify); err != nil {
			return p, err
		}
	}
	key := strings.ToLower(strings.TrimSuffix(spec.Key, "."))
	return a.deny(ctx, actor, spec.Zone, func(peer transfer.Peer) bool {
		return (key == "" || peer.Key == key) && (len(from) == 0 || slices.Equal(peer.Networks, from)) && (!notify.IsValid() || peer.Notify == notify)
	})
}

// deny plans that some peers of a zone are no longer any.
func (a *Access) deny(ctx context.Context, actor rights.Actor, text string, which func(transfer.Peer) bool) (plan.Plan, error) {
	p := a.begin(actor)
	z, err := a.zone(ctx, actor, text)
	if err != nil {
		return p, err
	}
	mine, err := a.Store.Transfers(ctx, actor.Scope)
	if err != nil {
		return p, err
	}
	for i := range mine.Peers {
		peer := &mine.Peers[i]
		if peer.Zone != z.name || !which(*peer) {
			continue
		}
		p.Tx.Remove = append(p.Tx.Remove, plan.Removal{Kind: plan.KindTransfer, ID: peer.ID})
		p.Record(plan.Change{Kind: plan.KindTransfer, Verb: plan.VerbRemove, Subject: z.name, Domain: domainOf(z), Account: z.account, Before: showPeer(peer)})
		if peer.Tells() {
			p.Say("Changes of %s are no longer told to %s.", showZone(z), what(peer))
		} else {
			p.Say("Whoever asks for %s %s gets it no longer.", showZone(z), what(peer))
		}
	}
	if p.Empty() {
		return p, words.Missing("There is no such peer of " + showZone(z) + ".")
	}
	return p, nil
}

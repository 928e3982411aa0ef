// Package settings is what can be chosen for a domain: it reads what people write, holds it against the rest of the
// domain's settings, and tells what it means.
//
// # Failure
//
// What does not fit together is refused with a *words.RefusedError that says what to do instead.
package settings

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Domain are the settings of a domain. A nil field is left as it is, or at its default for a new one.
type Domain struct {
	Mode        *string   // auto, local (default), split, backup, relay, remote
	Zone        *string   // external (default), hosted
	NextHops    *[]string // host:port, or lmtp://host:port and lmtp:///socket, in the order in which they are tried
	Recipients  *string   // probe (default), list, accept
	Unreachable *string   // queue, 450; empty for the mode's default
	Dual        *bool     // mode local: a copy goes to better exchangers too
	Gateways    *[]string // networks that alone may deliver from outside; none, or "none": anybody
	Judge       *string   // enforce (default), note, off
	SPFFail     *string   // accept (default), quarantine, reject
	Unchecked   *string   // accept (default), 450
	Forwarders  *[]string // servers of the customer that forward to us: names, addresses, networks
	Primary     *string   // domain at which its users have their mail; empty or "none" for what follows from its name. It is not written by Settle
	// ExchangerSet and NameServerSet are names or ids of the sets to follow, "none" for none. They are not written by Settle.
	ExchangerSet, NameServerSet *string

	Onboarding *time.Duration // how long from now on unknown recipients are refused for now only; 0 ends it
	Hold       *time.Duration // how long mail for it is kept in the queue; 0 for the installation's
	Proved     *bool          // the operator's word that its ownership is shown
}

// Installation is what counts as ourselves.
type Installation struct {
	Hostname      string
	RoutingDomain string
	Addresses     []netip.Addr
	Listeners     []netip.AddrPort // SMTP listeners
}

const (
	maxHold       = 30 * 24 * time.Hour
	maxOnboarding = 30 * 24 * time.Hour
	maxGateways   = 100
)

// New makes a domain as it is before anything is chosen for it.
func New(id string, owner account.ID, name string, at time.Time) directory.Domain {
	at = at.Truncate(time.Second)
	return directory.Domain{ID: id, Account: owner, Name: name, Mode: directory.ModeLocal, ModeSince: at, Zone: directory.ZoneExternal, Created: at}
}

// Settle writes settings into a domain and checks that they fit together with what it has.
func (in *Installation) Settle(actor rights.Actor, d *directory.Domain, set Domain, now time.Time) error {
	if set.Proved != nil && (*set.Proved != d.Proved || d.Proved && d.Proof.By != directory.ProofOperator) {
		if err := actor.MustOperate("say that ownership of a domain is shown"); err != nil {
			return err
		}
		d.Proved = *set.Proved
		d.Proof = directory.Proof{TXTOnly: d.Proof.TXTOnly}
		if d.Proved {
			d.Proof = directory.Proof{By: directory.ProofOperator, At: now.Truncate(time.Second), TXTOnly: d.Proof.TXTOnly}
		}
	}
	if set.Mode != nil {
		if err := choose(d, *set.Mode, now); err != nil {
			return err
		}
	}
	if set.Zone != nil {
		switch z := directory.ZoneHosting(*set.Zone); z {
		case directory.ZoneHosted, directory.ZoneExternal:
			d.Zone = z
		default:
			return words.Invalid("Zone hosting is "+words.Quote(*set.Zone)+".", "hosted or external")
		}
	}
	if set.Hold != nil {
		if *set.Hold < 0 || *set.Hold > maxHold {
			return words.Invalid("Mail of a domain is held for at most 30 days.", "")
		}
		d.Hold = *set.Hold
	}
	if err := in.settleRoute(actor, d, set, now); err != nil {
		return err
	}
	return fit(d, set)
}

// choose changes the mode. Until public DNS has been asked, auto goes on with the mode there was.
func choose(d *directory.Domain, text string, now time.Time) error {
	mode := directory.Mode(text)
	modes := []directory.Mode{directory.ModeAuto, directory.ModeLocal, directory.ModeSplit, directory.ModeBackup, directory.ModeRelay, directory.ModeRemote}
	if !slices.Contains(modes, mode) {
		return words.Invalid("The mode is "+words.Quote(text)+".", "auto follows public DNS, local delivers here, split delivers here what is known here, "+
			"backup holds mail for the domain's own server, relay hands on to a next hop, remote leaves mail to others")
	}
	if d.Mode == mode {
		return nil
	}
	before := d.Effective()
	d.Mode, d.ModeSince, d.Auto, d.AutoSince = mode, now.Truncate(time.Second), "", time.Time{}
	if mode == directory.ModeAuto {
		d.Auto, d.AutoSince = before, d.ModeSince
		if before == directory.ModeSplit || before == directory.ModeRelay {
			d.Auto = directory.ModeBackup // of what it knows nothing it refuses nothing for good
		}
	}
	return nil
}

// settleRoute writes what says where mail goes, who may bring it, and how its recipients are judged.
func (in *Installation) settleRoute(actor rights.Actor, d *directory.Domain, set Domain, now time.Time) error {
	if set.NextHops != nil {
		hops, err := in.NextHops(actor, *set.NextHops)
		if err != nil {
			return err
		}
		d.NextHops = hops
	}
	if set.Recipients != nil {
		switch r := directory.RecipientPolicy(*set.Recipients); r {
		case directory.RecipientsProbe, directory.RecipientsList, directory.RecipientsAccept:
			d.Recipients = r
		default:
			return words.Invalid("The recipient policy is "+words.Quote(*set.Recipients)+".", "probe asks the domain's own server, list believes a list, accept takes every recipient")
		}
	}
	if set.Unreachable != nil {
		switch u := directory.UnreachablePolicy(*set.Unreachable); u {
		case directory.UnreachableQueue, directory.UnreachableDefer, "":
			d.Unreachable = u
		default:
			return words.Invalid("What is done while the domain's own server cannot be asked is "+words.Quote(*set.Unreachable)+".", "queue takes the recipient, 450 refuses it for now")
		}
	}
	if set.Dual != nil {
		d.Dual = *set.Dual
	}
	if set.Gateways != nil {
		networks, err := Gateways(*set.Gateways)
		if err != nil {
			return err
		}
		d.Gateways = networks
	}
	if err := settleJudging(actor, d, set); err != nil {
		return err
	}
	if set.Onboarding != nil {
		if *set.Onboarding < 0 || *set.Onboarding > maxOnboarding {
			return words.Invalid("The onboarding window of a domain is at most 30 days long.", "")
		}
		d.Onboarding = time.Time{}
		if *set.Onboarding > 0 {
			d.Onboarding = now.Add(*set.Onboarding).Truncate(time.Second)
		}
	}
	return nil
}

// Gateways reads networks. A single address is a network of one; "none" alone is no network.
func Gateways(list []string) ([]netip.Prefix, error) {
	if len(list) == 1 && list[0] == "none" {
		return nil, nil
	}
	if len(list) > maxGateways {
		return nil, words.Invalid("There are "+strconv.Itoa(len(list))+" gateways.", "at most "+strconv.Itoa(maxGateways))
	}
	out := make([]netip.Prefix, 0, len(list))
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if a, single := netip.ParseAddr(text); single == nil && a.Zone() == "" {
			p, err = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
		}
		if err != nil || p.Addr().Is4In6() {
			return nil, words.Invalid("The gateway "+words.Quote(text)+" is no network.", "write 192.0.2.0/24, 2001:db8::/32 or a single address; none alone lets everybody deliver")
		}
		if p.Bits() == 0 {
			return nil, words.Invalid("The gateway "+p.String()+" is everybody.", "say none to let everybody deliver")
		}
		if p = p.Masked(); !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

// ShowNetwork writes a network as people name it: a single address without its length.
func ShowNetwork(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// ShowNetworks writes networks as people name them.
func ShowNetworks(list []netip.Prefix) []string {
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = ShowNetwork(p)
	}
	return out
}

// Admitted says who may deliver mail for a domain from outside.
func Admitted(d *directory.Domain) string {
	if len(d.Gateways) == 0 {
		return "Everybody may deliver mail for " + words.Show(d.Name) + "."
	}
	return "From outside only " + strings.Join(ShowNetworks(d.Gateways), ", ") + " may deliver mail for " + words.Show(d.Name) + "; all others are refused for now."
}

// fit holds settings against the mode. What was chosen just now and does not fit is refused, what is left of another
// mode is dropped.
func fit(d *directory.Domain, set Domain) error {
	judged := set.Recipients != nil || set.Unreachable != nil && *set.Unreachable != ""
	hops := set.NextHops != nil && len(d.NextHops) > 0
	switch d.Mode {
	case directory.ModeRelay:
		if len(d.NextHops) == 0 {
			return words.Invalid("Mode relay needs a next hop.", "name the domain's own server with --next-hop HOST:PORT, or --next-hop lmtp://HOST:PORT")
		}
	case directory.ModeLocal:
		if hops && !d.Dual {
			return words.Invalid("Mode local delivers here and has no next hop.", "say --mode relay to hand mail on, or --dual to send a copy there")
		}
		if judged {
			return words.Invalid("Mode local knows its recipients.", "--recipients and --unreachable are for the modes split, backup and relay")
		}
		if !d.Dual {
			d.NextHops = nil
		}
		d.Recipients, d.Unreachable = "", ""
	case directory.ModeAuto:
		if hops {
			return words.Invalid("Mode auto goes by public DNS and has no next hop.", "say --mode backup, split or relay to name one")
		}
		if len(d.Gateways) > 0 {
			return words.Invalid("Mode auto goes by public DNS, which names the gateways and not this installation.", "say --gateway none, or choose local, split, backup or relay")
		}
		d.NextHops = nil
	case directory.ModeRemote:
		if judged {
			return words.Invalid("Mode remote takes no mail from strangers.", "--recipients and --unreachable are for the modes split, backup and relay")
		}
		if set.Gateways != nil && len(d.Gateways) > 0 {
			return words.Invalid("Mode remote takes no mail from strangers.", "gateways are for the modes local, split, backup and relay")
		}
		if set.Onboarding != nil && !d.Onboarding.IsZero() {
			return words.Invalid("Mode remote has no recipients of its own.", "choose another mode first; --onboarding is for a domain that is moved here")
		}
		d.Gateways, d.Onboarding = nil, time.Time{} // how recipients are judged still counts in the leaving window
	case directory.ModeSplit, directory.ModeBackup:
	}
	return fitMore(d, set)
}

func fitMore(d *directory.Domain, set Domain) error {
	if d.Mode != directory.ModeLocal && d.Mode != directory.ModeAuto {
		if set.Dual != nil && d.Dual {
			return words.Invalid("Mode "+string(d.Mode)+" sends no second copy.", "dual delivery is for mode local, and for auto while it is local")
		}
		d.Dual = false
	}
	if set.Unreachable != nil && *set.Unreachable != "" && d.Verification() == directory.RecipientsAccept {
		return words.Invalid("Every recipient is taken: nobody is asked.", "say --recipients probe with --unreachable")
	}
	return nil
}

package settings

import (
	"slices"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/proto/idna"
	"postroad/internal/service/control/words"
)

// Info is a domain as listings show it.
type Info struct {
	Name          string     `json:"name" doc:"A-label, lower case"`
	Unicode       string     `json:"unicode,omitempty" doc:"As people read it, when that differs"`
	Account       account.ID `json:"account"`
	Proved        bool       `json:"proved" doc:"Ownership is shown; a domain that is not proved delivers nothing here"`
	ProofBy       string     `json:"proof_by,omitempty" doc:"How ownership was shown: operator, txt or delegation"`
	ProofAt       *time.Time `json:"proof_at,omitempty" doc:"When that was seen last"`
	ProofLostAt   *time.Time `json:"proof_lost_at,omitempty" doc:"When the proof was found to be gone"`
	ProofEndsAt   *time.Time `json:"proof_ends_at,omitempty" doc:"When the domain becomes inert for that"`
	Mode          string     `json:"mode" doc:"Routing mode as chosen"`
	ModeSince     *time.Time `json:"mode_since,omitempty" doc:"When it was chosen"`
	EffectiveMode string     `json:"effective_mode" doc:"Routing mode by which mail is routed; inert without proof"`
	Since         *time.Time `json:"effective_since,omitempty" doc:"Since when it has been so; absent when that is not known"`
	Arrangement   string     `json:"arrangement" enum:"FULL,EMAIL,PARTIAL,none"`
	Zone          string     `json:"zone" enum:"hosted,external"`
	NextHops      []string   `json:"next_hops,omitempty" doc:"host:port, or lmtp://host:port and lmtp:///socket, in the order in which they are tried"`
	OperatorHops  bool       `json:"operator_hops,omitempty" doc:"The operator named the next hops, which may then be private addresses"`
	Recipients    string     `json:"recipients,omitempty" doc:"How recipients unknown here are judged: probe, list or accept; absent where nobody asks"`
	Unreachable   string     `json:"unreachable,omitempty" doc:"What becomes of them while the domain's own server cannot be asked: queue or 450"`
	Dual          bool       `json:"dual,omitempty" doc:"A copy of what is delivered here goes to better exchangers or to the next hops"`
	Gateways      []string   `json:"gateways,omitempty" doc:"Networks that alone may deliver from outside"`
	Judge         string     `json:"judge" enum:"enforce,note,off" doc:"What is done with what is found out about strangers' mail"`
	SPFFail       string     `json:"spf_fail" enum:"accept,quarantine,reject" doc:"What is done with mail that fails SPF and that DMARC does not stand for"`
	Unchecked     string     `json:"unchecked" enum:"accept,450" doc:"What is done with mail that cannot be checked while DNS does not answer"`
	Forwarders    []string   `json:"forwarders,omitempty" doc:"Trusted forwarders: the customer's own servers that forward to us"`
	Primary       string     `json:"primary,omitempty" doc:"Domain at which its users have their mail; absent for what follows from its name"`
	Onboarding    *time.Time `json:"onboarding_until,omitempty" doc:"Until then unknown recipients are refused for now only"`
	LeavingUntil  *time.Time `json:"leaving_until,omitempty" doc:"Until then mail from strangers is still taken and handed on"`
	LeavingFrom   string     `json:"leaving_from,omitempty" doc:"The effective mode before"`
	HoldSeconds   int64      `json:"hold_seconds,omitempty" doc:"How long its mail is kept in the queue; absent for the installation's time"`
	ExchangerSet  string     `json:"exchanger_set,omitempty" doc:"Id of the exchanger set that it follows"`
	NameServerSet string     `json:"nameserver_set,omitempty" doc:"Id of the name-server set that its zone follows"`
	Created       time.Time  `json:"created"`
}

// The arrangements (docs/requirements.md, S1): who answers for the zone and where the mail is.
const (
	Full          = "FULL"    // zone and mail are here
	Email         = "EMAIL"   // all mail is here, the zone is not
	Partial       = "PARTIAL" // some mailboxes are here
	NoArrangement = "none"    // no mailbox here gets mail
)

// Inert is shown as the effective mode of a domain that is not proved.
const Inert = "inert"

// Show gives a domain as listings show it.
func Show(d *directory.Domain, now time.Time) Info {
	mode := d.Effective()
	info := Info{
		Name: d.Name, Account: d.Account, Proved: d.Proved, Mode: string(d.Mode), ModeSince: known(d.ModeSince), EffectiveMode: string(mode),
		Since: known(later(d.ModeSince, d.AutoSince)), Arrangement: NoArrangement, Zone: string(d.Zone), NextHops: ShowHops(d.NextHops), Dual: d.Dual,
		Onboarding: ahead(d.Onboarding, now), HoldSeconds: int64(d.Hold / time.Second), Created: d.Created,
		ExchangerSet: d.ExchangerSet, NameServerSet: d.NameServerSet,
	}
	info.ProofBy, info.ProofAt, info.ProofLostAt, info.ProofEndsAt = d.Proof.By, known(d.Proof.At), known(d.Proof.Lost), known(d.Proof.Ends())
	judging := d.Judging.Effective()
	info.Judge, info.SPFFail, info.Unchecked, info.Forwarders = string(judging.Mode), string(judging.SPFFail), string(judging.Unchecked), ShowForwarders(d.Forwarders)
	info.Primary = d.Primary
	info.OperatorHops = len(d.NextHops) > 0 && d.NextHops[0].Operator
	if u := idna.ToUnicode(d.Name); u != d.Name {
		info.Unicode = u
	}
	for _, p := range d.Gateways {
		info.Gateways = append(info.Gateways, p.String())
	}
	if mode == directory.ModeRemote {
		if info.LeavingUntil = ahead(d.Leaving.Until, now); info.LeavingUntil != nil {
			info.LeavingFrom = string(d.Leaving.From)
		}
	}
	if asks(d) || info.LeavingUntil != nil {
		info.Recipients = string(d.Verification())
		if d.Verification() == directory.RecipientsProbe {
			info.Unreachable = string(directory.UnreachableDefer)
			if d.Queues() {
				info.Unreachable = string(directory.UnreachableQueue)
			}
		}
	}
	switch {
	case !d.Proved:
		info.EffectiveMode = Inert
	case mode == directory.ModeLocal && d.Zone == directory.ZoneHosted:
		info.Arrangement = Full
	case mode == directory.ModeLocal:
		info.Arrangement = Email
	case mode == directory.ModeSplit:
		info.Arrangement = Partial
	}
	return info
}

// asks reports whether there may be recipients that are not known here and are judged.
func asks(d *directory.Domain) bool {
	return slices.Contains([]directory.Mode{directory.ModeSplit, directory.ModeBackup, directory.ModeRelay, directory.ModeAuto}, d.Mode)
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func ahead(t, now time.Time) *time.Time {
	if !now.Before(t) {
		return nil
	}
	return &t
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Describe says where a domain's mail goes, as the part of a sentence.
func Describe(d *directory.Domain) string {
	if d.Mode == directory.ModeAuto {
		return "public DNS decides, and at present " + describe(d)
	}
	return describe(d)
}

func describe(d *directory.Domain) string {
	to := func(otherwise string) string {
		if len(d.NextHops) == 0 {
			return otherwise
		}
		return strings.Join(ShowHops(d.NextHops), ", then ")
	}
	switch d.Effective() {
	case directory.ModeLocal:
		if d.Dual {
			return "its mail is delivered here, and a copy goes to " + to("exchangers better than ours")
		}
		return "its mail is delivered here"
	case directory.ModeSplit:
		return "what has a mailbox or an address here is delivered here, all other mail goes to " + to("its other exchangers")
	case directory.ModeBackup:
		return "its mail is held here and handed on to " + to("exchangers better than ours")
	case directory.ModeRelay:
		return "its mail is handed on to " + to("nowhere")
	case directory.ModeRemote:
		if len(d.NextHops) > 0 {
			return "its mail is received elsewhere; our own users' goes to " + to("")
		}
		return "its mail is received elsewhere; our own users' goes by its MX records"
	case directory.ModeAuto: // an effective mode is never auto
	}
	return ""
}

// Why tells why the effective mode is what it is.
func Why(d *directory.Domain) string {
	switch {
	case d.Mode != directory.ModeAuto:
		return "The mode was chosen."
	case d.Auto == "":
		return "Mode auto was chosen, and public DNS has told nothing yet."
	}
	return "Mode auto was chosen, and public DNS says " + string(d.Auto) + "."
}

// Stranded counts the mailboxes of a domain that get no mail because it goes elsewhere.
func Stranded(snap *directory.Snapshot, name string) int {
	d, ok := snap.Domain(name)
	if !ok || !d.Proved || d.Effective() != directory.ModeRemote && d.Effective() != directory.ModeBackup {
		return 0
	}
	n := 0
	for range snap.Mailboxes(name) {
		n++
	}
	return n
}

// Stranding gives what is found of stranded mailboxes in domains after a change, and what is so no longer.
func Stranding(before, after *directory.Snapshot, domains []string, now time.Time) (put, drop []finding.Finding) {
	slices.Sort(domains)
	for _, name := range slices.Compact(domains) {
		f := finding.Finding{Name: finding.StrandedMailboxes, Domain: name, Since: now}
		d, there := after.Domain(name)
		if n := Stranded(after, name); n > 0 {
			f.Evidence = words.Plural(int64(n), "mailbox", "mailboxes") + " here, mode " + string(d.Effective())
			put = append(put, f)
		} else if there && Stranded(before, name) > 0 {
			drop = append(drop, f)
		}
	}
	return put, drop
}

// Same reports whether two states of a domain are the same in all that can be chosen.
func Same(a, b *directory.Domain) bool {
	return a.Proved == b.Proved && a.Proof.By == b.Proof.By && a.Proof.Lost.Equal(b.Proof.Lost) && a.Mode == b.Mode && a.Auto == b.Auto && a.Zone == b.Zone && slices.Equal(a.NextHops, b.NextHops) &&
		a.Recipients == b.Recipients && a.Unreachable == b.Unreachable && a.Dual == b.Dual && slices.Equal(a.Gateways, b.Gateways) &&
		a.Onboarding.Equal(b.Onboarding) && a.Leaving == b.Leaving && a.Hold == b.Hold &&
		a.ExchangerSet == b.ExchangerSet && a.NameServerSet == b.NameServerSet &&
		a.Judging.Effective() == b.Judging.Effective() && slices.Equal(a.Forwarders, b.Forwarders) && a.Primary == b.Primary
}

// Changed tells, as sentences, which settings besides the route differ.
func Changed(a, b *directory.Domain) []string {
	var out []string
	name := words.Show(b.Name)
	if asks(b) && (!asks(a) || a.Verification() != b.Verification()) {
		switch b.Verification() {
		case directory.RecipientsProbe:
			out = append(out, "Recipients of "+name+" that are not known here are asked for at its own server.")
		case directory.RecipientsList:
			out = append(out, "Recipients of "+name+" that are not known here are taken if its list has them.")
		case directory.RecipientsAccept:
			out = append(out, "Every recipient of "+name+" is taken, and its own server judges.")
		}
	}
	if asks(b) && b.Verification() == directory.RecipientsProbe && (!asks(a) || a.Queues() != b.Queues()) {
		if b.Queues() {
			out = append(out, "While that server cannot be asked, recipients of whom nothing is known are taken and queued.")
		} else {
			out = append(out, "While that server cannot be asked, recipients of whom nothing is known are refused for now (450).")
		}
	}
	if !slices.Equal(a.Gateways, b.Gateways) {
		out = append(out, Admitted(b))
	}
	out = append(out, changedJudging(a, b)...)
	if a.Primary != b.Primary {
		out = append(out, "Users of "+name+" have their mail at "+words.Show(b.UsersAt())+", which is to forward it here.")
	}
	if !a.Onboarding.Equal(b.Onboarding) {
		if b.Onboarding.IsZero() {
			out = append(out, "Unknown recipients of "+name+" are refused for good from now on.")
		} else {
			out = append(out, "Unknown recipients of "+name+" are refused for now only, until "+words.When(b.Onboarding)+".")
		}
	}
	if a.Hold != b.Hold {
		out = append(out, "Mail for "+name+" is kept in the queue for "+holdWords(b.Hold)+".")
	}
	if a.Zone != b.Zone {
		out = append(out, "Its zone is "+string(b.Zone)+".")
	}
	return out
}

func holdWords(d time.Duration) string {
	if d == 0 {
		return "the installation's time"
	}
	return d.String()
}

package domains

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/core/zone"
	"postroad/internal/proto/idna"
	"postroad/internal/service/control/inspect"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/settings"
	"postroad/internal/service/control/words"
)

// Addresses looks hosts up.
type Addresses interface {
	// Addrs asks for the addresses of a host.
	Addrs(ctx context.Context, host string) facts.AddrAnswer
}

// GatewayInfo is a gateway as listings show it.
type GatewayInfo struct {
	Domain  string `json:"domain"`
	Gateway string `json:"gateway" doc:"Address or network"`
	// Set says who says so.
	Set string `json:"exchanger_set,omitempty" doc:"Name of the exchanger set that says so; absent: the domain says it itself"`
}

// GatewayReport tells whether a domain's mail comes through its gateways.
type GatewayReport struct {
	Domain      string              `json:"domain"`
	Gateways    []GatewayInfo       `json:"gateways" nullable:"false"`
	Sentences   []string            `json:"sentences" nullable:"false" doc:"What holds, and what is not right"`
	Exchangers  []GatewayExchanger  `json:"exchangers" nullable:"false" doc:"The servers that public DNS names for the domain's mail, best first"`
	Bypassed    *FindingInfo        `json:"bypassed,omitempty" doc:"Who was refused for coming around the gateways; absent: nobody lately"`
	Suggestions []GatewaySuggestion `json:"suggestions" nullable:"false"`
}

// GatewayExchanger is a server that public DNS names for a domain's mail.
type GatewayExchanger struct {
	Host       string   `json:"host"`
	Preference uint16   `json:"preference"`
	Addresses  []string `json:"addresses" nullable:"false"`
	Here       bool     `json:"here" doc:"It is this installation"`
	Gateway    bool     `json:"gateway" doc:"All of its addresses are gateways of the domain"`
}

// GatewaySuggestion is a gateway that the domain may have. Whether it is one only people know.
type GatewaySuggestion struct {
	Reason  string `json:"reason"`
	Command string `json:"command"`
}

// Gateways lists the gateways of a domain.
func (a *Access) Gateways(actor rights.Actor, st *rights.State, domain string) ([]GatewayInfo, error) {
	d, err := actor.Domain(st, domain)
	if err != nil {
		return nil, err
	}
	return gateways(st, d), nil
}

func gateways(st *rights.State, d *directory.Domain) []GatewayInfo {
	from := ""
	if set, follows := st.Sets.ExchangerSet(d.ExchangerSet); follows && slices.Equal(set.Gateways, d.Gateways) {
		from = set.Name
	}
	out := make([]GatewayInfo, 0, len(d.Gateways))
	for _, g := range d.Gateways {
		out = append(out, GatewayInfo{Domain: d.Name, Gateway: settings.ShowNetwork(g), Set: from})
	}
	return out
}

// PlanGatewayAdd plans that a server may deliver for a domain, and with the first one that nobody else may. A host is
// looked up once: its addresses are what may deliver.
func (a *Access) PlanGatewayAdd(ctx context.Context, actor rights.Actor, st *rights.State, domain, gateway string) (plan.Plan, error) {
	d, err := actor.Domain(st, domain)
	if err != nil {
		return plan.Plan{}, err
	}
	wanted, err := a.networks(ctx, gateway)
	if err != nil {
		return plan.Plan{}, err
	}
	list := settings.ShowNetworks(d.Gateways)
	for _, g := range wanted {
		if !slices.Contains(list, g) {
			list = append(list, g)
		}
	}
	if len(list) == len(d.Gateways) {
		return plan.Plan{}, words.Exists(strings.Join(wanted, " and ")+" may deliver mail for "+words.Show(d.Name)+" already.", "")
	}
	p, err := a.PlanSet(ctx, actor, st, domain, DomainSettings{Gateways: &list})
	if err != nil {
		return plan.Plan{}, err
	}
	if _, err := netip.ParseAddr(gateway); err != nil && !strings.Contains(gateway, "/") {
		p.Say("%s leads to %s now: that is what may deliver. When its addresses change, they are to be added.", strings.TrimSuffix(gateway, "."), strings.Join(wanted, ", "))
	}
	return p, nil
}

// PlanGatewayRemove plans that a server may deliver for a domain no more; without the last one everybody may.
func (a *Access) PlanGatewayRemove(ctx context.Context, actor rights.Actor, st *rights.State, domain, gateway string) (plan.Plan, error) {
	d, err := actor.Domain(st, domain)
	if err != nil {
		return plan.Plan{}, err
	}
	gone, err := a.networks(ctx, gateway)
	if err != nil {
		return plan.Plan{}, err
	}
	list := slices.DeleteFunc(settings.ShowNetworks(d.Gateways), func(g string) bool { return slices.Contains(gone, g) })
	if len(list) == len(d.Gateways) {
		return plan.Plan{}, words.Missing(strings.Join(gone, " and ") + " is no gateway of " + words.Show(d.Name) + ".")
	}
	return a.PlanSet(ctx, actor, st, domain, DomainSettings{Gateways: &list})
}

// lookUpTime is how long a plan waits for the addresses of a gateway.
const lookUpTime = 5 * time.Second

// networks reads an address or a network, or gives the addresses of a host, as they are listed.
func (a *Access) networks(ctx context.Context, gateway string) ([]string, error) {
	if _, err := netip.ParseAddr(gateway); err == nil || strings.Contains(gateway, "/") || gateway == zone.None {
		list, err := settings.Gateways([]string{gateway})
		if err == nil && len(list) == 0 {
			err = words.Invalid(words.Quote(gateway)+" is no gateway.", "name its address or network; postroad gateway remove takes one away")
		}
		return settings.ShowNetworks(list), err
	}
	host, err := idna.ToASCII(strings.TrimSuffix(gateway, "."))
	if err != nil || !strings.Contains(host, ".") || a.Addresses == nil {
		return nil, words.Invalid(words.Quote(gateway)+" is no host, address or network.", "write filter.example.net, 192.0.2.25, 2001:db8::25 or 192.0.2.0/28")
	}
	ctx, cancel := context.WithTimeout(ctx, lookUpTime)
	defer cancel()
	answer := a.Addresses.Addrs(ctx, host)
	var out []string
	for _, addr := range answer.Addrs {
		if addr = addr.Unmap(); !addr.IsUnspecified() && !slices.Contains(out, addr.String()) {
			out = append(out, addr.String())
		}
	}
	switch {
	case len(out) > 0 && !answer.Partial:
		return out, nil
	case answer.Status == facts.Temporary || answer.Partial:
		return nil, words.Invalid("DNS does not say now which addresses "+words.Quote(gateway)+" has.", "name its addresses, or try again")
	}
	return nil, words.Invalid("DNS knows no address of "+words.Quote(gateway)+".", "name the addresses from which the gateway delivers")
}

// GatewayReport tells whether a domain's mail comes through its gateways, and which it may lack.
func (a *Access) GatewayReport(ctx context.Context, actor rights.Actor, st *rights.State, domain string) (GatewayReport, error) {
	d, err := actor.Domain(st, domain)
	if err != nil {
		return GatewayReport{}, err
	}
	out := GatewayReport{Domain: d.Name, Gateways: gateways(st, d), Exchangers: []GatewayExchanger{}, Suggestions: []GatewaySuggestion{}}
	found, err := a.Findings(ctx, actor, st, d.Name)
	if err != nil {
		return GatewayReport{}, err
	}
	if i := slices.IndexFunc(found, func(f FindingInfo) bool { return f.Name == finding.GatewayBypassed }); i >= 0 {
		out.Bypassed = &found[i]
	}
	out.Sentences = []string{settings.Admitted(d)}
	reach := a.Explainer.Reach(ctx, st.Directory, d)
	for i := range reach.Servers {
		out.Exchangers = append(out.Exchangers, exchanger(d, &reach.Servers[i]))
	}
	out.judge(d, &reach)
	out.suggest(actor, st, d)
	return out, nil
}

func exchanger(d *directory.Domain, s *inspect.Server) GatewayExchanger {
	x := GatewayExchanger{Host: s.Host, Preference: s.Preference, Addresses: []string{}, Here: s.Ours, Gateway: len(d.Gateways) > 0 && len(s.Addrs) > 0}
	for _, addr := range s.Addrs {
		x.Addresses = append(x.Addresses, addr.Unmap().String())
		x.Gateway = x.Gateway && d.Admits(addr)
	}
	return x
}

// judge says what public DNS and the gateways have to do with one another.
func (r *GatewayReport) judge(d *directory.Domain, reach *inspect.Reach) {
	say := func(text string) { r.Sentences = append(r.Sentences, text) }
	switch mode := d.Effective(); {
	case d.Mode == directory.ModeAuto || mode == directory.ModeRemote:
		say("Mode " + string(d.Mode) + " takes no gateways: they are for the modes local, split, backup and relay.")
	case len(d.Gateways) == 0 && !reach.Known:
		say("Public DNS gives no answer just now: whether a filter stands before the domain is not known.")
	case !reach.Asked || !reach.Known:
		say("Public DNS gives no answer just now: whether it leads to the gateways is not known.")
	case len(d.Gateways) == 0:
	default:
		for _, x := range r.Exchangers {
			switch {
			case x.Here:
				say("Public DNS names this installation (" + x.Host + ") as well: who sends there goes around the gateways and is refused for now. Its MX record is to go: postroad mx remove " + d.Name + " " + x.Host)
			case !x.Gateway:
				say(x.Host + " takes the domain's mail by public DNS, and not all of its addresses are gateways. A filter may send from others than it receives at; its operator knows them.")
			}
		}
	}
	if r.Bypassed != nil {
		say(r.Bypassed.Sentence)
	}
}

// suggest names sets and addresses that public DNS has in front of a domain whose mail is delivered here.
func (r *GatewayReport) suggest(actor rights.Actor, st *rights.State, d *directory.Domain) {
	if len(d.Gateways) == 0 && !d.Keeps() || d.Mode == directory.ModeAuto {
		return
	}
	named := func(host string) bool {
		return slices.ContainsFunc(r.Exchangers, func(x GatewayExchanger) bool { return !x.Here && strings.EqualFold(x.Host, host) })
	}
	for _, s := range st.Sets.ExchangerSets() {
		mine := s.Account == account.Operator || actor.Scope.Has(s.Account)
		if mine && s.ID != d.ExchangerSet && len(s.Gateways) > 0 && slices.ContainsFunc(s.Exchangers, func(x zone.Exchanger) bool { return named(x.Host) }) {
			r.Suggestions = append(r.Suggestions, GatewaySuggestion{
				Reason:  "Public DNS names an exchanger of the exchanger set " + s.Name + ", which knows from where it delivers.",
				Command: "postroad domain set " + d.Name + " --exchanger-set " + s.Name,
			})
		}
	}
	for _, x := range r.Exchangers {
		if x.Here {
			continue
		}
		for _, addr := range x.Addresses {
			if a, err := netip.ParseAddr(addr); err != nil || len(d.Gateways) > 0 && d.Admits(a) {
				continue
			}
			r.Suggestions = append(r.Suggestions, GatewaySuggestion{
				Reason:  "Public DNS sends the domain's mail to " + x.Host + " [" + addr + "], which is not this installation.",
				Command: "postroad gateway add " + d.Name + " " + addr,
			})
		}
	}
}

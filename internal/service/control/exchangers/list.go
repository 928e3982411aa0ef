package exchangers

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"postroad/internal/core/facts"
	"postroad/internal/core/zone"
	"postroad/internal/service/control/rights"
)

// Listing is the exchangers of a name: those that its zone has, or those to enter where its zone is.
type Listing struct {
	Domain     string  `json:"domain"`
	Owner      string  `json:"owner" doc:"The name that they are the exchangers of, in full"`
	Zone       string  `json:"zone" enum:"hosted,external" doc:"hosted: these are the records of the zone here; external: these are the records to enter where the zone is"`
	Set        string  `json:"exchanger_set,omitempty" doc:"Name of the set that they come from; absent when they are written by hand"`
	Pending    bool    `json:"pending,omitempty" doc:"Nothing of the zone but SOA and NS is answered until the domain's ownership is shown"`
	Serial     uint32  `json:"serial,omitempty" doc:"Of the zone that is hosted here"`
	Exchangers []Entry `json:"exchangers" nullable:"false" doc:"Best first"`
	Enter      []Enter `json:"enter,omitempty" doc:"What to enter where the zone is, part by part and whole"`
	Public     string  `json:"public,omitempty" doc:"What public DNS says now"`
	Matches    bool    `json:"matches" doc:"Public DNS names these exchangers and no others"`
}

// Entry is one exchanger.
type Entry struct {
	Preference uint16 `json:"preference" doc:"The lower one is tried first; equal ones share the mail"`
	Host       string `json:"host" doc:"A dot alone says that the name takes no mail"`
	Role       string `json:"role" enum:"primary,backup,null"`
	Finding    string `json:"finding,omitempty" doc:"What is wrong with it, by the zone itself"`
	Sentence   string `json:"sentence,omitempty" doc:"The same in plain words, with the fix"`
}

// Enter is one record to enter where a zone is.
type Enter struct {
	Type        string `json:"type" enum:"MX,TXT"`
	Owner       string `json:"owner" doc:"As most panels want it: @ for the zone's own name"`
	Name        string `json:"name" doc:"The owner in full, for panels that want it so"`
	Parent      string `json:"parent,omitempty" doc:"The zone above, for a name that is no zone of its own"`
	ParentOwner string `json:"parent_owner,omitempty" doc:"The owner in the zone above"`
	Preference  *int   `json:"preference,omitempty" doc:"Of an MX record, also called priority"`
	Target      string `json:"target,omitempty" doc:"Of an MX record, also called destination, without the last dot"`
	Value       string `json:"value,omitempty" doc:"Of a TXT record"`
	Line        string `json:"line" doc:"The whole record as a line of a zone file"`
}

// List shows the exchangers of a name.
func (a *Access) List(ctx context.Context, actor rights.Actor, st *rights.State, name string) (Listing, error) {
	at, err := a.find(ctx, actor, st, name)
	if err != nil {
		return Listing{}, err
	}
	out := Listing{Domain: at.domain.Name, Owner: at.name(), Zone: string(at.domain.Zone), Exchangers: []Entry{}}
	var list []zone.Exchanger
	if at.hosted {
		list, out.Serial, out.Pending = at.zone.Exchangers(at.owner), at.zone.Serial, !at.domain.Proved
		if set, ok := st.Sets.ExchangerSet(at.domain.ExchangerSet); ok && at.apex() {
			out.Set = set.Name
		}
	} else if set, ok := st.Sets.Shown(at.domain.ExchangerSet, at.domain.Account); ok {
		list, out.Set, out.Enter = set.Exchangers, set.Name, publish(at.domain.Name, set.Exchangers, set.SPF)
	}
	for _, x := range list {
		e := Entry{Preference: x.Preference, Host: x.Host, Role: string(zone.RoleOf(list, x))}
		if fault, inside := at.zone.Target(x.Host); at.hosted && inside && fault != "" && !x.Null() {
			f := zone.TargetFault(fault, x.Host)
			e.Finding, e.Sentence = string(f.Finding), f.Error()
		}
		out.Exchangers = append(out.Exchangers, e)
	}
	if at.name() == at.domain.Name {
		mx, sentence := a.Public(ctx, st.Directory, at.domain)
		out.Public, out.Matches = sentence, matches(list, &mx)
	}
	return out, nil
}

// matches reports whether DNS names these exchangers and no others.
func matches(list []zone.Exchanger, mx *facts.MXAnswer) bool {
	if mx.Null {
		return len(list) == 1 && list[0].Null()
	}
	is := make([]zone.Exchanger, 0, len(mx.Records))
	for _, r := range mx.Records {
		is = append(is, zone.Exchanger{Preference: r.Preference, Host: r.Host})
	}
	zone.SortExchangers(is)
	return mx.Status == facts.Found && slices.Equal(list, is)
}

// publish is what to enter where a domain's zone is.
func publish(domain string, list []zone.Exchanger, spf string) []Enter {
	base := Enter{Owner: "@", Name: domain}
	if first, above, ok := strings.Cut(domain, "."); ok && strings.Contains(above, ".") {
		base.Parent, base.ParentOwner = above, first
	}
	out := make([]Enter, 0, len(list)+1)
	for _, x := range list {
		e := base
		preference := int(x.Preference)
		e.Type, e.Preference, e.Target = "MX", &preference, x.Host
		e.Line = fmt.Sprintf("%s. %d IN MX %d %s", domain, zone.DefaultTTL, x.Preference, absolute(x.Host))
		out = append(out, e)
	}
	if spf != "" {
		e := base
		e.Type, e.Value = "TXT", spf
		e.Line = fmt.Sprintf("%s. %d IN TXT %s", domain, zone.DefaultTTL, strconv.Quote(spf))
		out = append(out, e)
	}
	return out
}

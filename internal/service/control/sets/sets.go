// Package sets is exchanger sets, name-server sets and the exchangers of names as listings and audit entries show them.
package sets

import (
	"slices"

	"postroad/internal/core/account"
	"postroad/internal/core/zone"
)

// Set is an exchanger set as listings and audit entries show it.
type Set struct {
	ID         string           `json:"id"`
	Name       string           `json:"name"`
	Account    account.ID       `json:"account" doc:"Whose domains may follow it; the operator's may be followed by all"`
	Exchangers []zone.Exchanger `json:"exchangers" nullable:"false" doc:"Best first"`
	Gateways   []string         `json:"gateways,omitempty" doc:"Networks that alone may deliver for the domains that follow it; absent: anybody may"`
	SPF        string           `json:"spf,omitempty" doc:"SPF record of the domains that follow it; absent: the set says nothing of it"`
	Domains    int              `json:"domains" doc:"Number of domains that follow it, as far as the caller may know"`
}

// ShowSet gives an exchanger set as plans show it.
func ShowSet(s *zone.ExchangerSet) Set {
	out := Set{ID: s.ID, Name: s.Name, Account: s.Account, Exchangers: append([]zone.Exchanger{}, s.Exchangers...), SPF: s.SPF}
	for _, g := range s.Gateways {
		out.Gateways = append(out.Gateways, g.String())
	}
	return out
}

// SameSet reports whether a set says what is shown of it.
func SameSet(s *zone.ExchangerSet, shown *Set) bool {
	is := ShowSet(s)
	return is.SPF == shown.SPF && slices.Equal(is.Exchangers, shown.Exchangers) && slices.Equal(is.Gateways, shown.Gateways)
}

// Servers is a name-server set as listings and audit entries show it.
type Servers struct {
	ID      string     `json:"id"`
	Name    string     `json:"name"`
	Account account.ID `json:"account" doc:"Whose zones may follow it; the operator's may be followed by all"`
	Hosts   []string   `json:"hosts" nullable:"false" doc:"The first is the primary of the SOA records"`
	Domains int        `json:"domains" doc:"Number of domains that follow it, as far as the caller may know"`
}

// ShowServers gives a name-server set as plans show it.
func ShowServers(s *zone.NameServerSet) Servers {
	return Servers{ID: s.ID, Name: s.Name, Account: s.Account, Hosts: append([]string{}, s.Hosts...)}
}

// Records are the exchangers of a name as audit entries keep them.
type Records struct {
	Owner      string           `json:"owner" doc:"The name that they are the exchangers of"`
	Exchangers []zone.Exchanger `json:"exchangers" nullable:"false" doc:"Best first; a host that is a dot alone says that the name takes no mail"`
}

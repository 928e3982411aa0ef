package zone

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"postroad/internal/core/account"
)

// The sets that a domain follows when nobody has chosen another: those of its account by these names, else the
// operator's.
const (
	DefaultExchangerSet  = "direct"
	DefaultNameServerSet = "default"
)

// ExchangerSet is a named list of exchangers of ours that domains follow.
type ExchangerSet struct {
	ID      string // random, never reused
	Account account.ID
	Name    string // unique in its account
	// Exchangers are the MX entries of a domain that follows it, best first.
	Exchangers []Exchanger
	// Gateways are the networks that its exchangers deliver from: the only ones from which the mailbox hosts accept a
	// following domain's mail. None: anybody may deliver.
	Gateways []netip.Prefix
	// SPF is the SPF record of a domain that follows it (RFC 7208); empty: the set says nothing of it.
	SPF string
}

// NameServerSet is a named list of name servers for zones hosted here.
type NameServerSet struct {
	ID      string // random, never reused
	Account account.ID
	Name    string   // unique in its account
	Hosts   []string // A-labels without the last dot; the first is the primary of the SOA records
}

// Sets are all sets of an installation at one moment. The zero value has none. It is never changed.
type Sets struct {
	exchangers map[string]ExchangerSet
	servers    map[string]NameServerSet
}

// With gives the sets with some put, in the place of those of the same ids, and some removed by their ids.
func (s Sets) With(put []ExchangerSet, servers []NameServerSet, removed ...string) Sets {
	if len(put)+len(servers)+len(removed) == 0 {
		return s
	}
	out := Sets{exchangers: maps.Clone(s.exchangers), servers: maps.Clone(s.servers)}
	if out.exchangers == nil {
		out.exchangers, out.servers = map[string]ExchangerSet{}, map[string]NameServerSet{}
	}
	for _, id := range removed {
		delete(out.exchangers, id)
		delete(out.servers, id)
	}
	for _, set := range put {
		out.exchangers[set.ID] = set
	}
	for _, set := range servers {
		out.servers[set.ID] = set
	}
	return out
}

// ExchangerSet finds a set by its id.
func (s Sets) ExchangerSet(id string) (ExchangerSet, bool) {
	set, ok := s.exchangers[id]
	return set, ok
}

// NameServerSet finds a set by its id.
func (s Sets) NameServerSet(id string) (NameServerSet, bool) {
	set, ok := s.servers[id]
	return set, ok
}

// ExchangersFor finds the set of a name that an account's domains may follow: its own, else the operator's.
func (s Sets) ExchangersFor(owner account.ID, name string) (ExchangerSet, bool) {
	return named(s.exchangers, owner, func(set ExchangerSet) (account.ID, bool) { return set.Account, set.Name == name })
}

// Shown is the set whose values a domain is shown: the one that it follows, by id, else the default of its account.
func (s Sets) Shown(id string, owner account.ID) (ExchangerSet, bool) {
	if set, ok := s.ExchangerSet(id); ok {
		return set, true
	}
	return s.ExchangersFor(owner, DefaultExchangerSet)
}

// NameServersFor finds the set of a name that an account's zones may follow: its own, else the operator's.
func (s Sets) NameServersFor(owner account.ID, name string) (NameServerSet, bool) {
	return named(s.servers, owner, func(set NameServerSet) (account.ID, bool) { return set.Account, set.Name == name })
}

// named finds what the account has, else what the operator has.
func named[T any](all map[string]T, owner account.ID, match func(T) (account.ID, bool)) (found T, ok bool) {
	for _, set := range all {
		switch whose, matches := match(set); {
		case matches && whose == owner:
			return set, true
		case matches && whose == account.Operator:
			found, ok = set, true
		}
	}
	return found, ok
}

// ExchangerSets lists all sets by name, those of one name by account.
func (s Sets) ExchangerSets() []ExchangerSet {
	return slices.SortedFunc(maps.Values(s.exchangers), func(a, b ExchangerSet) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Account, b.Account))
	})
}

// NameServerSets lists all sets by name, those of one name by account.
func (s Sets) NameServerSets() []NameServerSet {
	return slices.SortedFunc(maps.Values(s.servers), func(a, b NameServerSet) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Account, b.Account))
	})
}

// maxSetName bounds the name of a set, in characters.
const maxSetName = 40

// SetName checks the name of a set. None is no name: it stands for following no set.
func SetName(name string) error {
	odd := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }
	if name == "" || len(name) > maxSetName || name == None || strings.ContainsFunc(name, odd) || strings.HasPrefix(name, "-") {
		return &FaultError{Sentence: "The name of the set is " + quoted(name) + ".", Hint: "lower-case letters, digits and hyphens, at most " + strconv.Itoa(maxSetName) + "; none stands for no set"}
	}
	return nil
}

// DefaultSPF is the SPF record of a set for which nobody has written one: it passes the exchangers and this
// installation, which sends for the domains that follow it, and leaves all others in doubt.
func DefaultSPF(list []Exchanger, hostname string) string {
	text := "v=spf1 mx"
	if hostname != "" && !slices.ContainsFunc(list, func(x Exchanger) bool { return x.Host == hostname }) {
		text += " a:" + hostname
	}
	return text + " ~all"
}

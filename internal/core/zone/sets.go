package zone

import (
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

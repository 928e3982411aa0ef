package settings

import (
	"strings"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Free refuses names that are taken, our own, or above or below somebody else's.
func (in *Installation) Free(actor rights.Actor, snap *directory.Snapshot, name string, owner account.ID) error {
	if d, taken := snap.Domain(name); taken {
		if actor.Scope.Has(d.Account) {
			return words.Exists("The domain "+words.Show(name)+" is here already.", "postroad domain set changes it")
		}
		return words.Exists("The domain "+words.Show(name)+" is not free.", "if it is yours, ask the operator")
	}
	if name == in.RoutingDomain {
		return words.Invalid("The domain "+words.Show(name)+" is that of the installation's routing addresses.", "")
	}
	if actor.Operator {
		return nil
	}
	if !strings.Contains(name, ".") {
		return words.Denied("Only the operator may add a domain without a dot: " + name + ".")
	}
	for _, own := range []string{in.Hostname, in.RoutingDomain} {
		if own != "" && (name == own || related(name, own)) {
			return words.Denied("The domain " + words.Show(name) + " holds names of this installation.")
		}
	}
	for d := range snap.Domains() {
		if d.Account != owner && !actor.Scope.Has(d.Account) && related(name, d.Name) {
			return words.Denied("The domain " + words.Show(name) + " is above or below one that belongs to somebody else.")
		}
	}
	return nil
}

// related reports whether one name is a proper subdomain of the other.
func related(a, b string) bool {
	return strings.HasSuffix(a, "."+b) || strings.HasSuffix(b, "."+a)
}

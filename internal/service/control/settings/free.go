package settings

import (
	"strings"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/proto/idna"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Free refuses names that are taken, our own, above or below somebody else's, or such that people take them for
// somebody else's.
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
	like := idna.Lookalike(name)
	for d := range snap.Domains() {
		switch {
		case d.Account == owner || actor.Scope.Has(d.Account):
		case related(name, d.Name):
			return words.Denied("The domain " + words.Show(name) + " is above or below one that belongs to somebody else.")
		case twins(name, like, d.Name):
			return words.Denied("The domain " + words.Show(name) + " looks like one that belongs to somebody else. If it is yours, ask the operator to add it.")
		}
	}
	return nil
}

// twins reports whether people may take a name, which looks like like, for another one, or for one above or below it.
func twins(name, like, other string) bool {
	otherLike := idna.Lookalike(other)
	if like == name && otherLike == other {
		return false // both are what they look like
	}
	return like == otherLike || related(like, otherLike)
}

// related reports whether one name is a proper subdomain of the other.
func related(a, b string) bool {
	return strings.HasSuffix(a, "."+b) || strings.HasSuffix(b, "."+a)
}

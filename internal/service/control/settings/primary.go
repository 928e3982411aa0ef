package settings

import (
	"strings"

	"postroad/internal/core/directory"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Primary writes at which domain the users of a domain have their mail. Probes go there, so that nobody but the operator names
// a stranger's: it is a domain above this one, this one itself, or one that the account has here.
func Primary(actor rights.Actor, snap *directory.Snapshot, d *directory.Domain, set Domain) error {
	if set.Primary == nil {
		return nil
	}
	if *set.Primary == "" || *set.Primary == "none" {
		d.Primary = ""
		return nil
	}
	name, err := words.DomainName(*set.Primary)
	if err != nil {
		return err
	}
	own, here := snap.Domain(name)
	switch {
	case name == d.Primary:
	case directory.Registry(name):
		return words.Invalid("Nobody has mail at "+words.Show(name)+": it is a registry's.", "name the domain of the users' addresses")
	case actor.Operator, name == d.Name, here && own.Proved && own.Account == d.Account:
	case snap.Elses(name, d.Account):
		return words.Denied("The domain " + words.Show(name) + " is another account's here.")
	case !strings.HasSuffix(d.Name, "."+name):
		return words.Denied("Whether " + words.Show(name) + " is yours is not known here: add it with mode remote and prove it, or ask the operator.")
	}
	d.Primary = name
	return nil
}

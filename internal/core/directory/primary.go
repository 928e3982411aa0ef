package directory

import (
	"slices"
	"strings"
)

// UsersAt is the domain at which the users of a domain have their mail, its primary: the one that was chosen, else the parent
// of a sub-domain, else the domain itself, some of whose mailboxes are elsewhere then.
func (d *Domain) UsersAt() string {
	if d.Primary != "" {
		return d.Primary
	}
	if _, parent, _ := strings.Cut(d.Name, "."); !Registry(parent) {
		return parent
	}
	return d.Name
}

// seconds are labels below which many countries' registries have customers' names.
var seconds = []string{"ac", "co", "com", "edu", "gob", "gov", "go", "gv", "ltd", "me", "mil", "ne", "net", "nom", "or", "org", "plc"}

// Registry reports whether a name is one below which a registry gives names to everybody, as far as its form tells.
func Registry(name string) bool {
	first, rest, found := strings.Cut(name, ".")
	return !found || len(rest) == 2 && slices.Contains(seconds, first)
}

package server

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Role is a part of the program that a node runs.
type Role string

// The roles.
const (
	// RoleReceive is SMTP as a server: the listeners for mail from strangers and from our own users.
	RoleReceive Role = "receive"
	// RoleDeliver is the queue's schedule and the agents that carry mail to its destinations. Without it queued mail
	// waits.
	RoleDeliver Role = "deliver"
	// RoleDNS is answering questions for the zones of hosted domains, over UDP and TCP.
	RoleDNS Role = "dns"
	// RoleIMAP is reading mail by IMAP.
	RoleIMAP Role = "imap"
	// RolePanel is the API on the http listeners. Without it they answer for health and metrics alone; the operator's
	// socket in the data folder is there in any case.
	RolePanel Role = "panel"
)

// AllRoles is what a node runs when nothing else is asked for.
func AllRoles() []Role {
	return []Role{RoleReceive, RoleDeliver, RoleDNS, RoleIMAP, RolePanel}
}

// Reasons why a list of roles is refused.
var (
	errNoRole = errors.New("no role is given")
	// A content over mail.InlineLimit lies in the data folder of the node that took it, and on SQLite so does the queue:
	// nobody else could deliver what such a node has answered with 250.
	errReceiveAlone = errors.New("the role receive needs the role deliver beside it: what a node has received lies in its own data folder, and no other node could deliver it")
)

// ParseRoles reads role names; a name that is no role, an empty list and receive without deliver are errors.
func ParseRoles(names []string) ([]Role, error) {
	var roles []Role
	for _, name := range names {
		role := Role(strings.TrimSpace(name))
		if !slices.Contains(AllRoles(), role) {
			return nil, fmt.Errorf("%q is no role; there are %s", name, roleNames())
		}
		if !slices.Contains(roles, role) {
			roles = append(roles, role)
		}
	}
	return roles, checkRoles(roles)
}

func checkRoles(roles []Role) error {
	switch {
	case len(roles) == 0:
		return errNoRole
	case slices.Contains(roles, RoleReceive) && !slices.Contains(roles, RoleDeliver):
		return errReceiveAlone
	}
	return nil
}

func roleNames() string {
	var names []string
	for _, role := range AllRoles() {
		names = append(names, string(role))
	}
	return strings.Join(names, ", ")
}

// runs tells whether this node has a role.
func (s *Server) runs(role Role) bool { return slices.Contains(s.opts.Roles, role) }

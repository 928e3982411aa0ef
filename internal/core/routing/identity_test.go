package routing_test

import (
	"strings"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/routing"
	"postroad/internal/proto/smtp"
)

// What a login sends as an address elsewhere leaves by the route that its own account has set for that, and by no other's.
func TestARouteOfAnIdentity(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	domains := []directory.Domain{
		{Name: "crm.acme.example", Account: "a", Proved: true, Mode: directory.ModeLocal},
		{Name: "own.example", Account: "a", Proved: true, Mode: directory.ModeRemote},
		{Name: "bob.example", Account: "b", Proved: true, Mode: directory.ModeLocal},
	}
	boxes := []directory.Mailbox{
		{ID: "1", Account: "a", Domain: "crm.acme.example", Local: "ann"}, {ID: "2", Account: "b", Domain: "bob.example", Local: "bob"},
	}
	rules := []directory.Rule{{ID: "r", Account: "a", Domain: "crm.acme.example", Local: "team", Kind: directory.RuleGroup, Targets: []string{"x@far.example"}}}
	rules = append(rules, directory.Rule{ID: "s", Account: "b", Domain: "bob.example", Local: "team", Kind: directory.RuleGroup, Targets: []string{"x@far.example"}})
	route := func(id, of, domain, identity string) directory.Outbound {
		return directory.Outbound{ID: id, Account: account.ID(of), Domain: domain, Identity: identity, Hop: directory.HostPort{Host: id + ".example", Port: 587}, TLS: directory.TLSVerified}
	}
	later := now.Add(time.Hour)
	identity := func(id, box, address string, proof directory.IdentityProof, expires time.Time) directory.Identity {
		return directory.Identity{ID: id, Account: map[string]directory.Mailbox{"1": boxes[0], "2": boxes[1]}[box].Account, Mailbox: box, Address: address, Proof: proof, Expires: expires}
	}
	snap := directory.NewSnapshot(1, domains, boxes, rules, []directory.Outbound{
		route("all", "operator", "", ""), route("crm", "a", "crm.acme.example", ""), route("own", "a", "own.example", ""),
		route("adomain", "a", "", "acme.example"), route("aaddress", "a", "", "ann@acme.example"), route("bdomain", "b", "", "acme.example"),
		{ID: "aopen", Account: "a", Identity: "open.example", Hop: directory.HostPort{Host: "aopen.example", Port: 25}, TLS: directory.TLSOpportunistic},
	}).WithIdentities([]directory.Identity{
		identity("i1", "1", "ann@acme.example", directory.ProvedByMail, later), identity("i2", "1", "sales@acme.example", directory.ProvedByMail, later),
		identity("i3", "1", "old@acme.example", directory.ProvedByMail, now), identity("i4", "2", "bob@acme.example", directory.ProvedByMail, later),
		identity("i5", "1", "ann@own.example", directory.ProvedByDomain, time.Time{}), identity("i6", "1", "ann@other.example", directory.ProvedByMail, later),
		identity("i7", "1", "ann@open.example", directory.ProvedByMail, later),
	}, nil)
	const ann, bob = "ann@crm.acme.example", "bob@bob.example"
	address := func(text string) (a smtp.Address) {
		if text != "" {
			a.Local, a.Domain, _ = strings.Cut(text, "@")
		}
		return a
	}
	lane := func(snap *directory.Snapshot, kind routing.SessionKind, login, sender, author, to string) string {
		d := routing.Decide(routing.View{Directory: snap, Now: now}, routing.Session{Kind: kind, Login: login, Sender: address(sender), Author: address(author)}, address(to))
		if len(d.Destinations) != 1 {
			t.Fatalf("%s as %s: %+v", login, sender, d)
		}
		return string(d.Destinations[0].Lane)
	}
	const far = "x@far.example"
	for _, c := range []struct{ login, sender, author, to, want string }{
		{ann, ann, "", far, "relay/crm.example:587#crm"},
		{ann, "ann@acme.example", "", far, "relay/aaddress.example:587#aaddress"},
		{ann, "ANN@ACME.example", "", far, "relay/aaddress.example:587#aaddress"},
		{ann, "sales@acme.example", "", far, "relay/adomain.example:587#adomain"},
		{ann, "ann@open.example", "", far, "relay/aopen.example:25#aopen"},
		{ann, "ann@own.example", "", far, "relay/own.example:587#own"},
		{ann, "ann@other.example", "", far, "relay/all.example:587#all"},
		{bob, "bob@acme.example", "", far, "relay/bdomain.example:587#bdomain"},
		// Nobody's identity, one that has run out, and one of another login.
		{ann, "eve@acme.example", "", far, "relay/all.example:587#all"},
		{ann, "old@acme.example", "", far, "relay/all.example:587#all"},
		{bob, "ann@acme.example", "", far, "relay/all.example:587#all"},
		{"", "ann@acme.example", "", far, "relay/all.example:587#all"},
		// The author counts before the envelope.
		{ann, ann, "ann@acme.example", far, "relay/aaddress.example:587#aaddress"},
		{ann, "", "sales@acme.example", far, "relay/adomain.example:587#adomain"},
		{ann, "ann@acme.example", ann, far, "relay/aaddress.example:587#aaddress"},
		{ann, "ann@acme.example", "sales@acme.example", far, "relay/adomain.example:587#adomain"},
		// What leaves by a rule of ours leaves the same way; what stays here does not leave.
		{ann, "ann@acme.example", "", "team@crm.acme.example", "relay/aaddress.example:587#aaddress"},
		{ann, ann, "", "team@crm.acme.example", "relay/crm.example:587#crm"},
		{ann, "ann@acme.example", "ann@acme.example", "team@bob.example", "relay/all.example:587#all"}, // another account's rule
		{ann, "ann@acme.example", "", bob, "local/mailboxes"},
	} {
		if got := lane(snap, routing.Login, c.login, c.sender, c.author, c.to); got != c.want {
			t.Errorf("%s as %s, author %s, to %s: %s, want %s", c.login, c.sender, c.author, c.to, got, c.want)
		}
	}
	for _, kind := range []routing.SessionKind{routing.Local, routing.Trusted, routing.Accepted} {
		if got := lane(snap, kind, ann, "ann@acme.example", "ann@acme.example", far); got != "relay/all.example:587#all" {
			t.Errorf("%s: %s", kind, got)
		}
	}
	// The domain becomes another account's here: the identity is void, and its route with it.
	taken := snap.With(directory.Delta{PutDomains: []directory.Domain{{Name: "acme.example", Account: "c", Proved: true, Mode: directory.ModeRemote}}})
	if got := lane(taken, routing.Login, ann, "ann@acme.example", "", far); got != "relay/all.example:587#all" {
		t.Errorf("another account's domain: %s", got)
	}
	gone := snap.With(directory.Delta{RemoveOutbounds: []string{"aaddress"}})
	if got := lane(gone, routing.Login, ann, "ann@acme.example", "", far); got != "relay/adomain.example:587#adomain" {
		t.Errorf("without the address's route: %s", got)
	}
	if got := lane(gone.With(directory.Delta{PutOutbounds: []directory.Outbound{route("aaddress", "a", "", "ann@acme.example")}}), routing.Login, ann, "ann@acme.example", "", far); got != "relay/aaddress.example:587#aaddress" {
		t.Errorf("with it again: %s", got)
	}
	d := routing.Decide(routing.View{Directory: snap, Now: now}, routing.Session{Kind: routing.Login, Login: ann, Sender: address("ann@acme.example")}, address(far))
	var said strings.Builder
	for _, r := range d.Reasons {
		said.WriteString(r.Rule.String() + ": " + r.Sentence() + "\n")
	}
	for _, want := range []string{"identity-route: It is sent as ann@acme.example", "outbound-verified: Mail to foreign domains leaves through aaddress.example:587"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("it lacks %q: %s", want, said.String())
		}
	}
	// Nobody's address has another route for it: the plan says what is altered.
	if a := routing.WhatIf(routing.View{Directory: snap, Now: now}, directory.Delta{PutOutbounds: []directory.Outbound{route("x", "a", "", "other.example")}}, account.System(), 0); a.Count != 0 {
		t.Errorf("%+v", a)
	}
}

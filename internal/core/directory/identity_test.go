package directory_test

import (
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/proto/smtp"
)

func TestALoginSendsAsItsIdentities(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	domains := []directory.Domain{
		{Name: "crm.acme.example", Account: "a", Proved: true},
		{Name: "acme.example", Account: "a", Proved: true},
		{Name: "inert.example", Account: "b"},
		{Name: "bob.example", Account: "b", Proved: true},
	}
	boxes := []directory.Mailbox{
		{ID: "1", Account: "a", Domain: "crm.acme.example", Local: "ann"}, {ID: "2", Account: "b", Domain: "bob.example", Local: "bob"},
	}
	identity := func(id, box, address string, proof directory.IdentityProof, expires time.Time) directory.Identity {
		return directory.Identity{ID: id, Account: map[string]directory.Mailbox{"1": boxes[0], "2": boxes[1]}[box].Account, Mailbox: box, Address: address, Proof: proof, Expires: expires}
	}
	later := now.Add(time.Hour)
	s := directory.NewSnapshot(1, domains, boxes, nil, nil).WithIdentities([]directory.Identity{
		identity("i1", "1", "ann@far.example", directory.ProvedByMail, later),
		identity("i2", "1", "old@far.example", directory.ProvedByMail, now),
		identity("i3", "1", "new@far.example", "", time.Time{}),
		identity("i4", "1", "ann@acme.example", directory.ProvedByDomain, time.Time{}),
		identity("i5", "1", "ann@bob.example", directory.ProvedByMail, later),
		identity("i6", "1", "ann@mail.bob.example", directory.ProvedByMail, later),
		identity("i7", "1", "ann@inert.example", directory.ProvedByMail, later),
		identity("i8", "2", "bob@acme.example", directory.ProvedByDomain, time.Time{}),
		{ID: "i9", Account: "b", Mailbox: "1", Address: "moved@far.example", Proof: directory.ProvedByMail, Expires: later},
	}, nil)
	check := func(s *directory.Snapshot, login, as string, want bool) {
		t.Helper()
		a, err := smtp.ParseAddress(as, true)
		if err != nil {
			t.Fatal(err)
		}
		if s.Owns(login, a, now) != want {
			t.Errorf("%s as %s: not %v", login, as, want)
		}
	}
	const ann, bob = "ann@crm.acme.example", "bob@bob.example"
	for as, want := range map[string]bool{
		"ann@far.example": true, "ANN@Far.Example": true, "ann+x@far.example": false, "x@far.example": false, "old@far.example": false, "new@far.example": false,
		"ann@acme.example": true, "ann@bob.example": false, "ann@mail.bob.example": false, "ann@inert.example": true, "moved@far.example": false,
	} {
		check(s, ann, as, want)
	}
	check(s, bob, "bob@acme.example", false)
	check(s, bob, "ann@far.example", false)
	// The domain is lost, or becomes another account's.
	check(s.With(directory.Delta{PutDomains: []directory.Domain{{Name: "acme.example", Account: "a"}}}), ann, "ann@acme.example", false)
	check(s.With(directory.Delta{PutDomains: []directory.Domain{{Name: "far.example", Account: "b", Proved: true}}}), ann, "ann@far.example", false)
	check(s.With(directory.Delta{PutDomains: []directory.Domain{{Name: "example", Account: "b", Proved: true}}}), ann, "ann@far.example", false)
	check(s.With(directory.Delta{RemoveIdentities: []string{"i1"}}), ann, "ann@far.example", false)
	check(s.With(directory.Delta{RemoveMailboxes: []string{ann}}), ann, "ann@far.example", false)
	check(s.With(directory.Delta{PutIdentities: []directory.Identity{identity("i2", "1", "old@far.example", directory.ProvedByMail, later)}}), ann, "old@far.example", true)
	check(s, ann, "ann@far.example", true)
}

// What an account has here and has not shown to own is nobody's to send as, by no mailbox and by no alias.
func TestNobodySendsAsADomainThatIsNotShownToBeTheirs(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	alias := func(domain, owner string) directory.Rule {
		return directory.Rule{ID: domain, Account: account.ID(owner), Domain: domain, Local: "ann", Kind: directory.RuleAlias, Targets: []string{"ann@own.example"}}
	}
	s := directory.NewSnapshot(1,
		[]directory.Domain{
			{Name: "own.example", Account: "a", Proved: true},
			{Name: "also.example", Account: "a", Proved: true},
			{Name: "victim.example", Account: "a"},
			{Name: "mail.bob.example", Account: "a"},
			{Name: "bob.example", Account: "b", Proved: true},
			{Name: "new.example", Account: "a"},
		},
		[]directory.Mailbox{{ID: "1", Account: "a", Domain: "own.example", Local: "ann"}, {ID: "2", Account: "a", Domain: "new.example", Local: "ann"}},
		[]directory.Rule{alias("also.example", "a"), alias("victim.example", "a"), alias("mail.bob.example", "a"), alias("bob.example", "b")}, nil)
	check := func(s *directory.Snapshot, login, as string, want bool) {
		t.Helper()
		a, err := smtp.ParseAddress(as, true)
		if err != nil {
			t.Fatal(err)
		}
		if s.Owns(login, a, now) != want {
			t.Errorf("%s as %s: not %v", login, as, want)
		}
	}
	const login = "ann@own.example"
	for as, want := range map[string]bool{
		login: true, "ann+x@own.example": true, "ann@also.example": true, "ann+x@also.example": true,
		"ann@victim.example": false, "ann@mail.bob.example": false, "ann@bob.example": false, "ann@sub.own.example": false, "ann@new.example": false,
	} {
		check(s, login, as, want)
	}
	check(s, "ann@new.example", "ann@new.example", false)
	// Its ownership is shown, lost, and shown by another account.
	domain := func(d directory.Domain) *directory.Snapshot {
		return s.With(directory.Delta{PutDomains: []directory.Domain{d}})
	}
	check(domain(directory.Domain{Name: "victim.example", Account: "a", Proved: true}), login, "ann@victim.example", true)
	check(domain(directory.Domain{Name: "also.example", Account: "a"}), login, "ann@also.example", false)
	check(domain(directory.Domain{Name: "own.example", Account: "a"}), login, login, false)
	again := s.With(directory.Delta{RemoveDomains: []string{"also.example"}}).With(directory.Delta{PutDomains: []directory.Domain{{Name: "also.example", Account: "b", Proved: true}}})
	check(again, login, "ann@also.example", false)
}

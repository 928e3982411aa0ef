package control

import (
	"context"
	"crypto/rand"
	"strings"

	"postroad/internal/core/directory"
)

// Demo is what a demonstration has to show.
type Demo struct {
	Account   string
	Domain    string
	Mailboxes []DemoMailbox
}

// DemoMailbox is a mailbox with its password, new at every start.
type DemoMailbox struct {
	Address  string
	Password string
}

// The demonstration's names; example is reserved for such use (RFC 2606 §2).
const (
	demoAccount = "demo"
	demoDomain  = "demo.example"
)

// Demo makes the demonstration's account, its proved domain, two mailboxes and an alias where they are missing, and
// gives both mailboxes new passwords.
func (s *Service) Demo(ctx context.Context) (Demo, error) {
	out := Demo{Account: demoAccount, Domain: demoDomain}
	run := func(p Plan, err error) error {
		if err != nil {
			return err
		}
		_, err = s.Apply(ctx, System(), p)
		return err
	}
	if _, there := s.current.Load().Account(demoAccount); !there {
		if err := run(s.PlanAccountAdd(System(), demoAccount)); err != nil {
			return out, err
		}
	}
	if _, there := s.Directory().Domain(demoDomain); !there {
		proved := true
		spec := DomainSpec{Name: demoDomain, Account: demoAccount, DomainSettings: DomainSettings{Proved: &proved}}
		if err := run(s.PlanDomainAdd(ctx, System(), spec)); err != nil {
			return out, err
		}
	}
	for _, local := range []string{"anna", "ben"} {
		box := DemoMailbox{Address: local + "@" + demoDomain, Password: strings.ToLower(rand.Text()[:12])}
		var err error
		if _, there := s.Directory().Mailbox(demoDomain, local); there {
			err = run(s.PlanMailboxSet(System(), box.Address, MailboxSettings{Password: NewSecret(box.Password)}))
		} else {
			err = run(s.PlanMailboxAdd(System(), MailboxSpec{Address: box.Address, Password: NewSecret(box.Password)}))
		}
		if err != nil {
			return out, err
		}
		out.Mailboxes = append(out.Mailboxes, box)
	}
	if _, there := s.Directory().Rule(demoDomain, "info"); !there {
		spec := RuleSpec{Kind: directory.RuleAlias, Address: "info@" + demoDomain, Targets: []string{"anna@" + demoDomain}}
		if err := run(s.PlanRuleAdd(System(), spec)); err != nil {
			return out, err
		}
	}
	return out, nil
}

package server

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"

	"postroad/internal/core/directory"
	"postroad/internal/service/control"
)

// demoData is what a demonstration has to show.
type demoData struct {
	Account   string
	Domain    string
	Mailboxes []demoMailbox
}

// demoMailbox is a mailbox with its password, new at every start.
type demoMailbox struct {
	Address  string
	Password string
}

// The demonstration's names; example is reserved for such use (RFC 2606 §2).
const (
	demoAccount = "demo"
	demoDomain  = "demo.example"
)

// makeDemo makes the demonstration's account, its proved domain with a zone, two mailboxes and an alias where they are missing, and
// gives both mailboxes new passwords.
func makeDemo(ctx context.Context, s *control.Service) (demoData, error) {
	out := demoData{Account: demoAccount, Domain: demoDomain}
	run := func(plan func() (control.Plan, error)) error {
		_, err := s.Make(ctx, control.System(), plan)
		return err
	}
	there := func(a control.AccountInfo) bool { return a.Name == demoAccount }
	if !slices.ContainsFunc(s.Accounts(control.System()), there) {
		if err := run(func() (control.Plan, error) { return s.PlanAccountAdd(control.System(), demoAccount) }); err != nil {
			return out, err
		}
	}
	if _, there := s.Directory().Domain(demoDomain); !there {
		proved, hosted := true, string(directory.ZoneHosted)
		spec := control.DomainSpec{Name: demoDomain, Account: demoAccount, DomainSettings: control.DomainSettings{Proved: &proved, Zone: &hosted}}
		if err := run(func() (control.Plan, error) { return s.PlanDomainAdd(ctx, control.System(), spec) }); err != nil {
			return out, err
		}
	}
	for _, local := range []string{"anna", "ben"} {
		box := demoMailbox{Address: local + "@" + demoDomain, Password: strings.ToLower(rand.Text()[:12])}
		var err error
		if _, there := s.Directory().Mailbox(demoDomain, local); there {
			err = run(func() (control.Plan, error) {
				return s.PlanMailboxSet(control.System(), box.Address, control.MailboxSettings{Password: control.NewSecret(box.Password)})
			})
		} else {
			err = run(func() (control.Plan, error) {
				return s.PlanMailboxAdd(control.System(), control.MailboxSpec{Address: box.Address, Password: control.NewSecret(box.Password)})
			})
		}
		if err != nil {
			return out, err
		}
		out.Mailboxes = append(out.Mailboxes, box)
	}
	if _, there := s.Directory().Rule(demoDomain, "info"); !there {
		spec := control.RuleSpec{Kind: directory.RuleAlias, Address: "info@" + demoDomain, Targets: []string{"anna@" + demoDomain}}
		if err := run(func() (control.Plan, error) { return s.PlanRuleAdd(control.System(), spec) }); err != nil {
			return out, err
		}
	}
	return out, nil
}

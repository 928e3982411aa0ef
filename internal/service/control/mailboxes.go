package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"postroad/internal/core/directory"
	"postroad/internal/core/mailbox"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/control/reading"
	"postroad/internal/service/control/rules"
	"postroad/internal/service/control/settings"
	"postroad/internal/service/control/undo"
	"postroad/internal/service/control/words"
)

// MailboxSpec is a wanted mailbox.
type MailboxSpec struct {
	Address  string
	Password *Secret // nil: nobody can log in
	Quota    int64   // octets; 0 without limit
}

// MailboxSettings are what can be changed of a mailbox; nil fields are left as they are.
type MailboxSettings struct {
	Password *Secret
	Quota    *int64
}

// MailboxInfo is a mailbox as plans and audit entries show it.
type MailboxInfo = undo.Mailbox

// Mailboxes in the words of package reading.
type (
	// MailboxUsage is a mailbox as listings show it.
	MailboxUsage = reading.Usage
	// MessageInfo is a message as listings show it.
	MessageInfo = reading.Message
)

// Mailboxes lists the mailboxes of one domain, or of all in scope (empty), by address, with what they hold.
func (s *Service) Mailboxes(ctx context.Context, actor Actor, domain string) ([]MailboxUsage, error) {
	return s.reading.List(ctx, actor, s.current.Load(), domain)
}

// Mailbox shows one mailbox with what it holds.
func (s *Service) Mailbox(ctx context.Context, actor Actor, address string) (MailboxUsage, error) {
	return s.reading.Show(ctx, actor, s.current.Load(), address)
}

// usage is what several mailboxes hold together.
func (s *Service) usage(ctx context.Context, actor Actor, ids []string) (mailbox.Usage, error) {
	return s.reading.Held(ctx, actor, ids)
}

// Messages lists the INBOX of a mailbox by UID from behind after on, at most limit.
func (s *Service) Messages(ctx context.Context, actor Actor, address string, after uint32, limit int) ([]MessageInfo, error) {
	return s.reading.Messages(ctx, actor, s.current.Load(), address, after, limit)
}

// Message opens one message's exact bytes; the caller closes it. ErrNotFound when the mailbox has no such UID.
func (s *Service) Message(ctx context.Context, actor Actor, address string, uid uint32) (io.ReadCloser, error) {
	return s.reading.Message(ctx, actor, s.current.Load(), address, uid)
}

// PlanMailboxAdd plans one new mailbox.
func (s *Service) PlanMailboxAdd(actor Actor, spec MailboxSpec) (Plan, error) {
	return s.PlanMailboxImport(actor, []MailboxSpec{spec})
}

// PlanMailboxImport plans many new mailboxes; one that is refused refuses all.
func (s *Service) PlanMailboxImport(actor Actor, specs []MailboxSpec) (Plan, error) {
	st, p := s.plan(actor)
	p.Passwords = map[string]*Secret{}
	seen := make(map[smtp.Address]bool, len(specs))
	for i, spec := range specs {
		if err := addMailbox(&p, actor, st, seen, spec); err != nil {
			var refused *RefusedError
			if len(specs) > 1 && errors.As(err, &refused) {
				refused.Entry = i + 1
			}
			return Plan{}, err
		}
	}
	if len(specs) > 3 {
		p.Sentences = []string{"Adds " + words.Plural(int64(len(specs)), "mailbox", "mailboxes") + ", from " + p.Changes[0].Subject + " to " + p.Changes[len(specs)-1].Subject + "."}
	}
	return s.weighed(actor, st, p)
}

func addMailbox(p *Plan, actor Actor, st *state, seen map[smtp.Address]bool, spec MailboxSpec) error {
	at, err := words.OwnAddress(spec.Address)
	if err != nil {
		return err
	}
	d, err := actor.Domain(st, at.Domain)
	if err != nil {
		return err
	}
	_, taken := st.Directory.Mailbox(at.Domain, at.Local)
	if taken || seen[at] {
		return words.Exists("There is a mailbox "+at.String()+" already.", "")
	}
	seen[at] = true
	if r, ruled := st.Directory.Rule(at.Domain, at.Local); ruled {
		if r.Kind != directory.RuleForward {
			return words.Exists("The address "+at.String()+" is "+rules.Article(r.Kind)+".", "remove it first")
		}
		if !r.Keep {
			p.Say("Mail for %s is forwarded and not kept; the mailbox gets none.", at.String())
		}
	}
	if err := checkMailbox(actor, spec.Password, spec.Quota); err != nil {
		return err
	}
	m := directory.Mailbox{ID: newID(), Account: d.Account, Domain: d.Name, Local: at.Local, Quota: spec.Quota}
	info := undo.ShowMailbox(&m)
	p.Say("Adds the mailbox %s.", at.String())
	if spec.Password != nil {
		p.Passwords[m.ID] = spec.Password
		info.Password = "set"
	} else {
		p.Say("Nobody can log in to it until it has a password.")
	}
	if !settings.Keeps(d) {
		p.Say("It gets no mail while the domain's mode is %s, but at its routing address.", d.Effective())
	}
	p.Tx.PutMailboxes = append(p.Tx.PutMailboxes, m)
	p.Delta.PutMailboxes = append(p.Delta.PutMailboxes, m)
	p.Record(Change{Kind: KindMailbox, Verb: VerbAdd, Subject: at.String(), Domain: d.Name, Account: d.Account, After: info})
	return nil
}

// Bounds of passwords, in octets. The lower one holds for customers; an operator may take over what users had.
const (
	minPassword = 8
	maxPassword = 1000
)

func checkMailbox(actor Actor, password *Secret, quota int64) error {
	if quota < 0 {
		return words.Invalid("The quota is negative.", "octets, 0 without limit")
	}
	if password == nil {
		return nil
	}
	n := password.Len()
	if n == 0 || n > maxPassword || (n < minPassword && !actor.Operator) {
		return words.Invalid("The password has "+strconv.Itoa(n)+" octets.", fmt.Sprintf("%d to %d", minPassword, maxPassword))
	}
	return nil
}

// PlanMailboxSet plans another password or quota.
func (s *Service) PlanMailboxSet(actor Actor, address string, set MailboxSettings) (Plan, error) {
	st, p := s.plan(actor)
	old, err := actor.Mailbox(st, address)
	if err != nil {
		return Plan{}, err
	}
	m := *old
	if set.Quota != nil {
		m.Quota = *set.Quota
	}
	if err := checkMailbox(actor, set.Password, m.Quota); err != nil {
		return Plan{}, err
	}
	if m.Quota == old.Quota && set.Password == nil {
		return p, nil
	}
	before, after := undo.ShowMailbox(old), undo.ShowMailbox(&m)
	p.Tx.PutMailboxes = []directory.Mailbox{m}
	p.Delta.PutMailboxes = p.Tx.PutMailboxes
	if set.Password != nil {
		p.Passwords = map[string]*Secret{m.ID: set.Password}
		after.Password = "changed"
		p.Say("Changes the password of %s; the old one no longer works.", m.Address())
	}
	if m.Quota != old.Quota {
		p.Say("The quota of %s becomes %s.", m.Address(), quotaWords(m.Quota))
	}
	p.Asks = true
	p.Record(Change{Kind: KindMailbox, Verb: VerbSet, Subject: m.Address(), Domain: m.Domain, Account: m.Account, Before: before, After: after})
	return p, nil
}

func quotaWords(n int64) string {
	if n == 0 {
		return "unlimited"
	}
	return words.Plural(n, "octet", "octets")
}

// PlanMailboxRemove plans the end of a mailbox with its messages.
func (s *Service) PlanMailboxRemove(ctx context.Context, actor Actor, address string) (Plan, error) {
	st, p := s.plan(actor)
	m, err := actor.Mailbox(st, address)
	if err != nil {
		return Plan{}, err
	}
	held, err := s.usage(ctx, actor, []string{m.ID})
	if err != nil {
		return Plan{}, err
	}
	p.Remove(KindMailbox, m.ID)
	p.Delta.RemoveMailboxes = []string{m.Address()}
	p.Unboxed = []string{m.ID}
	p.Record(Change{Kind: KindMailbox, Verb: VerbRemove, Subject: m.Address(), Domain: m.Domain, Account: m.Account, Before: undo.ShowMailbox(m)})
	p.Say("Removes the mailbox %s.", m.Address())
	if held.Messages > 0 {
		p.Warn("%s go with it and cannot be brought back.", words.Plural(held.Messages, "message", "messages"))
	}
	if err := s.checkLoops(actor, st, &p, smtp.Address{Local: m.Local, Domain: m.Domain}); err != nil {
		return Plan{}, err
	}
	return s.weighed(actor, st, p)
}

package control

import (
	"context"
	"io"

	"postroad/internal/core/sending"
	"postroad/internal/service/control/mailboxes"
	"postroad/internal/service/control/reading"
	"postroad/internal/service/control/undo"
)

// Mailboxes in the words of packages mailboxes and reading.
type (
	// MailboxSpec is a wanted mailbox.
	MailboxSpec = mailboxes.Spec
	// MailboxSettings are what can be changed of a mailbox; nil fields are left as they are.
	MailboxSettings = mailboxes.Settings
	// MailboxInfo is a mailbox as plans and audit entries show it.
	MailboxInfo = undo.Mailbox
	// MailboxUsage is a mailbox as listings show it.
	MailboxUsage = reading.Usage
	// MailboxDetail is a mailbox with its folders.
	MailboxDetail = reading.MailboxDetail
	// MailboxFolder is a folder of a mailbox.
	MailboxFolder = reading.MailboxFolder
	// MessageInfo is a message as listings show it.
	MessageInfo = reading.Message
)

// Mailboxes lists the mailboxes of one domain, or of all in scope (empty), by address, with what they hold.
func (s *Service) Mailboxes(ctx context.Context, actor Actor, domain string) ([]MailboxUsage, error) {
	return s.reading.List(ctx, actor, s.current.Load(), domain)
}

// Mailbox shows one mailbox with its folders and what they hold.
func (s *Service) Mailbox(ctx context.Context, actor Actor, address string) (MailboxDetail, error) {
	return s.reading.Show(ctx, actor, s.current.Load(), address)
}

// Messages lists a folder of a mailbox by UID from behind after on, at most limit.
func (s *Service) Messages(ctx context.Context, actor Actor, address, folder string, after uint32, limit int) ([]MessageInfo, error) {
	return s.reading.Messages(ctx, actor, s.current.Load(), address, folder, after, limit)
}

// Message opens one message's exact bytes; the caller closes it. ErrNotFound when the folder has no such UID.
func (s *Service) Message(ctx context.Context, actor Actor, address, folder string, uid uint32) (io.ReadCloser, error) {
	return s.reading.Message(ctx, actor, s.current.Load(), address, folder, uid)
}

// PlanMailboxAdd plans one new mailbox.
func (s *Service) PlanMailboxAdd(actor Actor, spec MailboxSpec) (Plan, error) {
	return s.PlanMailboxImport(actor, []MailboxSpec{spec})
}

// PlanMailboxImport plans many new mailboxes; one that is refused refuses all.
func (s *Service) PlanMailboxImport(actor Actor, specs []MailboxSpec) (Plan, error) {
	st := s.current.Load()
	p, err := s.mailboxes.PlanImport(actor, st, specs)
	return s.weighedIf(actor, st, p, err)
}

// PlanMailboxSet plans another password or quota.
func (s *Service) PlanMailboxSet(actor Actor, address string, set MailboxSettings) (Plan, error) {
	return s.mailboxes.PlanSet(actor, s.current.Load(), address, set)
}

// PlanMailboxRemove plans the end of a mailbox with its messages.
func (s *Service) PlanMailboxRemove(ctx context.Context, actor Actor, address string) (Plan, error) {
	return s.weighedPlan(ctx, actor, func(st *state) (Plan, error) { return s.mailboxes.PlanRemove(ctx, actor, st, address) })
}

// PlanMailboxPause plans that a mailbox's user may send nothing for now.
func (s *Service) PlanMailboxPause(actor Actor, address, reason string) (Plan, error) {
	return s.PlanSendingPause(actor, Sender{Kind: sending.Login, Name: address}, reason)
}

// PlanMailboxResume plans that a mailbox's user may send again.
func (s *Service) PlanMailboxResume(actor Actor, address string) (Plan, error) {
	return s.PlanSendingResume(actor, Sender{Kind: sending.Login, Name: address})
}

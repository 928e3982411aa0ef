package imapd

import (
	"context"
	"errors"

	"postroad/internal/core/mailbox"
	"postroad/internal/proto/imap"
)

// state is how far a session has come (RFC 9051 §3).
type state uint8

const (
	notAuthenticated state = iota
	authenticated
	hasSelected
)

func (s *session) state() state {
	switch {
	case s.who.Load() == nil:
		return notAuthenticated
	case s.sel == nil:
		return authenticated
	}
	return hasSelected
}

// command answers one command.
func (s *session) command(r *imap.Request) error {
	switch r.Command.(type) {
	case imap.Capability:
		s.out.Capability(s.capabilities())
		return s.done(r, "")
	case imap.Noop:
		s.refresh(true)
		return s.done(r, "")
	case imap.Logout:
		s.out.Status(imap.BYE, "", "Goodbye.")
		s.out.Tagged(r.Tag, imap.OK, "", "Logged out.")
		return errQuit
	case imap.ID:
		s.out.ID([]imap.Param{{Name: "name", Value: "Postroad"}})
		return s.done(r, "")
	case imap.StartTLS, imap.Authenticate, imap.Login:
		return s.identify(r)
	}
	switch s.state() {
	case notAuthenticated:
		return refusal(r, imap.BAD, "", "Log in first.")
	case authenticated:
		return s.authenticatedCommand(r)
	case hasSelected:
		return s.selectedCommand(r)
	}
	return nil
}

// authenticatedCommand answers what needs a login, and no selected folder.
func (s *session) authenticatedCommand(r *imap.Request) error {
	switch c := r.Command.(type) {
	case imap.Enable:
		return s.enable(r, c)
	case imap.Select:
		return s.selectFolder(r, c)
	case imap.Create:
		return s.create(r, c)
	case imap.Delete:
		return s.delete(r, c)
	case imap.Rename:
		return s.rename(r, c)
	case imap.Subscribe:
		return s.subscribe(r, c.Mailbox, true)
	case imap.Unsubscribe:
		return s.subscribe(r, c.Mailbox, false)
	case imap.List:
		return s.list(r, c)
	case imap.LSub:
		return s.lsub(r, c)
	case imap.Namespace:
		s.out.Namespace()
		return s.done(r, "")
	case imap.StatusOf:
		return s.status(r, c)
	case *imap.Append:
		return s.append(r, c)
	case imap.Idle:
		return s.waitIdle(r)
	case imap.GetQuota:
		return s.getQuota(r, c)
	case imap.GetQuotaRoot:
		return s.getQuotaRoot(r, c)
	case imap.SetQuota:
		return refusal(r, imap.NO, imap.CodeNoPerm, "Only an administrator sets quotas.")
	}
	return refusal(r, imap.BAD, "", "Select a mailbox first.")
}

// selectedCommand answers a command while a folder is selected.
func (s *session) selectedCommand(r *imap.Request) error {
	if numbers, looks := messagesOf(r.Command); looks {
		if err := s.look(!numbers); err != nil {
			return s.failed(r, err)
		}
	}
	switch c := r.Command.(type) {
	case imap.Check:
		s.refresh(true)
		return s.done(r, "")
	case imap.Close:
		return s.closeFolder(r)
	case imap.Unselect:
		s.unselect()
		return s.done(r, "")
	case imap.Expunge:
		return s.expunge(r, c)
	case imap.Search:
		return s.search(r, c)
	case imap.Fetch:
		return s.fetch(r, c)
	case imap.Store:
		return s.store(r, c)
	case imap.Copy:
		return s.copy(r, c.UID, c.Messages, c.Mailbox, false)
	case imap.Move:
		return s.copy(r, c.UID, c.Messages, c.Mailbox, true)
	}
	return s.authenticatedCommand(r)
}

// messagesOf tells whether a command is about messages of the selected folder, and whether it may name them by their
// numbers, which are those that the client knew when it sent the command.
func messagesOf(c imap.Command) (numbers, is bool) {
	switch c := c.(type) {
	case imap.Expunge:
		return false, true
	case imap.Search:
		return !c.UID, true
	case imap.Fetch:
		return !c.UID, true
	case imap.Store:
		return !c.UID, true
	case imap.Copy:
		return !c.UID, true
	case imap.Move:
		return !c.UID, true
	}
	return false, false
}

// done ends a command that did what it should.
func (s *session) done(r *imap.Request, code imap.Code) error {
	s.out.Tagged(r.Tag, imap.OK, code, r.Command.Name()+" completed.")
	return nil
}

// doneSelected ends a command for which messages of the selected folder may have changed, and tells of the changes.
func (s *session) doneSelected(r *imap.Request, code imap.Code, expunge bool) error {
	s.refresh(expunge)
	return s.done(r, code)
}

// refusal is a command that is refused.
func refusal(r *imap.Request, status imap.Status, code imap.Code, text string) *imap.Error {
	return &imap.Error{Tag: r.Tag, Status: status, Code: code, Text: text}
}

// failed is the refusal of a command for which the store had an error. The cause of trouble of our own goes no
// further, so it is logged here.
func (s *session) failed(r *imap.Request, err error) *imap.Error {
	no := func(code imap.Code, text string) *imap.Error { return refusal(r, imap.NO, code, text) }
	switch {
	case errors.Is(err, mailbox.ErrNoFolder):
		return no(imap.CodeNonExistent, "There is no such mailbox.")
	case errors.Is(err, mailbox.ErrExists):
		return no(imap.CodeAlreadyExists, "There is a mailbox of this name.")
	case errors.Is(err, mailbox.ErrName):
		return no(imap.CodeCannot, "A mailbox cannot have this name.")
	case errors.Is(err, mailbox.ErrUse):
		return no(imap.CodeUseAttr, "This special use is taken, or is none of \\Archive, \\Drafts, \\Junk, \\Sent and \\Trash.")
	case errors.Is(err, mailbox.ErrQuota):
		return no(imap.CodeOverQuota, "The mailbox is full.")
	case errors.Is(err, mailbox.ErrTooLarge):
		return no(imap.CodeTooBig, "The message is too large.")
	case errors.Is(err, mailbox.ErrLimit):
		return no(imap.CodeLimit, "The mailbox has as many folders or keywords as it may have.")
	case errors.Is(err, mailbox.ErrFlag):
		return no(imap.CodeCannot, "A flag cannot have this name.")
	case errors.Is(err, mailbox.ErrFull):
		return no(imap.CodeLimit, "The server has no space left.")
	case errors.Is(err, errTooMuch):
		s.end(tooMuch)
		return no(imap.CodeUnavailable, tooMuch)
	case errors.Is(err, mailbox.ErrNoMailbox):
		s.end("This mailbox was removed.")
		return no(imap.CodeUnavailable, "This mailbox was removed.")
	case !errors.Is(err, context.Canceled):
		s.service.log.Error("IMAP command failed", "command", r.Command.Name(), "mailbox", s.box(), "error", err)
	}
	return no(imap.CodeUnavailable, "This cannot be done now, try again later.")
}

// tagged gives an error of what a client sent within a command the command's tag.
func tagged(r *imap.Request, err error) error {
	if errors.Is(err, imap.ErrCancelled) {
		return refusal(r, imap.BAD, "", "The login was given up.")
	}
	if refused, ok := errors.AsType[*imap.Error](err); ok && !refused.Fatal() {
		refused.Tag = r.Tag
	}
	return err
}

// changing is the context of what changes mailboxes: it does not end with the connection, so that what became durable
// is answered.
func (s *session) changing() context.Context { return context.WithoutCancel(s.context()) }

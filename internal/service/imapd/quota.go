package imapd

import (
	"postroad/internal/proto/imap"
)

// quotaRoot is the only one: all folders of a mailbox share its quota.
const quotaRoot = ""

// getQuota answers GETQUOTA (RFC 9208 §4.1.1).
func (s *session) getQuota(r *imap.Request, c imap.GetQuota) error {
	if c.Root != quotaRoot {
		return refusal(r, imap.NO, imap.CodeNonExistent, "There is no such quota root.")
	}
	if err := s.tellQuota(); err != nil {
		return s.failed(r, err)
	}
	return s.doneSelected(r, "", true)
}

// getQuotaRoot answers GETQUOTAROOT (RFC 9208 §4.1.2).
func (s *session) getQuotaRoot(r *imap.Request, c imap.GetQuotaRoot) error {
	folder, err := s.service.store.Folder(s.context(), s.scope, s.box(), c.Mailbox)
	if err != nil {
		return s.failed(r, err)
	}
	s.out.QuotaRoot(folder.Name, quotaRoot)
	if err := s.tellQuota(); err != nil {
		return s.failed(r, err)
	}
	return s.doneSelected(r, "", true)
}

// tellQuota tells what the mailbox holds and may hold, in units of 1,024 octets (RFC 9208 §5.1).
func (s *session) tellQuota() error {
	usage, err := s.service.store.Usage(s.context(), s.scope, []string{s.box()})
	if err != nil {
		return err
	}
	u := usage[s.box()]
	if u.Quota <= 0 {
		s.out.Quota(quotaRoot, nil)
		return nil
	}
	const unit = 1024
	s.out.Quota(quotaRoot, []imap.QuotaUse{{Resource: "STORAGE", Used: uint64(u.Bytes+unit-1) / unit, Limit: uint64(u.Quota / unit)}})
	return nil
}

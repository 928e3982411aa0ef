// Package mailstore is where local mail lies until it is read: folders, messages, UIDs, flags, quota.
//
// Stores implement Store; the service adds what readers and agents need beside it. A queue id enters a mailbox
// at most once, whatever crashes (docs/durability.md).
package mailstore

import "errors"

// Service is the mailboxes of one installation.
type Service struct {
	Store
}

// New makes the service over a store.
func New(store Store) *Service { return &Service{Store: store} }

// Temporary reports whether a delivery that failed with err may succeed later: all failures but that of a
// mailbox which is not there.
func (s *Service) Temporary(err error) bool { return !errors.Is(err, ErrNoMailbox) }

// Full reports whether a delivery failed for want of room in the mailbox.
func (s *Service) Full(err error) bool { return errors.Is(err, ErrQuota) }

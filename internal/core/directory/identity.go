package directory

import (
	"slices"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/proto/smtp"
)

// Identity is an address elsewhere as which a mailbox's login may send, once it was shown that it is theirs.
type Identity struct {
	ID      string // random, never reused
	Account account.ID
	Domain  string // of the mailbox
	Mailbox string // its id
	Address string // folded; the domain an A-label
	Proof   IdentityProof
	Proved  time.Time // when it was shown
	Expires time.Time // until when that holds; zero: as long as the domain is the account's
	Code    []byte    // SHA-256 of a code that was mailed to the address; nil when none is waited for
	Sent    time.Time // when it was mailed
	Created time.Time
}

// IdentityProof is how it was shown that an address is a mailbox user's.
type IdentityProof string

// The proofs.
const (
	ProvedByMail   IdentityProof = "mail"   // who reads mail at the address has given the code that was sent there
	ProvedByDomain IdentityProof = "domain" // the address's domain is the account's, here and proved
)

// Holds reports whether an identity may be used: it was shown, that has not run out, and its domain is no other account's
// here. With a proof by domain this has to be the account's own still.
func (s *Snapshot) Holds(i *Identity, now time.Time) bool {
	domain := i.Address[strings.LastIndexByte(i.Address, '@')+1:]
	switch i.Proof {
	case ProvedByMail:
		if !now.Before(i.Expires) {
			return false
		}
	case ProvedByDomain:
		if d, ours := s.Domain(domain); !ours || !d.Proved || d.Account != i.Account {
			return false
		}
	default:
		return false
	}
	return !s.Elses(domain, i.Account)
}

// Elses reports whether a name, or one above it, is a proved domain of another account here.
func (s *Snapshot) Elses(name string, owner account.ID) bool {
	for {
		if d, ours := s.Domain(name); ours && d.Proved && d.Account != owner {
			return true
		}
		_, above, found := strings.Cut(name, ".")
		if !found {
			return false
		}
		name = above
	}
}

// Identities gives the identities of a mailbox by its id, in the order in which they were made.
func (s *Snapshot) Identities(mailbox string) []Identity { return slices.Clone(s.identities[mailbox]) }

// FoldAddress is an address in the form in which identities are compared.
func FoldAddress(a smtp.Address) string { return FoldLocal(a.Local) + "@" + strings.ToLower(a.Domain) }

// identifies reports whether an address is an identity of a mailbox that may be used.
func (s *Snapshot) identifies(box *Mailbox, a smtp.Address, now time.Time) bool {
	list := s.identities[box.ID]
	if len(list) == 0 {
		return false
	}
	folded := FoldAddress(a)
	return slices.ContainsFunc(list, func(i Identity) bool { return i.Address == folded && i.Account == box.Account && s.Holds(&i, now) })
}

// WithIdentities gives the snapshot with identities besides or in place of those that it has, without those that are removed by
// their ids.
func (s *Snapshot) WithIdentities(put []Identity, remove []string) *Snapshot {
	next := *s
	next.identities = make(map[string][]Identity, len(s.identities)+len(put))
	for box, list := range s.identities {
		kept := slices.DeleteFunc(slices.Clone(list), func(i Identity) bool {
			return slices.Contains(remove, i.ID) || slices.ContainsFunc(put, func(p Identity) bool { return p.ID == i.ID })
		})
		if len(kept) > 0 {
			next.identities[box] = kept
		}
	}
	for _, i := range put {
		next.identities[i.Mailbox] = append(next.identities[i.Mailbox], i)
	}
	for box := range next.identities {
		slices.SortFunc(next.identities[box], func(a, b Identity) int {
			if n := a.Created.Compare(b.Created); n != 0 {
				return n
			}
			return strings.Compare(a.ID, b.ID)
		})
	}
	return &next
}

package control

import (
	"context"
	"fmt"
	"slices"

	"postroad/internal/core/account"
	"postroad/internal/service/control"
	"postroad/internal/store/sqldb"
)

const versionSQL sqldb.Stmt = `SELECT version FROM configuration WHERE name = 'control'`

// shared keeps one copy of the texts that many rows repeat.
type shared struct {
	texts   map[string]string // accounts and words of which there are few
	domains map[string]home
	last    home // of the domain asked for last: rows of one domain often lie together
}

// home is the domain in which a mailbox or a rule lies, and whose both are.
type home struct {
	domain  string
	account account.ID
}

func (s *shared) text(word string) string {
	if kept, ok := s.texts[word]; ok {
		return kept
	}
	s.texts[word] = word
	return word
}

// home finds a domain that was read before.
func (s *shared) home(domain string) (home, bool) {
	if domain == s.last.domain {
		return s.last, domain != ""
	}
	h, ok := s.domains[domain]
	if ok {
		s.last = h
	}
	return h, ok
}

// A pile makes room for this many elements first, and for up to that many more at a time.
const (
	pileLeast = 16
	pileMost  = 4096
)

// pile collects many elements without moving them each time there is no room for one more.
type pile[T any] struct {
	full [][]T
	last []T
}

func (p *pile[T]) add(v T) {
	if len(p.last) == cap(p.last) {
		if len(p.last) > 0 {
			p.full = append(p.full, p.last)
		}
		p.last = make([]T, 0, max(pileLeast, min(2*cap(p.last), pileMost)))
	}
	p.last = append(p.last, v)
}

// list gives all elements; nil when there is none.
func (p *pile[T]) list() []T {
	if len(p.full) == 0 {
		return p.last
	}
	return slices.Concat(append(p.full, p.last)...)
}

// Load implements control.Store. The lists are in no particular order. Mailboxes and rules take their account from
// their domain, which saves a fifth of the time.
func (s *Store) Load(ctx context.Context, scope account.Scope) (control.State, error) {
	var st control.State
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		st = control.State{}
		found, err := tx.Row([]any{&st.Version}, versionSQL)
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("%w: the configuration has no version", sqldb.ErrCorrupt)
		}
		shared := &shared{texts: map[string]string{}, domains: map[string]home{}}
		if st.Accounts, err = loadAccounts(tx); err != nil {
			return err
		}
		if st.Domains, err = loadDomains(tx, shared); err != nil {
			return err
		}
		if st.Mailboxes, err = loadMailboxes(tx, shared); err != nil {
			return err
		}
		if st.Rules, err = loadRules(tx, shared); err != nil {
			return err
		}
		if st.Outbounds, err = loadOutbounds(tx); err != nil {
			return err
		}
		if st.Departed, err = loadDeparted(tx); err != nil {
			return err
		}
		if st.Identities, err = loadIdentities(tx); err != nil {
			return err
		}
		if st.Senders, err = loadSenders(tx); err != nil {
			return err
		}
		st.Sets, st.Servers, err = loadSets(tx)
		return err
	})
	if err != nil {
		return control.State{}, refusal(err)
	}
	return st, nil
}

// CurrentVersion is that of the configuration.
func (s *Store) CurrentVersion(ctx context.Context, scope account.Scope) (int64, error) {
	var version int64
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		_, err := tx.Row([]any{&version}, versionSQL)
		return err
	})
	return version, refusal(err)
}

package directory

import (
	"iter"
	"maps"

	"postroad/internal/core/account"
	"postroad/internal/core/sending"
)

// SendingRule is what was decided of a sender; the rule is empty where nothing was.
func (s *Snapshot) SendingRule(k sending.Key) sending.Rule {
	if r, ok := s.senders[k]; ok {
		return r
	}
	return sending.Rule{Key: k}
}

// SendingRules goes through all that was decided of senders, in no particular order.
func (s *Snapshot) SendingRules() iter.Seq[sending.Rule] { return maps.Values(s.senders) }

// PausedFor is the rule by which a login of an account may send nothing for now: its own, that of its domain, or that of its
// account. There need be no such mailbox or domain any more.
func (s *Snapshot) PausedFor(owner account.ID, login string) (rule sending.Rule, paused bool) {
	if len(s.senders) == 0 {
		return sending.Rule{}, false
	}
	keys := sending.KeysOf(owner, login)
	return s.firstPause(keys[:])
}

// DomainPausedFor is the rule by which no login of an account's domain may send anything for now: that of the domain, or that
// of the account; without a domain that of the account alone.
func (s *Snapshot) DomainPausedFor(owner account.ID, domain string) (rule sending.Rule, paused bool) {
	return s.firstPause([]sending.Key{sending.KeyOfDomain(owner, domain), sending.KeyOfAccount(owner)})
}

func (s *Snapshot) firstPause(keys []sending.Key) (sending.Rule, bool) {
	for _, k := range keys {
		if r := s.senders[k]; r.Pause != nil {
			return r, true
		}
	}
	return sending.Rule{}, false
}

// Paused reports whether a login of an account may send nothing for now.
func (s *Snapshot) Paused(owner account.ID, login string) bool {
	_, paused := s.PausedFor(owner, login)
	return paused
}

// WithSenders gives the snapshot with what was decided of senders, each in place of what it had of that sender. An empty rule
// is forgotten.
func (s *Snapshot) WithSenders(put []sending.Rule) *Snapshot {
	next := *s
	next.senders = make(map[sending.Key]sending.Rule, len(s.senders)+len(put))
	maps.Copy(next.senders, s.senders)
	for i := range put {
		if put[i].Empty() {
			delete(next.senders, put[i].Key)
		} else {
			next.senders[put[i].Key] = put[i]
		}
	}
	return &next
}

package directory

import (
	"slices"
	"strings"
	"time"

	"postroad/internal/proto/smtp"
)

// Owns reports whether a login may send as an address: its own one, with or without a plus-suffix, the aliases that lead to
// it directly, and its identities elsewhere. Domains whose ownership is not shown are nobody's to send as, and not an alias
// in them either.
func (s *Snapshot) Owns(login string, a smtp.Address, now time.Time) bool {
	i := strings.LastIndexByte(login, '@')
	if i <= 0 || a.Domain == "" {
		return false
	}
	box, ok := s.Mailbox(login[i+1:], FoldLocal(login[:i]))
	if !ok {
		return false
	}
	domain, local := strings.ToLower(a.Domain), FoldLocal(a.Local)
	d, ours := s.Domain(domain)
	if !ours || !d.Proved || d.Account != box.Account {
		return s.identifies(box, a, now)
	}
	for _, l := range []string{local, Base(local)} {
		if domain == box.Domain && l == box.Local {
			return true
		}
		if r, ok := s.Rule(domain, l); ok && l != "" && r.Kind == RuleAlias && slices.Contains(r.Targets, box.Address()) {
			return true
		}
	}
	return s.identifies(box, a, now)
}

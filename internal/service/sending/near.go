package sending

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/finding"
	"postroad/internal/core/notice"
	"postroad/internal/core/sending"
)

// Near gives the domains whose logins, or who themselves or with their account, have had nearly all recipients of this hour or
// this day. What holds of an account is told with the first of its domains that have sent today.
func (s *Service) Near(ctx context.Context) ([]notice.Seen, error) {
	counts, err := s.Counts(ctx, account.System())
	if err != nil {
		return nil, err
	}
	slices.SortFunc(counts, func(a, b sending.Count) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
	})
	first := map[account.ID]string{}
	for _, c := range counts {
		if _, there := first[c.Account]; c.Kind == sending.Domain && !there {
			first[c.Account] = c.ID
		}
	}
	now := time.Now().UTC()
	found := map[string]*notice.Seen{}
	for _, c := range counts {
		domain, name := c.Domain(), c.ID
		if c.Kind == sending.Account {
			domain, name = first[c.Account], "of "+first[c.Account]
		}
		text := s.limits(c.Key).Near(c.Kind, name, c.Tally, now)
		if text == "" || domain == "" {
			continue
		}
		key := string(c.Account) + " " + domain
		if f := found[key]; f != nil {
			f.Evidence += finding.Between + text
			continue
		}
		found[key] = &notice.Seen{Event: notice.SendingNear, Domain: domain, Account: c.Account, Since: now, Evidence: text}
	}
	var out []notice.Seen
	for _, f := range slices.SortedFunc(maps.Values(found), func(a, b *notice.Seen) int { return strings.Compare(a.Domain, b.Domain) }) {
		out = append(out, *f)
	}
	return out, nil
}

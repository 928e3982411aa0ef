// Package sendings is what our own users may send, as people see and change it: what they have sent and how much more they
// may, the limits of logins, domains and accounts, and who may send nothing for now.
//
// The operator gives limits, in place of the installation's; an account chooses for itself, its domains and its logins what
// is less, and never more. Whoever pauses a sender has it paused until somebody resumes it: what the operator has paused only
// the operator, what the program has paused the owner too, who knows whose mail it was. Both stay with the address, the name
// or the account, through removal and adding anew.
package sendings

import (
	"cmp"
	"context"
	"slices"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/sending"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Counter counts what is sent.
type Counter interface {
	// Counts gives the tallies of all senders in scope who have sent today.
	Counts(ctx context.Context, scope account.Scope) ([]sending.Count, error)
	// Limits are the installation's for a kind of sender.
	Limits(kind sending.Kind) sending.Limits
}

// SendingInfo is what a sender has sent, as listings show it.
type SendingInfo struct {
	Kind      string     `json:"kind" enum:"login,domain,account"`
	Name      string     `json:"name" doc:"Address of the login, name of the domain or of the account"`
	Account   account.ID `json:"account"`
	Hour      int64      `json:"hour" doc:"Recipients in this hour"`
	HourLimit int64      `json:"hour_limit" doc:"0 is no limit"`
	Day       int64      `json:"day" doc:"Recipients in this day of UTC"`
	DayLimit  int64      `json:"day_limit" doc:"0 is no limit"`
	Until     *time.Time `json:"until,omitempty" doc:"A limit is reached: from then on the next recipient is taken"`

	HourBy string         `json:"hour_by" enum:"installation,operator,owner" doc:"Whose limit that is: the configuration's, the operator's for this sender, or the account's own"`
	DayBy  string         `json:"day_by" enum:"installation,operator,owner"`
	Paused *sending.Pause `json:"paused,omitempty" doc:"Why it may send nothing, decided of this sender itself; absent: it may, unless its domain or its account is paused"`
}

// List lists the senders in scope who have sent today, or of whom something was decided, of one domain and its logins or of
// all (empty).
func List(ctx context.Context, counter Counter, actor rights.Actor, st *rights.State, domain string) ([]SendingInfo, error) {
	if domain != "" {
		d, err := actor.Domain(st, domain)
		if err != nil {
			return nil, err
		}
		domain = d.Name
	}
	if counter == nil {
		return nil, words.Invalid("This server counts nothing that is sent.", "")
	}
	counts, err := counter.Counts(ctx, actor.Scope)
	if err != nil {
		return nil, err
	}
	counted := make(map[sending.Key]bool, len(counts))
	for _, c := range counts {
		counted[c.Key] = true
	}
	for r := range st.Directory.SendingRules() {
		if !counted[r.Key] && actor.Scope.Has(r.Account) {
			counts = append(counts, sending.Count{Key: r.Key, Tally: sending.At(time.Now())})
		}
	}
	order := sending.Kinds()
	slices.SortFunc(counts, func(a, b sending.Count) int {
		return cmp.Or(slices.Index(order, a.Kind)-slices.Index(order, b.Kind), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Account, b.Account))
	})
	out := []SendingInfo{}
	for _, c := range counts {
		if domain != "" && c.Domain() != domain {
			continue
		}
		out = append(out, show(counter, st, &c))
	}
	return out, nil
}

func show(counter Counter, st *rights.State, c *sending.Count) SendingInfo {
	info := SendingInfo{Kind: string(c.Kind), Name: c.ID, Account: c.Account, Hour: c.HourCount, Day: c.DayCount}
	if a, ok := st.Accounts[c.Account]; ok && c.Kind == sending.Account {
		info.Name = a.Name
	}
	rule := st.Directory.SendingRule(c.Key)
	installation := counter.Limits(c.Kind)
	allowed, limits := rule.Allowed(installation), rule.Limits(installation)
	info.HourLimit, info.DayLimit, info.Paused = limits.Hour, limits.Day, rule.Pause
	info.HourBy, info.DayBy = by(limits.Hour, allowed.Hour, rule.Given.Hour), by(limits.Day, allowed.Day, rule.Given.Day)
	if at, reached := limits.Until(c.Tally); reached {
		info.Until = &at
	}
	return info
}

// by is whose a limit is.
func by(limit, allowed int64, given *int64) string {
	switch {
	case limit != allowed:
		return "owner"
	case given != nil:
		return "operator"
	}
	return "installation"
}

// Package sendings shows what our own users have sent, and how much more they may.
package sendings

import (
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/sending"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Counter counts what is sent.
type Counter interface {
	// Counts gives the tallies of all senders in scope who have sent today, by kind and name.
	Counts(scope account.Scope) []sending.Count
	// Limits are those of a kind of sender.
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
}

// List lists what senders in scope have sent today, of one domain and its logins or of all (empty).
func List(counter Counter, actor rights.Actor, st *rights.State, domain string) ([]SendingInfo, error) {
	if domain != "" {
		d, err := actor.Domain(st, domain)
		if err != nil {
			return nil, err
		}
		domain = d.Name
	}
	out := []SendingInfo{}
	if counter == nil {
		return nil, words.Invalid("This server counts nothing that is sent.", "")
	}
	for _, c := range counter.Counts(actor.Scope) {
		info := SendingInfo{Kind: string(c.Kind), Name: c.ID, Account: c.Account, Hour: c.HourCount, Day: c.DayCount}
		within := c.ID == domain
		switch c.Kind {
		case sending.Login:
			within = strings.HasSuffix(c.ID, "@"+domain)
		case sending.Account:
			within = false
			if a, ok := st.Accounts[c.Account]; ok {
				info.Name = a.Name
			}
		case sending.Domain:
		}
		if domain != "" && !within {
			continue
		}
		limits := counter.Limits(c.Kind)
		info.HourLimit, info.DayLimit = limits.Hour, limits.Day
		if at, reached := limits.Until(c.Tally); reached {
			info.Until = &at
		}
		out = append(out, info)
	}
	return out, nil
}

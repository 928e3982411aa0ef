// Package undo reads what audit entries keep of things and tells how a change is taken back.
//
// # Failure
//
// A change that cannot be taken back is refused with a *words.RefusedError: when what it left has changed since, when
// what it would need is gone, or when what was before is not kept (messages, passwords, tokens).
package undo

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/sets"
	"postroad/internal/service/control/settings"
	"postroad/internal/service/control/words"
)

// Change is a change that was made, as its audit entry tells it.
type Change struct {
	Action, Subject, Domain string
	Account                 account.ID
	Before, After           string // JSON; empty where the thing was not there
}

// Do is what has to be done.
type Do uint8

// What takes a change back.
const (
	AddAccount Do = iota + 1
	SetAccount
	RemoveAccount
	RestoreDomain
	SetDomain
	RemoveDomain
	AddMailbox
	SetMailbox
	RemoveMailbox
	AddRule
	SetRule
	RemoveRule
	SetOutbound
	RemoveOutbound
	SetRelay // an outbound route for addresses elsewhere
	RemoveRelay
	RemoveToken
	RemoveProvider
	AddCertificate
	RemoveCertificate
	Unpublish // what was written into somebody else's zone
	SetExchangers
	AddSet
	SetSet
	RemoveSet
	AddServers
	SetServers
	RemoveServers
	SetSender
)

// Step is what takes a change back. Which fields count follows from Do.
type Step struct {
	Do       Do
	Subject  string // what is set or removed: an id, a name, an address
	Settings settings.Domain
	Domain   *settings.Info // for SetDomain: what has to come of it
	Removed  *RemovedDomain
	Mailbox  *Mailbox
	Rule     *Rule
	Outbound *Outbound
	Source   *string // for SetOutbound: the addresses that were there; nil: they have not changed
	Keep     bool    // for RemoveOutbound: the addresses stay
	Account  *Account
	MX, Left *sets.Records // for SetExchangers: what was before, and what the change left
	Set      *sets.Set
	Servers  *sets.Servers
	Sender   *Sender
	Says     string // what does not come back; may be empty
}

// Inexact refuses what would not bring back all that was there.
func Inexact() error { return words.Lost("not all of it would come back") }

// sides reads what an audit entry says of a thing before and after; nil where it was not there.
func sides[T any](c *Change) (before, after *T, err error) {
	read := func(text string) (*T, error) {
		if text == "" {
			return nil, nil
		}
		v := new(T)
		if json.Unmarshal([]byte(text), v) != nil {
			return nil, words.Lost("its entry was written by an earlier revision, which kept too little")
		}
		return v, nil
	}
	if before, err = read(c.Before); err == nil {
		after, err = read(c.After)
	}
	if err == nil && before == nil && after == nil {
		err = words.Lost("its entry does not say what was changed")
	}
	return before, after, err
}

// localOf is the local part of an address; empty for a catch-all.
func localOf(address string) string { return address[:max(0, strings.LastIndexByte(address, '@'))] }

// Judge finds what takes a change back, by the state of now, or says why nothing does.
func Judge(st *rights.State, c *Change, now time.Time) (Step, error) {
	kind, verb, _ := strings.Cut(c.Action, " ")
	switch kind {
	case "domain":
		if verb == "remove" {
			return removedDomain(st, c)
		}
		return domain(st, c, now)
	case "mailbox":
		return mailbox(st, c)
	case string(directory.RuleAlias), string(directory.RuleForward), string(directory.RuleGroup), string(directory.RuleCatchAll):
		return rule(st, c)
	case "outbound":
		return outbound(st, c)
	case "account":
		return accounts(st, c)
	case "mx":
		before, after, err := sides[sets.Records](c)
		if err == nil && (before == nil || after == nil) {
			err = words.Lost("its entry does not say what was there")
		}
		return Step{Do: SetExchangers, Subject: c.Subject, MX: before, Left: after}, err
	case "exchanger-set":
		return exchangerSet(st, c)
	case "nameserver-set":
		return nameServerSet(st, c)
	case "provider":
		if c.Before != "" {
			return Step{}, words.Lost("the secret that was there is not kept")
		}
		return Step{Do: RemoveProvider, Subject: c.Domain}, nil
	case "cert":
		switch verb {
		case "add":
			return Step{Do: RemoveCertificate, Subject: c.Subject}, nil
		case "remove":
			return Step{Do: AddCertificate, Subject: c.Subject}, nil
		}
	case "sending":
		return sender(st, c)
	case "publish":
		return Step{Do: Unpublish, Subject: c.Domain}, nil
	case "token":
		_, after, err := sides[Token](c)
		if err == nil && after == nil {
			err = words.Lost("a token that was removed stays unknown")
		}
		if err != nil {
			return Step{}, err
		}
		return Step{Do: RemoveToken, Subject: after.ID}, nil
	}
	return Step{}, words.Lost("what was done is not kept, or has had its effect")
}

func removedDomain(st *rights.State, c *Change) (Step, error) {
	gone, _, err := sides[RemovedDomain](c)
	if err != nil {
		return Step{}, err
	}
	if gone == nil {
		return Step{}, words.Lost("its entry does not say what was there")
	}
	if _, taken := st.Directory.Domain(gone.Name); taken {
		return Step{}, words.Since("the domain " + words.Show(gone.Name))
	}
	if _, owner := st.Accounts[gone.Account]; !owner {
		return Step{}, words.Lost("the account that owned the domain is gone")
	}
	return Step{Do: RestoreDomain, Subject: gone.Name, Removed: gone}, nil
}

func domain(st *rights.State, c *Change, now time.Time) (Step, error) {
	before, after, err := sides[settings.Info](c)
	if err != nil {
		return Step{}, err
	}
	d, there := st.Directory.Domain(c.Domain)
	if !there || after == nil {
		return Step{}, words.Since("the domain " + words.Show(c.Domain))
	}
	is := settings.Show(d, now)
	switch {
	case is.Account != after.Account || !settings.Alike(&is, after, now):
		return Step{}, words.Since("the domain " + words.Show(c.Domain))
	case before != nil:
		return Step{Do: SetDomain, Subject: before.Name, Settings: settings.Back(&is, before, now), Domain: before}, nil
	}
	for range st.Directory.Mailboxes(d.Name) {
		return Step{}, &words.RefusedError{Err: words.ErrInUse, Sentence: "The change cannot be undone: the domain " + words.Show(d.Name) + " has mailboxes now.", Hint: "remove them first, or remove the domain with all that is in it"}
	}
	return Step{Do: RemoveDomain, Subject: d.Name}, nil
}

func mailbox(st *rights.State, c *Change) (Step, error) {
	before, after, err := sides[Mailbox](c)
	if err != nil {
		return Step{}, err
	}
	m, there := st.Directory.Mailbox(c.Domain, localOf(c.Subject))
	switch {
	case there != (after != nil), there && m.Quota != after.Quota:
		return Step{}, domainGone(st, c, words.Since("the mailbox "+c.Subject))
	case after == nil:
		s := Step{Do: AddMailbox, Subject: c.Subject, Mailbox: before, Says: "It is empty: the messages that were removed with it do not come back."}
		return s, domainGone(st, c, nil)
	case before == nil:
		return Step{Do: RemoveMailbox, Subject: c.Subject}, nil
	case before.Quota == after.Quota:
		return Step{}, words.Lost("the old password is not kept")
	}
	s := Step{Do: SetMailbox, Subject: c.Subject, Mailbox: before}
	if after.Password != "" {
		s.Says = "The password stays as it is: the old one is not kept."
	}
	return s, nil
}

// sender takes back what a change has decided of a sender, and leaves alone what was decided besides.
func sender(st *rights.State, c *Change) (Step, error) {
	was, left, err := sides[Sender](c)
	if err != nil {
		return Step{}, err
	}
	if was == nil || left == nil {
		return Step{}, words.Lost("its entry does not say what was changed")
	}
	if _, there := st.Accounts[was.Account]; !there {
		return Step{}, words.Lost("the account is gone")
	}
	before, after := was.Rule(), left.Rule()
	next := st.Directory.SendingRule(before.Key)
	if !before.Given.Same(after.Given) {
		if !next.Given.Same(after.Given) {
			return Step{}, words.Since("the limits of " + c.Subject)
		}
		next.Given = before.Given
	}
	if !before.Own.Same(after.Own) {
		if !next.Own.Same(after.Own) {
			return Step{}, words.Since("the limits of " + c.Subject)
		}
		next.Own = before.Own
	}
	if !before.Pause.Same(after.Pause) {
		if !next.Pause.Same(after.Pause) {
			return Step{}, words.Since("whether " + c.Subject + " may send")
		}
		next.Pause = before.Pause
	}
	wanted := ShowSender(&next)
	return Step{Do: SetSender, Subject: c.Subject, Sender: &wanted}, nil
}

// domainGone is err, or says that the domain of the change is not there any more.
func domainGone(st *rights.State, c *Change, err error) error {
	if _, ok := st.Directory.Domain(c.Domain); !ok {
		return words.Lost("the domain " + words.Show(c.Domain) + " is gone")
	}
	return err
}

func rule(st *rights.State, c *Change) (Step, error) {
	before, after, err := sides[Rule](c)
	if err != nil {
		return Step{}, err
	}
	r, there := st.Directory.Rule(c.Domain, localOf(c.Subject))
	switch {
	case there != (after != nil), there && !reflect.DeepEqual(ShowRule(r), *after):
		return Step{}, domainGone(st, c, words.Since("what "+c.Subject+" stands for"))
	case before == nil:
		return Step{Do: RemoveRule, Subject: c.Subject, Rule: after}, nil
	case after == nil && before.Kind != string(directory.RuleCatchAll):
		return Step{Do: AddRule, Subject: c.Subject, Rule: before}, domainGone(st, c, nil)
	}
	return Step{Do: SetRule, Subject: c.Subject, Rule: before}, domainGone(st, c, nil)
}

func outbound(st *rights.State, c *Change) (Step, error) {
	before, after, err := sides[Outbound](c)
	if err != nil {
		return Step{}, err
	}
	if either := either(before, after); either.Identity != "" {
		return relay(st, before, after, either)
	}
	o, there := FindOutbound(st.Directory, c.Domain)
	switch {
	case there != (after != nil), there && ShowOutbound(o) != *after:
		return Step{}, words.Since("the outbound route")
	case before == nil:
		return Step{Do: RemoveOutbound, Subject: c.Domain}, nil
	}
	step := Step{Do: SetOutbound, Subject: c.Domain, Outbound: before}
	if after == nil {
		after = &Outbound{}
	}
	if before.Source != after.Source {
		step.Source = &before.Source
	}
	switch {
	case before.Hop == after.Hop && before.TLS == after.TLS && before.User == after.User && step.Source != nil:
		step.Outbound = &Outbound{} // the smart host stays as it is
	case before.User != "":
		return Step{}, words.Lost("the password of the route that was there is not kept")
	case before.Hop == "" && after.Hop != "" && step.Source == nil:
		return Step{Do: RemoveOutbound, Subject: c.Domain, Keep: true}, nil
	case before.Hop == "" && after.Hop != "":
		return Step{}, Inexact()
	}
	return step, nil
}

// either is the one of two that is there.
func either(before, after *Outbound) *Outbound {
	if after != nil {
		return after
	}
	return before
}

// relay is outbound for a route of addresses elsewhere. What is unlike is told first: a password that was there is not kept.
func relay(st *rights.State, before, after, either *Outbound) (Step, error) {
	var is *Outbound
	for _, o := range st.Directory.Outbounds() {
		if o.Identity == either.Identity && o.Account == either.Account {
			shown := ShowOutbound(o)
			is = &shown
		}
	}
	switch {
	case (is == nil) != (after == nil), is != nil && *is != *after:
		return Step{}, words.Since("the outbound route")
	case before == nil:
		return Step{Do: RemoveRelay, Outbound: after}, nil
	case before.User != "":
		return Step{}, words.Lost("the password of the route that was there is not kept")
	}
	return Step{Do: SetRelay, Outbound: before}, nil
}

func accounts(st *rights.State, c *Change) (Step, error) {
	before, after, err := sides[Account](c)
	if err != nil {
		return Step{}, err
	}
	a, there := st.Accounts[c.Account]
	switch {
	case there != (after != nil), there && (a.Name != after.Name || !slices.Equal(a.Notices, after.Notices)):
		return Step{}, words.Since("the account")
	case before == nil:
		return Step{Do: RemoveAccount, Subject: string(c.Account)}, nil
	case after != nil:
		return Step{Do: SetAccount, Subject: string(c.Account), Account: before}, nil
	}
	return Step{Do: AddAccount, Account: before, Says: "Its tokens do not come back, nor limits and pauses of what its users send."}, nil
}

func exchangerSet(st *rights.State, c *Change) (Step, error) {
	before, after, err := sides[sets.Set](c)
	if err != nil {
		return Step{}, err
	}
	step := Step{Do: AddSet, Subject: c.Subject, Set: before}
	if after != nil {
		is, there := st.Sets.ExchangerSet(after.ID)
		if !there || !sets.SameSet(&is, after) {
			return Step{}, words.Since("the exchanger set " + c.Subject)
		}
		step.Subject = after.ID
		if step.Do = SetSet; before == nil {
			step.Do = RemoveSet
		}
	}
	return step, nil
}

func nameServerSet(st *rights.State, c *Change) (Step, error) {
	before, after, err := sides[sets.Servers](c)
	if err != nil {
		return Step{}, err
	}
	step := Step{Do: AddServers, Subject: c.Subject, Servers: before}
	if after != nil {
		is, there := st.Sets.NameServerSet(after.ID)
		if !there || !slices.Equal(is.Hosts, after.Hosts) {
			return Step{}, words.Since("the name-server set " + c.Subject)
		}
		step.Subject = after.ID
		if step.Do = SetServers; before == nil {
			step.Do = RemoveServers
		}
	}
	return step, nil
}

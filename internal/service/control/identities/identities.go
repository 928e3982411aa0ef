// Package identities is the addresses elsewhere as which mailboxes' logins may send, once it was shown that they are theirs:
// by a code that is mailed to the address, or by its domain, which the account has here.
//
// # Failure
//
// What is refused comes as a *words.RefusedError. Nobody gets an address in a domain of another account here, by whatever
// proof.
package identities

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/dkimkey"
	"postroad/internal/core/facts"
	"postroad/internal/proto/dns"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/settings"
	"postroad/internal/service/control/words"
)

// Resolver asks public DNS.
type Resolver interface {
	// Recursive asks for records of a type.
	Recursive(ctx context.Context, name string, kind dns.Type) facts.Answer
}

// Keys are those by which mail of domains is signed.
type Keys interface {
	// DKIM gives how a domain's mail is signed; words.ErrNotFound where nobody has said it and no keys were made.
	DKIM(ctx context.Context, scope account.Scope, domain string) (dkimkey.Domain, error)
}

// Access is identities as actors may see and change them.
type Access struct {
	Resolver  Resolver // nil: what the world says is not known
	Keys      Keys
	Addresses []netip.Addr // from which mail leaves
	Hostname  string
	NewID     func() string
	Posts     bool // codes can be mailed

	mu   sync.Mutex
	sent map[string]time.Time // when codes were mailed: by address, and by account with a number
}

const (
	codeLife   = 24 * time.Hour
	proofLife  = 365 * 24 * time.Hour
	renewFrom  = 60 * 24 * time.Hour // before the end of a proof
	sendAgain  = 10 * time.Minute    // between two codes to one address
	mostOfHour = 20                  // codes that are mailed for an account in an hour
	mostOfBox  = 50                  // identities of a mailbox
)

// IdentityInfo is an identity as listings show it. No code is in it.
type IdentityInfo struct {
	Mailbox string     `json:"mailbox" doc:"Address of the mailbox whose login sends"`
	Address string     `json:"address" doc:"As which it sends"`
	Account account.ID `json:"account"`
	State   string     `json:"state" enum:"waiting,proved,expired,void" doc:"waiting: a code was mailed; void: its domain is another account's here, or no longer the account's own"`
	Proof   string     `json:"proof,omitempty" enum:"mail,domain"`
	Proved  *time.Time `json:"proved,omitempty" doc:"When it was shown"`
	Expires *time.Time `json:"expires,omitempty" doc:"Until when that holds"`
	Sent    *time.Time `json:"sent,omitempty" doc:"When a code was mailed that is waited for; it is good for a day"`
	Relay   string     `json:"relay,omitempty" doc:"Host through which mail leaves that is sent as it, where a route is set for that; in listings alone"`
}

// show gives an identity as listings show it.
func show(st *rights.State, box *directory.Mailbox, i *directory.Identity, now time.Time) IdentityInfo {
	out := IdentityInfo{
		Mailbox: box.Address(), Address: i.Address, Account: i.Account, Proof: string(i.Proof), Proved: some(i.Proved), Expires: some(i.Expires), State: "proved",
	}
	switch {
	case st.Directory.Holds(i, now):
	case i.Proof == "":
		out.State = "waiting"
	case i.Proof == directory.ProvedByMail && !now.Before(i.Expires):
		out.State = "expired"
	default:
		out.State = "void"
	}
	if i.Code != nil {
		out.Sent = some(i.Sent)
	}
	return out
}

func some(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// List lists the identities in scope, of one mailbox or of all (empty).
func List(actor rights.Actor, st *rights.State, mailbox string) ([]IdentityInfo, error) {
	out, now := []IdentityInfo{}, time.Now()
	add := func(box *directory.Mailbox) {
		for _, i := range st.Directory.Identities(box.ID) {
			info := show(st, box, &i, now)
			if way, ok := st.Directory.RelayOf(&i); ok {
				info.Relay = settings.ShowHost(way.Hop)
			}
			out = append(out, info)
		}
	}
	if mailbox != "" {
		box, err := actor.Mailbox(st, mailbox)
		if err != nil {
			return nil, err
		}
		add(box)
		return out, nil
	}
	for d := range st.Directory.Domains() {
		if !actor.Scope.Has(d.Account) {
			continue
		}
		for box := range st.Directory.Mailboxes(d.Name) {
			add(box)
		}
	}
	slices.SortFunc(out, func(a, b IdentityInfo) int {
		return cmp.Or(cmp.Compare(a.Mailbox, b.Mailbox), cmp.Compare(a.Address, b.Address))
	})
	return out, nil
}

// find finds a mailbox in the actor's scope, the address, and the identity if there is one.
func find(actor rights.Actor, st *rights.State, mailbox, address string) (*directory.Mailbox, smtp.Address, *directory.Identity, error) {
	box, err := actor.Mailbox(st, mailbox)
	if err != nil {
		return nil, smtp.Address{}, nil, err
	}
	a, err := smtp.ParseAddress(address, true)
	if err != nil || a.IsLiteral() {
		return nil, a, nil, words.Invalid(words.Quote(address)+" is no address to send as.", "as in name@example.org")
	}
	folded := directory.FoldAddress(a)
	for _, i := range st.Directory.Identities(box.ID) {
		if i.Address == folded {
			return box, a, &i, nil
		}
	}
	return box, a, nil, nil
}

// PlanAdd plans that a mailbox's login may send as an address: at once where its domain is the account's own here, else after a
// code that is mailed to it was confirmed.
func (a *Access) PlanAdd(ctx context.Context, actor rights.Actor, st *rights.State, mailbox, address string) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	box, to, old, err := find(actor, st, mailbox, address)
	if err != nil {
		return plan.Plan{}, err
	}
	now := time.Now().UTC()
	domain := strings.ToLower(to.Domain)
	next := directory.Identity{ID: a.NewID(), Account: box.Account, Domain: box.Domain, Mailbox: box.ID, Address: directory.FoldAddress(to), Created: now}
	c := plan.Change{Kind: plan.KindIdentity, Verb: plan.VerbAdd, Subject: next.Address, Domain: box.Domain, Account: box.Account}
	if old != nil {
		next = *old
		c.Verb, c.Before = plan.VerbSet, show(st, box, old, now)
	}
	own, ours := st.Directory.Domain(domain)
	switch {
	case st.Directory.Elses(domain, box.Account):
		return plan.Plan{}, words.Denied("Nobody here sends as an address of " + words.Show(domain) + " but the account that has the domain.")
	case old == nil && st.Directory.Owns(box.Address(), to, now):
		return plan.Plan{}, words.Exists("The mailbox "+box.Address()+" sends as "+next.Address+" already: it is its own address.", "")
	case old == nil && len(st.Directory.Identities(box.ID)) >= mostOfBox:
		return plan.Plan{}, words.Invalid(fmt.Sprintf("The mailbox %s has %d identities: that is the most.", box.Address(), mostOfBox), "remove one first")
	case ours && own.Proved && own.Account == box.Account:
		if old != nil && old.Proof == directory.ProvedByDomain {
			p.Say("The mailbox %s sends as %s already.", box.Address(), next.Address)
			return p, nil
		}
		next.Proof, next.Proved, next.Expires, next.Code = directory.ProvedByDomain, now, time.Time{}, nil
		p.Say("The mailbox %s sends as %s from now on: the domain is the account's own.", box.Address(), next.Address)
	default:
		if err := a.mail(&p, st, box, to, old, &next, now); err != nil {
			return plan.Plan{}, err
		}
	}
	a.tellAuthority(ctx, &p, st, &next)
	put(&p, &next)
	c.After = show(st, box, &next, now)
	p.Record(c)
	return p, nil
}

func put(p *plan.Plan, i *directory.Identity) {
	p.Tx.PutIdentities = append(p.Tx.PutIdentities, *i)
	p.Delta.PutIdentities = append(p.Delta.PutIdentities, *i)
}

// mail adds to a plan that a code is mailed to the address of an identity.
func (a *Access) mail(p *plan.Plan, st *rights.State, box *directory.Mailbox, to smtp.Address, old, next *directory.Identity, now time.Time) error {
	switch {
	case !a.Posts:
		return words.Invalid("This server mails no codes.", "prove the domain instead: domain add, domain prove")
	case old != nil && st.Directory.Holds(old, now) && now.Before(old.Expires.Add(-renewFrom)):
		return words.Exists("The mailbox "+box.Address()+" sends as "+next.Address+" already; what shows that holds until "+words.When(old.Expires)+".", "")
	case !a.may(next.Address, box.Account, now):
		return words.Invalid("A code was mailed to "+next.Address+", or to many addresses, a moment ago.", "wait ten minutes; it may lie among unwanted mail")
	}
	// It goes to the address as it is compared later: another spelling may be somebody else's mailbox there.
	code := strings.ToLower(rand.Text()[:12])
	next.Code, next.Sent = hash(next.ID, code), now
	shown := code[:4] + "-" + code[4:8] + "-" + code[8:]
	p.Say("A code is mailed to %s. Whoever reads it there enters it with postroad identity confirm %s %s CODE, within a day.", next.Address, box.Address(), next.Address)
	p.Letters = append(p.Letters, plan.Letter{
		Account: box.Account, To: smtp.Address{Local: directory.FoldLocal(to.Local), Domain: to.Domain}.String(), Subject: "Code for sending as " + next.Address,
		Text: "The user of the mailbox " + box.Address() + " at " + a.Hostname + " wants to send mail as this address, " + next.Address + ".\n\n" +
			"If that is you, or you agree, this is the code:\n\n    " + shown + "\n\n" +
			"It is good until " + words.When(now.Add(codeLife)) + ". It is entered with\n\n    postroad identity confirm " + box.Address() + " " + next.Address + " " + shown + "\n\n" +
			"or given to whoever looks after that mailbox. If you know nothing of this, do nothing: without the code nobody sends as you.\n",
	})
	return nil
}

// may reports whether a code may be mailed now, to an address and for an account.
func (a *Access) may(address string, owner account.ID, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if at, there := a.sent[address]; there && now.Before(at.Add(sendAgain)) {
		return false
	}
	_, free := a.place(owner, now)
	return free
}

// place finds where the next code of an account is noted; false when too many were mailed. a.mu is held.
func (a *Access) place(owner account.ID, now time.Time) (string, bool) {
	for n := range mostOfHour {
		key := fmt.Sprintf("%d %s", n, owner)
		if at, there := a.sent[key]; !there || !now.Before(at.Add(time.Hour)) {
			return key, true
		}
	}
	return "", false
}

// Mailed notes that a code was mailed. What is long ago is forgotten.
func (a *Access) Mailed(l *plan.Letter, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sent == nil {
		a.sent = map[string]time.Time{}
	}
	for key, at := range a.sent {
		if !now.Before(at.Add(time.Hour)) {
			delete(a.sent, key)
		}
	}
	if key, free := a.place(l.Account, now); free {
		a.sent[key] = now
	}
	a.sent[strings.ToLower(l.To)] = now
}

func hash(id, code string) []byte {
	sum := sha256.Sum256([]byte(id + " " + code))
	return sum[:]
}

// PlanConfirm plans that a code shows an identity.
func (a *Access) PlanConfirm(ctx context.Context, actor rights.Actor, st *rights.State, mailbox, address, code string) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	box, _, old, err := find(actor, st, mailbox, address)
	if err != nil {
		return plan.Plan{}, err
	}
	now := time.Now().UTC()
	code = strings.ToLower(strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, code))
	switch {
	case old == nil:
		return plan.Plan{}, words.Missing("The mailbox " + box.Address() + " has no identity " + words.Quote(address) + ": postroad identity add mails a code.")
	case old.Code == nil || !now.Before(old.Sent.Add(codeLife)):
		return plan.Plan{}, words.Invalid("No code is waited for of "+old.Address+", or its day is over.", "postroad identity add "+box.Address()+" "+old.Address+" mails another")
	case subtle.ConstantTimeCompare(hash(old.ID, code), old.Code) != 1:
		return plan.Plan{}, words.Denied("The code is not the one that was mailed to " + old.Address + " last.")
	case st.Directory.Elses(old.Address[strings.LastIndexByte(old.Address, '@')+1:], box.Account):
		return plan.Plan{}, words.Denied("Nobody here sends as " + old.Address + " but the account that has the domain.")
	}
	next := *old
	next.Proof, next.Proved, next.Expires, next.Code = directory.ProvedByMail, now, now.Add(proofLife), nil
	p.Say("The mailbox %s sends as %s, until %s.", box.Address(), next.Address, words.When(next.Expires))
	a.tellAuthority(ctx, &p, st, &next)
	put(&p, &next)
	p.Record(plan.Change{
		Kind: plan.KindIdentity, Verb: plan.VerbSet, Subject: next.Address, Domain: box.Domain, Account: box.Account,
		Before: show(st, box, old, now), After: show(st, box, &next, now),
	})
	return p, nil
}

// PlanRemove plans that a mailbox's login does not send as an address any more.
func PlanRemove(actor rights.Actor, st *rights.State, mailbox, address string) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	box, _, old, err := find(actor, st, mailbox, address)
	if err != nil {
		return plan.Plan{}, err
	}
	if old == nil {
		return plan.Plan{}, words.Missing("The mailbox " + box.Address() + " has no identity " + words.Quote(address) + ".")
	}
	remove(&p, actor, st, box, old, time.Now().UTC())
	return p, nil
}

func remove(p *plan.Plan, actor rights.Actor, st *rights.State, box *directory.Mailbox, i *directory.Identity, now time.Time) {
	p.Remove(plan.KindIdentity, i.ID)
	p.Delta.RemoveIdentities = append(p.Delta.RemoveIdentities, i.ID)
	p.Record(plan.Change{
		Kind: plan.KindIdentity, Verb: plan.VerbRemove, Subject: i.Address, Domain: box.Domain, Account: box.Account,
		Before: former{show(st, box, i, now), box.ID, actor.Operator},
	})
	p.Say("The mailbox %s no longer sends as %s.", box.Address(), i.Address)
}

// errNone says that DNS has no such records.
var errNone = errors.New("DNS did not answer")

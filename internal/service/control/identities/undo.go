package identities

import (
	"encoding/json"
	"strings"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// former is what the audit log keeps of an identity that was removed.
type former struct {
	IdentityInfo

	MailboxID  string `json:"mailbox_id"`            // another mailbox of the same address is somebody else's
	ByOperator bool   `json:"by_operator,omitempty"` // the operator removed it: nobody else brings it back
}

// Undoable reports whether an audit entry is of a kind that PlanUndo takes back.
func Undoable(action string) bool {
	kind, _, _ := strings.Cut(action, " ")
	return kind == string(plan.KindIdentity)
}

// undoing is what takes a change of an identity back.
type undoing struct {
	box  *directory.Mailbox
	is   *directory.Identity // nil: there is none
	next *directory.Identity // nil: there is to be none
	code bool                // a code is no longer good
}

// judge finds what takes a change back, or says why nothing does.
func judge(actor rights.Actor, st *rights.State, e *plan.Entry, now time.Time) (undoing, error) {
	var before *former
	var after *IdentityInfo
	if e.Before != "" && json.Unmarshal([]byte(e.Before), &before) != nil || e.After != "" && json.Unmarshal([]byte(e.After), &after) != nil || before == nil && after == nil {
		return undoing{}, words.Lost("its entry cannot be read any more")
	}
	shown := after
	if shown == nil {
		shown = &before.IdentityInfo
	}
	box, err := actor.Mailbox(st, shown.Mailbox)
	if err != nil {
		return undoing{}, words.Lost("the mailbox " + shown.Mailbox + " is gone")
	}
	r := undoing{box: box}
	for _, i := range st.Directory.Identities(box.ID) {
		if i.Address == e.Subject {
			r.is = &i
		}
	}
	if (r.is == nil) != (after == nil) || r.is != nil && !same(st, box, r.is, after, now) {
		return undoing{}, words.Since("the identity " + e.Subject)
	}
	switch {
	case before == nil:
		return r, nil
	case after == nil:
		return r, r.removed(actor, st, before, now)
	}
	next := *r.is
	next.Proof, next.Proved, next.Expires = directory.IdentityProof(before.Proof), timeOf(before.Proved), timeOf(before.Expires)
	r.code = next.Code != nil || next.Proof == ""
	next.Code, next.Sent = nil, time.Time{}
	if st.Directory.Holds(&next, now) && !st.Directory.Holds(r.is, now) {
		return undoing{}, words.Lost("what showed the address was taken back, and is shown again: postroad identity add does")
	}
	r.next = &next
	return r, nil
}

// removed brings back an identity that was removed, as far as what showed it holds still.
func (r *undoing) removed(actor rights.Actor, st *rights.State, before *former, now time.Time) error {
	i := directory.Identity{
		Account: r.box.Account, Domain: r.box.Domain, Mailbox: r.box.ID, Address: before.Address, Created: now,
		Proof: directory.IdentityProof(before.Proof), Proved: timeOf(before.Proved), Expires: timeOf(before.Expires),
	}
	switch {
	case before.MailboxID != r.box.ID || before.Account != r.box.Account:
		return words.Lost("the mailbox " + r.box.Address() + " is another one by now")
	case before.ByOperator && !actor.Operator:
		return words.Lost("the operator removed it, who alone brings it back")
	case !st.Directory.Holds(&i, now):
		return words.Lost("what showed the address does not hold any more: postroad identity add shows it again")
	}
	r.next = &i
	return nil
}

// same reports whether an identity is as it was shown.
func same(st *rights.State, box *directory.Mailbox, i *directory.Identity, shown *IdentityInfo, now time.Time) bool {
	is := show(st, box, i, now)
	equal := func(a, b *time.Time) bool { return a == nil && b == nil || a != nil && b != nil && a.Equal(*b) }
	return is.Account == shown.Account && is.Proof == shown.Proof && equal(is.Proved, shown.Proved) && equal(is.Expires, shown.Expires) && equal(is.Sent, shown.Sent)
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// CanUndo reports whether PlanUndo would take a change back.
func CanUndo(actor rights.Actor, st *rights.State, e *plan.Entry) bool {
	_, err := judge(actor, st, e, time.Now().UTC())
	return err == nil
}

// PlanUndo plans that a change of an identity is taken back, as its audit entry tells it. Nobody gets a right by it that was
// not shown, or is shown no longer: a code that was mailed is not kept, and what has run out stays so.
func PlanUndo(actor rights.Actor, st *rights.State, e *plan.Entry, newID func() string) (plan.Plan, error) {
	p, now := plan.New(st.Directory.Version(), actor), time.Now().UTC()
	r, err := judge(actor, st, e, now)
	if err != nil {
		return p, err
	}
	p.Asks = true
	if r.next == nil {
		remove(&p, actor, st, r.box, r.is, now)
		return p, nil
	}
	c := plan.Change{Kind: plan.KindIdentity, Verb: plan.VerbSet, Subject: r.next.Address, Domain: r.box.Domain, Account: r.box.Account}
	if r.is == nil {
		r.next.ID, c.Verb = newID(), plan.VerbAdd
	} else {
		c.Before = show(st, r.box, r.is, now)
	}
	c.After = show(st, r.box, r.next, now)
	put(&p, r.next)
	p.Record(c)
	switch {
	case !st.Directory.Holds(r.next, now):
		p.Say("The mailbox %s does not send as %s.", r.box.Address(), r.next.Address)
	case r.next.Expires.IsZero():
		p.Say("The mailbox %s sends as %s, as long as the domain is the account's own.", r.box.Address(), r.next.Address)
	default:
		p.Say("The mailbox %s sends as %s, until %s.", r.box.Address(), r.next.Address, words.When(r.next.Expires))
	}
	if r.code {
		p.Say("A code that was mailed is not good any more: postroad identity add mails another.")
	}
	return p, nil
}

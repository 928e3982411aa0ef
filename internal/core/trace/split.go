package trace

import (
	"strings"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
)

// accepted is how many steps of a message that was accepted come within one writing as a rule.
const accepted = 4

// Splitter turns the events of one writing into rows. The zero value is empty; it is used by one goroutine.
type Splitter struct {
	// Directory says whose a domain is.
	Directory *directory.Snapshot
	rows      []Row
	at        map[place]int
	n         map[mail.ID]int
}

// place is what makes a row: whose it is, and under which address it is found.
type place struct {
	id        mail.ID
	account   account.ID
	recipient string
}

// Rows gives the rows of the events so far and empties the splitter.
func (s *Splitter) Rows() []Row {
	rows := s.rows
	s.rows = nil
	clear(s.at)
	clear(s.n)
	return rows
}

// Add takes one event.
func (s *Splitter) Add(e *Event) {
	if s.at == nil {
		s.at, s.n = map[place]int{}, map[mail.ID]int{}
	}
	switch e.Kind {
	case Accepted:
		s.accepted(e)
	case Refused:
		s.refused(e)
	case Decided, Delivered, Deferred, Failed, Held, Dead, Reported, Acted, Judged:
		s.outcome(e)
	}
}

// number gives the next number among a message's steps.
func (s *Splitter) number(id mail.ID) int {
	n := s.n[id]
	s.n[id] = n + 1
	return n
}

// put adds a step to what an account sees under an address; a nil step only makes it be found there.
func (s *Splitter) put(e *Event, to account.ID, recipient string, step *Step) {
	p := place{e.ID, to, Fold(recipient)}
	i, there := s.at[p]
	if !there {
		i = len(s.rows)
		s.at[p] = i
		r := Row{ID: e.ID, Account: to, Sender: Fold(e.Sender), Recipient: p.recipient}
		if e.Kind == Accepted && step != nil {
			r.Steps = make([]Step, 0, accepted)
		}
		s.rows = append(s.rows, r)
	}
	if step != nil {
		s.rows[i].Steps = append(s.rows[i].Steps, *step)
	}
}

// accepted tells the sender's account all, and each recipient's what is its own: the client, and the way of its own
// recipients. The step about the whole message lies with an account's first recipient, so that most need one row.
func (s *Splitter) accepted(e *Event) {
	step := e.Step
	step.N = s.number(e.ID)
	told := map[account.ID]bool{}
	tell := func(to account.ID, under string) {
		if told[to] {
			return
		}
		told[to] = true
		mine := step
		if to != e.From && mine.Client.Login != "" {
			mine.Client.Login, mine.Partial = "", true
		}
		s.put(e, to, under, &mine)
	}
	for i := range e.Decisions {
		d := &e.Decisions[i]
		n := s.number(e.ID)
		if e.From != "" {
			tell(e.From, d.Recipient)
		}
		owner := d.Owner
		if owner == "" {
			owner = e.From
		}
		if owner == "" {
			owner = account.Operator
		}
		tell(owner, d.Recipient)
		s.decided(e, d, owner, n)
		if e.From != "" && e.From != owner {
			s.put(e, e.From, d.Recipient, &Step{At: e.At, N: n, Kind: Decided, Partial: true, Recipient: d.Recipient})
		}
		for _, to := range d.Destinations {
			switch {
			case to.Account == "" || to.Address == d.Recipient:
			case to.Account == owner:
				s.put(e, owner, to.Address, nil)
			default:
				tell(to.Account, to.Address)
				s.put(e, to.Account, to.Address, &Step{
					At: e.At, N: n, Kind: Decided, Partial: true, Via: true, Recipient: to.Address, Targets: []Target{{to.Address, to.Lane}},
				})
			}
		}
	}
	if len(told) == 0 {
		tell(account.Operator, "")
	}
}

// decided tells the owner of a recipient's domain the decision, cut where it goes on through others' addresses; the
// operator's account gets what was cut.
func (s *Splitter) decided(e *Event, d *Decision, owner account.ID, n int) {
	step := Step{At: e.At, N: n, Kind: Decided, Recipient: d.Recipient, Reasons: s.own(d.Reasons, owner)}
	whole := step
	whole.Reasons = d.Reasons
	for _, to := range d.Destinations {
		target := Target{to.Address, to.Lane}
		whole.Targets = append(whole.Targets, target)
		if to.Account == "" || to.Account == owner {
			step.Targets = append(step.Targets, target)
		}
	}
	step.Partial = len(step.Reasons) < len(whole.Reasons) || len(step.Targets) < len(whole.Targets)
	s.put(e, owner, d.Recipient, &step)
	if step.Partial {
		s.put(e, account.Operator, d.Recipient, &whole)
	}
}

// own cuts reasons where they speak of an address of another account.
func (s *Splitter) own(reasons []routing.Reason, owner account.ID) []routing.Reason {
	for i, r := range reasons {
		fact, _, _ := strings.Cut(r.Fact[strings.LastIndexByte(r.Fact, '@')+1:], " ")
		if whose := s.owner(fact); whose != "" && whose != owner {
			return reasons[:i:i]
		}
	}
	return reasons
}

// owner is the account that a domain of ours, or an address in one, belongs to; empty for foreign ones.
func (s *Splitter) owner(address string) account.ID {
	d, ours := s.Directory.Domain(strings.ToLower(address[strings.LastIndexByte(address, '@')+1:]))
	if !ours || !d.Proved {
		return ""
	}
	return d.Account
}

// refused tells the owner of the recipient's domain, and the sender's account where it is a user of ours.
func (s *Splitter) refused(e *Event) {
	step := e.Step
	step.N = s.number(e.ID)
	told := false
	for _, to := range [...]account.ID{e.From, e.Owner} {
		if to == "" || told && to == e.From {
			continue
		}
		mine := step
		if to != e.From && mine.Client.Login != "" {
			mine.Client.Login, mine.Partial = "", true
		}
		if to != e.Owner && e.Owner != "" {
			mine.Reasons, mine.Partial = nil, true
		} else {
			mine.Reasons = s.own(step.Reasons, to)
		}
		s.put(e, to, e.Recipient, &mine)
		told = true
	}
	if !told {
		s.put(e, account.Operator, e.Recipient, &step)
	}
}

// outcome tells who owns the destination, and who owns the address that it was given as, what became of it. Of a
// destination that another's address led to, neither sees the other's address.
func (s *Splitter) outcome(e *Event) {
	step := e.Step
	step.N = s.number(e.ID)
	given := s.owner(e.Recipient)
	owner := e.Owner
	if owner == "" {
		owner = given
	}
	if owner == "" {
		owner = account.Operator
	}
	if given == "" || given == owner {
		s.put(e, owner, e.Recipient, &step)
	} else {
		theirs := step
		theirs.Recipient, theirs.Via, theirs.Partial = e.Destination, true, true
		s.put(e, owner, e.Destination, &theirs)
		s.put(e, account.Operator, e.Recipient, &step)
	}
	if e.Kind == Reported && e.From != "" && e.From != owner {
		s.put(e, e.From, e.Recipient, &Step{At: e.At, N: step.N, Kind: Reported, Partial: true, Recipient: e.Recipient, Report: e.Report, Word: e.Word})
	}
}

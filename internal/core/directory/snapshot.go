package directory

import (
	"iter"
	"strings"

	"postroad/internal/core/sending"
)

// Snapshot is the whole directory at one version. It never changes; With makes the next one.
type Snapshot struct {
	version   int64
	domains   *table[*entry]
	departed  *table[*Departed]
	tokens    *table[*token]
	outbounds outbounds

	identities map[string][]Identity // by mailbox id
	senders    map[sending.Key]sending.Rule
}

// entry is a domain with everything in it. What a decision needs of it lies together.
type entry struct {
	mailboxes table[*Mailbox]
	rules     table[*Rule]
	domain    Domain
	leads     leads
}

func (e *entry) key() string { return e.domain.Name }

// settle gives the entry's domain what a Snapshot makes of it.
func (e *entry) settle(d *Domain) {
	e.domain = *d
	e.domain.hops, e.domain.in = HopList(d.NextHops), e
}

// token is what stands for the address of a mailbox, or stood for it.
type token struct{ token, address string }

func (t *token) key() string { return t.token }

// Delta is the difference between two snapshots. Removals come first.
type Delta struct {
	Version         int64
	PutDomains      []Domain
	PutMailboxes    []Mailbox
	PutRules        []Rule
	PutOutbounds    []Outbound
	PutDeparted     []Departed
	RemoveDomains   []string // names; their mailboxes and rules go with them
	RemoveMailboxes []string // addresses
	RemoveRules     []string // addresses, "@domain" for a catch-all
	RemoveOutbounds []string // ids
	RemoveDeparted  []string // names

	PutIdentities    []Identity
	RemoveIdentities []string // ids

	PutSenders []sending.Rule // each in place of the one before; an empty one is forgotten
}

// NewSnapshot makes a snapshot of everything. Mailboxes and rules of domains that are not listed are left out.
func NewSnapshot(version int64, domains []Domain, mailboxes []Mailbox, rules []Rule, outbounds []Outbound) *Snapshot {
	s := &Snapshot{version: version, domains: newTable[*entry](len(domains)), tokens: newTable[*token](0), outbounds: newOutbounds(outbounds)}
	boxes, ruled := map[string]int{}, map[string]int{}
	for i := range mailboxes {
		boxes[mailboxes[i].Domain]++
	}
	for i := range rules {
		ruled[rules[i].Domain]++
	}
	for i := range domains {
		d := &domains[i]
		e := &entry{mailboxes: *newTable[*Mailbox](boxes[d.Name]), rules: *newTable[*Rule](ruled[d.Name])}
		e.settle(d)
		s.domains.fill(e)
	}
	together := make(map[string][]Mailbox, len(boxes))
	for i := range mailboxes {
		if e, ok := s.domains.get(mailboxes[i].Domain); ok {
			list := together[e.domain.Name]
			if list == nil {
				list = make([]Mailbox, 0, boxes[e.domain.Name])
			}
			list = append(list, mailboxes[i])
			together[e.domain.Name] = list
			m := &list[len(list)-1]
			m.settle()
			e.mailboxes.fill(m)
			if m.long() {
				s.tokens.fill(&token{m.Token(), m.address})
			}
		}
	}
	for i := range rules {
		r := rules[i]
		if e, ok := s.domains.get(r.Domain); ok {
			e.rules.fill(&r)
			if e.leads == nil {
				e.leads = leads{}
			}
			e.leads.add(&r, 1)
		}
	}
	return s
}

// Version is the configuration's version that the snapshot shows.
func (s *Snapshot) Version() int64 { return s.version }

// Domain finds a domain by its A-label in lower case.
func (s *Snapshot) Domain(name string) (*Domain, bool) {
	e, ok := s.domains.get(name)
	if !ok {
		return nil, false
	}
	return &e.domain, true
}

// Named finds what a folded local part stands for in a domain that this snapshot gave: a rule, a mailbox, both or nothing.
func (s *Snapshot) Named(d *Domain, local string) (rule *Rule, box *Mailbox) {
	e := d.in
	if e == nil || &e.domain != d { // a copy
		var ok bool
		if e, ok = s.domains.get(d.Name); !ok {
			return nil, nil
		}
	}
	h := hashOf(local)
	rule, _ = e.rules.hashed(h, local)
	box, _ = e.mailboxes.hashed(h, local)
	return rule, box
}

// Mailbox finds a mailbox by domain name and folded local part, without regard to plus-suffixes.
func (s *Snapshot) Mailbox(domain, local string) (*Mailbox, bool) {
	e, ok := s.domains.get(domain)
	if !ok {
		return nil, false
	}
	return e.mailboxes.get(local)
}

// MailboxByToken finds the mailbox whose routing address is the token.
func (s *Snapshot) MailboxByToken(text string) (*Mailbox, bool) {
	t, ok := s.tokens.get(text)
	if !ok {
		return nil, false
	}
	local, domain := splitAddress(t.address)
	m, ok := s.Mailbox(domain, local)
	if !ok || m.Token() != text { // it is gone, or another one has its address now
		return nil, false
	}
	return m, true
}

// Rule finds an alias, forward or group by domain name and folded local part; an empty local part finds the catch-all.
func (s *Snapshot) Rule(domain, local string) (*Rule, bool) {
	e, ok := s.domains.get(domain)
	if !ok {
		return nil, false
	}
	return e.rules.get(local)
}

// Domains goes through all domains in no particular order.
func (s *Snapshot) Domains() iter.Seq[*Domain] {
	return func(yield func(*Domain) bool) {
		for _, e := range s.domains.all() {
			if !yield(&e.domain) {
				return
			}
		}
	}
}

// Mailboxes goes through a domain's mailboxes in no particular order.
func (s *Snapshot) Mailboxes(domain string) iter.Seq[*Mailbox] {
	return func(yield func(*Mailbox) bool) {
		if e, ok := s.domains.get(domain); ok {
			for _, m := range e.mailboxes.all() {
				if !yield(m) {
					return
				}
			}
		}
	}
}

// Rules goes through a domain's aliases, forwards, groups and catch-all in no particular order.
func (s *Snapshot) Rules(domain string) iter.Seq[*Rule] {
	return func(yield func(*Rule) bool) {
		if e, ok := s.domains.get(domain); ok {
			for _, r := range e.rules.all() {
				if !yield(r) {
					return
				}
			}
		}
	}
}

// With gives the snapshot after a change; the receiver stays as it is.
func (s *Snapshot) With(d Delta) *Snapshot {
	edits := map[string]*edit{}
	at := func(domain string) *edit {
		e := edits[domain]
		if e == nil {
			e = &edit{mailboxes: map[string]*Mailbox{}, rules: map[string]*Rule{}}
			edits[domain] = e
		}
		return e
	}
	for _, address := range d.RemoveMailboxes {
		local, domain := splitAddress(address)
		e := at(domain)
		e.dropMailboxes = append(e.dropMailboxes, local)
	}
	for _, address := range d.RemoveRules {
		local, domain := splitAddress(address)
		e := at(domain)
		e.dropRules = append(e.dropRules, local)
	}
	for i := range d.PutDomains {
		at(d.PutDomains[i].Name).domain = &d.PutDomains[i]
	}
	var tokens map[string]*token
	for i := range d.PutMailboxes {
		m := d.PutMailboxes[i]
		m.settle()
		at(m.Domain).mailboxes[m.Local] = &m
		if m.long() {
			if tokens == nil {
				tokens = map[string]*token{}
			}
			tokens[m.Token()] = &token{m.Token(), m.address}
		}
	}
	for i := range d.PutRules {
		r := d.PutRules[i]
		at(r.Domain).rules[r.Local] = &r
	}
	removed := &Snapshot{domains: s.domains.with(nil, d.RemoveDomains)}
	put := make(map[string]*entry, len(edits))
	for name, e := range edits {
		old, ok := removed.domains.get(name)
		if !ok && e.domain == nil {
			continue
		}
		put[name] = e.apply(old)
	}
	next := &Snapshot{
		version: d.Version, domains: removed.domains.with(put, nil), departed: s.withDeparted(d.PutDeparted, d.RemoveDeparted),
		tokens: s.tokens, outbounds: s.outbounds.with(d.PutOutbounds, d.RemoveOutbounds), identities: s.identities, senders: s.senders,
	}
	if tokens != nil {
		next.tokens = s.tokens.with(tokens, nil)
	}
	if len(d.PutIdentities) > 0 || len(d.RemoveIdentities) > 0 {
		next = next.WithIdentities(d.PutIdentities, d.RemoveIdentities)
	}
	if len(d.PutSenders) > 0 {
		next = next.WithSenders(d.PutSenders)
	}
	return next
}

// edit is what changes in one domain.
type edit struct {
	domain        *Domain
	mailboxes     map[string]*Mailbox
	rules         map[string]*Rule
	dropMailboxes []string
	dropRules     []string
}

func (e *edit) apply(old *entry) *entry {
	if old == nil {
		old = &entry{}
	}
	next := &entry{mailboxes: old.mailboxes, rules: old.rules, leads: old.leads}
	if e.domain != nil {
		next.settle(e.domain)
	} else {
		next.settle(&old.domain)
	}
	if len(e.mailboxes) > 0 || len(e.dropMailboxes) > 0 {
		next.mailboxes = *old.mailboxes.with(e.mailboxes, e.dropMailboxes)
	}
	if len(e.rules) > 0 || len(e.dropRules) > 0 {
		next.rules = *old.rules.with(e.rules, e.dropRules)
		next.leads = old.leads.with(&old.rules, e.rules, e.dropRules)
	}
	return next
}

func splitAddress(address string) (local, domain string) {
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return address, ""
	}
	return address[:i], address[i+1:]
}

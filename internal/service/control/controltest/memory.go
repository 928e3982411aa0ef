// Package controltest is what tests of control and of those who call it share: a store, a mailbox store, a queue and a
// resolver in memory.
package controltest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/cert"
	"postroad/internal/core/directory"
	"postroad/internal/core/dkimkey"
	"postroad/internal/core/dnssec"
	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/core/mail"
	"postroad/internal/core/mailbox"
	"postroad/internal/core/notice"
	"postroad/internal/core/primary"
	"postroad/internal/core/publish"
	"postroad/internal/core/sending"
	"postroad/internal/core/trace"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/service/access"
	"postroad/internal/service/control"
)

// Memory keeps everything in maps that tests may look into and fill. Whoever does so while others use it locks it.
type Memory struct {
	sync.Mutex

	// What people configured, by id.
	Version   int64
	Accounts  map[string]account.Account
	Domains   map[string]directory.Domain
	Mailboxes map[string]directory.Mailbox
	Rules     map[string]directory.Rule
	Outbounds map[string]directory.Outbound
	Departed  map[string]directory.Departed
	Sets      map[string]zone.ExchangerSet
	Servers   map[string]zone.NameServerSet
	Given     map[string]control.Token         // tokens
	Verifiers map[string]string                // by mailbox
	Lists     map[string]control.RecipientList // by domain
	Hosted    map[string]zone.Zone             // zones, by domain
	Secrets   map[string]dnssec.SealedKey      // private parts of zone keys, by id
	Entries   []control.Entry                  // of the audit log

	Settings map[string]string
	Found    []finding.Finding
	Told     []notice.Notice
	TTLs     map[string]time.Duration // the largest ones, by domain; nil: none was seen

	Providing  map[string]publish.Provider // by domain
	Keys       map[string]dkimkey.Domain   // by domain
	Identities map[string]directory.Identity
	Senders    map[string]sending.Rule     // by account, kind and id
	Certified  map[string]cert.Certificate // names with certificates, by name
	Probed     map[string]primary.Probe    // forwards at primaries, by address

	// What others keep.
	Boxes      map[string]mailbox.Mailbox
	Stored     map[string][]mailbox.Message // by mailbox; of its Junk with "/Junk" behind
	Bodies     map[string]string            // by mailbox/uid
	Queued     []mail.Listed
	Outgoing   []string // contents of what was made here
	Traced     []trace.Row
	Rerouted   []mail.Rerouted
	Exchangers map[string]facts.MXAnswer // by domain; others do not exist

	Answered map[string]zone.Zone // by domain: what is answered in DNS

	exchanged exchanged

	// What fails, and what happens before a transaction.
	FailUpdate, FailCreate, FailRemove, FailReroute, FailPrepare error

	BeforeUpdate func()
}

// NewMemory is a store without anything in it.
func NewMemory() *Memory {
	return &Memory{
		Providing: map[string]publish.Provider{}, Keys: map[string]dkimkey.Domain{}, Identities: map[string]directory.Identity{}, Senders: map[string]sending.Rule{}, Certified: map[string]cert.Certificate{}, Probed: map[string]primary.Probe{},
		Accounts: map[string]account.Account{}, Domains: map[string]directory.Domain{}, Mailboxes: map[string]directory.Mailbox{},
		Rules: map[string]directory.Rule{}, Outbounds: map[string]directory.Outbound{}, Departed: map[string]directory.Departed{}, Sets: map[string]zone.ExchangerSet{}, Servers: map[string]zone.NameServerSet{}, Given: map[string]control.Token{},
		Lists: map[string]control.RecipientList{}, Verifiers: map[string]string{}, Settings: map[string]string{},
		Boxes: map[string]mailbox.Mailbox{}, Stored: map[string][]mailbox.Message{}, Bodies: map[string]string{}, Exchangers: map[string]facts.MXAnswer{},
		Hosted: map[string]zone.Zone{}, Secrets: map[string]dnssec.SealedKey{}, Answered: map[string]zone.Zone{}, exchanged: newExchanged(),
	}
}

// Options are those of an installation mx.host.example at 203.0.113.5 over memory.
func Options(m *Memory) control.Options {
	pen := &Pen{}
	return control.Options{
		Certificates: control.CertificateOptions{Agreed: true, Limit: 2, Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.5")}, Authority: "authority.example"},
		Writer:       elsewhereZones{}, Post: nowhere{}, Seal: openly{}, Providers: []string{"rfc2136"},
		Store: m, Box: unsealed{}, Names: inDNS{m}, Signer: pen, Parents: pen, Boxes: m, Queue: inQueue{m}, Traces: inTraces{m}, Resolver: dnsOf{m}, Fetcher: elsewhere{}, Hostname: "mx.host.example", RoutingDomain: "in.mx.host.example",
		Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.5")}, Probes: control.ProbeOptions{Outbox: outbox{m}, Key: []byte("a key of tests")},
		Verifier: func(p string) (string, error) { return "verifier of " + p, nil },
	}
}

// Access tells callers by the tokens in memory.
func (m *Memory) Access() *access.Service {
	return access.New(access.TokensFunc(func(ctx context.Context, hash []byte) (access.Token, error) {
		t, err := m.Token(ctx, account.System(), hash)
		if errors.Is(err, control.ErrNotFound) {
			return access.Token{}, access.ErrUnknown
		}
		return access.Token{Name: t.Name, Account: t.Account, Hash: t.Hash}, err
	}))
}

func inScope[T any](scope account.Scope, m map[string]T, owner func(T) account.ID) []T {
	out := []T{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if scope.Has(owner(m[k])) {
			out = append(out, m[k])
		}
	}
	return out
}

// Load reads everything in scope.
func (m *Memory) Load(_ context.Context, scope account.Scope) (control.State, error) {
	m.Lock()
	defer m.Unlock()
	return control.State{
		Version:   m.Version,
		Accounts:  inScope(scope, m.Accounts, func(a account.Account) account.ID { return a.ID }),
		Domains:   inScope(scope, m.Domains, func(d directory.Domain) account.ID { return d.Account }),
		Mailboxes: inScope(scope, m.Mailboxes, func(b directory.Mailbox) account.ID { return b.Account }),
		Rules:     inScope(scope, m.Rules, func(r directory.Rule) account.ID { return r.Account }),
		Outbounds: inScope(scope, m.Outbounds, func(o directory.Outbound) account.ID { return o.Account }),
		Departed:  inScope(scope, m.Departed, func(d directory.Departed) account.ID { return d.Account }),
		Sets:      inScope(scope, m.Sets, func(s zone.ExchangerSet) account.ID { return s.Account }),
		Servers:   inScope(scope, m.Servers, func(s zone.NameServerSet) account.ID { return s.Account }),

		Identities: inScope(scope, m.Identities, func(i directory.Identity) account.ID { return i.Account }),
		Senders:    inScope(scope, m.Senders, func(r sending.Rule) account.ID { return r.Account }),
	}, nil
}

// Update applies a transaction after BeforeUpdate, unless FailUpdate is set.
func (m *Memory) Update(_ context.Context, scope account.Scope, version int64, tx control.Tx) (int64, error) {
	if m.BeforeUpdate != nil {
		m.BeforeUpdate()
	}
	m.Lock()
	defer m.Unlock()
	if m.FailUpdate != nil {
		return 0, m.FailUpdate
	}
	if version != m.Version {
		return 0, control.ErrVersion
	}
	for _, e := range tx.Entries {
		if !scope.Has(e.Account) {
			return 0, errors.New("entry out of scope")
		}
	}
	for _, r := range tx.Remove {
		m.remove(r)
	}
	put(m.Accounts, tx.PutAccounts, func(a account.Account) string { return string(a.ID) })
	put(m.Domains, tx.PutDomains, func(d directory.Domain) string { return d.ID })
	put(m.Mailboxes, tx.PutMailboxes, func(b directory.Mailbox) string { return b.ID })
	put(m.Rules, tx.PutRules, func(r directory.Rule) string { return r.ID })
	put(m.Outbounds, tx.PutOutbounds, func(o directory.Outbound) string { return o.ID })
	put(m.Lists, tx.PutLists, func(l control.RecipientList) string { return l.Domain })
	m.keepKeys(tx.PutZones)
	put(m.Hosted, tx.PutZones, func(z zone.Zone) string { return z.Domain })
	put(m.Departed, tx.PutDeparted, func(d directory.Departed) string { return d.ID })
	put(m.Sets, tx.PutSets, func(s zone.ExchangerSet) string { return s.ID })
	put(m.Servers, tx.PutServers, func(s zone.NameServerSet) string { return s.ID })
	m.exchanged.put(&tx.PutTransfers)
	for _, f := range tx.DropFindings {
		m.forget(f)
	}
	for _, f := range tx.PutFindings {
		m.forget(f)
		m.Found = append(m.Found, f)
	}
	put(m.Providing, tx.PutProviders, func(p publish.Provider) string { return p.Domain })
	put(m.Identities, tx.PutIdentities, func(i directory.Identity) string { return i.ID })
	for _, r := range tx.PutSenders {
		key := string(r.Account) + " " + r.Label()
		if m.Senders[key] = r; r.Empty() {
			delete(m.Senders, key)
		}
	}
	put(m.Keys, tx.PutDKIM, func(d dkimkey.Domain) string { return d.Name })
	for _, n := range tx.PutCertificates {
		c := m.Certified[n.Name]
		c.Name = n
		m.Certified[n.Name] = c
	}
	put(m.Given, tx.PutTokens, func(t control.Token) string { return t.ID })
	maps.Copy(m.Verifiers, tx.PutVerifiers)
	for _, e := range tx.Entries {
		e.ID = int64(len(m.Entries) + 1)
		m.Entries = append(m.Entries, e)
	}
	m.Version++
	return m.Version, nil
}

func put[T any](to map[string]T, list []T, id func(T) string) {
	for _, v := range list {
		to[id(v)] = v
	}
}

func (m *Memory) remove(r control.Removal) {
	m.exchanged.remove(r, m.Domains[r.ID].Name)
	switch r.Kind {
	case control.KindAccount:
		delete(m.Accounts, r.ID)
	case control.KindDomain:
		name := m.Domains[r.ID].Name
		delete(m.Domains, r.ID)
		delete(m.Lists, name)
		delete(m.Hosted, name)
		delete(m.Keys, name)
		maps.DeleteFunc(m.Mailboxes, func(_ string, b directory.Mailbox) bool { return b.Domain == name })
		maps.DeleteFunc(m.Rules, func(_ string, r directory.Rule) bool { return r.Domain == name })
	case control.KindMailbox:
		delete(m.Mailboxes, r.ID)
		delete(m.Verifiers, r.ID)
	case control.KindRule:
		delete(m.Rules, r.ID)
	case control.KindOutbound:
		delete(m.Outbounds, r.ID)
	case control.KindToken:
		delete(m.Given, r.ID)
	case control.KindRecipients:
		delete(m.Lists, r.ID)
	case control.KindProvider:
		delete(m.Providing, r.ID)
	case control.KindIdentity:
		delete(m.Identities, r.ID)
	case control.KindDKIM:
		delete(m.Keys, r.ID)
	case control.KindCertificate:
		delete(m.Certified, r.ID)
	case control.KindDeparted:
		delete(m.Departed, r.ID)
	case control.KindSet:
		delete(m.Sets, r.ID)
	case control.KindServers:
		delete(m.Servers, r.ID)
	case control.KindZone:
		delete(m.Hosted, r.ID)
	case control.KindTSIGKey, control.KindTransfer, control.KindSecondary, control.KindCatalog, control.KindPrimary, control.KindQueue, control.KindRecord, control.KindMX, control.KindDNSSEC, control.KindZoneKeys:
	}
}

// forget drops a finding.
func (m *Memory) forget(gone finding.Finding) {
	m.Found = slices.DeleteFunc(m.Found, func(f finding.Finding) bool { return f.Domain == gone.Domain && f.Name == gone.Name })
}

// Audit lists entries, newest first.
func (m *Memory) Audit(_ context.Context, scope account.Scope, domain string, before int64, limit int) ([]control.Entry, error) {
	m.Lock()
	defer m.Unlock()
	var out []control.Entry
	for _, e := range slices.Backward(m.Entries) {
		if scope.Has(e.Account) && (domain == "" || e.Domain == domain) && (before == 0 || e.ID < before) && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, nil
}

// Verifier gives a mailbox's verifier by address.
func (m *Memory) Verifier(_ context.Context, _ account.Scope, address string) (string, string, error) {
	m.Lock()
	defer m.Unlock()
	for id, b := range m.Mailboxes {
		if b.Address() == address && m.Verifiers[id] != "" {
			return id, m.Verifiers[id], nil
		}
	}
	return "", "", control.ErrNotFound
}

// Token finds a token by its hash.
func (m *Memory) Token(_ context.Context, _ account.Scope, hash []byte) (control.Token, error) {
	m.Lock()
	defer m.Unlock()
	for _, t := range m.Given {
		if bytes.Equal(t.Hash, hash) {
			return t, nil
		}
	}
	return control.Token{}, control.ErrNotFound
}

// Tokens lists tokens without hashes.
func (m *Memory) Tokens(_ context.Context, scope account.Scope) ([]control.Token, error) {
	m.Lock()
	defer m.Unlock()
	out := inScope(scope, m.Given, func(t control.Token) account.ID { return t.Account })
	for i := range out {
		out[i].Hash = nil
	}
	return out, nil
}

// Findings lists what was found.
func (m *Memory) Findings(_ context.Context, _ account.Scope, domain string) ([]finding.Finding, error) {
	m.Lock()
	defer m.Unlock()
	return slices.DeleteFunc(slices.Clone(m.Found), func(f finding.Finding) bool { return domain != "" && f.Domain != domain }), nil
}

// Provider gives that of a domain.
func (m *Memory) Provider(_ context.Context, scope account.Scope, domain string) (publish.Provider, error) {
	m.Lock()
	defer m.Unlock()
	p, ok := m.Providing[domain]
	if !ok || !scope.Has(p.Account) {
		return publish.Provider{}, control.ErrNotFound
	}
	return p, nil
}

// DKIM gives the keys of a domain.
func (m *Memory) DKIM(_ context.Context, scope account.Scope, domain string) (dkimkey.Domain, error) {
	m.Lock()
	defer m.Unlock()
	d, ok := m.Keys[domain]
	if !ok || !scope.Has(d.Account) {
		return dkimkey.Domain{}, control.ErrNotFound
	}
	return d, nil
}

// DKIMDomains lists them.
func (m *Memory) DKIMDomains(_ context.Context, scope account.Scope) ([]dkimkey.Domain, error) {
	m.Lock()
	defer m.Unlock()
	return inScope(scope, m.Keys, func(d dkimkey.Domain) account.ID { return d.Account }), nil
}

// Providers lists them.
func (m *Memory) Providers(_ context.Context, scope account.Scope) ([]publish.Provider, error) {
	m.Lock()
	defer m.Unlock()
	return inScope(scope, m.Providing, func(p publish.Provider) account.ID { return p.Account }), nil
}

// Certificates lists names.
func (m *Memory) Certificates(_ context.Context, scope account.Scope) ([]cert.Certificate, error) {
	m.Lock()
	defer m.Unlock()
	return inScope(scope, m.Certified, func(c cert.Certificate) account.ID { return c.Account }), nil
}

// CurrentVersion is that of the configuration.
func (m *Memory) CurrentVersion(context.Context, account.Scope) (int64, error) {
	m.Lock()
	defer m.Unlock()
	return m.Version, nil
}

// LargestTTL gives a TTL that was seen.
func (m *Memory) LargestTTL(_ context.Context, _ account.Scope, domain string, _ time.Time) (time.Duration, error) {
	m.Lock()
	defer m.Unlock()
	return m.TTLs[domain], nil
}

// Notices lists what was told, newest first.
func (m *Memory) Notices(_ context.Context, scope account.Scope, domain, _ string, limit int) ([]notice.Notice, error) {
	m.Lock()
	defer m.Unlock()
	var out []notice.Notice
	for _, n := range slices.Backward(m.Told) {
		if scope.Has(n.Account) && (domain == "" || n.Domain == domain) && len(out) < limit {
			out = append(out, n)
		}
	}
	return out, nil
}

// Find records or forgets a finding.
func (m *Memory) Find(_ context.Context, _ account.Scope, f finding.Finding, gone bool) error {
	m.Lock()
	defer m.Unlock()
	if m.forget(f); gone {
		return nil
	}
	m.Found = append(m.Found, f)
	return nil
}

// Recipients gives a domain's list.
func (m *Memory) Recipients(_ context.Context, scope account.Scope, domain string) (control.RecipientList, error) {
	m.Lock()
	defer m.Unlock()
	l, ok := m.Lists[domain]
	if !ok || !scope.Has(l.Account) {
		return control.RecipientList{}, control.ErrNotFound
	}
	return l, nil
}

// Setting reads one value.
func (m *Memory) Setting(_ context.Context, _ account.Scope, name string) (string, error) {
	m.Lock()
	defer m.Unlock()
	return m.Settings[name], nil
}

// SetSetting writes one value.
func (m *Memory) SetSetting(_ context.Context, _ account.Scope, name, value string) error {
	m.Lock()
	defer m.Unlock()
	m.Settings[name] = value
	return nil
}

// Create makes a mailbox, unless FailCreate is set.
func (m *Memory) Create(_ context.Context, _ account.Scope, box mailbox.Mailbox) error {
	m.Lock()
	defer m.Unlock()
	if m.FailCreate != nil {
		return m.FailCreate
	}
	m.Boxes[box.ID] = box
	return nil
}

// Remove removes a mailbox, unless FailRemove is set.
func (m *Memory) Remove(_ context.Context, _ account.Scope, id string) error {
	m.Lock()
	defer m.Unlock()
	if m.FailRemove != nil {
		return m.FailRemove
	}
	delete(m.Boxes, id)
	delete(m.Stored, id)
	return nil
}

// Usage counts what mailboxes hold.
func (m *Memory) Usage(_ context.Context, scope account.Scope, ids []string) (map[string]mailbox.Usage, error) {
	m.Lock()
	defer m.Unlock()
	out := map[string]mailbox.Usage{}
	for id, b := range m.Boxes {
		if !scope.Has(b.Account) || len(ids) > 0 && !slices.Contains(ids, id) {
			continue
		}
		u := mailbox.Usage{Quota: b.Quota, Messages: int64(len(m.Stored[id]))}
		for _, msg := range m.Stored[id] {
			u.Bytes += msg.Size
		}
		out[id] = u
	}
	return out, nil
}

// Folders lists INBOX, and Junk.
func (m *Memory) Folders(_ context.Context, _ account.Scope, id string) ([]mailbox.Folder, error) {
	m.Lock()
	defer m.Unlock()
	if _, ok := m.Boxes[id]; !ok {
		return nil, mailbox.ErrNoMailbox
	}
	in, junk := int64(len(m.Stored[id])), int64(len(m.Stored[id+"/Junk"]))
	return []mailbox.Folder{
		{Number: 1, Name: mailbox.InboxName, Messages: in, Unseen: in, Subscribed: true}, {Number: 2, Name: "Junk", SpecialUse: `\Junk`, Messages: junk},
	}, nil
}

// stored is where a folder's messages lie.
func stored(id, folder string) (string, error) {
	switch folder {
	case mailbox.InboxName:
		return id, nil
	case "Junk":
		return id + "/" + folder, nil
	}
	return "", mailbox.ErrNoFolder
}

// Messages lists what a folder holds.
func (m *Memory) Messages(_ context.Context, _ account.Scope, id, folder string, after uint32, limit int) ([]mailbox.Message, error) {
	m.Lock()
	defer m.Unlock()
	id, err := stored(id, folder)
	if err != nil {
		return nil, err
	}
	var out []mailbox.Message
	for _, msg := range m.Stored[id] {
		if msg.UID > after && len(out) < limit {
			out = append(out, msg)
		}
	}
	return out, nil
}

// Body opens one message.
func (m *Memory) Body(_ context.Context, _ account.Scope, id, folder string, uid uint32) (io.ReadCloser, error) {
	m.Lock()
	defer m.Unlock()
	id, err := stored(id, folder)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(strings.NewReader(m.Bodies[id+"/"+string(rune('0'+uid))])), nil
}

// inQueue is the queue's side of Memory.
type inQueue struct{ m *Memory }

func (q inQueue) selected(scope account.Scope, f mail.Filter) []mail.Listed {
	var out []mail.Listed
	for _, l := range q.m.Queued {
		if len(f.IDs) > 0 && !slices.Contains(f.IDs, l.Message.ID) || !f.OlderThan.IsZero() && !l.Message.Received.Before(f.OlderThan) {
			continue
		}
		rows := slices.DeleteFunc(slices.Clone(l.Rows), func(r mail.Recipient) bool {
			return !scope.Has(r.Account) || f.Domain != "" && !strings.HasSuffix(r.Destination, "@"+f.Domain) || f.Host != "" && !strings.HasPrefix(r.Lane.Key(), f.Host)
		})
		if len(rows) > 0 {
			out = append(out, mail.Listed{Message: l.Message, Rows: rows})
		}
	}
	slices.SortFunc(out, func(a, b mail.Listed) int { return cmp.Compare(a.Message.ID, b.Message.ID) })
	return out
}

func (q inQueue) List(_ context.Context, scope account.Scope, f mail.Filter, after mail.ID, limit int) ([]mail.Listed, error) {
	q.m.Lock()
	defer q.m.Unlock()
	list := slices.DeleteFunc(q.selected(scope, f), func(l mail.Listed) bool { return l.Message.ID <= after })
	return list[:min(limit, len(list))], nil
}

func (q inQueue) Count(_ context.Context, scope account.Scope, f mail.Filter) (mail.Counts, error) {
	q.m.Lock()
	defer q.m.Unlock()
	var c mail.Counts
	for _, l := range q.selected(scope, f) {
		c.Messages++
		c.Recipients += int64(len(l.Rows))
		for _, r := range l.Rows {
			if r.State == mail.StateHeld {
				c.Held++
			} else {
				c.Due++
			}
		}
	}
	return c, nil
}

func (q inQueue) Change(_ context.Context, scope account.Scope, f mail.Filter, a mail.Action, _ string) (int64, error) {
	q.m.Lock()
	defer q.m.Unlock()
	n := int64(0)
	for _, l := range q.selected(scope, f) {
		n += int64(len(l.Rows))
		i := slices.IndexFunc(q.m.Queued, func(old mail.Listed) bool { return old.Message.ID == l.Message.ID })
		switch a {
		case mail.Drop:
			q.m.Queued = slices.Delete(q.m.Queued, i, i+1)
		case mail.Hold, mail.Release, mail.Expedite:
			for j := range q.m.Queued[i].Rows {
				q.m.Queued[i].Rows[j].State = map[bool]mail.State{true: mail.StateHeld, false: mail.StateWaiting}[a == mail.Hold]
			}
		}
	}
	return n, nil
}

// Reroute notes what is to be decided anew, unless FailReroute is set.
// Waiting tells of the rows in the lane.
func (q inQueue) Waiting(_ context.Context, scope account.Scope, lane mail.Lane, domain string) (mail.Waiting, error) {
	q.m.Lock()
	defer q.m.Unlock()
	var w mail.Waiting
	for _, l := range q.selected(scope, mail.Filter{Domain: domain}) {
		for _, r := range l.Rows {
			if r.Lane == lane {
				w.Recipients++
				w.Since = l.Message.Received
			}
		}
	}
	return w, nil
}

func (q inQueue) Reroute(_ context.Context, list []mail.Rerouted) error {
	q.m.Lock()
	defer q.m.Unlock()
	if q.m.FailReroute != nil {
		return q.m.FailReroute
	}
	q.m.Rerouted = append(q.m.Rerouted, list...)
	return nil
}

func (q inQueue) Body(context.Context, account.Scope, mail.ID) (mail.Content, error) {
	return mail.Content{Inline: []byte("Subject: queued\r\n\r\nhi\r\n")}, nil
}

// dnsOf is the resolver's side of Memory.
type dnsOf struct{ m *Memory }

func (d dnsOf) MX(_ context.Context, name string) facts.MXAnswer {
	a, ok := d.m.Exchangers[name]
	if !ok {
		a.Status = facts.NXDomain
	}
	a.Name, a.Source, a.At = name, "resolver 127.0.0.1:53", time.Now().Add(-90*time.Second)
	return a
}

func (d dnsOf) Addrs(_ context.Context, host string) facts.AddrAnswer {
	if strings.HasPrefix(host, "own.") {
		return facts.AddrAnswer{Name: host, Status: facts.Found, Addrs: []netip.Addr{netip.MustParseAddr("203.0.113.5")}}
	}
	return facts.AddrAnswer{Name: host, Status: facts.Found, Addrs: []netip.Addr{netip.MustParseAddr("198.51.100.7")}}
}

// inTraces is the traces' side of Memory.
type inTraces struct{ m *Memory }

func (i inTraces) Show(_ context.Context, scope account.Scope, id mail.ID) (trace.Trace, bool, error) {
	list, err := i.rows(scope, func(r *trace.Row) bool { return r.ID == id })
	if len(list) == 0 {
		return trace.Trace{}, false, err
	}
	return list[0], true, err
}

func (i inTraces) List(_ context.Context, scope account.Scope, f trace.Filter, limit int) ([]trace.Trace, error) {
	list, err := i.rows(scope, func(r *trace.Row) bool {
		return (f.Recipient == "" || r.Recipient == f.Recipient) && (f.Sender == "" || r.Sender == f.Sender)
	})
	return list[:min(len(list), limit)], err
}

func (i inTraces) rows(scope account.Scope, wanted func(*trace.Row) bool) (list []trace.Trace, err error) {
	i.m.Lock()
	defer i.m.Unlock()
	for k := range i.m.Traced {
		if r := &i.m.Traced[k]; scope.Has(r.Account) && wanted(r) {
			list = append(list, trace.Join([]trace.Row{*r}))
		}
	}
	return list, nil
}

// elsewhere is another installation, at which one recipient is known.
type elsewhere struct{}

func (elsewhere) FetchList(context.Context, string, *facts.ListSource) ([]string, error) {
	return []string{"somebody"}, nil
}

// elsewhereZones are zones of others in which nothing is.
type elsewhereZones struct{}

// Read gives no records.
func (elsewhereZones) Read(context.Context, publish.Access, []publish.Set) ([]dns.Record, error) {
	return nil, nil
}

// Write takes every change.
func (elsewhereZones) Write(context.Context, publish.Access, zone.Difference) error { return nil }

// openly seals nothing.
type openly struct{}

// Seal gives what it got.
func (openly) Seal(plain []byte, _ string) []byte { return plain }

// Open gives what it got.
func (openly) Open(sealed []byte, _ string) ([]byte, error) { return sealed, nil }

// nowhere is where letters go.
type nowhere struct{}

// Post sends nothing.
func (nowhere) Post(context.Context, control.Letter) error { return nil }

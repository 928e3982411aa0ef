package control_test

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"postroad/internal/core/account"
	"postroad/internal/core/cert"
	"postroad/internal/core/directory"
	"postroad/internal/core/dkimkey"
	"postroad/internal/core/dnssec"
	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/core/mail"
	"postroad/internal/core/notice"
	"postroad/internal/core/primary"
	"postroad/internal/core/publish"
	"postroad/internal/core/sending"
	"postroad/internal/core/transfer"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/service/certs"
	"postroad/internal/service/control"
	"postroad/internal/service/forwarding"
	"postroad/internal/service/verify"
)

// system is the scope of everything.
var system = account.System()

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := gocmp.Diff(want, got, cmpopts.IgnoreUnexported(directory.Domain{}, directory.Mailbox{}, directory.Departed{}), cmpopts.EquateComparable(netip.Prefix{}, netip.AddrPort{}, netip.Addr{})); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// refused makes a change that must be refused with the error and leave nothing behind.
func (w *world) refused(t *testing.T, want error, tx control.Tx) {
	t.Helper()
	before := w.dump(t)
	if _, err := w.Update(t.Context(), system, w.version, tx); !errors.Is(err, want) {
		t.Errorf("update: %v, want %v", err, want)
	}
	same(t, "after a refused change", before, w.dump(t))
}

// gone is a removal.
func gone(kind control.Kind, id string) control.Removal { return control.Removal{Kind: kind, ID: id} }

// customer is one of everything that an account can have, with no field left at zero.
type customer struct {
	Account     account.Account
	Domain      directory.Domain
	Mailbox     directory.Mailbox
	Verifier    string
	Rule        directory.Rule
	Outbound    directory.Outbound
	Token       control.Token
	Entry       control.Entry
	Finding     finding.Finding
	Answer      verify.Answer
	List        control.RecipientList
	Departed    directory.Departed
	Zone        zone.Zone
	ZoneKey     dnssec.SealedKey
	Set         zone.ExchangerSet
	Servers     zone.NameServerSet
	Provider    publish.Provider
	Identity    directory.Identity
	DKIM        dkimkey.Domain
	Tally       sending.Count
	Sent        forwarding.Sent
	Brought     forwarding.Brought
	Sender      sending.Rule
	Probe       primary.Probe
	Memory      notice.Memory
	Notice      notice.Notice
	Transfer    transfer.Settings
	Certificate cert.Certificate
}

func newCustomer(name string) customer {
	id := account.ID("account-" + name)
	domain := name + ".example"
	return customer{
		Account: account.Account{ID: id, Name: "Customer " + name, Notices: []string{"z@" + domain, "a@far.example"}},
		Domain: directory.Domain{
			ID: "domain-" + name, Account: id, Name: domain, Proved: true, Mode: directory.ModeRelay, Zone: directory.ZoneHosted,
			NextHops:  []directory.NextHop{{Host: "mx1." + domain, Port: 25, LMTP: true, Operator: true}, {Host: "[192.0.2.1]", Port: 65535}},
			ModeSince: created.Add(time.Second), Auto: directory.ModeBackup, AutoSince: created.Add(2 * time.Second),
			Recipients: directory.RecipientsAccept, Unreachable: directory.UnreachableDefer, Dual: true,
			Gateways:   []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::1/128")},
			Onboarding: created.Add(3 * time.Hour), Leaving: directory.Leaving{Until: created.Add(48 * time.Hour), From: directory.ModeLocal}, Hold: 30*24*time.Hour + time.Microsecond, Created: created,
			ExchangerSet: "set-" + name, NameServerSet: "servers-" + name,
			Judging:    directory.Judging{Mode: directory.JudgeNote, SPFFail: directory.SeverityReject, Unchecked: directory.SeverityDefer},
			Forwarders: []directory.Forwarder{{Name: "mail." + name}, {Network: netip.MustParsePrefix("192.0.2.0/28")}}, Primary: name + ".primary.example",
			Proof: directory.Proof{By: directory.ProofTXT, At: created.Add(time.Minute), NS: "ns1." + domain + " ns2." + domain, Lost: created.Add(time.Hour), TXTOnly: true},
		},
		Mailbox:  directory.Mailbox{ID: "mailbox-" + name, Account: id, Domain: domain, Local: "bøb+" + name, Quota: 1 << 40},
		Verifier: "verifier of " + name,
		Rule: directory.Rule{
			ID: "rule-" + name, Account: id, Domain: domain, Local: "info", Kind: directory.RuleForward,
			Targets: []string{"z@" + domain, `"a <b>"@` + domain, "ä@" + domain}, Keep: true, Archive: true,
		},
		Outbound: directory.Outbound{
			ID: "outbound-" + name, Account: id, Domain: domain, Hop: directory.HostPort{Host: "smart." + domain, Port: 587}, Operator: true, TLS: directory.TLSVerified,
			User: "user-" + name, Sealed: "\x01\xff sealed\t" + name,
			Source: directory.Source{V4: netip.MustParseAddr("192.0.2.7"), V6: netip.MustParseAddr("2001:db8::7"), HeloV4: "mx4.host.example", HeloV6: "mx6.host.example"},
		},
		Token: control.Token{ID: "token-" + name, Account: id, Name: "laptop of " + name, Hash: []byte("\x00\xff hash of " + name), Created: created.Add(time.Microsecond)},
		Entry: control.Entry{
			At: created.Add(time.Hour), Actor: "operator", Account: id, Domain: domain, Action: "domain add", Subject: domain,
			Before: `{"a":"<&>"}`, After: `{"b":"ü"}`, Overridden: `["w"]`,
		},
		Finding: finding.Finding{Name: finding.PrimaryMXMissing, Domain: domain, Evidence: "192.0.2.53 answered NXDOMAIN", Since: created.Add(time.Minute)},
		List: control.RecipientList{Domain: domain, Account: id, Source: "upload", Learned: created.Add(time.Hour), Locals: []string{"", "anybody", "ü"}, ListSource: facts.ListSource{
			URL: "https://mx." + domain, Token: "secret of " + name, Every: time.Minute, Operator: true, ETag: `"1"`, Problem: "none",
		}},
		Answer: verify.Answer{Way: "the way of " + name, RecipientAnswer: facts.RecipientAnswer{
			Address: "anybody@" + domain, Presence: facts.Absent, Origin: facts.Origin{Source: "mx." + domain, At: created.Add(time.Second), Detail: "550 5.1.1"},
		}},
		Provider: publish.Provider{
			Domain: domain, Account: id, Kind: "rfc2136", Zone: "example", Server: "ns." + domain + ":53", Key: "key.", Algorithm: dns.HMACSHA256, Sealed: []byte("\x00sealed"),
			Operator: true, Created: created,
		},
		Identity: directory.Identity{
			ID: "identity-" + name, Account: id, Domain: domain, Mailbox: "mailbox-" + name, Address: "bøb@far.example", Proof: directory.ProvedByMail,
			Proved: created.Add(time.Hour), Expires: created.Add(2 * time.Hour), Code: []byte("\x00code"), Sent: created.Add(time.Minute), Created: created,
		},
		DKIM: dkimkey.Domain{
			Name: domain, Account: id, Off: true, Algorithms: dkimkey.Both(), Rotate: 90 * 24 * time.Hour, Keys: []dkimkey.Key{{
				Selector: "pr20261128r", Algorithm: dkimkey.RSA, Record: "v=DKIM1; p=x", Sealed: []byte("\x00sealed"), State: dkimkey.Retired, Since: created,
				Made: created.Add(time.Second), Seen: created.Add(time.Minute), Until: created.Add(time.Hour), Imported: true,
			}},
			Kept: []dkimkey.Key{{Selector: "pr20261127e", Algorithm: dkimkey.Ed25519, Record: "v=DKIM1; p=y", Sealed: []byte("\xff"), State: dkimkey.Active, Since: created, Made: created}},
		},
		Certificate: cert.Certificate{
			Name: cert.Name{Name: "mail." + domain, Account: id, Domain: domain, Source: cert.Added, Created: created, Asked: created.Add(time.Second)},
			Status: cert.Status{
				NotBefore: created, NotAfter: created.Add(2160 * time.Hour), Issuer: "Ä, R1", By: cert.DNS01, Given: created.Add(time.Minute), Problem: cert.Elsewhere, Detail: "ü",
				Tried: created.Add(time.Hour), Next: created.Add(2 * time.Hour), Failures: 3, Advice: cert.Advice{From: created.Add(60 * 24 * time.Hour), Until: created.Add(61 * 24 * time.Hour), Page: "https://ca.example/" + name, Again: created.Add(6 * time.Hour)},
			},
		},
		Probe: primary.Probe{
			Account: id, Domain: domain, Forward: primary.Forward{Address: "bøb@" + domain, From: "bøb@" + name + ".primary.example", To: "bøb@" + domain}, Serial: "serial-" + name,
			State: primary.StateSent, Queue: mail.ID("queue-" + name), Sent: created, Within: time.Minute + time.Microsecond, Left: created.Add(time.Second), Verdict: primary.Rewritten,
			Judged: created.Add(time.Minute), After: time.Hour + time.Microsecond, Hop: "mx [192.0.2.1]", Detail: "ü", Since: created.Add(time.Hour),
		},
		Tally: sending.Count{
			Key: sending.KeysOf(id, "b@"+domain)[0], Tally: sending.Tally{Hour: 500_000, HourCount: 3, Day: 20_000, DayCount: 1 << 40},
		},
		Sender: sending.Rule{
			Key: sending.KeysOf(id, "bøb+"+name+"@"+domain)[0], Given: sending.Choice{Hour: new(int64(1 << 40)), Day: new(int64(7))}, Own: sending.Choice{Hour: new(int64(1)), Day: new(int64(2))},
			Pause: &sending.Pause{Since: created, By: sending.ByOwner, Reason: "ü"},
		},
		Sent:    forwarding.Sent{Forward: "info@" + domain, Account: id, Last: forwarding.Record{N: 64, Fragile: 1<<63 | 5}, Leaves: created.Add(time.Hour), At: created},
		Brought: forwarding.Brought{Domain: domain, Client: "2001:db8::1", Account: id, Messages: 1 << 40, At: created},
		Memory: notice.Memory{
			Domain: domain, Event: notice.PrimaryDown, Account: id, Since: created.Add(time.Minute), Told: created.Add(time.Hour), Open: true, Held: 1 << 40, Detail: "a\nü\n",
		},
		Notice: notice.Notice{
			ID: "notice-" + name, Account: id, Domain: domain, Event: notice.PrimaryDown, Ended: true, At: created.Add(time.Hour), Due: created.Add(2 * time.Hour),
			Subject: "ü: held", Text: "a\n\nü\n", Sent: created.Add(3 * time.Hour), To: []string{"z@" + domain, "a@far.example"}, Problem: "none",
		},
		Departed: directory.Departed{
			ID: "departed-" + name, Account: id, Name: "left." + domain, Leaving: directory.Leaving{Until: created.Add(49 * time.Hour), From: directory.ModeSplit},
			Recipients: directory.RecipientsList, Unreachable: directory.UnreachableQueue, Former: []string{"bøb", name},
			Removed: created.Add(time.Hour),
		},
		Zone: zone.Zone{
			Domain: domain, Account: id, Serial: 4294967295, Changed: created.Add(time.Second), Records: []dns.Record{
				{Name: domain + ".", Type: dns.TypeTXT, TTL: 1<<31 - 1, Data: []byte("\x03\x00\xff\n")}, {Name: "*.\\000." + domain + ".", Type: 65280, TTL: 1, Data: []byte("\x00")},
			},
			Signatures: []dns.Record{{Name: domain + ".", Type: dns.TypeCDS, TTL: 60, Data: []byte{0, 1, 2}}},
			Signing: &dnssec.Signing{
				Scheme: dnssec.TwoKeys, Denial: dnssec.NSEC3, Algorithm: dns.Ed25519, Signed: created,
				Keys: []dnssec.Key{{ID: "zone-key-" + name, Role: dnssec.KSK, State: dnssec.Active, DNSKEY: []byte{1, 1, 3, 15, 0}, Since: created, Submit: created.Add(time.Hour)}},
			},
		},
		ZoneKey: dnssec.SealedKey{ID: "zone-key-" + name, Account: id, Domain: domain, Sealed: []byte("\x01\x00sealed"), Unused: created.Truncate(time.Second)},
		Set: zone.ExchangerSet{
			ID: "set-" + name, Account: id, Name: "direct", Exchangers: []zone.Exchanger{{Preference: 0, Host: "mx." + domain}, {Preference: 65535, Host: "mx2." + domain}},
			Gateways: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, SPF: "v=spf1 mx ~all",
		},
		Transfer: transfer.Settings{
			Keys: []transfer.Key{{ID: "key-" + name, Account: id, Name: "ns2." + domain, Algorithm: dns.HMACSHA512, Sealed: []byte("\x01\x00sealed"), Created: created.Add(time.Second)}},
			Peers: []transfer.Peer{
				{ID: "peer-" + name, Account: id, Zone: domain, Key: "ns2." + domain, Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
				{ID: "told-" + name, Account: id, Zone: name + ".catalog", Notify: netip.MustParseAddrPort("[2001:db8::1]:53"), Operator: true},
			},
			Secondaries: []transfer.Secondary{{Domain: domain, Account: id, Primary: netip.MustParseAddrPort("192.0.2.1:5353"), Key: "k", Operator: true}},
			Catalogs:    []transfer.Catalog{{Name: name + ".catalog", Account: id, Every: true}},
		},
		Servers: zone.NameServerSet{ID: "servers-" + name, Account: id, Name: "default", Hosts: []string{"ns1." + domain, "ns2." + domain}},
	}
}

// tx makes everything of the customer.
func (c customer) tx() control.Tx {
	hosted := c.Zone
	hosted.NewKeys = []dnssec.SealedKey{c.ZoneKey}
	return control.Tx{
		PutAccounts: []account.Account{c.Account}, PutDomains: []directory.Domain{c.Domain}, PutMailboxes: []directory.Mailbox{c.Mailbox},
		PutVerifiers: map[string]string{c.Mailbox.ID: c.Verifier}, PutRules: []directory.Rule{c.Rule}, PutOutbounds: []directory.Outbound{c.Outbound},
		PutDeparted: []directory.Departed{c.Departed}, PutTokens: []control.Token{c.Token}, PutLists: []control.RecipientList{c.List}, PutZones: []zone.Zone{hosted},
		PutSets: []zone.ExchangerSet{c.Set}, PutServers: []zone.NameServerSet{c.Servers}, PutTransfers: c.Transfer, Entries: []control.Entry{c.Entry}, PutProviders: []publish.Provider{c.Provider},
		PutDKIM: []dkimkey.Domain{c.DKIM}, PutIdentities: []directory.Identity{c.Identity}, PutSenders: []sending.Rule{c.Sender}, PutCertificates: []cert.Name{c.Certificate.Name},
	}
}

// add makes a customer with everything.
func (w *world) add(t *testing.T, name string) customer {
	t.Helper()
	c := newCustomer(name)
	w.apply(t, c.tx())
	must(t, w.Find(t.Context(), system, c.Finding, false))
	must(t, w.keep(system, c.Domain.Name, "anybody", c.Answer))
	must(t, w.SawTTL(t.Context(), system, c.Domain.Name, 48*time.Hour, created))
	must(t, w.KeepNotices(t.Context(), system, notice.Result{Put: []notice.Memory{c.Memory}, Notice: []notice.Notice{c.Notice}}, 7))
	_, err := w.AddTallies(t.Context(), system, []sending.Count{c.Tally}, 0)
	must(t, err)
	use := forwarding.Use{Sent: c.Sent, From: created, Share: time.Hour}
	_, err = w.AddForwardCounts(t.Context(), system, forwarding.Added{Uses: []forwarding.Use{use}, Brought: []forwarding.Brought{c.Brought}}, time.Time{})
	must(t, err)
	must(t, w.PutForwardProbes(t.Context(), system, []primary.Probe{c.Probe}))
	must(t, w.MarkZoneKeys(t.Context(), system, []string{c.ZoneKey.ID}, c.ZoneKey.Unused))
	must(t, w.NoteCertificate(t.Context(), system, c.Certificate.Name.Name, c.Certificate.Status))
	return c
}

// keep stores an answer and waits for it.
func (w *world) keep(scope account.Scope, domain, local string, a verify.Answer) error {
	done := make(chan error, 1)
	w.KeepAnswer(scope, domain, local, a, func(err error) { done <- err })
	return <-done
}

// dump is everything that the store holds.
type dump struct {
	State        control.State
	Verifiers    map[string]string // by address
	Tokens       []control.Token   // with their hashes
	Findings     []finding.Finding
	Entries      []control.Entry
	Setting      string
	Answers      []verify.Answer
	Lists        []control.RecipientList
	Zones        []zone.Zone
	ZoneKeys     []dnssec.SealedKey
	Tallies      []sending.Count
	Forwards     forwarding.Counts
	Probes       []primary.Probe
	Memories     []notice.Memory
	Notices      []notice.Notice
	TTLs         []time.Duration
	Providers    []publish.Provider
	DKIM         []dkimkey.Domain
	Transfers    transfer.Settings
	Copies       map[string]transfer.Copy
	Journals     map[string][]transfer.Step
	Certificates []cert.Certificate
	Assets       []certs.Asset
}

const settingName = "a setting"

func (w *world) dump(t *testing.T) dump {
	t.Helper()
	ctx := context.Background()
	d := dump{State: w.load(t, system), Verifiers: map[string]string{}}
	sorted(&d.State)
	for i := range d.State.Mailboxes {
		m := &d.State.Mailboxes[i]
		id, verifier, err := w.Verifier(ctx, system, m.Address())
		if errors.Is(err, control.ErrNotFound) {
			continue
		}
		if err != nil || id != m.ID {
			t.Fatalf("verifier of %s: %q, %v", m.ID, id, err)
		}
		d.Verifiers[m.Address()] = verifier
	}
	var err error
	d.Tokens, err = w.Tokens(ctx, system)
	must(t, err)
	for i, listed := range d.Tokens {
		if listed.Hash != nil {
			t.Errorf("the listing shows the hash of %s", listed.ID)
		}
		for _, name := range []string{"ann", "bob"} {
			full, err := w.Token(ctx, system, newCustomer(name).Token.Hash)
			if err == nil && full.ID == listed.ID {
				d.Tokens[i] = full
			}
		}
	}
	for _, name := range []string{"ann", "bob"} {
		ttl, err := w.LargestTTL(ctx, system, name+".example", created)
		must(t, err)
		if ttl > 0 {
			d.TTLs = append(d.TTLs, ttl)
		}
		a, found, err := w.Answer(ctx, system, name+".example", "anybody")
		must(t, err)
		if found {
			d.Answers = append(d.Answers, a)
		}
		l, err := w.Recipients(ctx, system, name+".example")
		if errors.Is(err, control.ErrNotFound) {
			continue
		}
		must(t, err)
		d.Lists = append(d.Lists, l)
	}
	must(t, w.Zones(ctx, system, func(z zone.Zone) error {
		d.Zones = append(d.Zones, z)
		one, err := w.Zone(ctx, system, z.Domain)
		same(t, "the zone by its domain", z, one)
		return err
	}))
	list, err := w.Store.ZoneKeys(ctx, system)
	must(t, err)
	for _, k := range list {
		if k.Sealed != nil {
			t.Errorf("the listing shows the private part of %s", k.ID)
		}
		full, err := w.ZoneKey(ctx, system, k.ID)
		must(t, err)
		d.ZoneKeys = append(d.ZoneKeys, full)
	}
	d.Providers, err = w.Providers(ctx, system)
	must(t, err)
	for _, p := range d.Providers {
		one, err := w.Provider(ctx, system, p.Domain)
		must(t, err)
		same(t, "the provider by its domain", p, one)
	}
	d.DKIM, err = w.DKIMDomains(ctx, system)
	must(t, err)
	for _, keys := range d.DKIM {
		one, err := w.Store.DKIM(ctx, system, keys.Name)
		must(t, err)
		same(t, "the keys by their domain", keys, one)
	}
	d.Certificates, err = w.Certificates(ctx, system)
	must(t, err)
	d.Assets, err = w.Assets(ctx, system, "")
	must(t, err)
	for i := range d.Assets {
		d.Assets[i], err = w.Asset(ctx, system, d.Assets[i].Key)
		must(t, err)
	}
	d.Tallies, err = w.Tallies(ctx, system, 0)
	must(t, err)
	d.Forwards, err = w.ForwardCounts(ctx, system, time.Time{}, time.Time{}, 1000)
	must(t, err)
	for _, f := range d.Forwards.Sent {
		one, err := w.ForwardRecord(ctx, system, f.Forward)
		must(t, err)
		same(t, "the record by its forward", f.Last, one)
	}
	d.Probes, err = w.ForwardProbes(ctx, system, "")
	must(t, err)
	d.Memories, err = w.Memories(ctx, system)
	must(t, err)
	d.Notices, err = w.Store.Notices(ctx, system, "", "", 1000)
	must(t, err)
	d.Transfers, err = w.Store.Transfers(ctx, system)
	must(t, err)
	d.Copies, d.Journals = map[string]transfer.Copy{}, map[string][]transfer.Step{}
	for _, z := range d.Transfers.Secondaries {
		d.Copies[z.Domain], err = w.Copy(ctx, system, z.Domain)
		must(t, err)
	}
	for _, z := range d.Zones {
		steps, err := w.Journal(ctx, system, z.Domain)
		must(t, err)
		if steps != nil {
			d.Journals[z.Domain] = steps
		}
	}
	d.Findings, err = w.Findings(ctx, system, "")
	must(t, err)
	d.Entries, err = w.Audit(ctx, system, "", 0, 1_000_000)
	must(t, err)
	d.Setting, err = w.Setting(ctx, system, settingName)
	must(t, err)
	return d
}

// sorted brings the lists of a state into one order.
func sorted(st *control.State) {
	slices.SortFunc(st.Accounts, func(a, b account.Account) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(st.Domains, func(a, b directory.Domain) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(st.Mailboxes, func(a, b directory.Mailbox) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(st.Rules, func(a, b directory.Rule) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(st.Departed, func(a, b directory.Departed) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(st.Sets, func(a, b zone.ExchangerSet) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(st.Servers, func(a, b zone.NameServerSet) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(st.Outbounds, func(a, b directory.Outbound) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(st.Senders, func(a, b sending.Rule) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(st.Senders, func(a, b sending.Rule) int { return cmp.Compare(a.ID, b.ID) })
}

// filled fails when a field of a value is zero, so that a new field cannot be forgotten in the round trip.
func filled(t *testing.T, path string, v reflect.Value) {
	t.Helper()
	elsewhere := []string{ // what is not stored, and what has tests of its own
		"customer.Answer.RecipientAnswer.Origin.TTL", "customer.Zone.Pending", "customer.Zone.NewKeys", "customer.Outbound.Password", "customer.Outbound.Identity",
	}
	if v.IsZero() && !slices.Contains(elsewhere, path) {
		t.Errorf("%s is not filled: its round trip is not tested", path)
	}
	if v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]() && v.Type() != reflect.TypeFor[netip.Prefix]() {
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				filled(t, path+"."+f.Name, v.Field(i))
			}
		}
	}
}

package control_test

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/cert"
	"postroad/internal/core/directory"
	"postroad/internal/core/dkimkey"
	"postroad/internal/core/dnssec"
	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/core/notice"
	"postroad/internal/core/primary"
	"postroad/internal/core/publish"
	"postroad/internal/core/sending"
	"postroad/internal/core/transfer"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control"
	"postroad/internal/service/forwarding"
	"postroad/internal/service/verify"
	"postroad/internal/store/sqldb"
)

func TestEverythingComesBackAsItWas(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		c := newCustomer("ann")
		c.Entry.ID = 1
		filled(t, "customer", reflect.ValueOf(c))
		w.add(t, "ann")
		want := dump{
			State: control.State{
				Version: 1, Accounts: []account.Account{c.Account}, Domains: []directory.Domain{c.Domain}, Mailboxes: []directory.Mailbox{c.Mailbox},
				Rules: []directory.Rule{c.Rule}, Outbounds: []directory.Outbound{c.Outbound}, Departed: []directory.Departed{c.Departed},
				Sets: []zone.ExchangerSet{c.Set}, Servers: []zone.NameServerSet{c.Servers}, Identities: []directory.Identity{c.Identity}, Senders: []sending.Rule{c.Sender},
			},
			Verifiers: map[string]string{c.Mailbox.Address(): c.Verifier}, Tokens: []control.Token{c.Token},
			Findings: []finding.Finding{c.Finding}, Entries: []control.Entry{c.Entry}, Answers: []verify.Answer{c.Answer}, Lists: []control.RecipientList{c.List},
			Tallies: []sending.Count{c.Tally}, Probes: []primary.Probe{c.Probe}, Forwards: forwarding.Counts{Sent: []forwarding.Sent{c.Sent}, Brought: []forwarding.Brought{c.Brought}}, Memories: []notice.Memory{c.Memory}, Notices: []notice.Notice{c.Notice}, TTLs: []time.Duration{48 * time.Hour}, Providers: []publish.Provider{c.Provider}, DKIM: []dkimkey.Domain{c.DKIM}, Certificates: []cert.Certificate{c.Certificate},
			Zones: []zone.Zone{c.Zone}, ZoneKeys: []dnssec.SealedKey{c.ZoneKey}, Transfers: c.Transfer, Journals: map[string][]transfer.Step{},
			Copies: map[string]transfer.Copy{c.Domain.Name: {Records: []dns.Record{}, Signatures: []dns.Record{}}},
		}
		same(t, "at once", want, w.dump(t))
		must(t, w.db.Close())
		w = open(t, w.config)
		w.version = 1
		same(t, "opened again", want, w.dump(t))

		// Every value changed, as far as it can be.
		changed := c
		changed.Account = account.Account{ID: c.Account.ID, Name: "another"}
		changed.Domain = directory.Domain{ID: c.Domain.ID, Account: c.Domain.Account, Name: c.Domain.Name, Mode: directory.ModeLocal, Zone: directory.ZoneExternal}
		changed.Mailbox.Local, changed.Mailbox.Quota, changed.Verifier = "carol", 0, "another verifier"
		changed.Rule.Local, changed.Rule.Kind, changed.Rule.Targets, changed.Rule.Keep, changed.Rule.Archive = "", directory.RuleCatchAll, []string{"a@b.example"}, false, false
		changed.Certificate.Name = cert.Name{Name: c.Certificate.Name.Name, Account: c.Account.ID, Domain: c.Domain.Name, Source: cert.Refused}
		changed.Outbound = directory.Outbound{ID: c.Outbound.ID, Account: c.Outbound.Account, Domain: c.Domain.Name, Hop: directory.HostPort{Host: "h", Port: 1}}
		changed.List.ListSource = facts.ListSource{}
		changed.List.Source, changed.List.Learned, changed.List.Locals = "another", created, []string{"anybody", "carol"}
		changed.Zone = zone.Zone{Domain: c.Domain.Name, Account: c.Account.ID, Serial: 1, Records: []dns.Record{{Name: c.Domain.Name + ".", Type: dns.TypeA, Data: []byte{192, 0, 2, 1}}}, Signatures: []dns.Record{}}
		changed.Set = zone.ExchangerSet{ID: c.Set.ID, Account: c.Set.Account, Name: "another"}
		changed.Servers = zone.NameServerSet{ID: c.Servers.ID, Account: c.Servers.Account, Name: "another"}
		changed.Identity = directory.Identity{ID: c.Identity.ID, Account: c.Account.ID, Domain: c.Domain.Name, Mailbox: c.Mailbox.ID, Address: "x@far.example"}
		changed.Sender = sending.Rule{Key: c.Sender.Key, Given: sending.Choice{Day: new(int64(0))}}
		changed.Departed = directory.Departed{ID: c.Departed.ID, Account: c.Departed.Account, Name: "another.example"}
		changed.Transfer = transfer.Settings{
			Keys:        []transfer.Key{{ID: c.Transfer.Keys[0].ID, Account: c.Account.ID, Name: "another", Algorithm: dns.HMACSHA256, Sealed: []byte("x"), Created: created}},
			Peers:       []transfer.Peer{{ID: c.Transfer.Peers[1].ID, Account: c.Account.ID, Zone: c.Domain.Name, Key: "another"}, {ID: c.Transfer.Peers[0].ID, Account: c.Account.ID, Zone: c.Transfer.Catalogs[0].Name, Notify: netip.MustParseAddrPort("127.0.0.1:1")}},
			Secondaries: []transfer.Secondary{{Domain: c.Domain.Name, Account: c.Account.ID, Primary: netip.MustParseAddrPort("[::1]:53")}},
			Catalogs:    []transfer.Catalog{{Name: c.Transfer.Catalogs[0].Name, Account: c.Account.ID}},
		}
		tx := changed.tx()
		tx.PutTokens, tx.Entries = nil, nil
		w.apply(t, tx)
		want.State = control.State{
			Version: 2, Accounts: []account.Account{changed.Account}, Domains: []directory.Domain{changed.Domain},
			Mailboxes: []directory.Mailbox{changed.Mailbox}, Rules: []directory.Rule{changed.Rule}, Outbounds: []directory.Outbound{changed.Outbound},
			Departed: []directory.Departed{changed.Departed}, Sets: []zone.ExchangerSet{changed.Set}, Servers: []zone.NameServerSet{changed.Servers}, Identities: []directory.Identity{changed.Identity}, Senders: []sending.Rule{changed.Sender},
		}
		want.Certificates = []cert.Certificate{changed.Certificate}
		want.Verifiers = map[string]string{changed.Mailbox.Address(): changed.Verifier}
		want.Lists, want.Zones = []control.RecipientList{changed.List}, []zone.Zone{changed.Zone}
		slices.SortFunc(changed.Transfer.Peers, func(a, b transfer.Peer) int { return cmp.Compare(a.ID, b.ID) })
		want.ZoneKeys = []dnssec.SealedKey{c.ZoneKey}
		want.ZoneKeys[0].Unused = time.Time{}
		want.Transfers = changed.Transfer
		want.Journals = map[string][]transfer.Step{c.Domain.Name: {{From: c.Zone.Serial, To: 1, Difference: dns.Differ(c.Zone.Content(), changed.Zone.Content())}}}
		want.Findings = nil // it was about the way, which has changed
		same(t, "changed", want, w.dump(t))
	})
}

func TestAnEmptyStoreIsAtVersionZero(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		same(t, "empty store", dump{Verifiers: map[string]string{}, Copies: map[string]transfer.Copy{}, Journals: map[string][]transfer.Step{}}, w.dump(t))
	})
}

func TestWhoeverIsSlowerReadsAgain(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		w.add(t, "ann")
		stale := w.version - 1
		before := w.dump(t)
		if _, err := w.Update(t.Context(), system, stale, newCustomer("bob").tx()); !errors.Is(err, control.ErrVersion) {
			t.Errorf("stale version: %v", err)
		}
		if _, err := w.Update(t.Context(), system, w.version+1, newCustomer("bob").tx()); !errors.Is(err, control.ErrVersion) {
			t.Errorf("version to come: %v", err)
		}
		same(t, "after stale changes", before, w.dump(t))

		var won atomic.Int64
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				next, err := w.Update(t.Context(), system, w.version, control.Tx{PutAccounts: []account.Account{{ID: account.ID(fmt.Sprint(i)), Name: fmt.Sprint(i)}}})
				switch {
				case err == nil && next == w.version+1:
					won.Add(1)
				case !errors.Is(err, control.ErrVersion):
					t.Errorf("version %d, %v", next, err)
				}
			})
		}
		wg.Wait()
		if st := w.load(t, system); won.Load() != 1 || len(st.Accounts) != 2 || st.Version != w.version+1 {
			t.Errorf("%d of 20 changes of one version took place, %d accounts, version %d", won.Load(), len(st.Accounts), st.Version)
		}
	})
}

// Of two nodes on one PostgreSQL each change of a version is one node's, and audit ids ascend by commits.
func TestTwoNodesChangeOneConfiguration(t *testing.T) {
	t.Parallel()
	one := open(t, onPostgres(t))
	two := open(t, one.config)
	var wg sync.WaitGroup
	for n, w := range []*world{one, two} {
		wg.Go(func() {
			for done := 0; done < 10; {
				version := w.load(t, system).Version
				_, err := w.Update(t.Context(), system, version, control.Tx{
					PutAccounts: []account.Account{{ID: account.ID(fmt.Sprintf("%d-%d", n, version)), Name: fmt.Sprint(version)}},
					Entries:     []control.Entry{{At: created, Account: account.Operator, Subject: fmt.Sprint(version)}},
				})
				switch {
				case err == nil:
					done++
				case !errors.Is(err, control.ErrVersion):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	entries, err := one.Audit(t.Context(), system, "", 0, 100)
	must(t, err)
	for i, e := range entries {
		if at := int64(len(entries) - 1 - i); e.ID != at+1 || e.Subject != fmt.Sprint(at) {
			t.Errorf("entry %d is of version %s, want %d", e.ID, e.Subject, at)
		}
	}
	if st := two.load(t, system); st.Version != 20 || len(st.Accounts) != 20 {
		t.Errorf("version %d with %d accounts", st.Version, len(st.Accounts))
	}
}

func TestANameIsTakenOnce(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ann := w.add(t, "ann")
		name := func(change func(*customer)) customer {
			c := newCustomer("bob")
			change(&c)
			return c
		}
		for what, c := range map[string]customer{
			"account name":    name(func(c *customer) { c.Account.Name = ann.Account.Name }),
			"domain name":     name(func(c *customer) { c.Domain.Name = ann.Domain.Name }),
			"token hash":      name(func(c *customer) { c.Token.Hash = ann.Token.Hash }),
			"token id":        name(func(c *customer) { c.Token.ID = ann.Token.ID }),
			"second of a put": name(func(c *customer) { c.Token.Name = "twice" }),
		} {
			t.Run(what, func(t *testing.T) {
				tx := control.Tx{PutAccounts: []account.Account{c.Account}, PutDomains: []directory.Domain{c.Domain}, PutTokens: []control.Token{c.Token}}
				if what == "second of a put" {
					tx.PutTokens = append(tx.PutTokens, c.Token)
				}
				w.refused(t, control.ErrExists, tx)
			})
		}
		second := ann.Mailbox
		second.ID = "second"
		w.refused(t, control.ErrExists, control.Tx{PutMailboxes: []directory.Mailbox{second}})
		rule := ann.Rule
		rule.ID = "second"
		w.refused(t, control.ErrExists, control.Tx{PutRules: []directory.Rule{rule}})
		set, servers := ann.Set, ann.Servers
		set.ID, servers.ID = "second", "second"
		w.refused(t, control.ErrExists, control.Tx{PutSets: []zone.ExchangerSet{set}})
		w.refused(t, control.ErrExists, control.Tx{PutServers: []zone.NameServerSet{servers}})
		outbound := ann.Outbound
		outbound.ID = "second"
		w.refused(t, control.ErrExists, control.Tx{PutOutbounds: []directory.Outbound{outbound}})

		// A rule may stand beside a mailbox, and the name of what is removed is free in the same change.
		rule.Local = ann.Mailbox.Local
		w.apply(t, control.Tx{Remove: []control.Removal{gone(control.KindMailbox, ann.Mailbox.ID)}, PutMailboxes: []directory.Mailbox{second}, PutRules: []directory.Rule{rule}})
	})
}

func TestWhatMakesNoSenseIsRefused(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ann := w.add(t, "ann")
		renamed := ann.Domain
		renamed.Name = "other.example"
		w.refused(t, control.ErrInvalid, control.Tx{PutDomains: []directory.Domain{renamed}})
		w.refused(t, control.ErrInvalid, control.Tx{PutTokens: []control.Token{{ID: "x", Account: ann.Account.ID}}})
		w.refused(t, control.ErrInvalid, control.Tx{Remove: []control.Removal{gone(control.KindQueue, "x")}})
		w.refused(t, control.ErrInvalid, control.Tx{Remove: []control.Removal{gone("alias", ann.Rule.ID)}})
		w.refused(t, control.ErrInUse, control.Tx{Remove: []control.Removal{gone(control.KindAccount, string(ann.Account.ID))}})
		w.refused(t, control.ErrNotFound, control.Tx{PutVerifiers: map[string]string{"nobody": "v"}})
		elsewhere := ann.Mailbox
		elsewhere.ID, elsewhere.Domain = "elsewhere", "elsewhere.example"
		w.refused(t, control.ErrNotFound, control.Tx{PutMailboxes: []directory.Mailbox{elsewhere}})
		rule := ann.Rule
		rule.ID, rule.Domain = "elsewhere", "elsewhere.example"
		w.refused(t, control.ErrNotFound, control.Tx{PutRules: []directory.Rule{rule}})
		nowhere := ann.Zone
		nowhere.Domain = "elsewhere.example"
		w.refused(t, control.ErrNotFound, control.Tx{PutZones: []zone.Zone{nowhere}})
		both := elsewhere
		both.Domain, both.Account = ann.Domain.Name, "someone"
		w.refused(t, control.ErrNotFound, control.Tx{PutMailboxes: []directory.Mailbox{ann.Mailbox, both}})
	})
}

func TestRemovals(t *testing.T) {
	kinds := func(c customer) []control.Removal {
		return []control.Removal{
			gone(control.KindMailbox, c.Mailbox.ID),
			gone(control.KindRule, c.Rule.ID),
			gone(control.KindOutbound, c.Outbound.ID),
			gone(control.KindDeparted, c.Departed.ID),
			gone(control.KindZone, c.Zone.Domain),
			gone(control.KindTSIGKey, c.Transfer.Keys[0].ID),
			gone(control.KindTransfer, c.Transfer.Peers[0].ID),
			gone(control.KindTransfer, c.Transfer.Peers[1].ID),
			gone(control.KindSecondary, c.Domain.Name),
			gone(control.KindCatalog, c.Transfer.Catalogs[0].Name),
			gone(control.KindSet, c.Set.ID),
			gone(control.KindServers, c.Servers.ID),
			gone(control.KindToken, c.Token.ID),
			gone(control.KindDomain, c.Domain.ID),
			gone(control.KindAccount, string(c.Account.ID)),
		}
	}
	engines(t, func(w *world) {
		t := w.t
		w.add(t, "ann")
		rest := w.dump(t)
		bob := w.add(t, "bob")
		rest.Entries = w.dump(t).Entries
		left := func(what string) {
			t.Helper()
			got := w.dump(t)
			rest.State.Version = got.State.Version
			same(t, what, rest, got)
		}
		for _, r := range kinds(bob) {
			for _, list := range [][]control.Removal{{gone(r.Kind, "nobody")}, {gone(r.Kind, r.ID), gone(r.Kind, "nobody")}} {
				if r.Kind == control.KindAccount {
					list = append(list, control.Removal{Kind: control.KindDomain, ID: bob.Domain.ID})
				}
				w.refused(t, control.ErrNotFound, control.Tx{Remove: list})
			}
		}

		// One by one, a mailbox with its verifier.
		for _, r := range kinds(bob) {
			w.apply(t, control.Tx{Remove: []control.Removal{r}})
			w.refused(t, control.ErrNotFound, control.Tx{Remove: []control.Removal{r}})
		}
		left("one by one")

		// A domain takes everything in it along, an account its tokens.
		w.again(t, bob)
		w.apply(t, control.Tx{Remove: []control.Removal{gone(control.KindDomain, bob.Domain.ID)}})
		w.apply(t, control.Tx{Remove: []control.Removal{gone(control.KindAccount, string(bob.Account.ID))}})
		w.apply(t, control.Tx{Remove: []control.Removal{gone(control.KindDeparted, bob.Departed.ID)}}) // it outlives both
		left("domain, then account")

		// All in one change, the thing named before what lies in it.
		w.again(t, bob)
		all := kinds(bob)
		slices.Reverse(all)
		w.apply(t, control.Tx{Remove: all})
		left("in one change")

		// What was decided of a sender outlives its mailbox and its domain, and is there when they come back.
		w.again(t, bob)
		w.apply(t, control.Tx{Remove: []control.Removal{gone(control.KindMailbox, bob.Mailbox.ID)}})
		w.apply(t, control.Tx{Remove: []control.Removal{gone(control.KindDomain, bob.Domain.ID)}})
		w.apply(t, control.Tx{PutDomains: []directory.Domain{bob.Domain}})
		w.apply(t, control.Tx{PutMailboxes: []directory.Mailbox{bob.Mailbox}})
		same(t, "what was decided of a sender", []sending.Rule{bob.Sender}, w.load(t, account.Of(bob.Account.ID)).Senders)
		w.apply(t, control.Tx{PutSenders: []sending.Rule{{Key: bob.Sender.Key}}})
		if left := w.load(t, account.Of(bob.Account.ID)).Senders; len(left) != 0 {
			t.Errorf("nothing is decided any more: %+v", left)
		}
		w.apply(t, control.Tx{Remove: []control.Removal{gone(control.KindAccount, string(bob.Account.ID)), gone(control.KindDomain, bob.Domain.ID)}})

		// A verifier does not outlive its mailbox.
		w.again(t, bob)
		w.apply(t, control.Tx{Remove: []control.Removal{gone(control.KindMailbox, bob.Mailbox.ID)}})
		w.apply(t, control.Tx{PutMailboxes: []directory.Mailbox{bob.Mailbox}})
		if _, _, err := w.Verifier(t.Context(), system, bob.Mailbox.Address()); !errors.Is(err, control.ErrNotFound) {
			t.Errorf("verifier of a mailbox that was made anew: %v", err)
		}
	})
}

// again makes a customer whose things were removed, without an audit entry.
func (w *world) again(t *testing.T, c customer) {
	t.Helper()
	tx := c.tx()
	tx.Entries = nil
	w.apply(t, tx)
	must(t, w.Find(t.Context(), system, c.Finding, false))
}

func TestWhatLiesInADomainFollowsItToAnotherAccount(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ann, bob := w.add(t, "ann"), w.add(t, "bob")
		moved := ann.Domain
		moved.Account = bob.Account.ID
		w.apply(t, control.Tx{PutDomains: []directory.Domain{moved}})
		st := w.load(t, account.Of(ann.Account.ID))
		if n := len(st.Domains) + len(st.Mailboxes) + len(st.Rules) + len(st.Outbounds); n != 0 {
			t.Errorf("%d things stayed behind: %+v", n, st)
		}
		st = w.load(t, account.Of(bob.Account.ID))
		for i := range st.Mailboxes {
			if st.Mailboxes[i].Account != bob.Account.ID {
				t.Errorf("mailbox %+v", st.Mailboxes[i])
			}
		}
		if len(st.Domains) != 2 || len(st.Mailboxes) != 2 || len(st.Rules) != 2 || len(st.Outbounds) != 2 {
			t.Errorf("the new account has %+v", st)
		}
		if k, err := w.ZoneKey(t.Context(), account.Of(bob.Account.ID), ann.ZoneKey.ID); err != nil || k.Account != bob.Account.ID {
			t.Errorf("zone key %+v, %v", k, err)
		}
		if z, err := w.Zone(t.Context(), account.Of(bob.Account.ID), ann.Domain.Name); err != nil || z.Account != bob.Account.ID {
			t.Errorf("zone %+v, %v", z, err)
		}
		if found, err := w.Findings(t.Context(), account.Of(bob.Account.ID), ""); err != nil || len(found) != 2 {
			t.Errorf("findings %v, %v", found, err)
		}

		// One mailbox alone, to a domain of the former account.
		back := ann.Domain
		back.ID, back.Name = "new", "new.example"
		box := ann.Mailbox
		box.Domain = back.Name
		w.apply(t, control.Tx{PutDomains: []directory.Domain{back}, PutMailboxes: []directory.Mailbox{box}})
		if _, v, err := w.Verifier(t.Context(), account.Of(ann.Account.ID), box.Address()); err != nil || v != ann.Verifier {
			t.Errorf("verifier %q, %v", v, err)
		}
		w.apply(t, control.Tx{PutVerifiers: map[string]string{box.ID: "new"}})
	})
}

func TestAuditIsReadNewestFirst(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		for i := range 10 {
			var tx control.Tx
			for j := range 3 {
				e := newCustomer([]string{"ann", "bob"}[j%2]).Entry
				e.Subject = fmt.Sprint(3*i + j + 1)
				tx.Entries = append(tx.Entries, e)
			}
			w.apply(t, tx)
			if _, err := w.Update(t.Context(), system, w.version-1, tx); !errors.Is(err, control.ErrVersion) {
				t.Fatal(err)
			}
		}
		subjects := func(scope account.Scope, domain string, before int64, limit int) []string {
			t.Helper()
			list, err := w.Audit(t.Context(), scope, domain, before, limit)
			must(t, err)
			var out []string
			for _, e := range list {
				if e.Subject != fmt.Sprint(e.ID) {
					t.Errorf("entry %d is the one made as %s", e.ID, e.Subject)
				}
				out = append(out, e.Subject)
			}
			return out
		}
		for _, c := range []struct {
			scope  account.Scope
			domain string
			before int64
			limit  int
			want   []string
		}{
			{system, "", 0, 3, []string{"30", "29", "28"}},
			{system, "", 28, 2, []string{"27", "26"}},
			{system, "", 2, 100, []string{"1"}},
			{system, "", 1, 100, nil},
			{system, "", 0, 0, nil},
			{system, "", 0, -1, nil},
			{system, "bob.example", 0, 2, []string{"29", "26"}},
			{system, "bob.example", 26, 1, []string{"23"}},
			{system, "none.example", 0, 10, nil},
			{account.Of("account-bob"), "", 0, 2, []string{"29", "26"}},
			{account.Of("account-bob"), "ann.example", 0, 2, nil},
			{account.Of("account-bob", "account-ann"), "ann.example", 0, 2, []string{"30", "28"}},
		} {
			if got := subjects(c.scope, c.domain, c.before, c.limit); !slices.Equal(got, c.want) {
				t.Errorf("%+v gives %v", c, got)
			}
		}
		if got := subjects(system, "", 0, 1000); len(got) != 30 {
			t.Errorf("%d entries", len(got))
		}
	})
}

func TestAnAuditEntryIsNeverChanged(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		w.add(t, "ann")
		before := w.dump(t)
		for _, stmt := range []sqldb.Stmt{`UPDATE audit SET actor = 'nobody'`, `DELETE FROM audit`} {
			if err := w.db.Write(t.Context(), system, func(tx *sqldb.Tx) error { return tx.Post(stmt) }); !errors.Is(err, sqldb.ErrStorage) {
				t.Errorf("%s: %v", stmt, err)
			}
		}
		same(t, "after tampering", before, w.dump(t))
	})
}

func TestTokens(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ann, bob := w.add(t, "ann"), w.add(t, "bob")
		got, err := w.Token(t.Context(), system, ann.Token.Hash)
		must(t, err)
		same(t, "token", ann.Token, got)
		for _, hash := range [][]byte{nil, {}, []byte("x"), ann.Token.Hash[:len(ann.Token.Hash)-1], append(slices.Clone(ann.Token.Hash), 0)} {
			if got, err := w.Token(t.Context(), system, hash); !errors.Is(err, control.ErrNotFound) || got.ID != "" {
				t.Errorf("token with hash %q: %+v, %v", hash, got, err)
			}
		}
		older := bob.Token
		older.ID, older.Hash, older.Created = "older", []byte("older"), created
		w.apply(t, control.Tx{PutTokens: []control.Token{older}})
		list, err := w.Tokens(t.Context(), account.Of(bob.Account.ID))
		must(t, err)
		older.Hash, bob.Token.Hash = nil, nil
		same(t, "tokens of an account", []control.Token{older, bob.Token}, list)
		w.apply(t, control.Tx{Remove: []control.Removal{gone(control.KindToken, ann.Token.ID)}})
		if _, err := w.Token(t.Context(), system, ann.Token.Hash); !errors.Is(err, control.ErrNotFound) {
			t.Errorf("a revoked token: %v", err)
		}
	})
}

func TestFindings(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ann, bob := w.add(t, "ann"), w.add(t, "bob")
		again := ann.Finding
		again.Since, again.Evidence = again.Since.Add(time.Hour), "192.0.2.54 answered NXDOMAIN"
		must(t, w.Find(t.Context(), system, again, false))
		again.Since = ann.Finding.Since
		loop := finding.Finding{Name: finding.AliasLoop, Domain: ann.Domain.Name, Evidence: "a → b → a", Since: created}
		must(t, w.Find(t.Context(), account.Of(ann.Account.ID), loop, false))
		general := finding.Finding{Name: finding.RouteLoopSelf, Evidence: "of the installation", Since: created}
		must(t, w.Find(t.Context(), system, general, false))
		lists := func(scope account.Scope, domain string, want ...finding.Finding) {
			t.Helper()
			got, err := w.Findings(t.Context(), scope, domain)
			must(t, err)
			same(t, "findings of "+domain, want, got)
		}
		lists(system, "", general, loop, again, bob.Finding)
		lists(system, ann.Domain.Name, loop, again)
		lists(account.Of(bob.Account.ID), "", bob.Finding)
		lists(account.Of(account.Operator), "", general)

		// Gone, gone again, and back: the break sets Since anew.
		must(t, w.Find(t.Context(), system, loop, true))
		must(t, w.Find(t.Context(), system, loop, true))
		lists(system, ann.Domain.Name, again)
		loop.Since = created.Add(24 * time.Hour)
		must(t, w.Find(t.Context(), system, loop, false))
		lists(system, ann.Domain.Name, loop, again)

		nowhere := finding.Finding{Name: finding.AliasLoop, Domain: "nowhere.example"}
		if err := w.Find(t.Context(), system, nowhere, false); !errors.Is(err, control.ErrNotFound) {
			t.Errorf("finding of a domain that is not here: %v", err)
		}
		must(t, w.Find(t.Context(), system, nowhere, true))
		if err := w.Find(t.Context(), account.Of(ann.Account.ID), general, false); !errors.Is(err, control.ErrDenied) {
			t.Errorf("finding of the installation by an account: %v", err)
		}
	})
}

func TestFindingsAboutAWayEndWithIt(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ann, bob := w.add(t, "ann"), w.add(t, "bob")
		loop := finding.Finding{Name: finding.AliasLoop, Domain: ann.Domain.Name, Evidence: "a → b → a", Since: created}
		self := finding.Finding{Name: finding.RouteLoopSelf, Domain: ann.Domain.Name, Evidence: "us", Since: created}
		list := func(what string, want ...finding.Finding) {
			t.Helper()
			got, err := w.Findings(t.Context(), system, "")
			must(t, err)
			same(t, what, want, got)
		}
		for _, change := range []func(*directory.Domain){
			func(d *directory.Domain) { d.NextHops = d.NextHops[1:] },
			func(d *directory.Domain) { d.Mode = directory.ModeRemote },
		} {
			for _, f := range []finding.Finding{loop, self, ann.Finding} {
				must(t, w.Find(t.Context(), system, f, false))
			}
			ann.Domain.Hold += time.Hour
			w.apply(t, control.Tx{PutDomains: []directory.Domain{ann.Domain}})
			list("after another change", loop, ann.Finding, self, bob.Finding)
			change(&ann.Domain)
			w.apply(t, control.Tx{PutDomains: []directory.Domain{ann.Domain}})
			list("after another way", loop, bob.Finding)
		}
	})
}

func TestSettings(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		for _, value := range []string{"", "first", "second ü\n", ""} {
			must(t, w.SetSetting(t.Context(), system, settingName, value))
			must(t, w.SetSetting(t.Context(), system, "another", "x"))
			if got, err := w.Setting(t.Context(), system, settingName); err != nil || got != value {
				t.Errorf("setting is %q, %v, want %q", got, err, value)
			}
		}
		if got, err := w.Setting(t.Context(), system, "never set"); err != nil || got != "" {
			t.Errorf("setting that was never set: %q, %v", got, err)
		}
		if got, err := w.Setting(t.Context(), account.Of(account.Operator), "another"); err != nil || got != "x" {
			t.Errorf("setting read by the operator: %q, %v", got, err)
		}
	})
}

func TestOneNodeAtATimeHasALease(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for i, c := range []struct {
			what, holder string
			after, lasts time.Duration
			want         bool
		}{
			{"notices", "a", 0, time.Minute, true},
			{"notices", "b", 30 * time.Second, time.Minute, false},
			{"another", "b", 30 * time.Second, time.Minute, true},
			{"notices", "a", 50 * time.Second, time.Minute, true},
			{"notices", "b", 109 * time.Second, time.Minute, false},
			{"notices", "b", 110 * time.Second, time.Minute, true},
			{"notices", "a", 111 * time.Second, time.Minute, false},
		} {
			now := at.Add(c.after)
			if got, err := w.Lease(t.Context(), system, c.what, c.holder, now, now.Add(c.lasts)); err != nil || got != c.want {
				t.Errorf("%d: %s leases %s after %v: %t, %v", i, c.holder, c.what, c.after, got, err)
			}
		}
		// What is ended is free; only its holder ends it.
		now := at.Add(112 * time.Second)
		must(t, w.EndLease(t.Context(), system, "notices", "a"))
		if got, err := w.Lease(t.Context(), system, "notices", "a", now, now.Add(time.Minute)); err != nil || got {
			t.Errorf("somebody else has ended it: %t, %v", got, err)
		}
		must(t, w.EndLease(t.Context(), system, "notices", "b"))
		if got, err := w.Lease(t.Context(), system, "notices", "a", now, now.Add(time.Minute)); err != nil || !got {
			t.Errorf("it was ended and is not free: %t, %v", got, err)
		}
	})
}

func TestOfSeveralNodesOneSetsWhatIsNotSet(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		for _, value := range []string{"first", "second"} {
			if got, err := w.FirstSetting(t.Context(), system, settingName, value); err != nil || got != "first" {
				t.Errorf("%s: %q, %v", value, got, err)
			}
		}
		must(t, w.SetSetting(t.Context(), system, settingName, ""))
		if got, err := w.FirstSetting(t.Context(), system, settingName, "third"); err != nil || got != "third" {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestTheVersionAndTheSerialsAreReadAlone(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		st, err := w.Load(t.Context(), system)
		must(t, err)
		if got, err := w.CurrentVersion(t.Context(), system); err != nil || got != st.Version {
			t.Errorf("version %d, %v, want %d", got, err, st.Version)
		}
		want := map[string]uint32{}
		must(t, w.Zones(t.Context(), system, func(z zone.Zone) error { want[z.Domain] = z.Serial; return nil }))
		if got, err := w.Serials(t.Context(), system); err != nil || !maps.Equal(got, want) {
			t.Errorf("serials %v, %v, want %v", got, err, want)
		}
	})
}

func TestVerifiers(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ann := w.add(t, "ann")
		plain := ann.Mailbox
		plain.ID, plain.Local = "plain", "plain"
		w.apply(t, control.Tx{PutMailboxes: []directory.Mailbox{plain}})
		for _, address := range []string{"BØB+ann@ANN.example", ann.Mailbox.Address()} {
			id, verifier, err := w.Verifier(t.Context(), system, address)
			if id != ann.Mailbox.ID || verifier != ann.Verifier || err != nil {
				t.Errorf("%s: %q, %q, %v", address, id, verifier, err)
			}
		}
		for _, address := range []string{"", "@", "bøb+ann", "bøb@ann.example", "@ann.example", "bøb+ann@", "plain@ann.example", "bøb+ann@bob.example"} {
			if id, verifier, err := w.Verifier(t.Context(), system, address); !errors.Is(err, control.ErrNotFound) || id != "" || verifier != "" {
				t.Errorf("%s: %q, %q, %v", address, id, verifier, err)
			}
		}
		// A new quota leaves the password alone.
		ann.Mailbox.Quota++
		w.apply(t, control.Tx{PutMailboxes: []directory.Mailbox{ann.Mailbox}})
		if _, verifier, err := w.Verifier(t.Context(), system, ann.Mailbox.Address()); verifier != ann.Verifier || err != nil {
			t.Errorf("after another change: %q, %v", verifier, err)
		}
	})
}

func TestAnImportIsOneChange(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		const n = 10_000
		twice := importing(1, 100)
		twice.PutMailboxes = append(twice.PutMailboxes, twice.PutMailboxes[50])
		twice.PutMailboxes[100].ID = "twice"
		w.refused(t, control.ErrExists, twice)
		w.apply(t, importing(1, n))
		if st := w.load(t, system); len(st.Mailboxes) != n || st.Version != 1 {
			t.Errorf("%d mailboxes, version %d", len(st.Mailboxes), st.Version)
		}
		entries, err := w.Audit(t.Context(), system, "", 0, n+1)
		must(t, err)
		if len(entries) != n || entries[0].ID != n || entries[n-1].ID != 1 {
			t.Errorf("%d entries", len(entries))
		}
	})
}

func TestLoadSeesOneState(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		const changes = 60
		var done atomic.Bool
		var wg sync.WaitGroup
		wg.Go(func() {
			defer done.Store(true)
			for i := range changes {
				tx := importing(i, 1)
				if _, err := w.Update(t.Context(), system, int64(i), tx); err != nil {
					t.Error(err)
					return
				}
			}
		})
		for !done.Load() {
			st := w.load(t, system)
			if int64(len(st.Domains)) != st.Version || int64(len(st.Mailboxes)) != st.Version {
				t.Errorf("version %d shows %d domains and %d mailboxes", st.Version, len(st.Domains), len(st.Mailboxes))
				break
			}
		}
		wg.Wait()
	})
}

func TestTheServiceStandsOnTheStore(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		options := control.Options{Store: w, Verifier: func(p string) (string, error) { return "verifier of " + p, nil }}
		s := control.New(options)
		must(t, s.Start(t.Context()))
		if secret, err := s.FirstToken(t.Context()); err != nil || secret == "" {
			t.Fatalf("first token %q, %v", secret, err)
		}
		apply := func(p control.Plan, err error) {
			t.Helper()
			must(t, err)
			_, err = s.Apply(t.Context(), control.Operator(), p)
			must(t, err)
		}
		yes := true
		apply(s.PlanAccountAdd(control.Operator(), "ann"))
		apply(s.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "ann.example", Account: "ann", DomainSettings: control.DomainSettings{Proved: &yes}}))
		apply(s.PlanMailboxAdd(control.Operator(), control.MailboxSpec{Address: "bob@ann.example", Password: control.NewSecret("password")}))
		apply(s.PlanOutboundSet(t.Context(), control.Operator(), control.OutboundSpec{Hop: "smart.example:587", Domain: "ann.example"}))
		other := control.New(options)
		must(t, other.Start(t.Context()))
		if _, found := other.Directory().Mailbox("ann.example", "bob"); !found || other.Version() != s.Version() {
			t.Errorf("another node shows version %d of %d, mailbox: %t", other.Version(), s.Version(), found)
		}
		if _, err := other.PlanAccountAdd(control.Operator(), "ann"); !errors.Is(err, control.ErrExists) {
			t.Errorf("the account again: %v", err)
		}
		apply(s.PlanDomainRemove(t.Context(), control.Operator(), "ann.example"))
		apply(s.PlanAccountRemove(t.Context(), control.Operator(), "ann"))
		if secret, err := other.FirstToken(t.Context()); err != nil || secret != "" {
			t.Errorf("first token again: %q, %v", secret, err)
		}
	})
}

// A row that is damaged costs nobody else their zone.
func TestADamagedZoneComesWithoutRecords(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ann, bob := w.add(t, "ann"), w.add(t, "bob")
		for _, column := range []string{"records", "signatures", "signing"} {
			must(t, w.db.Write(t.Context(), system, func(tx *sqldb.Tx) error {
				return tx.Post(sqldb.Stmt(`UPDATE zone SET `+column+` = $2 WHERE domain = $1`), ann.Domain.Name, []byte("damaged"))
			}))
			if z, err := w.Zone(t.Context(), system, ann.Domain.Name); !errors.Is(err, sqldb.ErrCorrupt) || z.Records != nil {
				t.Errorf("%s: %+v, %v", column, z, err)
			}
			var list []zone.Zone
			must(t, w.Zones(t.Context(), system, func(z zone.Zone) error {
				list = append(list, z)
				return nil
			}))
			same(t, column, []zone.Zone{{Domain: ann.Domain.Name, Account: ann.Account.ID, Serial: ann.Zone.Serial, Changed: ann.Zone.Changed}, bob.Zone}, list)
			w.apply(t, control.Tx{PutZones: []zone.Zone{ann.Zone}})
			if z, err := w.Zone(t.Context(), system, ann.Domain.Name); err != nil || len(z.Records) == 0 {
				t.Errorf("put again: %+v, %v", z, err)
			}
		}
		if err := w.Zones(t.Context(), system, func(zone.Zone) error { return errors.ErrUnsupported }); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("the error of yield: %v", err)
		}
	})
}

func TestTheJournalOfAZoneThatIsHandedOut(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ann := newCustomer("ann")
		tx := ann.tx()
		tx.PutTransfers = transfer.Settings{}
		w.apply(t, tx)
		z := ann.Zone
		version := func(serial uint32) zone.Zone {
			z := ann.Zone
			z.Serial = serial
			z.Records = append(slices.Clone(z.Records), dns.Record{Name: z.Apex(), Type: dns.TypeA, TTL: serial, Data: []byte{192, 0, 2, byte(serial)}})
			slices.SortFunc(z.Records, dns.Compare)
			return z
		}
		journal := func() []transfer.Step {
			t.Helper()
			steps, err := w.Journal(t.Context(), system, z.Domain)
			must(t, err)
			return steps
		}
		w.apply(t, control.Tx{PutZones: []zone.Zone{version(1)}})
		if steps := journal(); steps != nil {
			t.Errorf("nobody may have the zone, and there is a journal: %v", steps)
		}
		w.apply(t, control.Tx{PutTransfers: transfer.Settings{Keys: ann.Transfer.Keys, Peers: ann.Transfer.Peers[:1]}})
		w.apply(t, control.Tx{PutZones: []zone.Zone{version(1)}})
		for serial := uint32(2); serial < 110; serial++ {
			w.apply(t, control.Tx{PutZones: []zone.Zone{version(serial)}})
		}
		steps := journal()
		if len(steps) != 100 || steps[0].From != 9 {
			t.Fatalf("%d steps from %d", len(steps), steps[0].From)
		}
		from, to := version(50), version(109)
		records := from.Content()
		for _, step := range transfer.Chain(steps, 50, 109) {
			var err error
			records, err = step.Apply(records)
			must(t, err)
		}
		same(t, "by the journal", to.Content(), records)

		w.apply(t, control.Tx{Remove: []control.Removal{gone(control.KindZone, z.Domain)}})
		w.apply(t, control.Tx{PutZones: []zone.Zone{version(50)}})
		if steps := journal(); steps != nil {
			t.Errorf("the journal outlives the zone: %v", steps)
		}
	})
}

func TestCopiesOfSecondaries(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ann := w.add(t, "ann")
		of := ann.Transfer.Secondaries[0]
		want := transfer.Copy{Refreshed: created, Serial: 4294967295, Records: ann.Zone.Records, Signatures: ann.Zone.Signatures}
		must(t, w.KeepCopy(t.Context(), system, of, want))
		got, err := w.Copy(t.Context(), system, of.Domain)
		must(t, err)
		same(t, "kept", want, got)
		want.Refreshed = created.Add(time.Hour)
		must(t, w.KeepCopy(t.Context(), system, of, transfer.Copy{Refreshed: want.Refreshed}))
		w.apply(t, control.Tx{PutTransfers: transfer.Settings{Secondaries: ann.Transfer.Secondaries}})
		got, err = w.Copy(t.Context(), system, of.Domain)
		must(t, err)
		same(t, "true still", want, got)
		bob := w.add(t, "bob") // whose zone was never fetched
		serials, err := w.CopySerials(t.Context(), system)
		must(t, err)
		same(t, "serials", map[string]uint32{of.Domain: want.Serial}, serials)
		serials, err = w.CopySerials(t.Context(), account.Of(bob.Account.ID))
		must(t, err)
		same(t, "serials of another account", map[string]uint32{}, serials)
		of.Primary = netip.MustParseAddrPort("192.0.2.99:53")
		if err := w.KeepCopy(t.Context(), system, of, want); !errors.Is(err, control.ErrNotFound) {
			t.Errorf("from a server that is not the primary: %v", err)
		}
	})
}

func TestZonesAreDueWhenTheirSigningSays(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ann, bob, carol := w.add(t, "ann"), w.add(t, "bob"), w.add(t, "carol")
		unsigned := carol.Zone
		unsigned.Signing = nil
		early := bob.Zone
		early.Signing = early.Signing.Clone()
		early.Signing.Keys[0].Submit = created.Add(time.Minute)
		early.Signing.Signed = created.Add(-time.Hour)
		w.apply(t, control.Tx{PutZones: []zone.Zone{unsigned, early}})
		for _, c := range []struct {
			at    time.Time
			limit int
			want  []string
		}{
			{created.Add(2 * time.Hour), 10, []string{"bob.example", "ann.example"}},
			{created.Add(2 * time.Hour), 1, []string{"bob.example"}},
			{created.Add(-2 * time.Hour), 10, nil},
		} {
			list, err := w.DueZones(t.Context(), system, c.at, c.limit)
			must(t, err)
			same(t, "due", c.want, list)
		}
		list, err := w.SignedZones(t.Context(), system)
		must(t, err)
		same(t, "signed", []string{"ann.example", "bob.example"}, list)
		must(t, w.DropZoneKeys(t.Context(), system, []string{ann.ZoneKey.ID}))
		if _, err := w.ZoneKey(t.Context(), system, ann.ZoneKey.ID); !errors.Is(err, control.ErrNotFound) {
			t.Errorf("a destroyed key: %v", err)
		}
	})
}

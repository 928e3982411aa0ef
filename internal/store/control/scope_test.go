package control_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/cert"
	"postroad/internal/core/directory"
	"postroad/internal/core/dkimkey"
	"postroad/internal/core/dnssec"
	"postroad/internal/core/finding"
	"postroad/internal/core/notice"
	"postroad/internal/core/publish"
	"postroad/internal/core/sending"
	"postroad/internal/core/transfer"
	"postroad/internal/core/zone"
	"postroad/internal/service/certs"
	"postroad/internal/service/checks"
	"postroad/internal/service/control"
	"postroad/internal/service/forwarding"
	"postroad/internal/service/notices"
	counting "postroad/internal/service/sending"
	"postroad/internal/service/verify"
	"postroad/internal/store/sqldb"
)

// foreign is a method called with ann's scope and bob's ids. It reports what it was told.
type foreign func(w *world, scope account.Scope, bob customer)

// foreigners has every method of control.Store and verify.Store.
var foreigners = map[string]foreign{
	"Load": func(w *world, scope account.Scope, _ customer) {
		t := w.t
		st := w.load(t, scope)
		for _, list := range []any{st.Accounts, st.Domains, st.Mailboxes, st.Rules, st.Outbounds, st.Departed, st.Sets, st.Servers} {
			v := reflect.ValueOf(list)
			for i := range v.Len() {
				element := v.Index(i)
				owner := element.FieldByName("Account")
				if !owner.IsValid() {
					owner = element.FieldByName("ID") // an account
				}
				if id := account.ID(owner.String()); !scope.Has(id) {
					t.Errorf("it shows %+v", element)
				}
			}
		}
	},
	"Update": func(w *world, scope account.Scope, bob customer) {
		t := w.t
		for what, c := range trespasses(bob) {
			_, err := w.Update(t.Context(), scope, w.version, c.tx)
			if nobody := len(scope.Accounts()) == 0; !errors.Is(err, c.want) && (!nobody || !errors.Is(err, control.ErrDenied)) {
				t.Errorf("%s: %v, want %v", what, err, c.want)
			}
		}
	},
	"Audit": func(w *world, scope account.Scope, bob customer) {
		t := w.t
		for _, domain := range []string{"", bob.Domain.Name} {
			list, err := w.Audit(t.Context(), scope, domain, 0, 100)
			must(t, err)
			if slices.ContainsFunc(list, func(e control.Entry) bool { return !scope.Has(e.Account) }) {
				t.Errorf("it shows %+v", list)
			}
		}
	},
	"Verifier": func(w *world, scope account.Scope, bob customer) {
		t := w.t
		if id, verifier, err := w.Verifier(t.Context(), scope, bob.Mailbox.Address()); !errors.Is(err, control.ErrNotFound) || id != "" || verifier != "" {
			t.Errorf("it shows %q, %q, %v", id, verifier, err)
		}
	},
	"Token": func(w *world, scope account.Scope, bob customer) {
		t := w.t
		if got, err := w.Token(t.Context(), scope, bob.Token.Hash); !errors.Is(err, control.ErrNotFound) || got.ID != "" {
			t.Errorf("it shows %+v, %v", got, err)
		}
	},
	"Tokens": func(w *world, scope account.Scope, _ customer) {
		t := w.t
		list, err := w.Tokens(t.Context(), scope)
		must(t, err)
		if slices.ContainsFunc(list, func(tk control.Token) bool { return !scope.Has(tk.Account) }) {
			t.Errorf("it shows %+v", list)
		}
	},
	"Findings": func(w *world, scope account.Scope, bob customer) {
		t := w.t
		for _, domain := range []string{"", bob.Domain.Name} {
			list, err := w.Findings(t.Context(), scope, domain)
			must(t, err)
			if slices.ContainsFunc(list, func(f finding.Finding) bool { return f.Domain == bob.Domain.Name || f.Domain == "" }) {
				t.Errorf("it shows %+v", list)
			}
		}
	},
	"Find": func(w *world, scope account.Scope, bob customer) {
		t := w.t
		f := bob.Finding
		f.Evidence = "made up"
		if err := w.Find(t.Context(), scope, f, false); !errors.Is(err, control.ErrNotFound) {
			t.Errorf("it was told %v", err)
		}
		f.Name = finding.AliasLoop
		if err := w.Find(t.Context(), scope, f, false); !errors.Is(err, control.ErrNotFound) {
			t.Errorf("it was told %v", err)
		}
		must(t, w.Find(t.Context(), scope, bob.Finding, true))
	},
	"Notices": func(w *world, scope account.Scope, bob customer) {
		t := w.t
		for _, domain := range []string{"", bob.Domain.Name} {
			list, err := w.Notices(t.Context(), scope, domain, "", 100)
			must(t, err)
			if slices.ContainsFunc(list, func(n notice.Notice) bool { return !scope.Has(n.Account) }) {
				t.Errorf("it shows %+v", list)
			}
		}
	},
	"Provider": func(w *world, scope account.Scope, bob customer) {
		t := w.t
		if p, err := w.Provider(t.Context(), scope, bob.Domain.Name); !errors.Is(err, control.ErrNotFound) || p.Sealed != nil {
			t.Errorf("it shows %+v, %v", p, err)
		}
	},
	"Tallies": func(w *world, scope account.Scope, _ customer) {
		t := w.t
		list, err := w.Tallies(t.Context(), scope, 0)
		must(t, err)
		if slices.ContainsFunc(list, func(c sending.Count) bool { return !scope.Has(c.Account) }) {
			t.Errorf("it shows %+v", list)
		}
	},
	"AddTallies": func(w *world, scope account.Scope, bob customer) {
		t := w.t
		for _, list := range [][]sending.Count{{bob.Tally}, {{Key: sending.KeyOfAccount(bob.Account.ID), Tally: bob.Tally.Tally}}} {
			if list, err := w.AddTallies(t.Context(), scope, list, 0); len(list) != 0 || !errors.Is(err, control.ErrDenied) {
				t.Errorf("it shows %+v, %v", list, err)
			}
		}
	},
	"ForwardCounts": func(w *world, scope account.Scope, _ customer) {
		t := w.t
		list, err := w.ForwardCounts(t.Context(), scope, time.Time{}, time.Time{}, 1000)
		must(t, err)
		if slices.ContainsFunc(list.Sent, func(c forwarding.Sent) bool { return !scope.Has(c.Account) }) || slices.ContainsFunc(list.Brought, func(b forwarding.Brought) bool { return !scope.Has(b.Account) }) {
			t.Errorf("it shows %+v", list)
		}
	},
	"ForwardRecord": func(w *world, scope account.Scope, bob customer) {
		t := w.t
		if r, err := w.ForwardRecord(t.Context(), scope, bob.Sent.Forward); err != nil || r.N != 0 {
			t.Errorf("it shows %+v, %v", r, err)
		}
	},
	"AddForwardCounts": func(w *world, scope account.Scope, bob customer) {
		t := w.t
		for _, owner := range []account.ID{bob.Account.ID, newCustomer("ann").Account.ID} {
			sent, brought := bob.Sent, bob.Brought
			sent.Account, brought.Account = owner, owner
			added := forwarding.Added{Uses: []forwarding.Use{{Sent: sent}}, Brought: []forwarding.Brought{brought}, Gone: []forwarding.Brought{bob.Brought}}
			if list, err := w.AddForwardCounts(t.Context(), scope, added, time.Time{}); len(list.Sent)+len(list.Brought) != 0 {
				t.Errorf("it shows %+v, %v", list, err)
			}
		}
	},
	"TalliesOf": func(w *world, scope account.Scope, bob customer) {
		t := w.t
		if list, err := w.TalliesOf(t.Context(), scope, []sending.Key{bob.Tally.Key}); err != nil || len(list) != 0 {
			t.Errorf("it shows %+v, %v", list, err)
		}
	},
	"Providers": func(w *world, scope account.Scope, _ customer) {
		t := w.t
		list, err := w.Providers(t.Context(), scope)
		must(t, err)
		if slices.ContainsFunc(list, func(p publish.Provider) bool { return !scope.Has(p.Account) }) {
			t.Errorf("it shows %+v", list)
		}
	},
	"DKIM": func(w *world, scope account.Scope, bob customer) {
		t := w.t
		if d, err := w.Store.DKIM(t.Context(), scope, bob.Domain.Name); !errors.Is(err, control.ErrNotFound) || d.Keys != nil {
			t.Errorf("it shows %+v, %v", d, err)
		}
	},
	"DKIMDomains": func(w *world, scope account.Scope, _ customer) {
		t := w.t
		list, err := w.DKIMDomains(t.Context(), scope)
		must(t, err)
		if slices.ContainsFunc(list, func(d dkimkey.Domain) bool { return !scope.Has(d.Account) }) {
			t.Errorf("it shows %+v", list)
		}
	},
	"Certificates": func(w *world, scope account.Scope, _ customer) {
		t := w.t
		list, err := w.Certificates(t.Context(), scope)
		must(t, err)
		if slices.ContainsFunc(list, func(c cert.Certificate) bool { return !scope.Has(c.Account) }) {
			t.Errorf("it shows %+v", list)
		}
	},
	"NoteCertificate": func(w *world, scope account.Scope, bob customer) {
		t := w.t
		must(t, w.NoteCertificate(t.Context(), scope, bob.Certificate.Name.Name, cert.Status{}))
	},
	"AdviseCertificate": func(w *world, scope account.Scope, bob customer) {
		t := w.t
		must(t, w.AdviseCertificate(t.Context(), scope, bob.Certificate.Name.Name, bob.Certificate.NotAfter, cert.Advice{Page: "https://ann.example/"}))
	},
	"Asset": func(w *world, scope account.Scope, _ customer) {
		t := w.t
		if a, err := w.Asset(t.Context(), scope, "certificates/a"); !errors.Is(err, certs.ErrMissing) || a.Value != nil {
			t.Errorf("it shows %+v, %v", a, err)
		}
	},
	"Assets": func(w *world, scope account.Scope, _ customer) {
		t := w.t
		if list, err := w.Assets(t.Context(), scope, ""); err != nil || list != nil {
			t.Errorf("it shows %+v, %v", list, err)
		}
	},
	"ChangeAssets": func(w *world, scope account.Scope, _ customer) {
		t := w.t
		for _, put := range [][]certs.Asset{nil, {{Key: "certificates/a"}}} {
			if err := w.ChangeAssets(t.Context(), scope, put, []string{"certificates"}); !errors.Is(err, control.ErrDenied) {
				t.Errorf("it was told %v", err)
			}
		}
	},
	"EndLease": func(w *world, scope account.Scope, _ customer) {
		t := w.t
		if err := w.EndLease(t.Context(), scope, "notices", "he"); !errors.Is(err, control.ErrDenied) {
			t.Errorf("it was told %v", err)
		}
	},
	"LargestTTL": func(w *world, scope account.Scope, bob customer) {
		t := w.t
		if ttl, err := w.LargestTTL(t.Context(), scope, bob.Domain.Name, created); err != nil || ttl != 0 {
			t.Errorf("it shows %v, %v", ttl, err)
		}
	},
	"SawTTL": func(w *world, scope account.Scope, bob customer) {
		t := w.t
		must(t, w.SawTTL(t.Context(), scope, bob.Domain.Name, 1000*time.Hour, created))
	},
	"Memories": func(w *world, scope account.Scope, _ customer) {
		t := w.t
		list, err := w.Memories(t.Context(), scope)
		must(t, err)
		if slices.ContainsFunc(list, func(m notice.Memory) bool { return !scope.Has(m.Account) }) {
			t.Errorf("it shows %+v", list)
		}
	},
	"KeepNotices": func(w *world, scope account.Scope, bob customer) {
		t := w.t
		made, mine := bob.Notice, bob.Memory
		made.ID = "made up"
		for _, r := range []notice.Result{{Notice: []notice.Notice{made}}, {Put: []notice.Memory{mine}}} {
			if err := w.KeepNotices(t.Context(), scope, r, 99); !errors.Is(err, control.ErrDenied) {
				t.Errorf("it was told %v", err)
			}
		}
		mine.Account = "account-ann"
		for _, r := range []notice.Result{{Put: []notice.Memory{mine}}, {Drop: []notice.Memory{bob.Memory}}} {
			if err := w.KeepNotices(t.Context(), scope, r, 99); err != nil && !errors.Is(err, control.ErrDenied) {
				t.Errorf("it was told %v", err)
			}
		}
	},
	"DueNotices": func(w *world, scope account.Scope, _ customer) {
		t := w.t
		list, err := w.DueNotices(t.Context(), scope, created.Add(time.Hour*24), 100)
		must(t, err)
		if slices.ContainsFunc(list, func(n notice.Notice) bool { return !scope.Has(n.Account) }) {
			t.Errorf("it shows %+v", list)
		}
	},
	"SentNotices": func(w *world, scope account.Scope, bob customer) {
		t := w.t
		must(t, w.SentNotices(t.Context(), scope, []string{bob.Notice.ID, "unsent"}, created, nil, "made up"))
	},
	"ForgetNotices": func(w *world, scope account.Scope, _ customer) {
		t := w.t
		must(t, w.ForgetNotices(t.Context(), scope, created))
	},
	"Switches": func(w *world, scope account.Scope, _ customer) {
		t := w.t
		list, _, err := w.Switches(t.Context(), scope, 100)
		must(t, err)
		if slices.ContainsFunc(list, func(s notice.Switch) bool { return !scope.Has(s.Account) }) {
			t.Errorf("it shows %+v", list)
		}
	},
	"Setting": func(w *world, scope account.Scope, _ customer) {
		t := w.t
		if got, err := w.Setting(t.Context(), scope, settingName); err != nil || got != "" {
			t.Errorf("it shows %q, %v", got, err)
		}
	},
	"Answer": func(w *world, scope account.Scope, bob customer) {
		t := w.t
		if a, found, err := w.Answer(t.Context(), scope, bob.Domain.Name, "anybody"); err != nil || found || a.Source != "" {
			t.Errorf("it shows %+v, %v", a, err)
		}
	},
	"Recipients": func(w *world, scope account.Scope, bob customer) {
		t := w.t
		if l, err := w.Recipients(t.Context(), scope, bob.Domain.Name); !errors.Is(err, control.ErrNotFound) || len(l.Locals) > 0 {
			t.Errorf("it shows %+v, %v", l, err)
		}
	},
	"Zone": func(w *world, scope account.Scope, bob customer) {
		t := w.t
		if z, err := w.Zone(t.Context(), scope, bob.Domain.Name); !errors.Is(err, control.ErrNotFound) || len(z.Records) > 0 {
			t.Errorf("it shows %+v, %v", z, err)
		}
	},
	"Zones": func(w *world, scope account.Scope, _ customer) {
		t := w.t
		must(t, w.Zones(t.Context(), scope, func(z zone.Zone) error {
			if !scope.Has(z.Account) {
				t.Errorf("it shows %+v", z)
			}
			return nil
		}))
	},
	"Serials": func(w *world, scope account.Scope, bob customer) {
		t := w.t
		if got, err := w.Serials(t.Context(), scope); err != nil || got[bob.Domain.Name] != 0 {
			t.Errorf("it shows %v, %v", got, err)
		}
	},
	"CurrentVersion": func(w *world, scope account.Scope, _ customer) { // it is everybody's
		t := w.t
		if got, err := w.CurrentVersion(t.Context(), scope); err != nil || got == 0 {
			t.Errorf("version %d, %v", got, err)
		}
	},
	"FirstSetting": func(w *world, scope account.Scope, _ customer) {
		t := w.t
		if got, err := w.FirstSetting(t.Context(), scope, settingName, "made up"); !errors.Is(err, control.ErrDenied) || got != "" {
			t.Errorf("it was told %q, %v", got, err)
		}
	},
	"Lease": func(w *world, scope account.Scope, _ customer) {
		t := w.t
		if mine, err := w.Lease(t.Context(), scope, "notices", "made up", time.Now(), time.Now().Add(time.Hour)); !errors.Is(err, control.ErrDenied) || mine {
			t.Errorf("it was told %t, %v", mine, err)
		}
	},
	"Transfers": func(w *world, scope account.Scope, _ customer) {
		t := w.t
		all, err := w.Store.Transfers(t.Context(), scope)
		must(t, err)
		for _, k := range all.Keys {
			if !scope.Has(k.Account) {
				t.Errorf("it shows %+v", k)
			}
		}
		for _, p := range all.Peers {
			if !scope.Has(p.Account) {
				t.Errorf("it shows %+v", p)
			}
		}
		for _, z := range all.Secondaries {
			if !scope.Has(z.Account) {
				t.Errorf("it shows %+v", z)
			}
		}
		for _, c := range all.Catalogs {
			if !scope.Has(c.Account) {
				t.Errorf("it shows %+v", c)
			}
		}
	},
	"CopySerials": func(w *world, scope account.Scope, bob customer) {
		if got, err := w.CopySerials(w.t.Context(), scope); err != nil || got[bob.Domain.Name] != 0 {
			w.t.Errorf("it shows %v, %v", got, err)
		}
	},
	"Copy": func(w *world, scope account.Scope, bob customer) {
		if c, err := w.Copy(w.t.Context(), scope, bob.Domain.Name); !errors.Is(err, control.ErrNotFound) || len(c.Records) > 0 {
			w.t.Errorf("it shows %+v, %v", c, err)
		}
	},
	"KeepCopy": func(w *world, scope account.Scope, bob customer) {
		for _, c := range []transfer.Copy{{Refreshed: created}, {Refreshed: created, Records: bob.Zone.Records}} {
			if err := w.KeepCopy(w.t.Context(), scope, bob.Transfer.Secondaries[0], c); !errors.Is(err, control.ErrNotFound) {
				w.t.Errorf("kept: %v", err)
			}
		}
	},
	"Journal": func(w *world, scope account.Scope, bob customer) {
		if steps, err := w.Journal(w.t.Context(), scope, bob.Domain.Name); err != nil || steps != nil {
			w.t.Errorf("it shows %+v, %v", steps, err)
		}
	},
	"ZoneKey": func(w *world, scope account.Scope, bob customer) {
		if k, err := w.ZoneKey(w.t.Context(), scope, bob.ZoneKey.ID); !errors.Is(err, control.ErrNotFound) || k.Sealed != nil {
			w.t.Errorf("it shows %+v, %v", k, err)
		}
	},
	"ZoneKeys": func(w *world, scope account.Scope, _ customer) {
		list, err := w.Store.ZoneKeys(w.t.Context(), scope)
		must(w.t, err)
		if slices.ContainsFunc(list, func(k dnssec.SealedKey) bool { return !scope.Has(k.Account) }) {
			w.t.Errorf("it shows %+v", list)
		}
	},
	"MarkZoneKeys": func(w *world, scope account.Scope, bob customer) {
		must(w.t, w.MarkZoneKeys(w.t.Context(), scope, []string{bob.ZoneKey.ID}, time.Time{}))
	},
	"DropZoneKeys": func(w *world, scope account.Scope, bob customer) {
		must(w.t, w.DropZoneKeys(w.t.Context(), scope, []string{bob.ZoneKey.ID}))
	},
	"DueZones": func(w *world, scope account.Scope, bob customer) {
		list, err := w.DueZones(w.t.Context(), scope, created.AddDate(10, 0, 0), 100)
		must(w.t, err)
		if slices.Contains(list, bob.Domain.Name) || len(scope.Accounts()) == 0 && len(list) > 0 {
			w.t.Errorf("it shows %v", list)
		}
	},
	"SignedZones": func(w *world, scope account.Scope, bob customer) {
		list, err := w.SignedZones(w.t.Context(), scope)
		must(w.t, err)
		if slices.Contains(list, bob.Domain.Name) || len(scope.Accounts()) == 0 && len(list) > 0 {
			w.t.Errorf("it shows %v", list)
		}
	},
	"Listed": func(w *world, scope account.Scope, bob customer) {
		t := w.t
		if l, err := w.Listed(t.Context(), scope, bob.Domain.Name, bob.List.Locals); err != nil || l.There || l.Has {
			t.Errorf("it shows %+v, %v", l, err)
		}
	},
	"Syncs": func(w *world, scope account.Scope, bob customer) {
		t := w.t
		list, err := w.Syncs(t.Context(), scope)
		must(t, err)
		if slices.ContainsFunc(list, func(y verify.Sync) bool { return y.Domain == bob.Domain.Name }) || len(scope.Accounts()) == 0 && len(list) > 0 {
			t.Errorf("it shows %+v", list)
		}
	},
	"Synced": func(w *world, scope account.Scope, bob customer) {
		t := w.t
		y := verify.Sync{Domain: bob.Domain.Name, Learned: created, From: bob.List.ListSource}
		must(t, w.Synced(t.Context(), scope, y, true, []string{"made", "up"}))
	},
	"KeepAnswer": func(w *world, scope account.Scope, bob customer) {
		t := w.t
		a := bob.Answer
		a.Source = "made up"
		for _, local := range []string{"anybody", "another"} {
			must(t, w.keep(scope, bob.Domain.Name, local, a))
		}
	},
	"ForgetAnswers": func(w *world, scope account.Scope, _ customer) {
		t := w.t
		own, _, err := w.Answer(t.Context(), scope, "ann.example", "anybody")
		must(t, err)
		must(t, w.ForgetAnswers(t.Context(), scope, created.Add(time.Hour), created.Add(time.Hour), 0))
		if own.Source != "" {
			must(t, w.keep(scope, "ann.example", "anybody", own))
		}
	},
	"ForwardProbes":       foreignProbes,
	"OpenForwardProbes":   foreignOpenProbes,
	"ForwardProbe":        foreignProbe,
	"CountForwardProbes":  foreignProbeCount,
	"PutForwardProbes":    foreignPutProbes,
	"SetForwardProbe":     foreignSetProbe,
	"RemoveForwardProbes": foreignRemoveProbes,
	"SetSetting": func(w *world, scope account.Scope, _ customer) {
		t := w.t
		if err := w.SetSetting(t.Context(), scope, settingName, "made up"); !errors.Is(err, control.ErrDenied) {
			t.Errorf("it was told %v", err)
		}
	},
}

// shared is what nodes of one installation stand on.
type shared interface {
	FirstSetting(ctx context.Context, scope account.Scope, name, value string) (string, error)
	Lease(ctx context.Context, scope account.Scope, name, holder string, now, until time.Time) (bool, error)
}

// exchanged is what the transfers of zones stand on.
type exchanged interface {
	Transfers(ctx context.Context, scope account.Scope) (transfer.Settings, error)
	Copy(ctx context.Context, scope account.Scope, domain string) (transfer.Copy, error)
	CopySerials(ctx context.Context, scope account.Scope) (map[string]uint32, error)
	KeepCopy(ctx context.Context, scope account.Scope, of transfer.Secondary, c transfer.Copy) error
	Journal(ctx context.Context, scope account.Scope, domain string) ([]transfer.Step, error)
}

// signing is what the signing of zones stands on.
type signing interface {
	ZoneKey(ctx context.Context, scope account.Scope, id string) (dnssec.SealedKey, error)
	ZoneKeys(ctx context.Context, scope account.Scope) ([]dnssec.SealedKey, error)
	MarkZoneKeys(ctx context.Context, scope account.Scope, ids []string, unused time.Time) error
	DropZoneKeys(ctx context.Context, scope account.Scope, ids []string) error
	DueZones(ctx context.Context, scope account.Scope, at time.Time, limit int) ([]string, error)
	SignedZones(ctx context.Context, scope account.Scope) ([]string, error)
}

// TestAnotherAccountIsOutOfReach tries every method with the scope of one account and the ids of another.
func TestAnotherAccountIsOutOfReach(t *testing.T) {
	methods := map[string]bool{}
	for _, store := range []reflect.Type{reflect.TypeFor[control.Store](), reflect.TypeFor[verify.Store](), reflect.TypeFor[notices.Store](), reflect.TypeFor[checks.Lifetimes](), reflect.TypeFor[exchanged](), reflect.TypeFor[signing](), reflect.TypeFor[certs.Store](), reflect.TypeFor[shared](), reflect.TypeFor[counting.Store](), reflect.TypeFor[forwarding.Store]()} {
		for method := range store.Methods() {
			if methods[method.Name] = true; foreigners[method.Name] == nil {
				t.Errorf("%s is not in the table", method.Name)
			}
		}
	}
	engines(t, func(w *world) {
		t := w.t
		ann, bob := w.add(t, "ann"), w.add(t, "bob")
		w.apply(t, control.Tx{
			PutAccounts:  []account.Account{{ID: account.Operator, Name: "operator"}},
			PutOutbounds: []directory.Outbound{{ID: "all", Account: account.Operator, Hop: directory.HostPort{Host: "smart.example", Port: 25}}},
			Entries:      []control.Entry{{At: created, Account: account.Operator}},
		})
		must(t, w.SetSetting(t.Context(), system, settingName, "value"))
		must(t, w.Find(t.Context(), system, finding.Finding{Name: finding.RouteLoopSelf}, false))
		must(t, w.ChangeAssets(t.Context(), system, []certs.Asset{{Key: "certificates/a", Value: []byte("sealed"), Modified: created}}, nil))
		if taken, err := w.Lease(t.Context(), system, "notices", "he", created, created.Add(time.Minute)); !taken || err != nil {
			t.Fatalf("the lock: %v, %v", taken, err)
		}
		unsent := bob.Notice
		unsent.ID, unsent.Sent = "unsent", time.Time{}
		must(t, w.KeepNotices(t.Context(), system, notice.Result{Notice: []notice.Notice{unsent}}, 0))
		before := w.dump(t)
		for name, call := range foreigners {
			if !methods[name] {
				t.Errorf("%s is no method", name)
			}
			for what, scope := range map[string]account.Scope{"another account": account.Of(ann.Account.ID), "nobody": account.Of()} {
				t.Run(name+" by "+what, func(t *testing.T) {
					call(&world{Store: w.Store, db: w.db, version: w.version, t: t}, scope, bob)
					same(t, "what is stored", before, w.dump(t))
				})
			}
		}
	})
}

// trespass is a change that reaches for another account's things.
type trespass struct {
	want error
	tx   control.Tx
}

// trespasses has changes for every field of control.Tx, by ann, of what is bob's.
func trespasses(bob customer) map[string]trespass {
	ann := newCustomer("ann")
	domain, mailbox, rule, outbound, token := bob.Domain, bob.Mailbox, bob.Rule, bob.Outbound, bob.Token
	domain.Account, mailbox.Account, rule.Account, outbound.Account, token.Account = ann.Account.ID, ann.Account.ID, ann.Account.ID, ann.Account.ID, ann.Account.ID
	list := bob.List
	list.Account = ann.Account.ID
	provider := bob.Provider
	provider.Account = ann.Account.ID
	keys := bob.DKIM
	keys.Account = ann.Account.ID
	identity := bob.Identity
	identity.Account, identity.Domain = ann.Account.ID, ann.Domain.Name
	name, ours := bob.Certificate.Name, bob.Certificate.Name
	name.Account, ours.Domain = ann.Account.ID, ""
	ours.Account = ann.Account.ID
	mine := ann.Certificate.Name
	mine.Name = bob.Certificate.Name.Name
	departed, hosted := bob.Departed, bob.Zone
	departed.Account, hosted.Account = ann.Account.ID, ann.Account.ID
	set, servers := bob.Set, bob.Servers
	set.Account, servers.Account = ann.Account.ID, ann.Account.ID
	exchanged := bob.Transfer
	exchanged.Keys, exchanged.Peers = slices.Clone(exchanged.Keys), slices.Clone(exchanged.Peers)
	exchanged.Keys[0].Account, exchanged.Peers[0].Account = ann.Account.ID, ann.Account.ID
	inside, secondary, catalog := exchanged.Peers[0], bob.Transfer.Secondaries[0], bob.Transfer.Catalogs[0]
	inside.ID, secondary.Account, catalog.Account = "new", ann.Account.ID, ann.Account.ID
	here, there, everywhere := mailbox, rule, outbound
	here.Domain, here.Local, there.Domain, there.Local, everywhere.Domain = ann.Domain.Name, "here", ann.Domain.Name, "there", ""
	newDomain, newMailbox, newRule, newOutbound, newToken := domain, mailbox, rule, outbound, token
	newDomain.ID, newMailbox.ID, newRule.ID, newOutbound.ID, newToken.ID = "new", "new", "new", "new", "new"
	newMailbox.Local, newRule.Local = "new", "new"
	return map[string]trespass{
		"PutAccounts":                    {control.ErrDenied, control.Tx{PutAccounts: []account.Account{{ID: bob.Account.ID, Name: "mine"}}}},
		"PutDomains":                     {control.ErrDenied, control.Tx{PutDomains: []directory.Domain{bob.Domain}}},
		"PutDomains, taken over":         {control.ErrExists, control.Tx{PutDomains: []directory.Domain{domain}}},
		"PutDomains, name":               {control.ErrExists, control.Tx{PutDomains: []directory.Domain{newDomain}}},
		"PutMailboxes":                   {control.ErrDenied, control.Tx{PutMailboxes: []directory.Mailbox{bob.Mailbox}}},
		"PutMailboxes, taken over":       {control.ErrNotFound, control.Tx{PutMailboxes: []directory.Mailbox{mailbox}}},
		"PutMailboxes, taken home":       {control.ErrExists, control.Tx{PutMailboxes: []directory.Mailbox{here}}},
		"PutMailboxes, in the domain":    {control.ErrNotFound, control.Tx{PutMailboxes: []directory.Mailbox{newMailbox}}},
		"PutVerifiers":                   {control.ErrNotFound, control.Tx{PutVerifiers: map[string]string{bob.Mailbox.ID: "mine"}}},
		"PutRules":                       {control.ErrDenied, control.Tx{PutRules: []directory.Rule{bob.Rule}}},
		"PutRules, taken over":           {control.ErrNotFound, control.Tx{PutRules: []directory.Rule{rule}}},
		"PutRules, taken home":           {control.ErrExists, control.Tx{PutRules: []directory.Rule{there}}},
		"PutRules, in the domain":        {control.ErrNotFound, control.Tx{PutRules: []directory.Rule{newRule}}},
		"PutOutbounds":                   {control.ErrDenied, control.Tx{PutOutbounds: []directory.Outbound{bob.Outbound}}},
		"PutOutbounds, taken over":       {control.ErrNotFound, control.Tx{PutOutbounds: []directory.Outbound{outbound}}},
		"PutOutbounds, of the domain":    {control.ErrNotFound, control.Tx{PutOutbounds: []directory.Outbound{newOutbound}}},
		"PutOutbounds, of everybody":     {control.ErrDenied, control.Tx{PutOutbounds: []directory.Outbound{everywhere}}},
		"PutOutbounds, of an identity":   {control.ErrDenied, control.Tx{PutOutbounds: []directory.Outbound{{ID: "new", Account: bob.Account.ID, Identity: "primary.example"}}}},
		"PutDeparted":                    {control.ErrDenied, control.Tx{PutDeparted: []directory.Departed{bob.Departed}}},
		"PutDeparted, taken over":        {control.ErrExists, control.Tx{PutDeparted: []directory.Departed{departed}}},
		"PutFindings":                    {control.ErrNotFound, control.Tx{PutFindings: []finding.Finding{bob.Finding}}},
		"PutProviders":                   {control.ErrDenied, control.Tx{PutProviders: []publish.Provider{bob.Provider}}},
		"PutProviders, taken over":       {control.ErrNotFound, control.Tx{PutProviders: []publish.Provider{provider}}},
		"PutIdentities":                  {control.ErrDenied, control.Tx{PutIdentities: []directory.Identity{bob.Identity}}},
		"PutIdentities, taken over":      {control.ErrExists, control.Tx{PutIdentities: []directory.Identity{identity}}},
		"PutSenders":                     {control.ErrDenied, control.Tx{PutSenders: []sending.Rule{bob.Sender}}},
		"PutSenders, forgotten":          {control.ErrDenied, control.Tx{PutSenders: []sending.Rule{{Key: bob.Sender.Key}}}},
		"Remove identity":                {control.ErrNotFound, control.Tx{Remove: []control.Removal{gone(control.KindIdentity, bob.Identity.ID)}}},
		"PutDKIM":                        {control.ErrDenied, control.Tx{PutDKIM: []dkimkey.Domain{bob.DKIM}}},
		"PutDKIM, taken over":            {control.ErrNotFound, control.Tx{PutDKIM: []dkimkey.Domain{keys}}},
		"Remove dkim":                    {control.ErrNotFound, control.Tx{Remove: []control.Removal{gone(control.KindDKIM, bob.Domain.Name)}}},
		"Remove provider":                {control.ErrNotFound, control.Tx{Remove: []control.Removal{gone(control.KindProvider, bob.Domain.Name)}}},
		"Remove departed":                {control.ErrNotFound, control.Tx{Remove: []control.Removal{gone(control.KindDeparted, bob.Departed.ID)}}},
		"PutCertificates":                {control.ErrDenied, control.Tx{PutCertificates: []cert.Name{bob.Certificate.Name}}},
		"PutCertificates, taken over":    {control.ErrNotFound, control.Tx{PutCertificates: []cert.Name{name}}},
		"PutCertificates, taken home":    {control.ErrExists, control.Tx{PutCertificates: []cert.Name{mine}}},
		"PutCertificates, of the server": {control.ErrDenied, control.Tx{PutCertificates: []cert.Name{ours}}},
		"Remove certificate":             {control.ErrNotFound, control.Tx{Remove: []control.Removal{gone(control.KindCertificate, bob.Certificate.Name.Name)}}},
		// Forgetting finds nothing: the rest of the change is refused, and bob's finding stands.
		"DropFindings":                       {control.ErrDenied, control.Tx{DropFindings: []finding.Finding{bob.Finding}, PutRules: []directory.Rule{bob.Rule}}},
		"PutTokens":                          {control.ErrDenied, control.Tx{PutTokens: []control.Token{bob.Token}}},
		"PutTokens, taken over":              {control.ErrExists, control.Tx{PutTokens: []control.Token{token}}},
		"PutTokens, hash":                    {control.ErrExists, control.Tx{PutTokens: []control.Token{newToken}}},
		"PutLists":                           {control.ErrDenied, control.Tx{PutLists: []control.RecipientList{bob.List}}},
		"PutLists, taken over":               {control.ErrNotFound, control.Tx{PutLists: []control.RecipientList{list}}},
		"PutZones":                           {control.ErrDenied, control.Tx{PutZones: []zone.Zone{bob.Zone}}},
		"PutZones, taken over":               {control.ErrNotFound, control.Tx{PutZones: []zone.Zone{hosted}}},
		"PutSets":                            {control.ErrDenied, control.Tx{PutSets: []zone.ExchangerSet{bob.Set}}},
		"PutSets, taken over":                {control.ErrExists, control.Tx{PutSets: []zone.ExchangerSet{set}}},
		"PutServers":                         {control.ErrDenied, control.Tx{PutServers: []zone.NameServerSet{bob.Servers}}},
		"PutServers, taken over":             {control.ErrExists, control.Tx{PutServers: []zone.NameServerSet{servers}}},
		"PutTransfers":                       {control.ErrDenied, control.Tx{PutTransfers: bob.Transfer}},
		"PutTransfers, key":                  {control.ErrExists, control.Tx{PutTransfers: transfer.Settings{Keys: exchanged.Keys}}},
		"PutTransfers, peer":                 {control.ErrNotFound, control.Tx{PutTransfers: transfer.Settings{Peers: exchanged.Peers[:1]}}},
		"PutTransfers, peer of the domain":   {control.ErrNotFound, control.Tx{PutTransfers: transfer.Settings{Peers: []transfer.Peer{inside}}}},
		"PutTransfers, secondary":            {control.ErrNotFound, control.Tx{PutTransfers: transfer.Settings{Secondaries: []transfer.Secondary{secondary}}}},
		"PutTransfers, catalog":              {control.ErrExists, control.Tx{PutTransfers: transfer.Settings{Catalogs: []transfer.Catalog{catalog}}}},
		"Remove key":                         {control.ErrNotFound, control.Tx{Remove: []control.Removal{gone(control.KindTSIGKey, bob.Transfer.Keys[0].ID)}}},
		"Remove peer":                        {control.ErrNotFound, control.Tx{Remove: []control.Removal{gone(control.KindTransfer, bob.Transfer.Peers[0].ID)}}},
		"Remove secondary":                   {control.ErrNotFound, control.Tx{Remove: []control.Removal{gone(control.KindSecondary, bob.Domain.Name)}}},
		"Remove catalog":                     {control.ErrNotFound, control.Tx{Remove: []control.Removal{gone(control.KindCatalog, bob.Transfer.Catalogs[0].Name)}}},
		"Remove set":                         {control.ErrNotFound, control.Tx{Remove: []control.Removal{gone(control.KindSet, bob.Set.ID)}}},
		"Remove servers":                     {control.ErrNotFound, control.Tx{Remove: []control.Removal{gone(control.KindServers, bob.Servers.ID)}}},
		"Remove zone":                        {control.ErrNotFound, control.Tx{Remove: []control.Removal{gone(control.KindZone, bob.Zone.Domain)}}},
		"Remove recipients":                  {control.ErrNotFound, control.Tx{Remove: []control.Removal{gone(control.KindRecipients, bob.Domain.Name)}}},
		"Entries":                            {control.ErrDenied, control.Tx{Entries: []control.Entry{bob.Entry}}},
		"Remove account":                     {control.ErrNotFound, control.Tx{Remove: []control.Removal{gone(control.KindAccount, string(bob.Account.ID))}}},
		"Remove domain":                      {control.ErrNotFound, control.Tx{Remove: []control.Removal{gone(control.KindDomain, bob.Domain.ID)}}},
		"Remove mailbox":                     {control.ErrNotFound, control.Tx{Remove: []control.Removal{gone(control.KindMailbox, bob.Mailbox.ID)}}},
		"Remove rule":                        {control.ErrNotFound, control.Tx{Remove: []control.Removal{gone(control.KindRule, bob.Rule.ID)}}},
		"Remove outbound":                    {control.ErrNotFound, control.Tx{Remove: []control.Removal{gone(control.KindOutbound, bob.Outbound.ID)}}},
		"Remove token":                       {control.ErrNotFound, control.Tx{Remove: []control.Removal{gone(control.KindToken, bob.Token.ID)}}},
		"Remove outbound of the operator":    {control.ErrNotFound, control.Tx{Remove: []control.Removal{gone(control.KindOutbound, "all")}}},
		"Remove account of the operator":     {control.ErrNotFound, control.Tx{Remove: []control.Removal{gone(control.KindAccount, string(account.Operator))}}},
		"Entries beside what would be right": {control.ErrDenied, control.Tx{PutMailboxes: []directory.Mailbox{ann.Mailbox}, Entries: []control.Entry{ann.Entry, bob.Entry}}},
	}
}

func TestTrespassesCoverEveryFieldOfAChange(t *testing.T) {
	fields := reflect.TypeFor[control.Tx]()
	list := trespasses(newCustomer("bob"))
	for field := range fields.Fields() {
		name := field.Name
		covered := false
		for _, c := range list {
			covered = covered || !reflect.ValueOf(c.tx).FieldByName(name).IsZero()
		}
		if !covered {
			t.Errorf("no trespass has %s", name)
		}
	}
}

func TestAnAccountChangesWhatIsItsOwn(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ann, bob := w.add(t, "ann"), w.add(t, "bob")
		scope := account.Of(ann.Account.ID)
		st := w.load(t, scope)
		want := control.State{
			Version: 2, Accounts: []account.Account{ann.Account}, Domains: []directory.Domain{ann.Domain}, Mailboxes: []directory.Mailbox{ann.Mailbox},
			Rules: []directory.Rule{ann.Rule}, Outbounds: []directory.Outbound{ann.Outbound}, Departed: []directory.Departed{ann.Departed},
			Sets: []zone.ExchangerSet{ann.Set}, Servers: []zone.NameServerSet{ann.Servers}, Identities: []directory.Identity{ann.Identity}, Senders: []sending.Rule{ann.Sender},
		}
		same(t, "what the account sees", want, st)
		tx := ann.tx()
		tx.PutTokens[0].ID, tx.PutTokens[0].Hash = "second", []byte("second")
		tx.PutDomains = append(tx.PutDomains, ann.Domain)
		tx.PutDomains[1].ID, tx.PutDomains[1].Name = "second", "second.example"
		tx.PutMailboxes[0].Quota++
		tx.PutVerifiers[ann.Mailbox.ID] = "new"
		next, err := w.Update(t.Context(), scope, w.version, tx)
		must(t, err)
		if st := w.load(t, scope); len(st.Domains) != 2 || st.Mailboxes[0].Quota != ann.Mailbox.Quota+1 || st.Version != next {
			t.Errorf("after the account's own change: %+v", st)
		}
		if _, verifier, err := w.Verifier(t.Context(), scope, ann.Mailbox.Address()); verifier != "new" || err != nil {
			t.Errorf("verifier %q, %v", verifier, err)
		}
		must(t, w.Find(t.Context(), scope, ann.Finding, true))
		all := []control.Removal{
			gone(control.KindDomain, ann.Domain.ID), gone(control.KindDomain, "second"), gone(control.KindToken, "second"),
			gone(control.KindAccount, string(ann.Account.ID)),
		}
		_, err = w.Update(t.Context(), scope, next, control.Tx{Remove: all})
		must(t, err)
		st = w.load(t, system)
		same(t, "what is left", []account.Account{bob.Account}, st.Accounts)
		if i := slices.IndexFunc(st.Departed, func(d directory.Departed) bool { return d.ID == ann.Departed.ID }); i < 0 {
			t.Errorf("what senders may still remember is gone with its account: %+v", st.Departed)
		}
		if len(st.Domains) != 1 || len(st.Mailboxes) != 1 {
			t.Errorf("what is left: %+v", st)
		}
		counts, err := w.ForwardCounts(t.Context(), system, time.Time{}, time.Time{}, 1000)
		must(t, err)
		same(t, "what is counted", forwarding.Counts{Sent: []forwarding.Sent{bob.Sent}, Brought: []forwarding.Brought{bob.Brought}}, counts)
	})
}

// TestRowLevelSecurityAloneHidesRows runs statements that forgot the scope, on PostgreSQL.
func TestRowLevelSecurityAloneHidesRows(t *testing.T) {
	t.Parallel()
	w := open(t, onPostgres(t))
	ann, bob := w.add(t, "ann"), w.add(t, "bob")
	for _, z := range []zone.Zone{ann.Zone, bob.Zone} {
		z.Serial = 1
		w.apply(t, control.Tx{PutZones: []zone.Zone{z}})
	}
	must(t, w.SetSetting(t.Context(), system, settingName, "value"))
	must(t, w.ChangeAssets(t.Context(), system, []certs.Asset{{Key: "certificates/a", Value: []byte("sealed"), Modified: created}}, nil))
	_, err := w.Lease(t.Context(), system, "notices", "a node", time.Now(), time.Now())
	must(t, err)
	operators := []string{"setting", "certificate_asset", "lease"} // nobody else has rows there
	tables := w.tables(t)
	if len(tables) != 37 {
		t.Errorf("tables of accounts' rows: %v", tables)
	}
	counts := func(scope account.Scope, table string) (own, other int) {
		t.Helper()
		must(t, w.db.Read(t.Context(), scope, func(tx *sqldb.Tx) error {
			_, err := tx.Row([]any{&own, &other}, sqldb.Stmt(`SELECT count(*) FILTER (WHERE account_id = $1), count(*) FILTER (WHERE account_id <> $1) FROM `+table), ann.Account.ID)
			return err
		}))
		return own, other
	}
	for _, table := range tables {
		all, others := counts(system, table)
		if others == 0 || all == 0 && !slices.Contains(operators, table) {
			t.Errorf("%s holds %d and %d rows: the test shows nothing", table, all, others)
		}
		if own, other := counts(account.Of(ann.Account.ID), table); own != all || other != 0 {
			t.Errorf("%s shows %d of %d own rows and %d others", table, own, all, other)
		}
		if own, other := counts(account.Of(), table); own+other != 0 {
			t.Errorf("%s shows %d rows to nobody", table, own+other)
		}
		if table == "audit" { // nobody changes it
			continue
		}
		for _, stmt := range []sqldb.Stmt{`UPDATE ` + sqldb.Stmt(table) + ` SET account_id = account_id`, `DELETE FROM ` + sqldb.Stmt(table)} {
			must(t, w.db.Write(t.Context(), account.Of(ann.Account.ID), func(tx *sqldb.Tx) error {
				n, err := tx.Exec(stmt)
				if n != int64(all) {
					t.Errorf("%s touched %d rows, %d are the account's", stmt, n, all)
				}
				return err
			}))
		}
		if own, left := counts(system, table); own != 0 || left != others {
			t.Errorf("%s holds %d own and %d of %d other rows after DELETE without a scope", table, own, left, others)
		}
	}
	for _, stmt := range []sqldb.Stmt{
		`INSERT INTO account (account_id, name) VALUES ('somebody', 'else')`,
		`UPDATE domain SET account_id = $1`,
	} {
		err := w.db.Write(t.Context(), account.Of(bob.Account.ID), func(tx *sqldb.Tx) error {
			if stmt[0] == 'I' {
				return tx.Post(stmt)
			}
			return tx.Post(stmt, ann.Account.ID)
		})
		if !errors.Is(err, sqldb.ErrStorage) {
			t.Errorf("%s: %v", stmt, err)
		}
	}
}

// tables lists the tables with rows of accounts.
func (w *world) tables(t *testing.T) []string {
	t.Helper()
	var out []string
	must(t, w.db.Read(t.Context(), system, func(tx *sqldb.Tx) error {
		out = nil
		rows, err := tx.Query(`SELECT table_name::text FROM information_schema.columns
			WHERE table_schema = current_schema() AND column_name = 'account_id' ORDER BY table_name`)
		if err != nil {
			return err
		}
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return errors.Join(err, rows.Close())
			}
			out = append(out, name)
		}
		return rows.Close()
	}))
	return out
}

package control_test

import (
	"fmt"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control"
)

// created is when things of the tests were made.
var created = time.Unix(1_700_000_000, 0).UTC()

// BenchmarkLoad reads the design size: 100,000 domains and 1,000,000 mailboxes.
func BenchmarkLoad(b *testing.B) {
	for name, config := range configs {
		b.Run(name, func(b *testing.B) {
			w := open(b, config(b))
			fill(b, w, 100_000, 10)
			b.ReportAllocs()
			for b.Loop() {
				if st := w.load(b, account.System()); len(st.Mailboxes) != 1_000_000 || len(st.Domains) != 100_000 {
					b.Fatalf("%d mailboxes in %d domains", len(st.Mailboxes), len(st.Domains))
				}
			}
		})
	}
}

// BenchmarkImport adds 10,000 mailboxes with passwords and audit entries in one change.
func BenchmarkImport(b *testing.B) {
	for name, config := range configs {
		b.Run(name, func(b *testing.B) {
			w := open(b, config(b))
			n := 0
			for b.Loop() {
				n++
				w.apply(b, importing(n, 10_000))
			}
		})
	}
}

// BenchmarkZones reads and decodes 100,000 zones of 20 records.
func BenchmarkZones(b *testing.B) {
	const n = 100_000
	for name, config := range configs {
		b.Run(name, func(b *testing.B) {
			w := open(b, config(b))
			for i := range n / 1000 {
				var tx control.Tx
				for j := range 1000 {
					domain := fmt.Sprintf("customer-%06d.example", 1000*i+j)
					z := zone.Zone{Domain: domain, Account: account.Operator, Serial: 1}
					for k := range 20 {
						z.Records = append(z.Records, dns.Record{Name: fmt.Sprintf("host%02d.%s.", k, domain), Type: dns.TypeA, TTL: 3600, Data: []byte{192, 0, 2, byte(k)}})
					}
					tx.PutZones = append(tx.PutZones, z)
					tx.PutDomains = append(tx.PutDomains, directory.Domain{ID: domain, Account: account.Operator, Name: domain, Mode: directory.ModeLocal, Zone: directory.ZoneHosted})
				}
				w.apply(b, tx)
			}
			b.ReportAllocs()
			for b.Loop() {
				zones, records := 0, 0
				err := w.Zones(b.Context(), system, func(z zone.Zone) error {
					zones, records = zones+1, records+len(z.Records)
					return nil
				})
				if err != nil || zones != n || records != 20*n {
					b.Fatalf("%d zones with %d records, %v", zones, records, err)
				}
			}
		})
	}
}

// fill configures domains with mailboxes each.
func fill(tb testing.TB, w *world, domains, mailboxes int) {
	tb.Helper()
	var tx control.Tx
	for i := range domains {
		name := fmt.Sprintf("customer-%06d.example", i)
		owner := account.ID(fmt.Sprintf("account-%018d", i/10))
		tx.PutDomains = append(tx.PutDomains, directory.Domain{
			ID: fmt.Sprintf("d%025d", i), Account: owner, Name: name, Proved: true, Mode: directory.ModeLocal, Zone: directory.ZoneExternal, Created: created,
		})
		for j := range mailboxes {
			tx.PutMailboxes = append(tx.PutMailboxes, directory.Mailbox{
				ID: fmt.Sprintf("m%015d%010d", i, j), Account: owner, Domain: name, Local: fmt.Sprintf("firstname.name%d", j), Quota: 1 << 30,
			})
		}
		if len(tx.PutMailboxes) >= 10_000 || i == domains-1 {
			w.apply(tb, tx)
			tx = control.Tx{}
		}
	}
}

// importing is a change that adds a domain with mailboxes.
func importing(n, mailboxes int) control.Tx {
	name := fmt.Sprintf("import-%d.example", n)
	tx := control.Tx{
		PutDomains:   []directory.Domain{{ID: name, Account: account.Operator, Name: name, Mode: directory.ModeLocal, Zone: directory.ZoneExternal}},
		PutVerifiers: map[string]string{},
	}
	for i := range mailboxes {
		m := directory.Mailbox{ID: fmt.Sprintf("m%d-%d", n, i), Account: account.Operator, Domain: name, Local: fmt.Sprintf("user%d", i)}
		tx.PutMailboxes = append(tx.PutMailboxes, m)
		tx.PutVerifiers[m.ID] = "SCRAM-SHA-256$600000:c2FsdHNhbHRzYWx0c2FsdA==$c3RvcmVkLWtleS1zdG9yZWQta2V5LXN0b3JlZC1rZXk=:c2VydmVyLWtleQ=="
		tx.Entries = append(tx.Entries, control.Entry{
			At: created, Actor: "operator", Account: account.Operator, Domain: name, Action: "mailbox add", Subject: m.Address(),
			After: `{"address":"` + m.Address() + `","account":"operator","quota":0,"password":"set"}`,
		})
	}
	return tx
}

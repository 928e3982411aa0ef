package control_test

import (
	"os"
	"testing"
	"testing/fstest"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/sending"
	"postroad/internal/store/sqldb"
)

func TestRoutesOfTheFirstSchemaAreKept(t *testing.T) {
	t.Parallel()
	for name, config := range configs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, err := os.ReadFile("migrations/00001_control.sql")
			must(t, err)
			c := config(t)
			db, err := sqldb.Open(t.Context(), sqldb.Config{
				Name: "control", Path: c.Path, DSN: c.DSN, Reader: 1, Migrations: fstest.MapFS{"00001_control.sql": {Data: first}},
			})
			must(t, err)
			must(t, db.Write(t.Context(), system, func(tx *sqldb.Tx) error {
				if err := tx.Post(`INSERT INTO outbound (id, account_id, domain, host, port, login, password) VALUES ('a', 'operator', '', 'h', 587, 'u', 'p')`); err != nil {
					return err
				}
				return tx.Post(`INSERT INTO outbound (id, account_id, domain, host, port, login, password) VALUES ('b', 'ann', 'ann.example', 'h', 25, '', '')`)
			}))
			must(t, db.Close())
			w := open(t, c)
			got := map[string]directory.Outbound{}
			for _, o := range w.load(t, system).Outbounds {
				got[o.ID] = o
			}
			same(t, "routes", map[string]directory.Outbound{
				"a": {ID: "a", Account: account.Operator, Hop: directory.HostPort{Host: "h", Port: 587}, Operator: true, TLS: directory.TLSVerified, User: "u", Password: "p"},
				"b": {ID: "b", Account: "ann", Domain: "ann.example", Hop: directory.HostPort{Host: "h", Port: 25}, TLS: directory.TLSOpportunistic},
			}, got)
		})
	}
}

// A pause of a mailbox becomes that of its login, and what was counted is counted on.
func TestPausesAndTalliesOfTheSchemaBeforeAreKept(t *testing.T) {
	t.Parallel()
	for name, config := range configs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config(t)
			db, err := sqldb.Open(t.Context(), sqldb.Config{Name: "control", Path: c.Path, DSN: c.DSN, Reader: 1, Migrations: schemaBefore(t, "00029")})
			must(t, err)
			must(t, db.Write(t.Context(), system, func(tx *sqldb.Tx) error {
				for _, stmt := range []sqldb.Stmt{
					`INSERT INTO mailbox (id, account_id, domain, local, quota, pause) VALUES ('1', 'ann', 'ann.example', 'a', 0, '{"since":"2026-11-28T15:00:00Z","by":"operator","reason":"abuse"}')`,
					`INSERT INTO mailbox (id, account_id, domain, local, quota) VALUES ('2', 'ann', 'ann.example', 'b', 0)`,
					`INSERT INTO sending (kind, id, account_id, hour, hour_count, day, day_count) VALUES ('domain', 'ann.example', 'ann', 48, 3, 2, 5)`,
				} {
					if err := tx.Post(stmt); err != nil {
						return err
					}
				}
				return nil
			}))
			must(t, db.Close())
			w := open(t, c)
			same(t, "what was decided", []sending.Rule{{
				Key: sending.KeysOf("ann", "a@ann.example")[0], Pause: &sending.Pause{Since: time.Date(2026, 11, 28, 15, 0, 0, 0, time.UTC), By: sending.ByOperator, Reason: "abuse"},
			}}, w.load(t, system).Senders)
			list, err := w.Tallies(t.Context(), system, 0)
			must(t, err)
			same(t, "what was counted", []sending.Count{{Key: sending.KeyOfDomain("ann", "ann.example"), Tally: sending.Tally{Hour: 48, HourCount: 3, Day: 2, DayCount: 5}}}, list)
		})
	}
}

// A lock of certificates becomes a lease, and who held it holds it on.
func TestLocksOfTheSchemaBeforeAreKept(t *testing.T) {
	t.Parallel()
	for name, config := range configs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config(t)
			db, err := sqldb.Open(t.Context(), sqldb.Config{Name: "control", Path: c.Path, DSN: c.DSN, Reader: 1, Migrations: schemaBefore(t, "00033")})
			must(t, err)
			must(t, db.Write(t.Context(), system, func(tx *sqldb.Tx) error {
				return tx.Post(`INSERT INTO certificate_lock (name, account_id, holder, until) VALUES ('lead', 'operator', 'a', $1)`, created.Add(time.Minute))
			}))
			must(t, db.Close())
			w := open(t, c)
			for _, after := range []time.Duration{30 * time.Second, time.Minute} {
				if got, err := w.Lease(t.Context(), system, "certificates/lead", "b", created.Add(after), created.Add(after)); err != nil || got != (after == time.Minute) {
					t.Errorf("after %s another one leases it: %t, %v", after, got, err)
				}
			}
		})
	}
}

// schemaBefore gives the migrations before one.
func schemaBefore(t *testing.T, first string) fstest.MapFS {
	t.Helper()
	before := fstest.MapFS{}
	files, err := os.ReadDir("migrations")
	must(t, err)
	for _, f := range files {
		if f.Name() < first {
			text, err := os.ReadFile("migrations/" + f.Name())
			must(t, err)
			before[f.Name()] = &fstest.MapFile{Data: text}
		}
	}
	return before
}

package control_test

import (
	"os"
	"testing"
	"testing/fstest"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
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

package control

import (
	"context"
	"fmt"

	"postroad/internal/core/account"
	"postroad/internal/core/publish"
	"postroad/internal/service/control"
	"postroad/internal/store/sqldb"
)

const (
	providersSQL   sqldb.Stmt = `SELECT domain, account_id, kind, zone, server, key_name, algorithm, sealed, by_operator, created FROM dns_provider WHERE @scope(account_id) ORDER BY domain`
	providerSQL    sqldb.Stmt = `SELECT domain, account_id, kind, zone, server, key_name, algorithm, sealed, by_operator, created FROM dns_provider WHERE domain = $1 AND @scope(account_id)`
	putProviderSQL sqldb.Stmt = `INSERT INTO dns_provider (domain, account_id, kind, zone, server, key_name, algorithm, sealed, by_operator, created)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (domain) DO UPDATE SET kind = excluded.kind, zone = excluded.zone, server = excluded.server, key_name = excluded.key_name,
		algorithm = excluded.algorithm, sealed = excluded.sealed, by_operator = excluded.by_operator, created = excluded.created
		WHERE @scope(dns_provider.account_id)`
	removeProvidersSQL sqldb.Stmt = `DELETE FROM dns_provider WHERE @in(domain, $1) AND @scope(account_id)`
	// moveProviderSQL ends the right that the account before has given: its credentials are none of the new one's.
	moveProviderSQL sqldb.Stmt = `DELETE FROM dns_provider WHERE domain = $1 AND account_id <> $2 AND @scope(account_id)`
)

// Provider implements publishing.Store.
func (s *Store) Provider(ctx context.Context, scope account.Scope, domain string) (publish.Provider, error) {
	list, err := s.providers(ctx, scope, providerSQL, domain)
	if err != nil || len(list) == 0 {
		if err == nil {
			err = fmt.Errorf("%w: a provider for %s", control.ErrNotFound, domain)
		}
		return publish.Provider{}, err
	}
	return list[0], nil
}

// Providers implements publishing.Store.
func (s *Store) Providers(ctx context.Context, scope account.Scope) ([]publish.Provider, error) {
	return s.providers(ctx, scope, providersSQL)
}

func (s *Store) providers(ctx context.Context, scope account.Scope, stmt sqldb.Stmt, args ...any) ([]publish.Provider, error) {
	var out []publish.Provider
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		out = nil
		return each(tx, stmt, args, func(rows *sqldb.Rows) error {
			var p publish.Provider
			err := rows.Scan(&p.Domain, &p.Account, &p.Kind, &p.Zone, &p.Server, &p.Key, &p.Algorithm, &p.Sealed, &p.Operator, &p.Created)
			out = append(out, p)
			return err
		})
	})
	return out, refusal(err)
}

func putProviders(t *sqldb.Tx, list []publish.Provider) error {
	for i := range list {
		p := &list[i]
		if err := t.Post(putProviderSQL, p.Domain, p.Account, p.Kind, p.Zone, p.Server, p.Key, p.Algorithm, p.Sealed, p.Operator, p.Created); err != nil {
			return err
		}
	}
	return nil
}

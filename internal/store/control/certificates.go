package control

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/cert"
	"postroad/internal/service/certs"
	"postroad/internal/service/control"
	"postroad/internal/store/sqldb"
)

const (
	certificatesSQL sqldb.Stmt = `SELECT name, account_id, domain, source, created, asked, not_before, not_after, issuer, challenge, given, problem, detail, tried, next_try, failures,
		window_from, window_until, window_page, window_next
		FROM certificate WHERE @scope(account_id)`
	certificateOwnersSQL sqldb.Stmt = `SELECT name, account_id FROM certificate WHERE @in(name, $1) AND @scope(account_id)`
	addCertificateSQL    sqldb.Stmt = `INSERT INTO certificate (name, account_id, domain, source, created, asked) VALUES ($1, $2, $3, $4, $5, $6)`
	setCertificateSQL    sqldb.Stmt = `UPDATE certificate SET account_id = $2, domain = $3, source = $4, created = $5, asked = $6 WHERE name = $1 AND @scope(account_id)`
	noteCertificateSQL   sqldb.Stmt = `UPDATE certificate SET not_before = $2, not_after = $3, issuer = $4, challenge = $5, given = $6, problem = $7, detail = $8, tried = $9, next_try = $10, failures = $11,
		window_from = $12, window_until = $13, window_page = $14, window_next = $15
		WHERE name = $1 AND @scope(account_id)`
	adviseCertificateSQL sqldb.Stmt = `UPDATE certificate SET window_from = $3, window_until = $4, window_page = $5, window_next = $6
		WHERE name = $1 AND not_after = $2 AND @scope(account_id)`
	removeCertificatesSQL       sqldb.Stmt = `DELETE FROM certificate WHERE @in(name, $1) AND @scope(account_id)`
	moveCertificatesSQL         sqldb.Stmt = `UPDATE certificate SET account_id = $2 WHERE domain = $1 AND @scope(account_id)`
	removeDomainCertificatesSQL sqldb.Stmt = `DELETE FROM certificate WHERE @in(domain, $1) AND @scope(account_id)`

	assetSQL    sqldb.Stmt = `SELECT sealed, modified FROM certificate_asset WHERE name = $1 AND @scope(account_id)`
	assetsSQL   sqldb.Stmt = `SELECT name, modified FROM certificate_asset WHERE substr(name, 1, $2) = $1 AND @scope(account_id)`
	putAssetSQL sqldb.Stmt = `INSERT INTO certificate_asset (name, account_id, sealed, modified) VALUES ($1, $2, $3, $4)
		ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, modified = excluded.modified WHERE @scope(certificate_asset.account_id)`
	dropAssetsSQL sqldb.Stmt = `DELETE FROM certificate_asset WHERE (name = $1 OR substr(name, 1, $3) = $2) AND @scope(account_id)`
)

var _ certs.Store = (*Store)(nil)

// Certificates implements certs.Store, by name.
func (s *Store) Certificates(ctx context.Context, scope account.Scope) ([]cert.Certificate, error) {
	var out []cert.Certificate
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		out = nil
		return each(tx, certificatesSQL, nil, func(rows *sqldb.Rows) error {
			var c cert.Certificate
			err := rows.Scan(&c.Name.Name, &c.Account, &c.Domain, &c.Source, &c.Created, &c.Asked, &c.NotBefore, &c.NotAfter, &c.Issuer, &c.By, &c.Given, &c.Problem, &c.Detail, &c.Tried, &c.Next, &c.Failures,
				&c.Advice.From, &c.Advice.Until, &c.Advice.Page, &c.Advice.Again)
			out = append(out, c)
			return err
		})
	})
	slices.SortFunc(out, func(a, b cert.Certificate) int { return cmp.Compare(a.Name.Name, b.Name.Name) })
	return out, refusal(err)
}

// NoteCertificate implements certs.Store.
func (s *Store) NoteCertificate(ctx context.Context, scope account.Scope, name string, c cert.Status) error {
	return refusal(s.db.Write(ctx, scope, func(tx *sqldb.Tx) error {
		return tx.Post(noteCertificateSQL, name, c.NotBefore, c.NotAfter, c.Issuer, c.By, c.Given, c.Problem, c.Detail, c.Tried, c.Next, c.Failures,
			c.Advice.From, c.Advice.Until, c.Advice.Page, c.Advice.Again)
	}))
}

// AdviseCertificate implements certs.Store.
func (s *Store) AdviseCertificate(ctx context.Context, scope account.Scope, name string, notAfter time.Time, a cert.Advice) error {
	return refusal(s.db.Write(ctx, scope, func(tx *sqldb.Tx) error {
		return tx.Post(adviseCertificateSQL, name, notAfter, a.From, a.Until, a.Page, a.Again)
	}))
}

func putCertificates(t *sqldb.Tx, list []cert.Name) error {
	there, err := owners(t, certificateOwnersSQL, keys(list, func(n *cert.Name) string { return n.Name }))
	if err != nil {
		return err
	}
	for i := range list {
		n := &list[i]
		stmt := addCertificateSQL
		if _, old := there[n.Name]; old {
			stmt = setCertificateSQL
		}
		if err := t.Post(stmt, n.Name, n.Account, n.Domain, n.Source, n.Created, n.Asked); err != nil {
			return err
		}
	}
	return nil
}

// operates refuses what belongs to the installation without the operator's account in scope.
func operates(scope account.Scope) error {
	if !scope.Has(account.Operator) {
		return fmt.Errorf("%w: what belongs to certificates is the operator's", control.ErrDenied)
	}
	return nil
}

// Asset implements certs.Vault.
func (s *Store) Asset(ctx context.Context, scope account.Scope, key string) (certs.Asset, error) {
	a := certs.Asset{Key: key}
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		found, err := tx.Row([]any{&a.Value, &a.Modified}, assetSQL, key)
		if err == nil && !found {
			err = certs.ErrMissing
		}
		return err
	})
	if err != nil {
		return certs.Asset{}, refusal(err)
	}
	return a, nil
}

// Assets implements certs.Vault.
func (s *Store) Assets(ctx context.Context, scope account.Scope, prefix string) ([]certs.Asset, error) {
	var out []certs.Asset
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		out = nil
		return each(tx, assetsSQL, []any{prefix, len(prefix)}, func(rows *sqldb.Rows) error {
			var a certs.Asset
			err := rows.Scan(&a.Key, &a.Modified)
			out = append(out, a)
			return err
		})
	})
	slices.SortFunc(out, func(a, b certs.Asset) int { return cmp.Compare(a.Key, b.Key) })
	return out, refusal(err)
}

// ChangeAssets implements certs.Vault.
func (s *Store) ChangeAssets(ctx context.Context, scope account.Scope, put []certs.Asset, drop []string) error {
	if err := operates(scope); err != nil {
		return err
	}
	return refusal(s.db.Write(ctx, scope, func(tx *sqldb.Tx) error {
		for _, key := range drop {
			if err := tx.Post(dropAssetsSQL, key, key+"/", len(key)+1); err != nil {
				return err
			}
		}
		for _, a := range put {
			if err := tx.Post(putAssetSQL, a.Key, account.Operator, a.Value, a.Modified); err != nil {
				return err
			}
		}
		return nil
	}))
}

package control

import (
	"context"
	"fmt"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/finding"
	"postroad/internal/service/control"
	"postroad/internal/store/sqldb"
)

const (
	findingsSQL       sqldb.Stmt = `SELECT name, domain, evidence, since FROM finding WHERE @scope(account_id) ORDER BY domain, name`
	domainFindingsSQL sqldb.Stmt = `SELECT name, domain, evidence, since FROM finding WHERE domain = $1 AND @scope(account_id) ORDER BY name`
	putFindingSQL     sqldb.Stmt = `INSERT INTO finding (domain, name, account_id, evidence, since, seen) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (domain, name) DO UPDATE SET evidence = excluded.evidence, seen = CASE WHEN finding.seen = 0 THEN 0 ELSE excluded.seen END
		WHERE (finding.evidence <> excluded.evidence OR finding.seen <> 0) AND @scope(finding.account_id)`
	forgetFindingSQL sqldb.Stmt = `DELETE FROM finding WHERE domain = $1 AND name = $2 AND @scope(account_id)`
	forgetPassedSQL  sqldb.Stmt = `DELETE FROM finding WHERE seen > 0 AND seen < $1 AND @scope(account_id)`
	domainOwnerSQL   sqldb.Stmt = `SELECT account_id FROM domain WHERE name = $1 AND @scope(account_id)`
)

// Findings implements control.Facts, by domain and name.
func (s *Store) Findings(ctx context.Context, scope account.Scope, domain string) ([]finding.Finding, error) {
	stmt, args := findingsSQL, []any(nil)
	if domain != "" {
		stmt, args = domainFindingsSQL, []any{domain}
	}
	var out []finding.Finding
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		out = nil
		return each(tx, stmt, args, func(rows *sqldb.Rows) error {
			var f finding.Finding
			err := rows.Scan(&f.Name, &f.Domain, &f.Evidence, &f.Since)
			out = append(out, f)
			return err
		})
	})
	return out, refusal(err)
}

// Find implements control.Facts. A finding of a domain that is not in scope is control.ErrNotFound; one without a
// domain is the operator's. Forgetting what is not there is no error.
func (s *Store) Find(ctx context.Context, scope account.Scope, f finding.Finding, gone bool) error {
	return refusal(s.db.Write(ctx, scope, func(tx *sqldb.Tx) error {
		if gone {
			return tx.Post(forgetFindingSQL, f.Domain, f.Name)
		}
		if f.Domain == "" {
			if !scope.Has(account.Operator) {
				return fmt.Errorf("%w: findings without a domain are the operator's", control.ErrDenied)
			}
			return tx.Post(putFindingSQL, f.Domain, f.Name, account.Operator, f.Evidence, f.Since, time.Time{})
		}
		if f.Name.Passing() {
			return putFinding(tx, f, time.Now())
		}
		return putFinding(tx, f, time.Time{})
	}))
}

// ForgetPassed forgets findings of what passes that has not been seen since a time.
func (s *Store) ForgetPassed(ctx context.Context, scope account.Scope, before time.Time) error {
	return refusal(s.db.Write(ctx, scope, func(tx *sqldb.Tx) error { return tx.Post(forgetPassedSQL, before) }))
}

// putFinding records a finding of a domain in scope; seen is zero for one that stands until it is mended.
func putFinding(tx *sqldb.Tx, f finding.Finding, seen time.Time) error {
	var owner account.ID
	found, err := tx.Row([]any{&owner}, domainOwnerSQL, f.Domain)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("%w: there is no domain %s", control.ErrNotFound, f.Domain)
	}
	return tx.Post(putFindingSQL, f.Domain, f.Name, owner, f.Evidence, f.Since, seen)
}

// putFindings forgets findings and records others.
func putFindings(tx *sqldb.Tx, put, drop []finding.Finding) error {
	for _, f := range drop {
		if err := tx.Post(forgetFindingSQL, f.Domain, f.Name); err != nil {
			return err
		}
	}
	for _, f := range put {
		if err := putFinding(tx, f, time.Time{}); err != nil {
			return err
		}
	}
	return nil
}

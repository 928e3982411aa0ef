package control

import (
	"fmt"

	"postroad/internal/core/directory"
	"postroad/internal/store/sqldb"
)

const (
	allRulesSQL   sqldb.Stmt = `SELECT id, domain, local, kind, targets, keep, archive FROM rule WHERE @scope(account_id)`
	ruleOwnersSQL sqldb.Stmt = `SELECT id, account_id FROM rule WHERE @in(id, $1) AND @scope(account_id)`
	addRuleSQL    sqldb.Stmt = `INSERT INTO rule (id, account_id, domain, local, kind, targets, keep, archive) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
	setRuleSQL    sqldb.Stmt = `UPDATE rule SET account_id = $2, domain = $3, local = $4, kind = $5, targets = $6, keep = $7, archive = $8
		WHERE id = $1 AND @scope(account_id)`
)

func loadRules(t *sqldb.Tx, shared *shared) ([]directory.Rule, error) {
	var out pile[directory.Rule]
	var r directory.Rule
	var domain, kind, targets string
	dest := []any{&r.ID, &domain, &r.Local, &kind, &targets, &r.Keep, &r.Archive}
	err := each(t, allRulesSQL, nil, func(rows *sqldb.Rows) error {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		h, ok := shared.home(domain)
		if !ok {
			return nil
		}
		r.Account, r.Domain, r.Kind, r.Targets = h.account, h.domain, directory.RuleKind(shared.text(kind)), nil
		if err := readList(targets, &r.Targets); err != nil {
			return fmt.Errorf("targets of %s: %w", r.Address(), err)
		}
		out.add(r)
		return nil
	})
	return out.list(), err
}

func putRules(t *sqldb.Tx, list []directory.Rule) error {
	there, err := owners(t, ruleOwnersSQL, keys(list, func(r *directory.Rule) string { return r.ID }))
	if err != nil {
		return err
	}
	for i := range list {
		r := &list[i]
		targets, err := listText(r.Targets)
		if err != nil {
			return err
		}
		stmt := addRuleSQL
		if _, old := there[r.ID]; old {
			stmt = setRuleSQL
		}
		if err := t.Post(stmt, r.ID, r.Account, r.Domain, r.Local, r.Kind, targets, r.Keep, r.Archive); err != nil {
			return err
		}
	}
	return nil
}

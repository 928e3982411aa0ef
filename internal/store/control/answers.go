package control

import (
	"context"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/facts"
	"postroad/internal/service/verify"
	"postroad/internal/store/sqldb"
)

const (
	answerSQL    sqldb.Stmt = `SELECT presence, source, detail, way, learned FROM recipient_answer WHERE domain = $1 AND local = $2 AND @scope(account_id)`
	putAnswerSQL sqldb.Stmt = `INSERT INTO recipient_answer (domain, local, account_id, presence, source, detail, way, learned)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (domain, local) DO UPDATE SET presence = excluded.presence, source = excluded.source, detail = excluded.detail,
		way = excluded.way, learned = excluded.learned
		WHERE @scope(recipient_answer.account_id)`
	forgetPresentSQL sqldb.Stmt = `DELETE FROM recipient_answer WHERE presence = $1 AND learned < $2 AND @scope(account_id)`
	forgetOthersSQL  sqldb.Stmt = `DELETE FROM recipient_answer WHERE presence <> $1 AND learned < $2 AND @scope(account_id)`
	crowdsSQL        sqldb.Stmt = `SELECT domain, presence FROM recipient_answer WHERE @scope(account_id) GROUP BY domain, presence HAVING count(*) > $1`
	thinSQL          sqldb.Stmt = `DELETE FROM recipient_answer WHERE domain = $1 AND presence = $2 AND @scope(account_id) AND learned <= (
		SELECT learned FROM recipient_answer WHERE domain = $1 AND presence = $2 AND @scope(account_id) ORDER BY learned DESC LIMIT 1 OFFSET $3)`
)

var _ verify.Store = (*Store)(nil)

// Answer implements verify.Store.
func (s *Store) Answer(ctx context.Context, scope account.Scope, domain, local string) (verify.Answer, bool, error) {
	var a verify.Answer
	var found bool
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		a = verify.Answer{RecipientAnswer: facts.RecipientAnswer{Address: local + "@" + domain}}
		var err error
		found, err = tx.Row([]any{&a.Presence, &a.Source, &a.Detail, &a.Way, &a.At}, answerSQL, domain, local)
		return err
	})
	if err != nil || !found {
		return verify.Answer{}, false, refusal(err)
	}
	return a, true, nil
}

// KeepAnswer implements verify.Store. Neither the address nor the lifetime of the answer is kept.
func (s *Store) KeepAnswer(scope account.Scope, domain, local string, a verify.Answer, done func(error)) {
	s.db.WriteLater(scope, func(tx *sqldb.Tx) error {
		var owner account.ID
		found, err := tx.Row([]any{&owner}, domainOwnerSQL, domain)
		if err != nil || !found {
			return err
		}
		return tx.Post(putAnswerSQL, domain, local, owner, a.Presence, a.Source, a.Detail, a.Way, a.At)
	}, func(err error) {
		if done != nil {
			done(refusal(err))
		}
	})
}

// ForgetAnswers implements verify.Store.
func (s *Store) ForgetAnswers(ctx context.Context, scope account.Scope, present, others time.Time, most int) error {
	return refusal(s.db.Write(ctx, scope, func(tx *sqldb.Tx) error {
		if err := tx.Post(forgetPresentSQL, facts.Present, present); err != nil {
			return err
		}
		if err := tx.Post(forgetOthersSQL, facts.Present, others); err != nil {
			return err
		}
		type crowd struct {
			domain   string
			presence facts.Presence
		}
		var crowds []crowd
		err := each(tx, crowdsSQL, []any{most}, func(rows *sqldb.Rows) error {
			var c crowd
			err := rows.Scan(&c.domain, &c.presence)
			crowds = append(crowds, c)
			return err
		})
		if err != nil {
			return err
		}
		for _, c := range crowds {
			if err := tx.Post(thinSQL, c.domain, c.presence, most); err != nil {
				return err
			}
		}
		return nil
	}))
}

package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/notice"
	"postroad/internal/service/control"
	"postroad/internal/service/notices"
	"postroad/internal/store/sqldb"
)

const (
	memoriesSQL  sqldb.Stmt = `SELECT domain, event, account_id, since, told, open, held, detail FROM notice_memory WHERE @scope(account_id) ORDER BY domain, event`
	putMemorySQL sqldb.Stmt = `INSERT INTO notice_memory (domain, event, account_id, since, told, open, held, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (domain, event) DO UPDATE SET account_id = excluded.account_id, since = excluded.since, told = excluded.told,
		open = excluded.open, held = excluded.held, detail = excluded.detail WHERE @scope(notice_memory.account_id)`
	dropMemorySQL           sqldb.Stmt = `DELETE FROM notice_memory WHERE domain = $1 AND event = $2 AND @scope(account_id)`
	removeDomainMemoriesSQL sqldb.Stmt = `DELETE FROM notice_memory WHERE @in(domain, $1) AND @scope(account_id)`

	addNoticeSQL sqldb.Stmt = `INSERT INTO notice (id, account_id, domain, event, ended, at, due, subject, body, sent, recipients, problem)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`
	noticesSQL sqldb.Stmt = `SELECT id, account_id, domain, event, ended, at, due, subject, body, sent, recipients, problem FROM notice
		WHERE id < $1 AND @scope(account_id) ORDER BY id DESC LIMIT $2`
	domainNoticesSQL sqldb.Stmt = `SELECT id, account_id, domain, event, ended, at, due, subject, body, sent, recipients, problem FROM notice
		WHERE domain = $3 AND id < $1 AND @scope(account_id) ORDER BY id DESC LIMIT $2`
	dueNoticesSQL sqldb.Stmt = `SELECT id, account_id, domain, event, ended, at, due, subject, body, sent, recipients, problem FROM notice
		WHERE sent = 0 AND due <= $1 AND @scope(account_id) ORDER BY id LIMIT $2`
	sentNoticeSQL    sqldb.Stmt = `UPDATE notice SET sent = $2, recipients = $3, problem = $4 WHERE id = $1 AND sent = 0 AND @scope(account_id)`
	forgetNoticesSQL sqldb.Stmt = `DELETE FROM notice WHERE sent > 0 AND sent < $1 AND @scope(account_id)`

	removeAccountNoticesSQL sqldb.Stmt = `DELETE FROM notice WHERE @in(account_id, $1) AND @scope(account_id)`

	switchesSQL sqldb.Stmt = `SELECT id, at, account_id, domain, before, after FROM audit
		WHERE id > $1 AND actor = 'auto' AND action = 'domain set' AND @scope(account_id) ORDER BY id LIMIT $2`
	entriesCountSQL sqldb.Stmt = `SELECT entries FROM configuration WHERE name = 'control'`
)

// settingNoticed is the audit entry up to which switches of mode have been told.
const settingNoticed = "noticed"

// lastID is greater than the id of every notice.
const lastID = "~"

var _ notices.Store = (*Store)(nil)

// Memories implements notices.Store.
func (s *Store) Memories(ctx context.Context, scope account.Scope) ([]notice.Memory, error) {
	var out []notice.Memory
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		out = nil
		return each(tx, memoriesSQL, nil, func(rows *sqldb.Rows) error {
			var m notice.Memory
			err := rows.Scan(&m.Domain, &m.Event, &m.Account, &m.Since, &m.Told, &m.Open, &m.Held, &m.Detail)
			out = append(out, m)
			return err
		})
	})
	return out, refusal(err)
}

// KeepNotices implements notices.Store.
func (s *Store) KeepNotices(ctx context.Context, scope account.Scope, r notice.Result, upTo int64) error {
	for _, n := range r.Notice {
		if !scope.Has(n.Account) {
			return fmt.Errorf("%w: a notice of %s", control.ErrDenied, n.Account)
		}
	}
	for _, m := range r.Put {
		if !scope.Has(m.Account) {
			return fmt.Errorf("%w: a memory of %s", control.ErrDenied, m.Account)
		}
	}
	return refusal(s.db.Write(ctx, scope, func(tx *sqldb.Tx) error {
		for _, m := range r.Drop {
			if err := tx.Post(dropMemorySQL, m.Domain, m.Event); err != nil {
				return err
			}
		}
		for _, m := range r.Put {
			if err := tx.Post(putMemorySQL, m.Domain, m.Event, m.Account, m.Since, m.Told, m.Open, m.Held, m.Detail); err != nil {
				return err
			}
		}
		for i := range r.Notice {
			if err := addNotice(tx, &r.Notice[i]); err != nil {
				return err
			}
		}
		if !scope.Has(account.Operator) {
			return nil
		}
		return tx.Post(putSettingSQL, settingNoticed, account.Operator, strconv.FormatInt(upTo, 10))
	}))
}

func addNotice(tx *sqldb.Tx, n *notice.Notice) error {
	to, err := listText(n.To)
	if err != nil {
		return err
	}
	return tx.Post(addNoticeSQL, n.ID, n.Account, n.Domain, n.Event, n.Ended, n.At, n.Due, n.Subject, n.Text, n.Sent, to, n.Problem)
}

// Notices implements control.Memory.
func (s *Store) Notices(ctx context.Context, scope account.Scope, domain, before string, limit int) ([]notice.Notice, error) {
	if before == "" {
		before = lastID
	}
	if domain != "" {
		return s.notices(ctx, scope, domainNoticesSQL, before, limit, domain)
	}
	return s.notices(ctx, scope, noticesSQL, before, limit)
}

// DueNotices implements notices.Store.
func (s *Store) DueNotices(ctx context.Context, scope account.Scope, now time.Time, limit int) ([]notice.Notice, error) {
	return s.notices(ctx, scope, dueNoticesSQL, now, limit)
}

func (s *Store) notices(ctx context.Context, scope account.Scope, stmt sqldb.Stmt, args ...any) ([]notice.Notice, error) {
	var out []notice.Notice
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		out = nil
		return each(tx, stmt, args, func(rows *sqldb.Rows) error {
			var n notice.Notice
			var to string
			err := rows.Scan(&n.ID, &n.Account, &n.Domain, &n.Event, &n.Ended, &n.At, &n.Due, &n.Subject, &n.Text, &n.Sent, &to, &n.Problem)
			if err == nil {
				err = readList(to, &n.To)
			}
			out = append(out, n)
			return err
		})
	})
	return out, refusal(err)
}

// SentNotices implements notices.Store.
func (s *Store) SentNotices(ctx context.Context, scope account.Scope, ids []string, at time.Time, recipients []string, problem string) error {
	to, err := listText(recipients)
	if err != nil {
		return err
	}
	return refusal(s.db.Write(ctx, scope, func(tx *sqldb.Tx) error {
		for _, id := range ids {
			if err := tx.Post(sentNoticeSQL, id, at, to, problem); err != nil {
				return err
			}
		}
		return nil
	}))
}

// ForgetNotices implements notices.Store.
func (s *Store) ForgetNotices(ctx context.Context, scope account.Scope, before time.Time) error {
	return refusal(s.db.Write(ctx, scope, func(tx *sqldb.Tx) error { return tx.Post(forgetNoticesSQL, before) }))
}

// errNoticed tells of a setting that somebody has spoilt.
var errNoticed = errors.New("the setting of the last switch that was told is no number")

// Switches implements notices.Store.
func (s *Store) Switches(ctx context.Context, scope account.Scope, limit int) ([]notice.Switch, int64, error) {
	var out []notice.Switch
	var upTo int64
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		out = nil
		var told string
		if _, err := tx.Row([]any{&told}, settingSQL, settingNoticed); err != nil {
			return err
		}
		if told == "" { // what was before is history
			_, err := tx.Row([]any{&upTo}, entriesCountSQL)
			return err
		}
		var err error
		if upTo, err = strconv.ParseInt(told, 10, 64); err != nil {
			return fmt.Errorf("%w: %w: %w", sqldb.ErrCorrupt, errNoticed, err)
		}
		return each(tx, switchesSQL, []any{upTo, limit}, func(rows *sqldb.Rows) error {
			var w notice.Switch
			var before, after string
			if err := rows.Scan(&upTo, &w.At, &w.Account, &w.Domain, &before, &after); err != nil {
				return err
			}
			if readSwitch(&w, before, after) {
				out = append(out, w)
			}
			return nil
		})
	})
	return out, upTo, refusal(err)
}

// readSwitch reads what an audit entry says of a switch; false when it tells of none: somebody may call a token "auto".
func readSwitch(w *notice.Switch, before, after string) bool {
	type side struct {
		Mode     directory.Mode `json:"effective_mode"`
		Evidence string         `json:"evidence"`
	}
	var was, is side
	if json.Unmarshal([]byte(before), &was) != nil || json.Unmarshal([]byte(after), &is) != nil || is.Evidence == "" || was.Mode == is.Mode {
		return false
	}
	w.From, w.To, w.Evidence = was.Mode, is.Mode, is.Evidence
	return true
}

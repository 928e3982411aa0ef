package control

import (
	"encoding/json"
	"fmt"

	"postroad/internal/core/sending"
	"postroad/internal/store/sqldb"
)

const (
	allSendersSQL sqldb.Stmt = `SELECT account_id, kind, id, hour, day, own_hour, own_day, pause FROM sender WHERE @scope(account_id)`
	putSenderSQL  sqldb.Stmt = `INSERT INTO sender (account_id, kind, id, hour, day, own_hour, own_day, pause) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (account_id, kind, id) DO UPDATE SET hour = excluded.hour, day = excluded.day, own_hour = excluded.own_hour,
		own_day = excluded.own_day, pause = excluded.pause WHERE @scope(sender.account_id)`
	removeSenderSQL         sqldb.Stmt = `DELETE FROM sender WHERE account_id = $1 AND kind = $2 AND id = $3 AND @scope(account_id)`
	removeAccountSendersSQL sqldb.Stmt = `DELETE FROM sender WHERE @in(account_id, $1) AND @scope(account_id)`
)

// unchosen is a limit that nobody has chosen.
const unchosen = -1

func chosen(limit int64) *int64 {
	if limit == unchosen {
		return nil
	}
	return &limit
}

func number(limit *int64) int64 {
	if limit == nil {
		return unchosen
	}
	return *limit
}

func loadSenders(t *sqldb.Tx) ([]sending.Rule, error) {
	var out []sending.Rule
	err := each(t, allSendersSQL, nil, func(rows *sqldb.Rows) error {
		var r sending.Rule
		var hour, day, ownHour, ownDay int64
		var pause string
		if err := rows.Scan(&r.Account, &r.Kind, &r.ID, &hour, &day, &ownHour, &ownDay, &pause); err != nil {
			return err
		}
		r.Given, r.Own = sending.Choice{Hour: chosen(hour), Day: chosen(day)}, sending.Choice{Hour: chosen(ownHour), Day: chosen(ownDay)}
		if pause != "" {
			if err := json.Unmarshal([]byte(pause), &r.Pause); err != nil {
				return fmt.Errorf("read why the %s is paused: %w", r.Label(), err)
			}
		}
		out = append(out, r)
		return nil
	})
	return out, err
}

func putSenders(t *sqldb.Tx, list []sending.Rule) error {
	for i := range list {
		r := &list[i]
		if r.Empty() {
			if err := t.Post(removeSenderSQL, r.Account, r.Kind, r.ID); err != nil {
				return err
			}
			continue
		}
		pause := ""
		if r.Pause != nil {
			text, err := json.Marshal(r.Pause)
			if err != nil {
				return err
			}
			pause = string(text)
		}
		if err := t.Post(putSenderSQL, r.Account, r.Kind, r.ID, number(r.Given.Hour), number(r.Given.Day), number(r.Own.Hour), number(r.Own.Day), pause); err != nil {
			return err
		}
	}
	return nil
}

package queue

import (
	"context"
	"fmt"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/store/sqldb"
)

// changeChunk is how many rows an action changes in one transaction, so that accepting mail goes on meanwhile.
const changeChunk = 2000

// releaseAge is what a row gets in seconds of queue age when it is released after its time was over.
const releaseAge = 24 * 60 * 60

const (
	countMessagesSQL  sqldb.Stmt = `SELECT count(*) FROM message`
	countLeasedSQL    sqldb.Stmt = `SELECT count(*), coalesce(sum(CASE WHEN next_attempt <= $1 THEN 1 ELSE 0 END), 0) FROM recipient WHERE state = 'leased'`
	countScheduledSQL sqldb.Stmt = `SELECT count(*), coalesce(sum(CASE WHEN next_attempt <= $1 THEN 1 ELSE 0 END), 0) FROM recipient
		WHERE (state = 'waiting' OR state = 'deferred')`
	countKeptSQL sqldb.Stmt = `SELECT count(*) FROM recipient WHERE (state = 'held' OR state = 'quarantined' OR state = 'dead')`

	lastMessageSQL sqldb.Stmt = `SELECT id FROM message ORDER BY id DESC LIMIT 1`

	expediteSQL sqldb.Stmt = `UPDATE recipient SET next_attempt = CASE WHEN next_attempt > $3 THEN $3 ELSE next_attempt END,
		state = CASE WHEN state = 'leased' THEN 'waiting' ELSE state END
		WHERE message_id = $1 AND n = $2 AND @scope(account_id)`
	holdSQL    sqldb.Stmt = `UPDATE recipient SET state = 'held' WHERE message_id = $1 AND n = $2 AND @scope(account_id)`
	releaseSQL sqldb.Stmt = `UPDATE recipient SET state = 'waiting', next_attempt = $3,
		check_age = CASE WHEN expire_age <= $4 THEN $5 ELSE check_age END,
		expire_age = CASE WHEN expire_age <= $4 THEN $5 ELSE expire_age END,
		born_age = CASE WHEN expire_age <= $4 THEN -1 ELSE born_age END,
		last_reply = CASE WHEN last_reply = $6 THEN '' ELSE last_reply END
		WHERE message_id = $1 AND n = $2 AND @scope(account_id)`

	openLaneSQL sqldb.Stmt = `INSERT INTO lane (name, next_attempt, failures, reason, host, holder, token, expires)
		VALUES ($1, $2, 0, '', '', '', 0, 0)
		ON CONFLICT (name) DO UPDATE SET next_attempt = excluded.next_attempt
		WHERE lane.next_attempt = 0 OR excluded.next_attempt < lane.next_attempt`
)

// selection composes a filter's conditions over recipient. The texts that can arise are few: one per set of fields.
type selection struct {
	conditions []string
	args       []any
}

func (s *selection) param(v any) string {
	s.args = append(s.args, v)
	return fmt.Sprintf("$%d", len(s.args))
}

func (s *selection) add(condition string) { s.conditions = append(s.conditions, condition) }

func newSelection(f mail.Filter) *selection {
	s := &selection{}
	s.add("@scope(account_id)")
	if len(f.IDs) > 0 {
		s.add("@in(message_id, " + s.param(texts(f.IDs)) + ")")
	}
	if f.Domain != "" {
		p := s.param("@" + strings.ToLower(f.Domain))
		s.add("lower(substr(destination, length(destination) - length(" + p + ") + 1)) = " + p)
	}
	if f.Host != "" {
		s.host(f.Host)
	}
	if len(f.States) > 0 {
		s.add("@in(state, " + s.param(texts(f.States)) + ")")
	}
	if !f.OlderThan.IsZero() {
		s.add("EXISTS (SELECT 1 FROM message WHERE id = message_id AND received < " + s.param(sqldb.Micros(f.OlderThan)) + ")")
	}
	if f.Sent != (mail.Sent{}) {
		s.sent(f.Sent)
	}
	return s
}

// sent selects what users have sent.
func (s *selection) sent(f mail.Sent) {
	where := "login <> ''"
	if f.Account != "" {
		where += " AND message.account_id = " + s.param(string(f.Account))
	}
	if f.Login != "" {
		where += " AND login = " + s.param(f.Login)
	}
	if f.Domain != "" {
		p := s.param("@" + f.Domain)
		where += " AND substr(login, length(login) - length(" + p + ") + 1) = " + p
	}
	if f.Halted {
		before, after, _ := strings.Cut(mail.Paused("\n"), "\n")
		where += " AND last_reply = " + s.param(before) + " || login || " + s.param(after)
	}
	s.add("EXISTS (SELECT 1 FROM message WHERE id = message_id AND " + where + ")")
}

// host selects lanes whose key is the host, or begins with the host and a port or an outbound route.
func (s *selection) host(host string) {
	var keys []string
	var ranges []string
	for _, t := range []mail.Transport{mail.TransportLocal, mail.TransportRemote, mail.TransportRelay, mail.TransportLMTP} {
		lane := string(mail.MakeLane(t, host))
		keys = append(keys, lane, lane+directory.OperatorMark)
		ranges = append(ranges, "(lane > "+s.param(lane+":")+" AND lane < "+s.param(lane+";")+")")
	}
	lane := string(mail.MakeLane(mail.TransportRemote, host))
	ranges = append(ranges, "(lane > "+s.param(lane+"#")+" AND lane < "+s.param(lane+"$")+")") // with an outbound route
	s.add("(@in(lane, " + s.param(keys) + ") OR " + strings.Join(ranges, " OR ") + ")")
}

// with gives the statement of a prefix, the conditions and a suffix.
func (s *selection) with(prefix, suffix string) sqldb.Stmt {
	return sqldb.Stmt(prefix + " WHERE " + strings.Join(s.conditions, " AND ") + suffix)
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

// List implements queue.Inspect.
func (s *Store) List(ctx context.Context, scope account.Scope, f mail.Filter, after mail.ID, limit int) ([]mail.Listed, error) {
	var out []mail.Listed
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		out = nil
		page := newSelection(f)
		page.add("message_id > " + page.param(string(after)))
		stmt := page.with("SELECT DISTINCT message_id FROM recipient", " ORDER BY message_id LIMIT "+page.param(limit))
		ids, err := tx.Texts(stmt, page.args...)
		if err != nil || len(ids) == 0 {
			return err
		}
		within := newSelection(f)
		within.add("@in(message_id, " + within.param(ids) + ")")
		rows, _, err := recipients(tx, within.with("SELECT "+recipientColumns+" FROM recipient", " ORDER BY message_id, n"), within.args...)
		if err != nil {
			return err
		}
		deliveries, err := s.deliveries(tx, rows, nil, false)
		for _, d := range deliveries {
			out = append(out, mail.Listed{Message: *d.Message, Rows: d.Recipients})
		}
		return err
	})
	return out, storageError(err)
}

// Count implements queue.Inspect. Counting everything reads the indices alone.
func (s *Store) Count(ctx context.Context, scope account.Scope, f mail.Filter, now time.Time) (mail.Counts, error) {
	var c mail.Counts
	everything := scope.IsSystem() && len(f.IDs) == 0 && f.Domain == "" && f.Host == "" && len(f.States) == 0 && f.OlderThan.IsZero() && f.Sent == (mail.Sent{})
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		c = mail.Counts{}
		if everything {
			return countAll(tx, sqldb.Micros(now), &c)
		}
		sel := newSelection(f)
		due := sel.param(sqldb.Micros(now))
		stmt := sel.with(`SELECT count(DISTINCT message_id), count(*),
			coalesce(sum(CASE WHEN (state = 'waiting' OR state = 'deferred' OR state = 'leased') AND next_attempt <= `+due+` THEN 1 ELSE 0 END), 0),
			coalesce(sum(CASE WHEN (state = 'held' OR state = 'quarantined' OR state = 'dead') THEN 1 ELSE 0 END), 0) FROM recipient`, "")
		_, err := tx.Row([]any{&c.Messages, &c.Recipients, &c.Due, &c.Held}, stmt, sel.args...)
		return err
	})
	return c, storageError(err)
}

func countAll(tx *sqldb.Tx, now int64, c *mail.Counts) error {
	var leased, leasedDue, scheduled int64
	if _, err := tx.Row([]any{&c.Messages}, countMessagesSQL); err != nil {
		return err
	}
	if _, err := tx.Row([]any{&leased, &leasedDue}, countLeasedSQL, now); err != nil {
		return err
	}
	if _, err := tx.Row([]any{&scheduled, &c.Due}, countScheduledSQL, now); err != nil {
		return err
	}
	if _, err := tx.Row([]any{&c.Held}, countKeptSQL); err != nil {
		return err
	}
	c.Due += leasedDue
	c.Recipients = leased + scheduled + c.Held
	return nil
}

// Change implements queue.Inspect.
func (s *Store) Change(
	ctx context.Context, scope account.Scope, f mail.Filter, a mail.Action, now time.Time, changed func([]mail.Recipient),
) (int64, []mail.Lane, error) {
	age, err := s.Age(ctx, 0)
	if err != nil {
		return 0, nil, err
	}
	c := change{store: s, filter: f, action: a, now: now, age: age, changed: changed, seen: map[mail.Lane]bool{}}
	if c.states = applicable(a); c.states == nil && a != mail.Drop {
		return 0, nil, storageError(fmt.Errorf("no such action: %d", a))
	}
	for {
		more, err := c.chunk(ctx, scope)
		if err != nil || !more {
			return c.rows, c.lanes, storageError(err)
		}
	}
}

// applicable lists the states from which an action leads; nil for all of them.
func applicable(a mail.Action) []mail.State {
	switch a {
	case mail.Expedite:
		return []mail.State{mail.StateWaiting, mail.StateDeferred, mail.StateLeased}
	case mail.Hold:
		return []mail.State{mail.StateWaiting, mail.StateDeferred, mail.StateLeased}
	case mail.Release:
		return []mail.State{mail.StateHeld, mail.StateQuarantined, mail.StateDead}
	case mail.Drop:
		return nil
	}
	return nil
}

// change is an action on its way through the queue.
type change struct {
	store  *Store
	filter mail.Filter
	action mail.Action
	states []mail.State
	now    time.Time
	age    int64
	after  mail.ID // done up to here
	last   mail.ID // the newest message when it began
	rows   int64
	lanes  []mail.Lane
	seen   map[mail.Lane]bool

	changed func([]mail.Recipient)
}

// chunk changes the rows of the next messages in one transaction.
func (c *change) chunk(ctx context.Context, scope account.Scope) (more bool, err error) {
	var changed []mail.Recipient
	var blobs []string
	err = c.store.db.Write(ctx, scope, func(tx *sqldb.Tx) error {
		var err error
		if changed, err = c.selected(tx); err != nil || len(changed) == 0 {
			return err
		}
		blobs, err = c.apply(tx, changed)
		return err
	})
	if err != nil || len(changed) == 0 {
		return false, err
	}
	c.after = changed[len(changed)-1].ID
	c.rows += int64(len(changed))
	if c.changed != nil {
		c.changed(changed)
	}
	for i := range changed {
		if lane := changed[i].Lane; !c.seen[lane] {
			c.seen[lane] = true
			c.lanes = append(c.lanes, lane)
		}
	}
	return true, c.store.blobs.Remove(blobs...)
}

// selected finds the rows of the next messages.
func (c *change) selected(tx *sqldb.Tx) ([]mail.Recipient, error) {
	if c.last == "" {
		if err := tx.System(func() error {
			_, err := tx.Row([]any{&c.last}, lastMessageSQL)
			return err
		}); err != nil {
			return nil, err
		}
	}
	compose := func() *selection {
		sel := newSelection(c.filter)
		sel.add("message_id > " + sel.param(string(c.after)))
		sel.add("message_id <= " + sel.param(string(c.last)))
		if c.states != nil {
			sel.add("@in(state, " + sel.param(texts(c.states)) + ")")
		}
		return sel
	}
	page := compose()
	ids, err := tx.Texts(page.with("SELECT DISTINCT message_id FROM recipient", " ORDER BY message_id LIMIT "+page.param(changeChunk)), page.args...)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	within := compose()
	within.add("message_id <= " + within.param(ids[len(ids)-1]))
	rows, _, err := recipients(tx, within.with("SELECT "+recipientColumns+" FROM recipient", " ORDER BY message_id, n"), within.args...)
	return rows, err
}

func (c *change) apply(tx *sqldb.Tx, rows []mail.Recipient) (blobs []string, err error) {
	lanes := schedule{}
	var ended []string
	for i := range rows {
		r := &rows[i]
		id, n := string(r.ID), int64(r.N)
		switch c.action {
		case mail.Expedite:
			err = tx.Post(expediteSQL, id, n, sqldb.Micros(c.now))
			lanes.add(r.Lane, mail.StateWaiting, c.now)
		case mail.Hold:
			err = tx.Post(holdSQL, id, n)
		case mail.Release:
			reason := "" // that does not hold any more
			if c.filter.Sent.Halted {
				reason = r.LastReply
			}
			err = tx.Post(releaseSQL, id, n, sqldb.Micros(c.now), c.age, c.age+releaseAge, reason)
			lanes.add(r.Lane, mail.StateWaiting, c.now)
		case mail.Drop:
			err = tx.Post(deleteRecipientSQL, id, n)
			if len(ended) == 0 || ended[len(ended)-1] != id {
				ended = append(ended, id)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	if c.action == mail.Expedite {
		for _, lane := range lanes.lanes {
			if err := tx.Post(openLaneSQL, string(lane), max(1, sqldb.Micros(c.now))); err != nil {
				return nil, err
			}
		}
	} else if err := lanes.write(tx); err != nil {
		return nil, err
	}
	return deleteMessages(tx, ended)
}

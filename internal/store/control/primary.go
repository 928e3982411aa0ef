package control

import (
	"context"
	"fmt"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/primary"
	"postroad/internal/service/control"
	"postroad/internal/store/sqldb"
)

const (
	forwardProbesSQL sqldb.Stmt = `SELECT address, account_id, domain, from_address, to_address, serial, state, queue_id, sent, within, left_queue,
		verdict, judged, after, hop, detail, since FROM forward_probe WHERE @scope(account_id) ORDER BY domain, address`
	domainForwardProbesSQL sqldb.Stmt = `SELECT address, account_id, domain, from_address, to_address, serial, state, queue_id, sent, within, left_queue,
		verdict, judged, after, hop, detail, since FROM forward_probe WHERE domain = $1 AND @scope(account_id) ORDER BY address`
	openForwardProbesSQL sqldb.Stmt = `SELECT address, account_id, domain, from_address, to_address, serial, state, queue_id, sent, within, left_queue,
		verdict, judged, after, hop, detail, since FROM forward_probe WHERE state <> '' AND @scope(account_id) ORDER BY sent, address`
	forwardProbeSQL sqldb.Stmt = `SELECT address, account_id, domain, from_address, to_address, serial, state, queue_id, sent, within, left_queue,
		verdict, judged, after, hop, detail, since FROM forward_probe WHERE serial = $1 AND @scope(account_id)`
	countForwardProbesSQL sqldb.Stmt = `SELECT COUNT(*) FROM forward_probe WHERE account_id = $1 AND sent > $2 AND @scope(account_id)`
	putForwardProbeSQL    sqldb.Stmt = `INSERT INTO forward_probe (address, account_id, domain, from_address, to_address, serial, state, queue_id, sent, within,
		left_queue, verdict, judged, after, hop, detail, since) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
		ON CONFLICT (address) DO UPDATE SET account_id = excluded.account_id, domain = excluded.domain, from_address = excluded.from_address,
		to_address = excluded.to_address, serial = excluded.serial, state = excluded.state, queue_id = excluded.queue_id, sent = excluded.sent,
		within = excluded.within, left_queue = excluded.left_queue, verdict = excluded.verdict, judged = excluded.judged, after = excluded.after,
		hop = excluded.hop, detail = excluded.detail, since = excluded.since WHERE @scope(forward_probe.account_id)`
	setForwardProbeSQL sqldb.Stmt = `UPDATE forward_probe SET state = $2, left_queue = $3, verdict = $4, judged = $5, after = $6, hop = $7, detail = $8, since = $9
		WHERE serial = $1 AND state = $10 AND left_queue = $11 AND judged = $12 AND @scope(account_id)`
	removeForwardProbesSQL       sqldb.Stmt = `DELETE FROM forward_probe WHERE @in(address, $1) AND @scope(account_id)`
	removeDomainForwardProbesSQL sqldb.Stmt = `DELETE FROM forward_probe WHERE @in(domain, $1) AND @scope(account_id)`
	// moveForwardProbesSQL ends what an account before has tried.
	moveForwardProbesSQL sqldb.Stmt = `DELETE FROM forward_probe WHERE domain = $1 AND account_id <> $2 AND @scope(account_id)`
)

// ForwardProbes implements control.Store.
func (s *Store) ForwardProbes(ctx context.Context, scope account.Scope, domain string) ([]primary.Probe, error) {
	if domain == "" {
		return s.forwardProbes(ctx, scope, forwardProbesSQL)
	}
	return s.forwardProbes(ctx, scope, domainForwardProbesSQL, domain)
}

// OpenForwardProbes implements control.Store.
func (s *Store) OpenForwardProbes(ctx context.Context, scope account.Scope) ([]primary.Probe, error) {
	return s.forwardProbes(ctx, scope, openForwardProbesSQL)
}

// ForwardProbe implements control.Store.
func (s *Store) ForwardProbe(ctx context.Context, scope account.Scope, serial string) (primary.Probe, error) {
	list, err := s.forwardProbes(ctx, scope, forwardProbeSQL, serial)
	if err == nil && len(list) == 0 {
		err = control.ErrNotFound
	}
	if err != nil {
		return primary.Probe{}, err
	}
	return list[0], nil
}

func (s *Store) forwardProbes(ctx context.Context, scope account.Scope, stmt sqldb.Stmt, args ...any) ([]primary.Probe, error) {
	var out []primary.Probe
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		out = nil
		return each(tx, stmt, args, func(rows *sqldb.Rows) error {
			var p primary.Probe
			var within, after int64
			err := rows.Scan(&p.Address, &p.Account, &p.Domain, &p.From, &p.To, &p.Serial, &p.State, &p.Queue, &p.Sent, &within, &p.Left,
				&p.Verdict, &p.Judged, &after, &p.Hop, &p.Detail, &p.Since)
			p.Within, p.After = time.Duration(within)*time.Microsecond, time.Duration(after)*time.Microsecond
			out = append(out, p)
			return err
		})
	})
	return out, refusal(err)
}

// CountForwardProbes implements control.Store.
func (s *Store) CountForwardProbes(ctx context.Context, scope account.Scope, owner account.ID, since time.Time) (n int, err error) {
	err = s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		_, err := tx.Row([]any{&n}, countForwardProbesSQL, owner, since)
		return err
	})
	return n, refusal(err)
}

// PutForwardProbes implements control.Store.
func (s *Store) PutForwardProbes(ctx context.Context, scope account.Scope, list []primary.Probe) error {
	return refusal(s.db.Write(ctx, scope, func(tx *sqldb.Tx) error {
		for i := range list {
			p := &list[i]
			var owner account.ID
			found, err := tx.Row([]any{&owner}, domainOwnerSQL, p.Domain)
			if err != nil {
				return err
			}
			if !found || owner != p.Account || !strings.HasSuffix(p.Address, "@"+p.Domain) {
				return fmt.Errorf("%w: there is no domain %s", control.ErrNotFound, p.Domain)
			}
			if err := tx.Post(putForwardProbeSQL, p.Address, p.Account, p.Domain, p.From, p.To, p.Serial, p.State, p.Queue, p.Sent, p.Within.Microseconds(), p.Left,
				p.Verdict, p.Judged, p.After.Microseconds(), p.Hop, p.Detail, p.Since); err != nil {
				return err
			}
		}
		return nil
	}))
}

// SetForwardProbe implements control.Store.
func (s *Store) SetForwardProbe(ctx context.Context, scope account.Scope, was, is primary.Probe) (done bool, err error) {
	err = s.db.Write(ctx, scope, func(tx *sqldb.Tx) error {
		n, err := tx.Exec(setForwardProbeSQL, was.Serial, is.State, is.Left, is.Verdict, is.Judged, is.After.Microseconds(), is.Hop, is.Detail, is.Since,
			was.State, was.Left, was.Judged)
		done = n > 0
		return err
	})
	return done, refusal(err)
}

// RemoveForwardProbes implements control.Store.
func (s *Store) RemoveForwardProbes(ctx context.Context, scope account.Scope, addresses []string) error {
	return refusal(s.db.Write(ctx, scope, func(tx *sqldb.Tx) error { return tx.Post(removeForwardProbesSQL, addresses) }))
}

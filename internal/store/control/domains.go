package control

import (
	"encoding/json"
	"fmt"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/service/control"
	"postroad/internal/store/sqldb"
)

const (
	allDomainsSQL sqldb.Stmt = `SELECT id, account_id, name, proved, mode, mode_since, auto, auto_since, zone, next_hops, recipients, unreachable,
		dual, gateways, onboarding, leaving_until, leaving_from, hold, created, exchanger_set, nameserver_set,
		proof_by, proof_at, proof_ns, proof_lost, proof_txt, judge, spf_fail, unchecked, forwarders, primary_domain FROM domain WHERE @scope(account_id)`
	domainsSQL   sqldb.Stmt = `SELECT id, account_id, name, mode, next_hops FROM domain WHERE @in(id, $1) AND @scope(account_id)`
	addDomainSQL sqldb.Stmt = `INSERT INTO domain (id, account_id, name, proved, mode, mode_since, auto, auto_since, zone, next_hops, recipients,
		unreachable, dual, gateways, onboarding, leaving_until, leaving_from, hold, created, exchanger_set, nameserver_set,
		proof_by, proof_at, proof_ns, proof_lost, proof_txt, judge, spf_fail, unchecked, forwarders, primary_domain)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31)`
	setDomainSQL sqldb.Stmt = `UPDATE domain SET account_id = $2, name = $3, proved = $4, mode = $5, mode_since = $6, auto = $7, auto_since = $8,
		zone = $9, next_hops = $10, recipients = $11, unreachable = $12, dual = $13, gateways = $14, onboarding = $15, leaving_until = $16,
		leaving_from = $17, hold = $18, created = $19, exchanger_set = $20, nameserver_set = $21,
		proof_by = $22, proof_at = $23, proof_ns = $24, proof_lost = $25, proof_txt = $26, judge = $27, spf_fail = $28,
		unchecked = $29, forwarders = $30, primary_domain = $31 WHERE id = $1 AND @scope(account_id)`

	moveVerifiersSQL sqldb.Stmt = `UPDATE verifier SET account_id = $2
		WHERE mailbox_id IN (SELECT id FROM mailbox WHERE domain = $1) AND @scope(account_id)`
	moveMailboxesSQL sqldb.Stmt = `UPDATE mailbox SET account_id = $2 WHERE domain = $1 AND @scope(account_id)`
	moveRulesSQL     sqldb.Stmt = `UPDATE rule SET account_id = $2 WHERE domain = $1 AND @scope(account_id)`
	moveOutboundsSQL sqldb.Stmt = `UPDATE outbound SET account_id = $2 WHERE domain = $1 AND @scope(account_id)`
	moveFindingsSQL  sqldb.Stmt = `UPDATE finding SET account_id = $2 WHERE domain = $1 AND @scope(account_id)`
	moveAnswersSQL   sqldb.Stmt = `UPDATE recipient_answer SET account_id = $2 WHERE domain = $1 AND @scope(account_id)`

	// What was found about a domain's way holds for that way only.
	forgetWaySQL sqldb.Stmt = `DELETE FROM finding WHERE domain = $1 AND @in(name, $2) AND @scope(account_id)`

	removeDomainVerifiersSQL sqldb.Stmt = `DELETE FROM verifier
		WHERE mailbox_id IN (SELECT id FROM mailbox WHERE @in(domain, $1)) AND @scope(account_id)`
	removeDomainMailboxesSQL sqldb.Stmt = `DELETE FROM mailbox WHERE @in(domain, $1) AND @scope(account_id)`
	removeDomainRulesSQL     sqldb.Stmt = `DELETE FROM rule WHERE @in(domain, $1) AND @scope(account_id)`
	removeDomainOutboundsSQL sqldb.Stmt = `DELETE FROM outbound WHERE @in(domain, $1) AND @scope(account_id)`
	removeDomainFindingsSQL  sqldb.Stmt = `DELETE FROM finding WHERE @in(domain, $1) AND @scope(account_id)`
	removeDomainAnswersSQL   sqldb.Stmt = `DELETE FROM recipient_answer WHERE @in(domain, $1) AND @scope(account_id)`
	removeDomainsSQL         sqldb.Stmt = `DELETE FROM domain WHERE @in(id, $1) AND @scope(account_id)`
)

func loadDomains(t *sqldb.Tx, shared *shared) ([]directory.Domain, error) {
	var out pile[directory.Domain]
	var d directory.Domain
	var owner, mode, auto, zone, hops, recipients, unreachable, gateways, from, set, servers, by, judge, spfFail, unchecked, forwarders string
	var hold int64
	dest := []any{
		&d.ID, &owner, &d.Name, &d.Proved, &mode, &d.ModeSince, &auto, &d.AutoSince, &zone, &hops, &recipients, &unreachable,
		&d.Dual, &gateways, &d.Onboarding, &d.Leaving.Until, &from, &hold, &d.Created, &set, &servers,
		&by, &d.Proof.At, &d.Proof.NS, &d.Proof.Lost, &d.Proof.TXTOnly, &judge, &spfFail, &unchecked, &forwarders, &d.Primary,
	}
	err := each(t, allDomainsSQL, nil, func(rows *sqldb.Rows) error {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		d.Account, d.Mode, d.Zone = account.ID(shared.text(owner)), directory.Mode(shared.text(mode)), directory.ZoneHosting(shared.text(zone))
		d.Auto, d.Leaving.From = directory.Mode(shared.text(auto)), directory.Mode(shared.text(from))
		d.Recipients, d.Unreachable = directory.RecipientPolicy(shared.text(recipients)), directory.UnreachablePolicy(shared.text(unreachable))
		d.ExchangerSet, d.NameServerSet = shared.text(set), shared.text(servers)
		d.Proof.By, d.Proof.NS = shared.text(by), shared.text(d.Proof.NS)
		d.Primary = shared.text(d.Primary)
		d.Hold = time.Duration(hold) * time.Microsecond
		d.Judging = directory.Judging{
			Mode: directory.JudgeMode(shared.text(judge)), SPFFail: directory.Severity(shared.text(spfFail)), Unchecked: directory.Severity(shared.text(unchecked)),
		}
		d.NextHops, d.Gateways, d.Forwarders = nil, nil, nil
		if err := readList(hops, &d.NextHops); err != nil {
			return fmt.Errorf("next hops of %s: %w", d.Name, err)
		}
		if err := readList(gateways, &d.Gateways); err != nil {
			return fmt.Errorf("gateways of %s: %w", d.Name, err)
		}
		if err := readList(forwarders, &d.Forwarders); err != nil {
			return fmt.Errorf("forwarders of %s: %w", d.Name, err)
		}
		shared.domains[d.Name] = home{domain: d.Name, account: d.Account}
		out.add(d)
		return nil
	})
	return out.list(), err
}

// known is what is asked of a domain before it is put.
type known struct{ owner, name, mode, hops string }

func knownDomains(t *sqldb.Tx, ids []string) (map[string]known, error) {
	found := make(map[string]known, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	err := each(t, domainsSQL, []any{ids}, func(rows *sqldb.Rows) error {
		var id string
		var k known
		err := rows.Scan(&id, &k.owner, &k.name, &k.mode, &k.hops)
		found[id] = k
		return err
	})
	return found, err
}

func putDomains(t *sqldb.Tx, list []directory.Domain) error {
	there, err := knownDomains(t, keys(list, func(d *directory.Domain) string { return d.ID }))
	if err != nil {
		return err
	}
	for i := range list {
		d := &list[i]
		hops, err := listText(d.NextHops)
		if err != nil {
			return err
		}
		gateways, err := listText(d.Gateways)
		if err != nil {
			return err
		}
		forwarders, err := listText(d.Forwarders)
		if err != nil {
			return err
		}
		stmt := addDomainSQL
		if old, ok := there[d.ID]; ok {
			stmt = setDomainSQL
			if old.name != d.Name {
				return fmt.Errorf("%w: the domain %s cannot become %s", control.ErrInvalid, old.name, d.Name)
			}
			if old.owner != string(d.Account) {
				if err := moveDomain(t, d); err != nil {
					return err
				}
			}
			if old.mode != string(d.Mode) || old.hops != hops {
				if err := t.Post(forgetWaySQL, d.Name, []string{string(finding.RouteLoopSelf), string(finding.PrimaryMXMissing), string(finding.SplitLoop)}); err != nil {
					return err
				}
			}
		}
		if err := t.Post(stmt, d.ID, d.Account, d.Name, d.Proved, d.Mode, d.ModeSince, d.Auto, d.AutoSince, d.Zone, hops, d.Recipients, d.Unreachable,
			d.Dual, gateways, d.Onboarding, d.Leaving.Until, d.Leaving.From, d.Hold.Microseconds(), d.Created,
			d.ExchangerSet, d.NameServerSet, d.Proof.By, d.Proof.At, d.Proof.NS, d.Proof.Lost, d.Proof.TXTOnly,
			d.Judging.Mode, d.Judging.SPFFail, d.Judging.Unchecked, forwarders, d.Primary); err != nil {
			return err
		}
	}
	return nil
}

// moveDomain gives what lies in a domain to the domain's new account.
func moveDomain(t *sqldb.Tx, d *directory.Domain) error {
	for _, stmt := range []sqldb.Stmt{moveVerifiersSQL, moveMailboxesSQL, moveRulesSQL, moveOutboundsSQL, moveFindingsSQL, moveAnswersSQL, moveListSQL, moveListedSQL, moveLifetimeSQL, moveProviderSQL, moveDKIMSQL, moveIdentitiesSQL, moveForwardProbesSQL, moveCertificatesSQL, moveZoneSQL, movePeersSQL, moveSecondarySQL, moveJournalSQL, moveZoneKeysSQL} {
		if err := t.Post(stmt, d.Name, d.Account); err != nil {
			return err
		}
	}
	return t.Post(removeDomainMemoriesSQL, []string{d.Name}) // the new account has been told nothing yet
}

// removeDomains removes domains with everything that lies in them.
func removeDomains(t *sqldb.Tx, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	found, err := knownDomains(t, ids)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(found))
	for _, k := range found {
		names = append(names, k.name)
	}
	for _, stmt := range []sqldb.Stmt{
		removeDomainVerifiersSQL, removeDomainMailboxesSQL, removeDomainRulesSQL, removeDomainOutboundsSQL, removeDomainFindingsSQL,
		removeDomainAnswersSQL, removeListsSQL, emptyListsSQL, removeZonesSQL, removeZonePeersSQL, removeSecondariesSQL, removeJournalsSQL, removeDomainMemoriesSQL, removeLifetimeSQL, removeProvidersSQL, removeDKIMSQL, removeDomainIdentitiesSQL, removeDomainForwardProbesSQL, removeDomainCertificatesSQL,
	} {
		if err := t.Post(stmt, names); err != nil {
			return err
		}
	}
	return removeAll(t, control.KindDomain, removeDomainsSQL, ids)
}

// listText is a list as it is stored: JSON, empty for none.
func listText[T any](list []T) (string, error) {
	if len(list) == 0 {
		return "", nil
	}
	text, err := json.Marshal(list)
	return string(text), err
}

func readList[T any](text string, list *[]T) error {
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), list)
}

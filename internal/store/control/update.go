package control

import (
	"context"
	"fmt"
	"slices"

	"postroad/internal/core/account"
	"postroad/internal/core/cert"
	"postroad/internal/core/directory"
	"postroad/internal/core/dkimkey"
	"postroad/internal/core/publish"
	"postroad/internal/core/sending"
	"postroad/internal/core/transfer"
	"postroad/internal/core/zone"
	"postroad/internal/service/control"
	"postroad/internal/store/sqldb"
)

const growSQL sqldb.Stmt = `UPDATE configuration SET version = version + 1, entries = entries + $2
	WHERE name = 'control' AND version = $1 RETURNING version, entries`

// Update implements control.Store. Removals come first, what lies in a thing before the thing. A domain that changes
// its account takes what lies in it along. Besides the errors of the interface it gives ErrDenied for rows in accounts
// out of scope, ErrNotFound for what lies in a domain that is not the account's, ErrInUse for the removal of an
// account that has domains and ErrInvalid for a domain that changes its name.
func (s *Store) Update(ctx context.Context, scope account.Scope, version int64, tx control.Tx) (int64, error) {
	if err := checkOwners(scope, &tx); err != nil {
		return 0, err
	}
	goners, err := sortRemovals(tx.Remove)
	if err != nil {
		return 0, err
	}
	var next int64
	err = s.db.Write(ctx, scope, func(t *sqldb.Tx) error {
		var last int64
		current, err := t.Row([]any{&next, &last}, growSQL, version, len(tx.Entries))
		if err != nil {
			return err
		}
		if !current {
			return control.ErrVersion
		}
		if err := remove(t, goners); err != nil {
			return err
		}
		if err := put(t, &tx, next); err != nil {
			return err
		}
		return putEntries(t, tx.Entries, last-int64(len(tx.Entries)))
	})
	if err != nil {
		return 0, refusal(err)
	}
	return next, nil
}

// put writes everything that a change writes, domains before what lies in them. It leads to the version.
func put(t *sqldb.Tx, tx *control.Tx, version int64) error {
	if err := putAccounts(t, tx.PutAccounts); err != nil {
		return err
	}
	if err := putSets(t, tx.PutSets); err != nil {
		return err
	}
	if err := putServerSets(t, tx.PutServers); err != nil {
		return err
	}
	if err := putDomains(t, tx.PutDomains); err != nil {
		return err
	}
	if err := checkDomains(t, tx); err != nil {
		return err
	}
	if err := putMailboxes(t, tx.PutMailboxes); err != nil {
		return err
	}
	if err := putVerifiers(t, tx.PutVerifiers); err != nil {
		return err
	}
	if err := putRules(t, tx.PutRules); err != nil {
		return err
	}
	if err := putOutbounds(t, tx.PutOutbounds); err != nil {
		return err
	}
	if err := putLists(t, tx.PutLists); err != nil {
		return err
	}
	if err := putZones(t, tx.PutZones, version); err != nil {
		return err
	}
	if err := putTransfers(t, &tx.PutTransfers); err != nil {
		return err
	}
	if err := putDeparted(t, tx.PutDeparted); err != nil {
		return err
	}
	if err := putProviders(t, tx.PutProviders); err != nil {
		return err
	}
	if err := putIdentities(t, tx.PutIdentities); err != nil {
		return err
	}
	if err := putSenders(t, tx.PutSenders); err != nil {
		return err
	}
	if err := putDKIM(t, tx.PutDKIM); err != nil {
		return err
	}
	if err := putCertificates(t, tx.PutCertificates); err != nil {
		return err
	}
	if err := putFindings(t, tx.PutFindings, tx.DropFindings); err != nil {
		return err
	}
	return putTokens(t, tx.PutTokens)
}

// checkOwners refuses rows in accounts that are not in scope, and an installation's route that is not the operator's.
func checkOwners(scope account.Scope, tx *control.Tx) error {
	for i := range tx.PutOutbounds {
		if o := &tx.PutOutbounds[i]; o.Domain == "" && o.Identity == "" && o.Account != account.Operator {
			return fmt.Errorf("%w: the route of the whole installation is the operator's", control.ErrDenied)
		}
	}
	for i := range tx.PutCertificates {
		if n := &tx.PutCertificates[i]; n.Domain == "" && n.Account != account.Operator {
			return fmt.Errorf("%w: the names of the server are the operator's", control.ErrDenied)
		}
	}
	ids := slices.Concat(
		ownersOf(tx.PutAccounts, func(r *account.Account) account.ID { return r.ID }),
		ownersOf(tx.PutDomains, func(r *directory.Domain) account.ID { return r.Account }),
		ownersOf(tx.PutMailboxes, func(r *directory.Mailbox) account.ID { return r.Account }),
		ownersOf(tx.PutRules, func(r *directory.Rule) account.ID { return r.Account }),
		ownersOf(tx.PutOutbounds, func(r *directory.Outbound) account.ID { return r.Account }),
		ownersOf(tx.PutLists, func(r *control.RecipientList) account.ID { return r.Account }),
		ownersOf(tx.PutZones, func(r *zone.Zone) account.ID { return r.Account }),
		ownersOf(tx.PutProviders, func(r *publish.Provider) account.ID { return r.Account }),
		ownersOf(tx.PutIdentities, func(r *directory.Identity) account.ID { return r.Account }),
		ownersOf(tx.PutSenders, func(r *sending.Rule) account.ID { return r.Account }),
		ownersOf(tx.PutDKIM, func(r *dkimkey.Domain) account.ID { return r.Account }),
		ownersOf(tx.PutCertificates, func(r *cert.Name) account.ID { return r.Account }),
		ownersOf(tx.PutDeparted, func(r *directory.Departed) account.ID { return r.Account }),
		ownersOf(tx.PutSets, func(r *zone.ExchangerSet) account.ID { return r.Account }),
		ownersOf(tx.PutServers, func(r *zone.NameServerSet) account.ID { return r.Account }),
		ownersOf(tx.PutTransfers.Keys, func(r *transfer.Key) account.ID { return r.Account }),
		ownersOf(tx.PutTransfers.Peers, func(r *transfer.Peer) account.ID { return r.Account }),
		ownersOf(tx.PutTransfers.Secondaries, func(r *transfer.Secondary) account.ID { return r.Account }),
		ownersOf(tx.PutTransfers.Catalogs, func(r *transfer.Catalog) account.ID { return r.Account }),
		ownersOf(tx.PutTokens, func(r *control.Token) account.ID { return r.Account }),
		ownersOf(tx.Entries, func(r *control.Entry) account.ID { return r.Account }),
	)
	if i := slices.IndexFunc(ids, func(id account.ID) bool { return !scope.Has(id) }); i >= 0 {
		return fmt.Errorf("%w: %w: %q", control.ErrDenied, sqldb.ErrScope, ids[i])
	}
	return nil
}

// ownersOf gives whose rows these are.
func ownersOf[T any](rows []T, of func(*T) account.ID) []account.ID {
	out := make([]account.ID, len(rows))
	for i := range rows {
		out[i] = of(&rows[i])
	}
	return out
}

const domainOwnersSQL sqldb.Stmt = `SELECT name, account_id FROM domain WHERE @in(name, $1) AND @scope(account_id)`

// checkDomains refuses what would lie in a domain that is not there or not of the same account.
func checkDomains(t *sqldb.Tx, tx *control.Tx) error {
	inside := map[string]account.ID{}
	add := func(name string, owner account.ID) error {
		if other, seen := inside[name]; seen && other != owner {
			return fmt.Errorf("%w: the domain %s is not of the account %s and of %s", control.ErrNotFound, name, owner, other)
		}
		inside[name] = owner
		return nil
	}
	for i := range tx.PutMailboxes {
		if err := add(tx.PutMailboxes[i].Domain, tx.PutMailboxes[i].Account); err != nil {
			return err
		}
	}
	for i := range tx.PutRules {
		if err := add(tx.PutRules[i].Domain, tx.PutRules[i].Account); err != nil {
			return err
		}
	}
	for i := range tx.PutOutbounds {
		if o := &tx.PutOutbounds[i]; o.Domain != "" {
			if err := add(o.Domain, o.Account); err != nil {
				return err
			}
		}
	}
	for i := range tx.PutLists {
		if err := add(tx.PutLists[i].Domain, tx.PutLists[i].Account); err != nil {
			return err
		}
	}
	for i := range tx.PutZones {
		if err := add(tx.PutZones[i].Domain, tx.PutZones[i].Account); err != nil {
			return err
		}
	}
	for i := range tx.PutProviders {
		if err := add(tx.PutProviders[i].Domain, tx.PutProviders[i].Account); err != nil {
			return err
		}
	}
	for i := range tx.PutIdentities {
		if err := add(tx.PutIdentities[i].Domain, tx.PutIdentities[i].Account); err != nil {
			return err
		}
	}
	for i := range tx.PutDKIM {
		if err := add(tx.PutDKIM[i].Name, tx.PutDKIM[i].Account); err != nil {
			return err
		}
	}
	for i := range tx.PutCertificates {
		if n := &tx.PutCertificates[i]; n.Domain != "" {
			if err := add(n.Domain, n.Account); err != nil {
				return err
			}
		}
	}
	for i := range tx.PutTransfers.Secondaries {
		if err := add(tx.PutTransfers.Secondaries[i].Domain, tx.PutTransfers.Secondaries[i].Account); err != nil {
			return err
		}
	}
	names := make([]string, 0, len(inside))
	for name := range inside {
		names = append(names, name)
	}
	found, err := owners(t, domainOwnersSQL, names)
	if err != nil {
		return err
	}
	for name, owner := range inside {
		if found[name] != string(owner) || owner == "" {
			return fmt.Errorf("%w: the account %s has no domain %s", control.ErrNotFound, owner, name)
		}
	}
	return nil
}

// goners are ids of what is to be removed, by kind.
type goners struct {
	accounts, domains, mailboxes, rules, outbounds, tokens, lists, departed, zones, sets, servers []string
	identities                                                                                    []string
	providers, dkim, certificates                                                                 []string
	keys, peers, secondaries, catalogs                                                            []string
}

func sortRemovals(list []control.Removal) (goners, error) {
	var g goners
	for _, r := range list {
		switch r.Kind {
		case control.KindAccount:
			g.accounts = append(g.accounts, r.ID)
		case control.KindDomain:
			g.domains = append(g.domains, r.ID)
		case control.KindMailbox:
			g.mailboxes = append(g.mailboxes, r.ID)
		case control.KindRule:
			g.rules = append(g.rules, r.ID)
		case control.KindOutbound:
			g.outbounds = append(g.outbounds, r.ID)
		case control.KindToken:
			g.tokens = append(g.tokens, r.ID)
		case control.KindRecipients:
			g.lists = append(g.lists, r.ID)
		case control.KindDeparted:
			g.departed = append(g.departed, r.ID)
		case control.KindZone:
			g.zones = append(g.zones, r.ID)
		case control.KindSet:
			g.sets = append(g.sets, r.ID)
		case control.KindServers:
			g.servers = append(g.servers, r.ID)
		case control.KindTSIGKey:
			g.keys = append(g.keys, r.ID)
		case control.KindTransfer:
			g.peers = append(g.peers, r.ID)
		case control.KindSecondary:
			g.secondaries = append(g.secondaries, r.ID)
		case control.KindCatalog:
			g.catalogs = append(g.catalogs, r.ID)
		case control.KindProvider:
			g.providers = append(g.providers, r.ID)
		case control.KindDKIM:
			g.dkim = append(g.dkim, r.ID)
		case control.KindIdentity:
			g.identities = append(g.identities, r.ID)
		case control.KindCertificate:
			g.certificates = append(g.certificates, r.ID)
		case control.KindQueue, control.KindSending, control.KindRecord, control.KindMX, control.KindDNSSEC, control.KindZoneKeys, control.KindPublish:
			return goners{}, fmt.Errorf("%w: nothing is removed by the kind %q", control.ErrInvalid, r.Kind)
		default:
			return goners{}, fmt.Errorf("%w: nothing is of kind %q", control.ErrInvalid, r.Kind)
		}
	}
	return g, nil
}

const (
	removeTokensSQL    sqldb.Stmt = `DELETE FROM token WHERE @in(id, $1) AND @scope(account_id)`
	removeOutboundsSQL sqldb.Stmt = `DELETE FROM outbound WHERE @in(id, $1) AND @scope(account_id)`
	removeRulesSQL     sqldb.Stmt = `DELETE FROM rule WHERE @in(id, $1) AND @scope(account_id)`
)

func remove(t *sqldb.Tx, g goners) error {
	for _, part := range []struct {
		kind control.Kind
		stmt sqldb.Stmt
		ids  []string
	}{
		{control.KindToken, removeTokensSQL, g.tokens},
		{control.KindOutbound, removeOutboundsSQL, g.outbounds},
		{control.KindRule, removeRulesSQL, g.rules},
		{control.KindDeparted, removeDepartedSQL, g.departed},
		{control.KindProvider, removeProvidersSQL, g.providers},
		{control.KindDKIM, removeDKIMSQL, g.dkim},
		{control.KindIdentity, removeIdentitiesSQL, g.identities},
		{control.KindCertificate, removeCertificatesSQL, g.certificates},
		{control.KindZone, removeZonesSQL, g.zones},
		{control.KindSet, removeSetsSQL, g.sets},
		{control.KindServers, removeServerSetsSQL, g.servers},
		{control.KindTSIGKey, removeKeysSQL, g.keys},
		{control.KindTransfer, removePeersSQL, g.peers},
		{control.KindSecondary, removeSecondariesSQL, g.secondaries},
		{control.KindCatalog, removeCatalogsSQL, g.catalogs},
	} {
		if err := removeAll(t, part.kind, part.stmt, part.ids); err != nil {
			return err
		}
	}
	if len(g.zones) > 0 { // a zone that is made anew begins anew
		if err := t.Post(removeJournalsSQL, g.zones); err != nil {
			return err
		}
	}
	if err := removeLists(t, g.lists); err != nil {
		return err
	}
	if err := removeMailboxes(t, g.mailboxes); err != nil {
		return err
	}
	if err := removeDomains(t, g.domains); err != nil {
		return err
	}
	return removeAccounts(t, g.accounts)
}

// removeAll removes rows by their ids; all of them must be there.
func removeAll(t *sqldb.Tx, kind control.Kind, stmt sqldb.Stmt, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	n, err := t.Exec(stmt, ids)
	if err != nil {
		return err
	}
	if n != int64(len(ids)) {
		return fmt.Errorf("%w: of kind %s", control.ErrNotFound, kind)
	}
	return nil
}

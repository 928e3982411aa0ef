// Package transfers is who exchanges whole zones with us, as people change it: TSIG keys, peers that may have a zone or are
// told of its changes, zones that we serve as a secondary, and catalogs.
//
// # Failure
//
// A peer, a primary or a key of another account is words.ErrNotFound, as if there were none. Whoever is no operator names
// addresses of the public Internet only.
package transfers

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/reach"
	"postroad/internal/core/transfer"
	"postroad/internal/obs"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Store keeps what is configured.
type Store interface {
	// Transfers gives what is configured in scope.
	Transfers(ctx context.Context, scope account.Scope) (transfer.Settings, error)
	// Copy gives what was fetched last of a secondary's zone.
	Copy(ctx context.Context, scope account.Scope, domain string) (transfer.Copy, error)
}

// Box seals the secrets of keys.
type Box interface {
	Seal(plain []byte, what string) []byte
}

// Service does what is configured.
type Service interface {
	// Reload reads anew what is configured; it is in force when it returns.
	Reload(ctx context.Context) error
}

// Access is transfers as actors see and change them, by one state of the configuration. Without a Box no key is kept.
type Access struct {
	Store Store
	Box   Box
	State *rights.State
}

// Follow has the service read anew what a plan has changed, if it has changed anything that transfers go by; nil: nobody
// does it.
func Follow(ctx context.Context, service Service, before *rights.State, p *plan.Plan, log *slog.Logger) {
	if service == nil || !concerns(before, p) {
		return
	}
	if err := service.Reload(ctx); err != nil {
		log.ErrorContext(ctx, "transfers of zones do not follow a change", slog.Any(obs.KeyError, err))
	}
}

func concerns(st *rights.State, p *plan.Plan) bool {
	t := &p.Tx.PutTransfers
	if len(t.Keys)+len(t.Peers)+len(t.Secondaries)+len(t.Catalogs) > 0 || len(p.Delta.RemoveDomains) > 0 {
		return true
	}
	for _, r := range p.Tx.Remove {
		if slices.Contains([]plan.Kind{plan.KindTSIGKey, plan.KindTransfer, plan.KindSecondary, plan.KindCatalog, plan.KindAccount}, r.Kind) {
			return true
		}
	}
	return slices.ContainsFunc(p.Delta.PutDomains, func(d directory.Domain) bool {
		old, there := st.Directory.Domain(d.Name)
		return there && (old.Proved != d.Proved || old.Account != d.Account)
	})
}

// newID is 130 random bits in 26 characters.
func newID() string { return strings.ToLower(rand.Text()) }

func (a *Access) begin(actor rights.Actor) plan.Plan {
	return plan.New(a.State.Directory.Version(), actor)
}

// Key is a TSIG key as listings show it.
type Key struct {
	Name      string     `json:"name"`
	Account   account.ID `json:"account"`
	Algorithm string     `json:"algorithm" enum:"hmac-sha256,hmac-sha384,hmac-sha512"`
	Created   time.Time  `json:"created"`
}

func showKey(k *transfer.Key) Key {
	return Key{Name: k.Name, Account: k.Account, Algorithm: string(k.Algorithm), Created: k.Created}
}

// Keys lists the keys in scope by name.
func (a *Access) Keys(ctx context.Context, actor rights.Actor) ([]Key, error) {
	all, err := a.Store.Transfers(ctx, actor.Scope)
	out := make([]Key, 0, len(all.Keys))
	for i := range all.Keys {
		out = append(out, showKey(&all.Keys[i]))
	}
	return out, err
}

// KeySpec is a wanted key.
type KeySpec struct {
	Name      string        // as the other side names it
	Account   string        // by id or name; empty for the actor's own
	Algorithm string        // empty for hmac-sha256
	Secret    *words.Secret // in base64; nil: one is made, and told once
}

const (
	leastSecret = 16 // octets
	mostSecret  = 512
)

// name reads a name that a key or a catalog has on the wire, and gives it without the last dot.
func name(thing, text string) (string, error) {
	got, err := dns.Name(strings.TrimSuffix(text, "."), "")
	got = strings.TrimSuffix(got, ".")
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
	}
	if err != nil || got == "" || len(got) > 200 || strings.ContainsFunc(got, odd) {
		return "", words.Invalid("The name of the "+thing+" is "+words.Quote(text)+".", "write a name as in DNS: letters, digits, hyphens and underscores in parts joined by dots")
	}
	return got, nil
}

// PlanKeyAdd plans a key. Without a secret in the spec Apply tells one.
func (a *Access) PlanKeyAdd(ctx context.Context, actor rights.Actor, spec KeySpec) (plan.Plan, error) {
	p := a.begin(actor)
	if a.Box == nil {
		return p, words.Invalid("No keys can be kept here.", "")
	}
	label, err := name("key", spec.Name)
	if err != nil {
		return p, err
	}
	owner, err := actor.Account(a.State, spec.Account)
	if err != nil {
		return p, err
	}
	if spec.Algorithm == "" {
		spec.Algorithm = string(dns.HMACSHA256)
	}
	algorithm, err := dns.ParseMAC(spec.Algorithm)
	if err != nil {
		return p, words.Invalid("The algorithm "+words.Quote(spec.Algorithm)+" is not taken for a key.", "hmac-sha256, hmac-sha384 or hmac-sha512")
	}
	all, err := a.Store.Transfers(ctx, account.System())
	if err != nil {
		return p, err
	}
	if slices.ContainsFunc(all.Keys, func(k transfer.Key) bool { return k.Name == label }) {
		return p, words.Exists("There is a key "+label+" already.", "choose another name: the other server finds the key by it")
	}
	secret, told, err := secretOf(spec.Secret)
	if err != nil {
		return p, err
	}
	k := transfer.Key{ID: newID(), Account: owner, Name: label, Algorithm: algorithm, Sealed: a.Box.Seal(secret, transfer.SealedFor(label)), Created: time.Now().UTC().Truncate(time.Second)}
	p.Secret = told
	p.Tx.PutTransfers.Keys = []transfer.Key{k}
	p.Record(plan.Change{Kind: plan.KindTSIGKey, Verb: plan.VerbAdd, Subject: label, Account: owner, After: showKey(&k)})
	p.Say("Adds the TSIG key %s, %s.", label, algorithm)
	if spec.Secret == nil {
		p.Say("Its secret is made now and shown once: enter it at the other server under the same name and algorithm.")
	}
	return p, nil
}

// secretOf gives a secret and what is told of it: nothing of one that was given.
func secretOf(given *words.Secret) (secret []byte, told string, err error) {
	if given == nil {
		secret = make([]byte, 32)
		_, _ = rand.Read(secret) // never fails
		return secret, base64.StdEncoding.EncodeToString(secret), nil
	}
	secret, err = base64.StdEncoding.DecodeString(strings.TrimSpace(given.Reveal()))
	if err != nil || len(secret) < leastSecret || len(secret) > mostSecret {
		return nil, "", words.Invalid("The secret of a key is written in base64 and has 16 to 512 octets.", "leave it out and one is made; tsig-keygen and keymgr -t print such secrets")
	}
	return secret, "", nil
}

// PlanKeyRemove plans the end of a key, given by its name, that nothing goes by any more.
func (a *Access) PlanKeyRemove(ctx context.Context, actor rights.Actor, label string) (plan.Plan, error) {
	p := a.begin(actor)
	mine, err := a.Store.Transfers(ctx, actor.Scope)
	if err != nil {
		return p, err
	}
	k, err := find(mine.Keys, label)
	if err != nil {
		return p, err
	}
	all, err := a.Store.Transfers(ctx, account.System())
	if err != nil {
		return p, err
	}
	inUse := func(by string) error {
		return &words.RefusedError{Err: words.ErrInUse, Sentence: "The key " + k.Name + " is in use " + by + ".", Hint: "give the transfer another key, or end it, first"}
	}
	for i := range all.Peers {
		if t := &all.Peers[i]; t.Key == k.Name {
			return p, inUse(visible(actor, t.Account, "for "+words.Show(t.Zone)))
		}
	}
	for i := range all.Secondaries {
		if z := &all.Secondaries[i]; z.Key == k.Name {
			return p, inUse(visible(actor, z.Account, "to fetch "+words.Show(z.Domain)))
		}
	}
	p.Tx.Remove = []plan.Removal{{Kind: plan.KindTSIGKey, ID: k.ID}}
	p.Record(plan.Change{Kind: plan.KindTSIGKey, Verb: plan.VerbRemove, Subject: k.Name, Account: k.Account, Before: showKey(&k)})
	p.Say("Removes the TSIG key %s.", k.Name)
	return p, nil
}

// visible is what an actor may know of something of an account.
func visible(actor rights.Actor, owner account.ID, what string) string {
	if actor.Scope.Has(owner) {
		return what
	}
	return "elsewhere"
}

func find(keys []transfer.Key, label string) (transfer.Key, error) {
	label = strings.ToLower(strings.TrimSuffix(label, "."))
	i := slices.IndexFunc(keys, func(k transfer.Key) bool { return k.Name == label })
	if i < 0 {
		return transfer.Key{}, words.Missing("There is no key " + words.Quote(label) + ".")
	}
	return keys[i], nil
}

// key checks that a zone of the account may go by a key: the account's own, or the operator's where the operator says so.
func (a *Access) key(ctx context.Context, actor rights.Actor, label string, owner account.ID) (string, error) {
	if label == "" {
		return "", nil
	}
	mine, err := a.Store.Transfers(ctx, actor.Scope)
	if err != nil {
		return "", err
	}
	k, err := find(mine.Keys, label)
	if err != nil {
		return "", err
	}
	if k.Account != owner && (k.Account != account.Operator || !actor.Operator) {
		return "", words.Missing("The account of the zone has no key " + words.Quote(k.Name) + ".")
	}
	return k.Name, nil
}

// zoned is a zone that peers may be named for: a domain's, or a catalog.
type zoned struct {
	name    string
	account account.ID
	domain  *directory.Domain // nil: a catalog
}

func (a *Access) zone(ctx context.Context, actor rights.Actor, text string) (zoned, error) {
	d, err := actor.Domain(a.State, text)
	if err == nil {
		return zoned{d.Name, d.Account, d}, nil
	}
	mine, storeErr := a.Store.Transfers(ctx, actor.Scope)
	if storeErr != nil {
		return zoned{}, storeErr
	}
	label := strings.ToLower(strings.TrimSuffix(text, "."))
	for _, c := range mine.Catalogs {
		if c.Name == label {
			return zoned{name: c.Name, account: c.Account}, nil
		}
	}
	return zoned{}, err
}

// server reads the address of another name server; its port is 53 unless it says another.
func server(actor rights.Actor, text string) (netip.AddrPort, error) {
	at, err := netip.ParseAddrPort(text)
	if err != nil {
		var alone netip.Addr
		if alone, err = netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
			at = netip.AddrPortFrom(alone, 53)
		}
	}
	if err != nil || at.Port() == 0 || at.Addr().Zone() != "" {
		return netip.AddrPort{}, words.Invalid("The server "+words.Quote(text)+" is no address.", "write 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:53")
	}
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	if why := reach.Unusual(at.Addr()); why != "" && !actor.Operator {
		return netip.AddrPort{}, words.Denied("Only the operator may name " + at.Addr().String() + ": it is " + why + ".")
	}
	if at.Port() != 53 && !actor.Operator {
		return netip.AddrPort{}, words.Denied("Only the operator may name a port other than 53: " + strconv.Itoa(int(at.Port())) + ".")
	}
	return at, nil
}

// networks reads networks and addresses.
func networks(list []string) ([]netip.Prefix, error) {
	if len(list) > maxNetworks {
		return nil, words.Invalid("There are "+strconv.Itoa(len(list))+" networks.", "at most "+strconv.Itoa(maxNetworks))
	}
	out := make([]netip.Prefix, 0, len(list))
	for _, text := range list {
		n, err := netip.ParsePrefix(text)
		if err != nil {
			if one, addrErr := netip.ParseAddr(text); addrErr == nil {
				n, err = netip.PrefixFrom(one.Unmap(), one.Unmap().BitLen()), nil
			}
		}
		if err != nil || n.Addr().Zone() != "" || n.Addr().Is4In6() {
			return nil, words.Invalid(words.Quote(text)+" is no network.", "write 192.0.2.0/24, 192.0.2.53 or 2001:db8::/32")
		}
		out = append(out, n.Masked())
	}
	slices.SortFunc(out, func(x, y netip.Prefix) int {
		return cmp.Or(x.Addr().Compare(y.Addr()), cmp.Compare(x.Bits(), y.Bits()))
	})
	return slices.Compact(out), nil
}

const maxNetworks = 20

// Package dkim is the keys by which domains' mail is signed (RFC 6376), as people and the program itself change them: made,
// published in the zones that are hosted here, shown for those that are not, held against what the world has, and replaced.
//
// # Failure
//
// What is refused comes as a *words.RefusedError. A look at the world that fails changes nothing: a key that waits goes on
// waiting, and one that signs goes on signing.
package dkim

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/dkimkey"
	"postroad/internal/proto/dkim"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Access is keys as actors may see and change them. Without a Seal none are made.
type Access struct {
	Store    Store
	Zones    Zones
	Resolver Resolver // nil: the world is not seen
	Seal     Seal
	Hold     time.Duration // how long mail is kept in the queue at most, where its domain says nothing else
}

// spare is how long the record of a retired key stays beyond the time for which mail may be on its way.
const spare = 7 * 24 * time.Hour

// keep is how long the record of a retired key stays.
func (a *Access) keep(st *rights.State) time.Duration {
	longest := a.Hold
	for d := range st.Directory.Domains() {
		longest = max(longest, d.Hold)
	}
	return longest + spare
}

// DKIMSpec is how a domain's mail is to be signed, as people write it. What is empty stays as it is.
type DKIMSpec struct {
	Algorithms string `json:"algorithms,omitempty" doc:"rsa, ed25519 or rsa,ed25519 (when absent for a new domain): receivers pass over what they do not know"`
	Rotate     *int   `json:"rotate_days,omitempty" doc:"Keys are replaced when they are so many days old; 0: only when somebody says so" minimum:"0" maximum:"3650"`
}

// leastRotate is the least age at which keys are replaced by themselves, in days: the record of the one before stays for
// longer than mail may be on its way.
const leastRotate = 30

func (s *DKIMSpec) read(d *dkimkey.Domain) error {
	if s.Algorithms != "" {
		list, ok := dkimkey.ParseAlgorithms(s.Algorithms)
		if !ok {
			return words.Invalid(words.Quote(s.Algorithms)+" is no list of algorithms.", "rsa, ed25519 or rsa,ed25519")
		}
		d.Algorithms = list
	}
	if s.Rotate != nil {
		if *s.Rotate < 0 || *s.Rotate > 0 && *s.Rotate < leastRotate {
			return words.Invalid("Keys cannot be replaced every "+words.Plural(int64(*s.Rotate), "day", "days")+".", "30 days or more, or 0 for never")
		}
		d.Rotate = time.Duration(*s.Rotate) * 24 * time.Hour
	}
	return nil
}

// load finds a domain in the actor's scope, and its keys; a domain without any has the usual algorithms.
func (a *Access) load(ctx context.Context, actor rights.Actor, st *rights.State, name string) (*directory.Domain, dkimkey.Domain, bool, error) {
	d, err := actor.Domain(st, name)
	if err != nil {
		return nil, dkimkey.Domain{}, false, err
	}
	keys, err := a.Store.DKIM(ctx, account.System(), d.Name)
	if errors.Is(err, words.ErrNotFound) {
		return d, dkimkey.Domain{Name: d.Name, Account: d.Account, Algorithms: dkimkey.Both()}, false, nil
	}
	return d, keys, err == nil, err
}

// proved is load for what makes keys.
func (a *Access) proved(ctx context.Context, actor rights.Actor, st *rights.State, name string) (*directory.Domain, dkimkey.Domain, bool, error) {
	d, keys, there, err := a.load(ctx, actor, st, name)
	switch {
	case err != nil:
	case a.Seal == nil:
		err = words.Invalid("This server keeps no keys.", "")
	case !d.Proved:
		err = words.Invalid("The ownership of "+words.Show(d.Name)+" is not shown yet: nobody sends as it from here.", "prove it first with `domain prove`")
	}
	return d, keys, there, err
}

// PlanOn plans that a domain's mail is signed, or signed in another way.
func (a *Access) PlanOn(ctx context.Context, actor rights.Actor, st *rights.State, name string, spec DKIMSpec) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	d, old, there, err := a.proved(ctx, actor, st, name)
	if err != nil {
		return plan.Plan{}, err
	}
	next := old.Clone()
	next.Off = false
	if err := spec.read(&next); err != nil {
		return plan.Plan{}, err
	}
	now := time.Now().UTC()
	next.Narrow(now, a.keep(st))
	made, err := a.fill(&next, now)
	if err != nil {
		return plan.Plan{}, err
	}
	if there && !old.Off && len(made) == 0 && next.Rotate == old.Rotate && slices.Equal(next.Algorithms, old.Algorithms) {
		p.Say("The mail of %s is signed already.", words.Show(d.Name))
		return p, nil
	}
	verb := plan.VerbSet
	if !there {
		verb = plan.VerbAdd
	}
	p.Say("Mail that is sent from here as %s is signed, with %s.", words.Show(d.Name), algorithms(next.Algorithms))
	return p, a.change(ctx, &p, d, verb, &old, &next)
}

func algorithms(list []dkimkey.Algorithm) string {
	var out []string
	for _, a := range list {
		out = append(out, map[dkimkey.Algorithm]string{dkimkey.RSA: "RSA", dkimkey.Ed25519: "Ed25519"}[a])
	}
	return strings.Join(out, " and ")
}

// fill makes the keys that a domain lacks, and gives their selectors.
func (a *Access) fill(d *dkimkey.Domain, now time.Time) ([]string, error) {
	var made []string
	for _, algorithm := range d.Lacks() {
		private, err := generate(algorithm)
		if err != nil {
			return nil, err
		}
		selector := d.Selector(algorithm, now)
		if err := a.add(d, selector, algorithm, private, now, false); err != nil {
			return nil, err
		}
		made = append(made, selector)
	}
	return made, nil
}

func generate(a dkimkey.Algorithm) (crypto.Signer, error) {
	if a == dkimkey.Ed25519 {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return rsa.GenerateKey(rand.Reader, dkim.MinSignBits)
}

// add adds a key that is to sign once the world has its record.
func (a *Access) add(d *dkimkey.Domain, selector string, algorithm dkimkey.Algorithm, private crypto.Signer, now time.Time, imported bool) error {
	record, err := dkim.MakeRecord(private.Public())
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	d.Keys = append(d.Keys, dkimkey.Key{
		Selector: selector, Algorithm: algorithm, Record: record, Sealed: a.Seal.Seal(der, dkimkey.SealedFor(d.Name, selector)),
		State: dkimkey.Published, Since: now, Made: now, Imported: imported,
	})
	return nil
}

// change adds to a plan that a domain's keys become others, and with them its zone where that is hosted here.
func (a *Access) change(ctx context.Context, p *plan.Plan, d *directory.Domain, verb plan.Verb, old, next *dkimkey.Domain) error {
	c := plan.Change{Kind: plan.KindDKIM, Verb: verb, Subject: d.Name, Domain: d.Name, Account: d.Account, After: Show(next)}
	if verb != plan.VerbAdd {
		c.Before = Show(old)
	}
	p.Record(c)
	next.Forget(time.Now())
	p.Tx.PutDKIM = append(p.Tx.PutDKIM, *next)
	if d.Zone == directory.ZoneHosted {
		return a.publish(ctx, p, d, old, next)
	}
	for _, k := range next.Waiting() {
		if _, known := old.Key(k.Selector); !known {
			p.Say("The zone of %s is not hosted here: postroad dkim show %s tells what to enter there for the key %s, which signs once that has been seen.", words.Show(d.Name), d.Name, k.Selector)
		}
	}
	for i := range old.Keys {
		if _, kept := next.Key(old.Keys[i].Selector); !kept {
			p.Say("The record %s is no longer needed: remove it from the zone.", old.Keys[i].Owner(d.Name))
		}
	}
	return nil
}

// PlanOff plans that a domain's mail is no longer signed.
func (a *Access) PlanOff(ctx context.Context, actor rights.Actor, st *rights.State, name string) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	d, old, there, err := a.load(ctx, actor, st, name)
	if err != nil {
		return plan.Plan{}, err
	}
	if old.Off {
		p.Say("The mail of %s is not signed.", words.Show(d.Name))
		return p, nil
	}
	next := old.Clone()
	next.Off = true
	now := time.Now().UTC()
	next.RetireAll(now, a.keep(st))
	verb := plan.VerbSet
	if !there {
		verb = plan.VerbAdd
	}
	p.Say("Mail that is sent from here as %s is no longer signed.", words.Show(d.Name))
	if slices.ContainsFunc(next.Keys, func(k dkimkey.Key) bool { return k.State == dkimkey.Retired }) {
		p.Say("The records of its keys stay until mail that bears their signatures cannot be on its way any more.")
	}
	if len(old.Signing()) > 0 {
		p.Warn("Receivers that go by DMARC (RFC 9989) have SPF alone to believe that mail is from %s; forwarded mail fails it.", words.Show(d.Name))
	}
	return p, a.change(ctx, &p, d, verb, &old, &next)
}

// PlanRotate plans that the keys of a domain are replaced.
func (a *Access) PlanRotate(ctx context.Context, actor rights.Actor, st *rights.State, name string) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	d, old, _, err := a.proved(ctx, actor, st, name)
	if err != nil {
		return plan.Plan{}, err
	}
	switch {
	case old.Off || len(old.Keys) == 0:
		return plan.Plan{}, words.Invalid("The mail of "+words.Show(d.Name)+" is not signed.", "postroad dkim on "+d.Name)
	case len(old.Waiting()) > 0:
		return plan.Plan{}, words.Invalid("The key "+old.Waiting()[0].Selector+" of "+words.Show(d.Name)+" waits for its record to be seen.", "postroad dkim show "+d.Name+" tells what is waited for")
	}
	next := old.Clone()
	return p, a.rotate(ctx, &p, d, &old, &next)
}

// rotate adds to a plan that a domain has new keys besides those of next.
func (a *Access) rotate(ctx context.Context, p *plan.Plan, d *directory.Domain, old, next *dkimkey.Domain) error {
	now := time.Now().UTC()
	for _, algorithm := range next.Algorithms {
		private, err := generate(algorithm)
		if err != nil {
			return err
		}
		if err := a.add(next, next.Selector(algorithm, now), algorithm, private, now, false); err != nil {
			return err
		}
	}
	p.Say("New keys of %s are made. Each signs in the place of the one before once the world has its record; that of the one before stays for as long as mail may be on its way, and %s more.", words.Show(d.Name), words.Plural(int64(spare.Hours()/24), "day", "days"))
	return a.change(ctx, p, d, plan.VerbSet, old, next)
}

// PlanRemove plans that a key is no more, at once.
func (a *Access) PlanRemove(ctx context.Context, actor rights.Actor, st *rights.State, name, selector string) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	d, old, _, err := a.load(ctx, actor, st, name)
	if err != nil {
		return plan.Plan{}, err
	}
	k, there := old.Key(selector)
	if !there {
		return plan.Plan{}, words.Missing("The domain " + words.Show(d.Name) + " has no DKIM key " + words.Quote(selector) + ".")
	}
	next := old.Clone()
	next.Keys = slices.DeleteFunc(next.Keys, func(o dkimkey.Key) bool { return o.Selector == k.Selector })
	next.Keep(k, time.Now().UTC())
	p.Say("The key %s of %s and its record go at once.", k.Selector, words.Show(d.Name))
	if k.State != dkimkey.Published {
		p.Warn("Mail on its way that bears a signature of the key %s fails with it: dkim rotate replaces a key without that.", k.Selector)
	}
	if k.State == dkimkey.Active && len(next.Signing()) == 0 {
		p.Warn("The mail of %s is not signed from then on, until another key signs.", words.Show(d.Name))
	}
	return p, a.change(ctx, &p, d, plan.VerbRemove, &old, &next)
}

// selectorLength bounds a selector that people name, in octets.
const selectorLength = 63

// PlanImport plans that a domain has a key that it had at another host: its selector, and the private key in PEM.
func (a *Access) PlanImport(ctx context.Context, actor rights.Actor, st *rights.State, name, selector string, private *words.Secret) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	d, old, there, err := a.proved(ctx, actor, st, name)
	if err != nil {
		return plan.Plan{}, err
	}
	selector = strings.ToLower(selector)
	if !isSelector(selector) {
		return plan.Plan{}, words.Invalid(words.Quote(selector)+" is no selector.", "letters, digits and hyphens in parts joined by dots, as what stands before ._domainkey in the record's name")
	}
	if _, taken := old.Key(selector); taken {
		return plan.Plan{}, words.Exists("The domain "+words.Show(d.Name)+" has a DKIM key "+selector+" already.", "postroad dkim show "+d.Name)
	}
	if private == nil {
		return plan.Plan{}, words.Invalid("The private key is missing.", "give it in PEM by --key-stdin")
	}
	key, algorithm, err := readKey(private.Reveal())
	if err != nil {
		return plan.Plan{}, err
	}
	next := old.Clone()
	next.Off = false
	switch {
	case !there:
		next.Algorithms = []dkimkey.Algorithm{algorithm}
	case !slices.Contains(next.Algorithms, algorithm):
		next.Algorithms = append(next.Algorithms, algorithm)
	}
	if err := a.add(&next, selector, algorithm, key, time.Now().UTC(), true); err != nil {
		return plan.Plan{}, err
	}
	verb := plan.VerbSet
	if !there {
		verb = plan.VerbAdd
	}
	p.Say("The key %s of %s is kept here; it signs once the world has been seen to have its record.", selector, words.Show(d.Name))
	return p, a.change(ctx, &p, d, verb, &old, &next)
}

func isSelector(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if part == "" || part[0] == '-' || part[len(part)-1] == '-' {
			return false
		}
	}
	return len(s) <= selectorLength && !strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' })
}

// readKey reads a private key in PEM.
func readKey(text string) (crypto.Signer, dkimkey.Algorithm, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, "", words.Invalid("The private key is not in PEM.", "it begins with a line like -----BEGIN PRIVATE KEY-----")
	}
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	default:
		err = fmt.Errorf("it is a %s", words.Quote(block.Type)) //nolint:err113 // told to whoever gave it
	}
	if err != nil {
		return nil, "", words.Invalid("The private key cannot be read: "+err.Error()+".", "PKCS #8 or PKCS #1 without a password")
	}
	switch private := key.(type) {
	case *rsa.PrivateKey:
		if n := private.N.BitLen(); n < dkim.MinSignBits {
			return nil, "", words.Invalid(fmt.Sprintf("An RSA key of %d bits is too short to sign with.", n), "2048 bits or more: make a new one with postroad dkim on")
		}
		return private, dkimkey.RSA, nil
	case ed25519.PrivateKey:
		return private, dkimkey.Ed25519, nil
	}
	return nil, "", words.Invalid("The private key is neither RSA nor Ed25519.", "")
}

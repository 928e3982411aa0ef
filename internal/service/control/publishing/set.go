package publishing

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/publish"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Spec is a wanted provider, as people write it.
type Spec struct {
	Kind, Zone, Server, Key, Algorithm string
	Secret                             *words.Secret
}

// rfc2136 is the kind whose server is named.
const rfc2136 = "rfc2136"

// leastKey is how many octets a key's secret has at least.
const leastKey = 16

// PlanSet plans how a domain's zone is written to.
func (a *Access) PlanSet(ctx context.Context, actor rights.Actor, st *rights.State, name string, spec Spec) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	d, err := external(actor, st, name)
	if err != nil {
		return plan.Plan{}, err
	}
	if a.Writer == nil || a.Seal == nil {
		return plan.Plan{}, words.Invalid("This server writes into no zones of others.", "")
	}
	if !slices.Contains(a.Kinds, spec.Kind) {
		return plan.Plan{}, words.Invalid("There is no kind of provider "+words.Quote(spec.Kind)+".", strings.Join(a.Kinds, ", "))
	}
	next := publish.Provider{Domain: d.Name, Account: d.Account, Kind: spec.Kind, Operator: actor.Operator, Created: time.Now().UTC().Truncate(time.Second)}
	if next.Zone, err = zoneOf(d, spec.Zone); err != nil {
		return plan.Plan{}, err
	}
	read := readService
	if spec.Kind == rfc2136 {
		read = readKey
	}
	secret, err := read(actor, &next, &spec)
	if err != nil {
		return plan.Plan{}, err
	}
	next.Sealed = a.Seal.Seal(secret, publish.SealedFor(d.Name))
	c := plan.Change{Kind: plan.KindProvider, Verb: plan.VerbSet, Subject: d.Name, Domain: d.Name, Account: d.Account}
	shown := Show(&next)
	old, err := a.Store.Provider(ctx, actor.Scope, d.Name)
	switch {
	case err == nil:
		shown.Secret, c.Before, p.Asks = "changed", Show(&old), true
	case !errors.Is(err, words.ErrNotFound):
		return plan.Plan{}, err
	}
	c.After = shown
	p.Tx.PutProviders = []publish.Provider{next}
	p.Record(c)
	p.Say("The zone %s is written to by %s from now on, when somebody says postroad publish.", words.Show(next.Zone), where(&next))
	return p, nil
}

// zoneOf is the zone at the provider: the domain itself, or one above.
func zoneOf(d *directory.Domain, text string) (string, error) {
	if text == "" {
		return d.Name, nil
	}
	name, err := words.DomainName(text)
	if err == nil && !dns.Below(d.Name+".", name+".") {
		err = words.Invalid("The zone "+words.Show(name)+" does not have "+words.Show(d.Name)+" in it.", "name the domain itself, or a zone above it")
	}
	return name, err
}

// readKey reads where and by which key a zone is updated.
func readKey(_ rights.Actor, next *publish.Provider, spec *Spec) ([]byte, error) {
	host, port, err := net.SplitHostPort(spec.Server)
	if err != nil {
		host, port = strings.Trim(spec.Server, "[]"), "53"
	}
	if host == "" || strings.ContainsAny(host, " /@") {
		return nil, words.Invalid("The server "+words.Quote(spec.Server)+" is no host.", "name the zone's primary by --server HOST or HOST:PORT")
	}
	next.Server = net.JoinHostPort(host, port)
	if next.Key, err = dns.Name(spec.Key, "."); err != nil || spec.Key == "" {
		return nil, words.Invalid("The TSIG key "+words.Quote(spec.Key)+" has no name that can be used.", "name it by --key as the primary's configuration does")
	}
	if next.Algorithm, err = dns.ParseMAC(cmp.Or(spec.Algorithm, string(dns.HMACSHA256))); err != nil {
		return nil, words.Invalid("There is no TSIG algorithm "+words.Quote(spec.Algorithm)+".", "hmac-sha256, hmac-sha384 or hmac-sha512")
	}
	if spec.Secret == nil {
		return nil, noSecret()
	}
	secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(spec.Secret.Reveal()))
	if err != nil || len(secret) < leastKey {
		return nil, words.Invalid("The key's secret is not base64 of 16 octets or more.", "give it as the primary's configuration has it")
	}
	return secret, nil
}

// readService reads the token of a service. Where it is sent only the operator may choose.
func readService(actor rights.Actor, next *publish.Provider, spec *Spec) ([]byte, error) {
	if spec.Server != "" {
		if err := actor.MustOperate("say where a token is sent"); err != nil {
			return nil, err
		}
		u, err := url.Parse(spec.Server)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" {
			return nil, words.Invalid(words.Quote(spec.Server)+" is no URL of an interface.", "as in https://api.example.com/v1")
		}
		next.Server = strings.TrimSuffix(spec.Server, "/")
	}
	if spec.Key != "" || spec.Algorithm != "" {
		return nil, words.Invalid("A key and an algorithm are for rfc2136.", "a service has a token alone")
	}
	if spec.Secret == nil {
		return nil, noSecret()
	}
	token := strings.TrimSpace(spec.Secret.Reveal())
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, words.Invalid("The token has other than visible ASCII characters, or none.", "")
	}
	return []byte(token), nil
}

func noSecret() error {
	return words.Invalid("A secret is needed: the key's, or the service's token.", "give it by --secret-stdin")
}

// PlanRemove plans that a domain's zone is written to no more.
func (a *Access) PlanRemove(ctx context.Context, actor rights.Actor, st *rights.State, name string) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	d, err := actor.Domain(st, name)
	if err != nil {
		return plan.Plan{}, err
	}
	old, err := a.provider(ctx, actor, d)
	if err != nil {
		return plan.Plan{}, err
	}
	p.Remove(plan.KindProvider, d.Name)
	p.Record(plan.Change{Kind: plan.KindProvider, Verb: plan.VerbRemove, Subject: d.Name, Domain: d.Name, Account: d.Account, Before: Show(&old)})
	p.Say("The zone %s is written to no more; its secret is forgotten.", words.Show(old.Zone))
	return p, nil
}

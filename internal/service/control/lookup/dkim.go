package lookup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/facts"
	"postroad/internal/proto/dkim"
	"postroad/internal/proto/dns"
	"postroad/internal/proto/idna"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// DKIMKeyQuestion asks for the key of a selector of any domain.
type DKIMKeyQuestion struct {
	Domain, Selector string // as people write them
	At               string // a server's name or address; empty: the configured resolvers
}

// FoundDKIMKey is what DNS has for a selector of a domain.
type FoundDKIMKey struct {
	Name     string            `json:"name" doc:"Where the key is published"`
	Server   AskedServer       `json:"server" doc:"Who was asked"`
	Status   string            `json:"status" doc:"found, no data, no such domain or temporary failure"`
	Detail   string            `json:"detail" doc:"What was asked and heard"`
	TTL      int64             `json:"ttl" doc:"How long the answer may be kept, in seconds"`
	Records  []DKIMRecordFound `json:"records" nullable:"false" doc:"The TXT records there; one is right"`
	Problems []string          `json:"problems" nullable:"false" doc:"What is wrong, in plain words; none when receivers can use the key"`
}

// DKIMRecordFound is one TXT record at the name of a key.
type DKIMRecordFound struct {
	Text    string `json:"text" doc:"Its strings put together"`
	Type    string `json:"type,omitempty" doc:"rsa or ed25519"`
	Bits    int    `json:"bits,omitempty" doc:"The length of the key"`
	Testing bool   `json:"testing,omitempty" doc:"The domain only tries DKIM out: t=y"`
	Strict  bool   `json:"strict,omitempty" doc:"For the domain itself alone, not for those below it: t=s"`
}

// DKIMKey looks at the key of a selector.
func (l *Access) DKIMKey(ctx context.Context, actor rights.Actor, q DKIMKeyQuestion) (FoundDKIMKey, error) {
	domain, bad := idna.ToASCII(strings.TrimSuffix(strings.TrimSpace(q.Domain), "."))
	if bad != nil {
		return FoundDKIMKey{}, words.Invalid(words.Quote(q.Domain)+" is no domain.", "letters, digits and hyphens in parts joined by dots, as in example.org")
	}
	selector, bad := idna.ToASCIIService(strings.TrimSpace(q.Selector))
	name := dkim.KeyName(selector, domain)
	if bad != nil || len(name) > idna.MaxName {
		return FoundDKIMKey{}, words.Invalid(words.Quote(q.Selector)+" is no selector.", "the value of s= in a DKIM-Signature field")
	}
	if l.Resolver == nil {
		return FoundDKIMKey{}, words.Invalid("Nobody can be asked here.", "")
	}
	release, err := l.limits.enter(actor, time.Now())
	if err != nil {
		return FoundDKIMKey{}, err
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	server, err := l.server(ctx, actor, q.At)
	if err != nil {
		return FoundDKIMKey{}, err
	}
	ask := func(name string) facts.Answer {
		if server.Address == "" {
			return l.Resolver.Recursive(ctx, name, dns.TypeTXT)
		}
		return l.Resolver.At(ctx, server.Address, name, dns.TypeTXT)
	}
	asked := ask(name)
	out := FoundDKIMKey{
		Name: name, Server: server, Status: asked.Status.String(), Detail: asked.Detail, TTL: seconds(asked.TTL),
		Records: []DKIMRecordFound{}, Problems: []string{},
	}
	if server.Address == "" {
		out.Server = AskedServer{Name: hostOf(asked.Address), Address: asked.Address}
	}
	out.judge(asked.Texts())
	switch {
	case len(out.Records) > 0:
	case asked.Status == facts.Temporary:
		out.Problems = append(out.Problems, "DNS does not answer: receivers cannot tell whether such a signature holds")
	default:
		out.Problems = append(out.Problems, out.nearby(dkim.WrongPlaces(selector, domain), ask))
	}
	return out, nil
}

// judge reads the records at the name of a key.
func (f *FoundDKIMKey) judge(texts []string) {
	for _, text := range texts {
		key, err := dkim.ParseRecord(text)
		f.Records = append(f.Records, DKIMRecordFound{Text: text, Type: key.Type, Bits: key.Bits, Testing: key.Testing, Strict: key.Strict})
		switch {
		case errors.Is(err, dkim.ErrSyntax):
			f.Problems = append(f.Problems, "the record "+err.Error())
		case err != nil:
			f.Problems = append(f.Problems, err.Error())
		case key.Type == "rsa" && key.Bits < dkim.MinVerifyBits:
			f.Problems = append(f.Problems, fmt.Sprintf("an RSA key of %d bits counts for nothing: at least %d are needed (RFC 8301)", key.Bits, dkim.MinVerifyBits))
		case key.Type == "rsa" && key.Bits < dkim.MinSignBits:
			f.Problems = append(f.Problems, fmt.Sprintf("an RSA key of %d bits is short: %d is what a new one has", key.Bits, dkim.MinSignBits))
		}
		if key.Testing {
			f.Problems = append(f.Problems, "the domain says that it only tries DKIM out (t=y): a signature that fails is taken for none")
		}
	}
	if len(texts) > 1 {
		f.Problems = append(f.Problems, fmt.Sprintf("there are %d records, and receivers take one of them by chance: one is right", len(texts)))
	}
}

// nearby looks where forms put a record that was meant for this name.
func (f *FoundDKIMKey) nearby(places []string, ask func(string) facts.Answer) string {
	for _, place := range places {
		answer := ask(place)
		if slices.ContainsFunc(answer.Texts(), func(text string) bool {
			_, err := dkim.ParseRecord(text)
			return err == nil
		}) {
			return "there is no key at " + f.Name + ", but at " + place + " there is one, where nobody looks for it"
		}
	}
	return "there is no key at " + f.Name
}

// Package dmarc says whether the domain that a message names as its author's stands behind it, and what it asks to be done
// when it does not (RFC 9989).
//
// [Discover] finds the policy of an author domain and its organizational domain by the DNS tree walk (§4.10); there is no
// list of public suffixes. [Evaluate] holds against it which domains SPF and DKIM have authenticated.
//
// # Failure
//
// Results are never errors of Go. DNS that cannot be asked for now makes the result temperror where it could have changed
// it: a domain in whose organization the author is not has no say, and what is above an author domain with a record of its
// own matters only for other domains than itself (RFC 9989 §4.10.2).
package dmarc

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// maxQueries is how many questions one tree walk asks (RFC 9989 §4.10).
const maxQueries = 8

// ErrNotRecord is what Parse says of a text that is no DMARC record.
var ErrNotRecord = errors.New("not a DMARC record")

// ErrNotFound is what a Resolver says when there is no such record; ErrNoSuchName, which is also ErrNotFound, when even the
// name does not exist.
var (
	ErrNotFound   = errors.New("no such record")
	ErrNoSuchName = fmt.Errorf("no such name: %w", ErrNotFound)
)

// Resolver asks DNS. Names are without last dot, in lower case, as A-labels. Errors other than ErrNotFound are temporary.
type Resolver interface {
	// TXT gives the texts of a name, the strings of each record joined.
	TXT(ctx context.Context, name string) ([]string, error)
}

// Result is the outcome in the word of Authentication-Results (RFC 9989 §9.2).
type Result string

// The results.
const (
	None      Result = "none"      // no policy applies to the message
	Pass      Result = "pass"      // the author domain stands behind it
	Fail      Result = "fail"      // nothing shows that it does
	TempError Result = "temperror" // DNS could not say for now
	PermError Result = "permerror" // there is no author domain to ask for
)

// found is a record where it was found.
type found struct {
	domain string
	record *Record
}

// Discovery is what DNS says of an author domain.
type Discovery struct {
	// Domain is the author domain.
	Domain string
	// Record is the policy record that applies; nil when none does. At is where it stands.
	Record *Record
	At     string
	// Organization is the organizational domain (RFC 9989 §4.10.2). Unfound is why it is not known for now, where the policy
	// is known all the same: the author domain's own.
	Organization string
	Unfound      error
	// Policy is what the record says of the author domain, by the tag Tag: p, sp or np. Applied is what is to be applied:
	// one level less while the domain tests it.
	Policy, Applied Policy
	Tag             string
	// Queries is how many questions were asked.
	Queries int
	// Err is why nothing can be said for now.
	Err error
}

// Discover finds the policy for an author domain, an A-label in lower case (RFC 9989 §4.10.1).
func Discover(ctx context.Context, resolver Resolver, domain string) Discovery {
	d := Discovery{Domain: domain}
	list, queries, err := walk(ctx, resolver, domain)
	d.Queries = queries
	switch {
	case err == nil:
		d.Organization = organization(domain, list)
	case len(list) > 0 && list[0].domain == domain:
		d.Unfound = err
	default:
		d.Err = err
		return d
	}
	for _, f := range list {
		// The author domain's own record comes before its organization's, and that before its public suffix's.
		if f.domain == domain || f.domain == d.Organization || f.record.PSD == PSDYes {
			d.Record, d.At = f.record, f.domain
			break
		}
	}
	if d.Record == nil {
		return d
	}
	if d.Record.Void {
		d.Record, d.At = nil, ""
		return d
	}
	exists := true
	if d.At != domain && d.Record.NP != "" {
		_, err := resolver.TXT(ctx, domain)
		d.Queries++
		switch {
		case errors.Is(err, ErrNoSuchName):
			exists = false
		case err != nil && !errors.Is(err, ErrNotFound):
			d.Err, d.Record = err, nil
			return d
		}
	}
	d.Policy, d.Tag = d.Record.For(d.At == domain, exists)
	d.Applied = d.Policy
	if d.Record.Testing {
		d.Applied = d.Policy.Milder()
	}
	return d
}

// walk asks for records at a domain and above it, the longest name first (RFC 9989 §4.10). With an error it gives those that
// were found before.
func walk(ctx context.Context, resolver Resolver, domain string) (list []found, queries int, err error) {
	for name := domain; name != ""; {
		queries++
		record, err := at(ctx, resolver, name)
		if err != nil {
			return list, queries, fmt.Errorf("the DMARC record of %s could not be looked up: %w", name, err)
		}
		if record != nil {
			list = append(list, found{name, record})
			if record.PSD != PSDUnknown {
				break
			}
		}
		name = above(name)
		for name != "" && strings.Count(name, ".") >= maxQueries-1 {
			name = above(name) // seven labels at most are left
		}
	}
	return list, queries, nil
}

// at gives the only DMARC record of a domain; several are none (RFC 9989 §4.10).
func at(ctx context.Context, resolver Resolver, domain string) (*Record, error) {
	texts, err := resolver.TXT(ctx, "_dmarc."+domain)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var only *Record
	for _, text := range texts {
		record, err := Parse(text)
		if err != nil {
			continue
		}
		if only != nil {
			return nil, nil
		}
		only = record
	}
	return only, nil
}

// above is the domain that a domain lies in; empty above a top level domain.
func above(domain string) string {
	_, rest, _ := strings.Cut(domain, ".")
	return rest
}

// top is the top level domain that a domain lies in.
func top(domain string) string { return domain[strings.LastIndexByte(domain, '.')+1:] }

// organization selects the organizational domain from the records of a walk (RFC 9989 §4.10.2).
func organization(start string, list []found) string {
	for _, f := range list {
		switch {
		case f.record.PSD == PSDNo:
			return f.domain
		case f.record.PSD == PSDYes && f.domain != start:
			rest := strings.TrimSuffix(start, "."+f.domain)
			return rest[strings.LastIndexByte(rest, '.')+1:] + "." + f.domain
		}
	}
	if len(list) > 0 {
		return list[len(list)-1].domain
	}
	return start
}

// Method is how a domain was authenticated.
type Method string

// The methods.
const (
	SPF  Method = "spf"  // of the reverse-path
	DKIM Method = "dkim" // of a signature
)

// Identifier is a domain that SPF or DKIM speaks of.
type Identifier struct {
	Method Method
	// Domain is an A-label in lower case.
	Domain string
	// Pass: it is authenticated. Temporary: that could not be said for now.
	Pass, Temporary bool
}

// Outcome is the evaluation of one author domain.
type Outcome struct {
	Discovery
	Result Result
	// By is what the domain stands behind the message with: of several the first.
	By Identifier
	// Problem is why there is no result, in one sentence; empty for pass and fail.
	Problem string
}

// Evaluate holds what was authenticated against the policy of an author domain (RFC 9989 §5.3.2). Tree walks are made
// only for domains that lie in the author's organization.
func Evaluate(ctx context.Context, resolver Resolver, d Discovery, identifiers []Identifier) Outcome {
	o := Outcome{Discovery: d, Result: Fail}
	switch {
	case d.Err != nil:
		o.Result, o.Problem = TempError, d.Err.Error()
		return o
	case d.Record == nil:
		o.Result, o.Problem = None, d.Domain+" has no DMARC policy"
		return o
	}
	for _, id := range identifiers {
		if !id.Pass && !id.Temporary {
			continue
		}
		aligned, err := o.aligned(ctx, resolver, id)
		switch {
		case err != nil:
			o.Result, o.Problem = TempError, err.Error()
		case aligned && id.Pass:
			o.Result, o.By, o.Problem = Pass, id, ""
			return o
		case aligned:
			// It might have passed: the policy cannot be applied (RFC 9989 §5.3.2).
			o.Result, o.Problem = TempError, fmt.Sprintf("%s of %s could not be checked for now", strings.ToUpper(string(id.Method)), id.Domain)
		}
	}
	return o
}

// aligned reports whether a domain is the author's, or of the same organization where that is enough.
func (o *Outcome) aligned(ctx context.Context, resolver Resolver, id Identifier) (bool, error) {
	strict := o.Record.StrictDKIM
	if id.Method == SPF {
		strict = o.Record.StrictSPF
	}
	switch {
	case id.Domain == o.Domain:
		return true, nil
	case strict:
		return false, nil
	case o.Unfound != nil:
		if top(id.Domain) != top(o.Domain) {
			return false, nil
		}
		return false, o.Unfound
	case id.Domain != o.Organization && !strings.HasSuffix(id.Domain, "."+o.Organization):
		return false, nil
	}
	list, _, err := walk(ctx, resolver, id.Domain)
	if err != nil {
		return false, err
	}
	return organization(id.Domain, list) == o.Organization, nil
}

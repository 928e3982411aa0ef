package spf

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Bounds of a survey: what a record may lead to before the survey ends with a problem.
const (
	maxSurveyTerms = 200
	maxSurveyDepth = 20
)

// Cost is what a domain's record costs at worst: when nothing matches until its end.
type Cost struct {
	// Domain is whose record it is, in lower case; Record is its text, empty without one.
	Domain string
	Record string
	// Result is None, TempError or PermError where the record has that for every sender, else empty.
	Result Result
	// Problems are sentences about what is wrong, those that no sender suffers from included.
	Problems []string
	// Lookups and Voids are all of the record with what it includes, over the limits too.
	Lookups, Voids int
	// Terms are all that ask DNS and those of the included records, in the order of evaluation. Where Found is
	// "depends on the sender", nobody could be asked beforehand.
	Terms []Term
}

// survey is one walk over a domain's records.
type survey struct {
	resolver Resolver
	cost     Cost
	path     []string
}

// Survey reads a domain's record with all that it includes, and counts its look-ups whoever sends.
func Survey(ctx context.Context, resolver Resolver, domain string) Cost {
	s := &survey{resolver: resolver}
	s.cost.Domain = strings.ToLower(strings.TrimSuffix(domain, "."))
	if !isDomain(s.cost.Domain) {
		s.cost.Result = None
		s.problem("%q is no domain that could have an SPF record", domain)
		return s.cost
	}
	text, err := find(ctx, resolver, s.cost.Domain)
	var ended *stop
	switch {
	case errors.As(err, &ended):
		s.cost.Result = ended.result
		s.problem("%s", ended.problem)
		return s.cost
	case text == "":
		s.cost.Result = None
		s.problem("%s has no SPF record", s.cost.Domain)
		return s.cost
	}
	s.cost.Record = text
	s.record(ctx, s.cost.Domain, text, 0)
	if s.cost.Lookups > MaxLookups {
		s.cost.Result = PermError
		s.problem("the record costs %d look-ups, and %d are allowed: whoever is not found before the limit gets permerror", s.cost.Lookups, MaxLookups)
	}
	if s.cost.Voids > MaxVoids {
		s.cost.Result = PermError
		s.problem("%d terms ask for what does not exist, and %d are allowed: whoever is not found before them gets permerror", s.cost.Voids, MaxVoids)
	}
	return s.cost
}

func (s *survey) problem(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(s.cost.Problems, text) {
		s.cost.Problems = append(s.cost.Problems, text)
	}
}

// record walks over one record.
func (s *survey) record(ctx context.Context, domain, text string, depth int) {
	record, err := Parse(text)
	if err != nil {
		s.cost.Result = PermError
		s.problem("the record of %s cannot be used: %s", domain, err)
		return
	}
	s.path = append(s.path, domain)
	defer func() { s.path = s.path[:len(s.path)-1] }()
	for i := range record.Mechanisms {
		m := &record.Mechanisms[i]
		at, ok := s.term(depth, domain, m.Text)
		if !ok {
			return
		}
		if m.Name == "all" {
			return // nothing after it is looked at
		}
		if m.Asks() {
			s.mechanism(ctx, m, domain, depth, at)
		}
	}
	if record.Redirect != "" {
		text := "redirect=" + record.Redirect
		if at, ok := s.term(depth, domain, text); ok {
			s.follow(ctx, text, record.Redirect, domain, depth, at)
		}
	}
}

// term notes a term; false when the survey has come to its bounds.
func (s *survey) term(depth int, domain, text string) (int, bool) {
	if len(s.cost.Terms) >= maxSurveyTerms {
		s.problem("the record leads to over %d terms", maxSurveyTerms)
		return 0, false
	}
	s.cost.Terms = append(s.cost.Terms, Term{Depth: depth, Domain: domain, Text: text})
	return len(s.cost.Terms) - 1, true
}

// mechanism looks at one that asks DNS.
func (s *survey) mechanism(ctx context.Context, m *Mechanism, domain string, depth, at int) {
	if m.Name == "include" {
		s.follow(ctx, m.Text, m.Domain, domain, depth, at)
		return
	}
	s.cost.Lookups++
	s.cost.Terms[at].Lookups = 1
	if m.Name == "ptr" {
		s.problem("ptr is slow and unreliable, and should not be used (RFC 7208 §5.5)")
	}
	target, ok := s.target(ctx, m.Domain, domain)
	switch {
	case !ok || m.Name == "ptr":
		s.cost.Terms[at].Found = dependsOnSender
		return
	case !isName(target):
		s.cost.Terms[at].Target, s.cost.Terms[at].Found = target, "a name that cannot exist"
		s.problem("%s of %s names what cannot exist", m.Text, domain)
		return
	}
	s.cost.Terms[at].Target = target
	if m.Name != "mx" {
		s.addresses(ctx, m, target, at)
		return
	}
	hosts, err := s.resolver.MX(ctx, target)
	switch {
	case errors.Is(err, ErrNotFound):
		s.void(m.Text, domain, at)
	case err != nil:
		s.unknown(m.Text, target, at, err)
	default:
		s.cost.Terms[at].Found = strings.Join(hosts, ", ")
		if len(hosts) > maxHosts {
			s.cost.Result = PermError
			s.problem("%s of %s: %d exchangers, and %d are allowed", m.Text, domain, len(hosts), maxHosts)
		}
	}
}

const dependsOnSender = "depends on the sender"

// addresses looks at an a or exists.
func (s *survey) addresses(ctx context.Context, m *Mechanism, target string, at int) {
	four, err := s.resolver.Addrs(ctx, target, false)
	if m.Name == "a" && (err == nil || errors.Is(err, ErrNotFound)) {
		six, errSix := s.resolver.Addrs(ctx, target, true)
		four = append(four, six...)
		if err == nil || errSix == nil {
			err = nil
		}
	}
	switch {
	case errors.Is(err, ErrNotFound):
		s.void(m.Text, s.cost.Terms[at].Domain, at)
	case err != nil:
		s.unknown(m.Text, target, at, err)
	default:
		s.cost.Terms[at].Found = listed(four)
	}
}

// void notes a term that asks for what does not exist.
func (s *survey) void(text, domain string, at int) {
	s.cost.Voids++
	s.cost.Terms[at].Void, s.cost.Terms[at].Found = true, "nothing"
	s.problem("%s of %s asks for what does not exist", text, domain)
}

// unknown notes a term that could not be looked up.
func (s *survey) unknown(text, target string, at int, err error) {
	s.cost.Terms[at].Found = "no answer for now"
	s.problem("%s: %s could not be looked up: %s", text, target, err)
}

// follow looks at the record that an include or a redirect leads to.
func (s *survey) follow(ctx context.Context, text, spec, domain string, depth, at int) {
	before := s.cost.Lookups
	s.cost.Lookups++
	defer func() { s.cost.Terms[at].Lookups = s.cost.Lookups - before }()
	target, ok := s.target(ctx, spec, domain)
	if !ok {
		s.cost.Terms[at].Found = dependsOnSender
		return
	}
	s.cost.Terms[at].Target = target
	switch {
	case !isName(target):
		s.cost.Result = PermError
		s.problem("%s of %s names what cannot exist", text, domain)
		return
	case slices.Contains(s.path, target):
		s.cost.Result = PermError
		s.problem("%s of %s leads back to where it came from", text, domain)
		return
	case len(s.path) >= maxSurveyDepth:
		s.problem("the record leads through over %d others", maxSurveyDepth)
		return
	}
	record, err := find(ctx, s.resolver, target)
	var ended *stop
	switch {
	case errors.As(err, &ended):
		s.cost.Result = ended.result
		s.problem("%s", ended.problem)
	case record == "":
		s.cost.Result = PermError
		s.problem("%s of %s leads to %s, which has no SPF record", text, domain, target)
	default:
		s.cost.Terms[at].Found = record
		s.record(ctx, target, record, depth+1)
	}
}

// target expands a domain-spec; false when that depends on who sends.
func (s *survey) target(ctx context.Context, spec, domain string) (string, bool) {
	parts, err := expandable(spec, false)
	if err != nil {
		return "", false
	}
	for i := range parts {
		if parts[i].letter != 0 && parts[i].letter != 'd' {
			return "", false
		}
	}
	c := &check{}
	name, err := c.name(ctx, spec, domain)
	return name, err == nil
}

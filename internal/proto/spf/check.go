package spf

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// check is one evaluation.
type check struct {
	resolver Resolver
	query    Query
	addr     netip.Addr
	local    string // local part of the sender
	sender   string // domain of the sender
	out      Outcome
	names    []string // validated names of the client
	named    bool     // names have been looked up
}

// stop ends an evaluation as a whole (RFC 7208 §4.6.4, §2.6.6, §2.6.7).
type stop struct {
	result  Result
	problem string
}

func (s *stop) Error() string { return string(s.result) + ": " + s.problem }

func permanent(format string, args ...any) error {
	return &stop{PermError, fmt.Sprintf(format, args...)}
}

// Check evaluates the record of the sender's domain for a client: check_host() of RFC 7208 §4.
func Check(ctx context.Context, resolver Resolver, q Query) Outcome {
	c := &check{resolver: resolver, query: q, addr: q.Addr.Unmap().WithZone("")}
	sender := q.Sender
	if sender == "" {
		sender = "postmaster@" + q.Helo
	}
	i := strings.LastIndexByte(sender, '@')
	c.local, c.sender = sender[:max(i, 0)], sender[i+1:]
	if c.local == "" {
		c.local = "postmaster" // RFC 7208 §4.3
	}
	c.out.Domain = strings.ToLower(strings.TrimSuffix(c.sender, "."))
	if !isDomain(c.out.Domain) {
		c.out.Result, c.out.Problem = None, "there is no domain that could have an SPF record"
		return c.out
	}
	if !c.addr.IsValid() {
		c.out.Result, c.out.Problem = None, "the client's address is not known"
		return c.out
	}
	result, exp, domain, err := c.host(ctx, c.out.Domain, 0)
	var ended *stop
	if errors.As(err, &ended) {
		c.out.Result, c.out.Problem = ended.result, ended.problem
		return c.out
	}
	c.out.Result = result
	switch {
	case result == None:
		c.out.Problem = c.out.Domain + " has no SPF record"
	case result == Fail && exp != "":
		c.out.Explanation = c.explain(ctx, exp, domain)
	}
	return c.out
}

// isDomain: several labels, none empty or over 63 octets, and no address in brackets (RFC 7208 §4.3).
func isDomain(s string) bool {
	return strings.IndexByte(s, '.') > 0 && s[0] != '[' && isName(s)
}

// isName: a name that DNS can be asked for.
func isName(s string) bool {
	if len(s) > maxName {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
	}
	return true
}

// host evaluates the record of one domain. exp is its exp modifier and of which domain that is; the error is a *stop.
func (c *check) host(ctx context.Context, domain string, depth int) (result Result, exp, of string, err error) {
	text, err := find(ctx, c.resolver, domain)
	if err != nil || text == "" {
		return None, "", "", err
	}
	record, err := Parse(text)
	if err != nil {
		return "", "", "", permanent("the record of %s cannot be used: %s", domain, err)
	}
	for i := range record.Mechanisms {
		m := &record.Mechanisms[i]
		at := len(c.out.Terms)
		c.out.Terms = append(c.out.Terms, Term{Depth: depth, Domain: domain, Text: m.Text})
		before := c.out.Lookups
		matched, err := c.match(ctx, m, domain, depth, at)
		c.out.Terms[at].Lookups = c.out.Lookups - before
		if err != nil {
			return "", "", "", err
		}
		if matched {
			c.out.Terms[at].Match = true
			if depth == 0 {
				c.out.Mechanism = m.Text
			}
			return m.Result, record.Exp, domain, nil
		}
	}
	if record.Redirect == "" {
		return Neutral, "", "", nil // RFC 7208 §4.7
	}
	return c.redirect(ctx, record.Redirect, domain, depth)
}

// redirect evaluates another domain's record in place of one in which nothing matched (RFC 7208 §6.1).
func (c *check) redirect(ctx context.Context, spec, domain string, depth int) (result Result, exp, of string, err error) {
	at := len(c.out.Terms)
	c.out.Terms = append(c.out.Terms, Term{Depth: depth, Domain: domain, Text: "redirect=" + spec, Match: true})
	before := c.out.Lookups
	defer func() { c.out.Terms[at].Lookups = c.out.Lookups - before }()
	if err := c.count("redirect=" + spec); err != nil {
		return "", "", "", err
	}
	target, err := c.name(ctx, spec, domain)
	if err != nil || !isName(target) {
		return "", "", "", permanent("redirect=%s of %s leads to no name that can exist", spec, domain)
	}
	c.out.Terms[at].Target = target
	matched := c.out.Mechanism
	result, exp, of, err = c.host(ctx, target, depth+1)
	if err != nil {
		return "", "", "", err
	}
	if result == None {
		return "", "", "", permanent("redirect=%s of %s leads to %s, which has no SPF record", spec, domain, target)
	}
	c.out.Terms[at].Found = string(result)
	if depth == 0 && matched == "" {
		c.out.Mechanism = "redirect=" + spec
	}
	return result, exp, of, nil
}

// find gives the SPF record of a domain, empty when there is none (RFC 7208 §4.5).
func find(ctx context.Context, resolver Resolver, domain string) (string, error) {
	texts, err := resolver.TXT(ctx, domain)
	switch {
	case errors.Is(err, ErrNotFound):
		return "", nil
	case err != nil:
		return "", &stop{TempError, "the SPF record of " + domain + " could not be looked up: " + err.Error()}
	}
	record, n := "", 0
	for _, text := range texts {
		if IsRecord(text) {
			record, n = text, n+1
		}
	}
	if n > 1 {
		return "", permanent("%s has %d SPF records, and one is allowed", domain, n)
	}
	return record, nil
}

// count takes one look-up, or says that it is one too many.
func (c *check) count(term string) error {
	if c.out.Lookups++; c.out.Lookups > MaxLookups {
		return permanent("%s would be look-up %d, and %d are allowed", term, c.out.Lookups, MaxLookups)
	}
	return nil
}

// void takes one look-up for what does not exist.
func (c *check) void(at int) error {
	c.out.Terms[at].Void, c.out.Terms[at].Found = true, "nothing"
	if c.out.Voids++; c.out.Voids > MaxVoids {
		return permanent("%s asks for what does not exist, as %d terms before it do; %d are allowed", c.out.Terms[at].Text, MaxVoids, MaxVoids)
	}
	return nil
}

// failed makes an error of a look-up the end of the evaluation.
func failed(m *Mechanism, name string, err error) error {
	return &stop{TempError, fmt.Sprintf("%s: %s could not be looked up: %s", m.Text, name, err)}
}

// match evaluates one mechanism (RFC 7208 §5).
func (c *check) match(ctx context.Context, m *Mechanism, domain string, depth, at int) (bool, error) {
	switch m.Name {
	case "all":
		return true, nil
	case "ip4", "ip6":
		return m.Prefix.Contains(c.addr), nil
	}
	if err := c.count(m.Text); err != nil {
		return false, err
	}
	target, err := c.name(ctx, m.Domain, domain)
	if err != nil {
		return false, permanent("%s: %s", m.Text, err)
	}
	c.out.Terms[at].Target = target
	if !isName(target) {
		if m.Name == "include" {
			return false, permanent("%s leads to no name that can exist", m.Text)
		}
		c.out.Terms[at].Found = "a name that cannot exist"
		return false, nil
	}
	switch m.Name {
	case "include":
		return c.include(ctx, m, target, depth, at)
	case "a":
		return c.address(ctx, m, target, at)
	case "mx":
		return c.exchangers(ctx, m, target, at)
	case "exists":
		return c.exists(ctx, m, target, at)
	}
	return c.pointer(ctx, target, at)
}

// include matches when the other domain's record passes (RFC 7208 §5.2).
func (c *check) include(ctx context.Context, m *Mechanism, target string, depth, at int) (bool, error) {
	result, _, _, err := c.host(ctx, target, depth+1)
	if err != nil {
		return false, err
	}
	c.out.Terms[at].Found = string(result)
	if result == None {
		return false, permanent("%s leads to a domain without an SPF record", m.Text)
	}
	return result == Pass, nil
}

// address matches when the client has an address of the name (RFC 7208 §5.3).
func (c *check) address(ctx context.Context, m *Mechanism, target string, at int) (bool, error) {
	addrs, err := c.resolver.Addrs(ctx, target, c.addr.Is6())
	switch {
	case errors.Is(err, ErrNotFound):
		return false, c.void(at)
	case err != nil:
		return false, failed(m, target, err)
	}
	c.out.Terms[at].Found = listed(addrs)
	return c.within(m, addrs), nil
}

// exchangers matches when the client has an address of one of the name's exchangers (RFC 7208 §5.4).
func (c *check) exchangers(ctx context.Context, m *Mechanism, target string, at int) (bool, error) {
	hosts, err := c.resolver.MX(ctx, target)
	switch {
	case errors.Is(err, ErrNotFound):
		return false, c.void(at)
	case err != nil:
		return false, failed(m, target, err)
	case len(hosts) > maxHosts:
		return false, permanent("%s: %s has %d exchangers, and %d are allowed", m.Text, target, len(hosts), maxHosts)
	}
	c.out.Terms[at].Found = strings.Join(hosts, ", ")
	some := len(hosts) == 0
	for _, host := range hosts {
		addrs, err := c.resolver.Addrs(ctx, strings.ToLower(strings.TrimSuffix(host, ".")), c.addr.Is6())
		switch {
		case errors.Is(err, ErrNotFound):
			continue
		case err != nil:
			return false, failed(m, host, err)
		}
		some = true
		if c.within(m, addrs) {
			return true, nil
		}
	}
	if !some {
		return false, c.void(at)
	}
	return false, nil
}

// exists matches when the name has an IPv4 address, whatever family the client has (RFC 7208 §5.7).
func (c *check) exists(ctx context.Context, m *Mechanism, target string, at int) (bool, error) {
	addrs, err := c.resolver.Addrs(ctx, target, false)
	switch {
	case errors.Is(err, ErrNotFound):
		return false, c.void(at)
	case err != nil:
		return false, failed(m, target, err)
	}
	c.out.Terms[at].Found = listed(addrs)
	return len(addrs) > 0, nil
}

// pointer matches when a validated name of the client is the target or below it (RFC 7208 §5.5).
func (c *check) pointer(ctx context.Context, target string, at int) (bool, error) {
	names, err := c.resolver.PTR(ctx, c.addr)
	switch {
	case errors.Is(err, ErrNotFound):
		return false, c.void(at)
	case err != nil:
		c.out.Terms[at].Found = "no answer for now"
		return false, nil // RFC 7208 §5.5: it does not match
	}
	c.out.Terms[at].Found = strings.Join(names[:min(len(names), maxHosts)], ", ")
	for _, name := range c.clientNames(ctx) {
		if below(name, target) {
			return true, nil
		}
	}
	return false, nil
}

// within reports whether the client's address lies with one of the addresses in a network of the mechanism's length.
func (c *check) within(m *Mechanism, addrs []netip.Addr) bool {
	length := m.Bits4
	if c.addr.Is6() {
		length = m.Bits6
	}
	for _, a := range addrs {
		if a.Is6() != c.addr.Is6() {
			continue
		}
		if p, err := a.WithZone("").Prefix(length); err == nil && p.Contains(c.addr) {
			return true
		}
	}
	return false
}

// clientNames are the names of the client that lead back to its address (RFC 7208 §5.5), looked up once.
func (c *check) clientNames(ctx context.Context) []string {
	if c.named {
		return c.names
	}
	c.named = true
	names, err := c.resolver.PTR(ctx, c.addr)
	if err != nil {
		return nil
	}
	for _, name := range names[:min(len(names), maxHosts)] {
		name = strings.ToLower(strings.TrimSuffix(name, "."))
		if !isName(name) {
			continue
		}
		addrs, err := c.resolver.Addrs(ctx, name, c.addr.Is6())
		if err != nil {
			continue
		}
		for _, a := range addrs {
			if a.Unmap() == c.addr {
				c.names = append(c.names, name)
				break
			}
		}
	}
	return c.names
}

// validated is the value of the macro p: the domain itself, a name below it, any other one, or "unknown".
func (c *check) validated(ctx context.Context, domain string) string {
	names := c.clientNames(ctx)
	best := "unknown"
	for _, name := range names {
		switch {
		case strings.EqualFold(name, domain):
			return name
		case below(name, domain) && !below(best, domain), best == "unknown":
			best = name
		}
	}
	return best
}

// below reports whether a name is a domain or in it.
func below(name, domain string) bool {
	name, domain = strings.ToLower(name), strings.ToLower(domain)
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// explain gives the domain's words to those who fail; empty when it has none that can be used (RFC 7208 §6.2).
func (c *check) explain(ctx context.Context, exp, domain string) string {
	name, err := c.name(ctx, exp, domain)
	if err != nil || !isName(name) {
		return ""
	}
	texts, err := c.resolver.TXT(ctx, name)
	if err != nil || len(texts) != 1 {
		return ""
	}
	text, err := c.expand(ctx, texts[0], domain, true)
	if err != nil {
		return ""
	}
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return ""
		}
	}
	return text
}

// listed names at most four addresses.
func listed(addrs []netip.Addr) string {
	const most = 4
	var out strings.Builder
	for i, a := range addrs[:min(len(addrs), most)] {
		if i > 0 {
			out.WriteString(", ")
		}
		out.WriteString(a.String())
	}
	if len(addrs) > most {
		fmt.Fprintf(&out, " and %d more", len(addrs)-most)
	}
	return out.String()
}

package arc

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"postroad/internal/proto/dkim"
)

// MaxSets is how many sets a chain has at most (RFC 8617 §4.2.1).
const MaxSets = 50

// State is what a chain is worth: the value of cv= (RFC 8617 §4.4).
type State string

// The states.
const (
	None State = "none"
	Pass State = "pass"
	Fail State = "fail"
)

// Set is what one host added.
type Set struct {
	// Instance counts from 1.
	Instance int
	// Domain and Selector are those of the seal.
	Domain, Selector string
	// Results are the authentication results that the host saw, as the value of an Authentication-Results field.
	Results string
}

// Result is the outcome of a validation.
type Result struct {
	State State
	// Reason says in plain words why, without a full stop.
	Reason string
	// Temporary: the state is fail only because DNS did not answer.
	Temporary bool
	// Sets are those of a chain that passes, from the first on.
	Sets []Set
}

// Chain is the chain of a message.
type Chain struct {
	header *dkim.Header
	// sets lie by instance, the first at 0.
	sets []set
	// broken says why the chain cannot pass, before any signature was looked at; empty when it may.
	broken string
	// closed: the newest seal says that the chain failed, and no more is to be added (RFC 8617 §5.1.2).
	closed bool
}

// set are the three fields of one host.
type set struct {
	results, message, seal []byte
	// place is where message stands in the header.
	place int
	text  string
	ams   *dkim.Signature
	as    *dkim.Signature
	cover dkim.Coverage
}

// The names of the fields, in lower case.
const (
	resultsName = "arc-authentication-results"
	messageName = "arc-message-signature"
	sealName    = "arc-seal"
)

// Read finds and reads the chain in a header.
func Read(header []byte) *Chain {
	c := &Chain{header: dkim.NewHeader(header)}
	for _, name := range []string{resultsName, messageName, sealName} {
		places := c.header.Named(name)
		if len(places) > MaxSets {
			c.broken = fmt.Sprintf("there are %d %s fields, and a chain has at most %d", len(places), c.header.Fields[places[0]].Name, MaxSets)
			c.sets = nil
			return c
		}
		for _, place := range places {
			if err := c.add(name, place); err != nil && c.broken == "" {
				c.broken = err.Error()
			}
		}
	}
	c.complete()
	return c
}

// add puts a field into its set. Fields that cannot be read belong nowhere.
func (c *Chain) add(name string, place int) error {
	field := c.header.Fields[place]
	if name == resultsName {
		text := string(field.Body())
		first, rest, ok := strings.Cut(text, ";")
		tag, value, is := strings.Cut(first, "=")
		if !ok || !is || strings.Trim(tag, " \t") != "i" {
			return errors.New(field.Name + " does not begin with its instance, \"i=1;\"")
		}
		s, n, err := c.at(strings.Trim(value, " \t"), field.Name)
		if err != nil {
			return err
		}
		if s.results != nil {
			return fmt.Errorf("%s stands twice for instance %d", field.Name, n)
		}
		s.results, s.text = field.Raw, strings.Trim(rest, " \t")
		return nil
	}
	signature, err := dkim.ParseSignature(field)
	if err != nil {
		return errors.New(field.Name + " " + plain(err))
	}
	value, err := signature.Tags.Need("i")
	if err != nil {
		return errors.New(field.Name + " " + err.Error())
	}
	s, n, err := c.at(value, field.Name)
	if err != nil {
		return err
	}
	if name == sealName {
		if s.as != nil {
			return fmt.Errorf("%s stands twice for instance %d", field.Name, n)
		}
		s.seal, s.as = field.Raw, signature
		return nil
	}
	if s.ams != nil {
		return fmt.Errorf("%s stands twice for instance %d", field.Name, n)
	}
	s.message, s.ams, s.place = field.Raw, signature, place
	if s.cover, err = signature.Coverage(); err != nil {
		return errors.New(field.Name + " " + plain(err))
	}
	if slices.Contains(s.cover.Names, sealName) {
		return errors.New(field.Name + " covers ARC-Seal, which it may not")
	}
	return nil
}

// plain makes a sentence of an error of proto/dkim whose subject is a field.
func plain(err error) string {
	if errors.Is(err, dkim.ErrWeak) {
		return "is " + err.Error()
	}
	return err.Error()
}

// at gives the set of an instance; its address holds until the next call.
func (c *Chain) at(value, name string) (*set, int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > MaxSets || strconv.Itoa(n) != value {
		return nil, 0, fmt.Errorf("%s has an instance that is none of 1 to %d", name, MaxSets)
	}
	for len(c.sets) < n {
		c.sets = append(c.sets, set{})
	}
	return &c.sets[n-1], n, nil
}

// complete looks whether the sets make a chain (RFC 8617 §5.2, steps 2 and 3).
func (c *Chain) complete() {
	fault := func(format string, args ...any) {
		if c.broken == "" {
			c.broken = fmt.Sprintf(format, args...)
		}
	}
	for i := range c.sets {
		s, n := &c.sets[i], i+1
		switch {
		case s.results == nil:
			fault("ARC-Authentication-Results is missing for instance %d", n)
		case s.ams == nil:
			fault("ARC-Message-Signature is missing for instance %d", n)
		case s.as == nil:
			fault("ARC-Seal is missing for instance %d", n)
		default:
			cv, err := s.as.Tags.Need("cv")
			_, covers := s.as.Tags.Get("h")
			want := Pass
			if n == 1 {
				want = None
			}
			switch {
			case err != nil:
				fault("ARC-Seal %s, for instance %d", err, n)
			case covers:
				fault("ARC-Seal has h=, which it may not, for instance %d", n)
			case cv == string(Fail):
				c.closed = c.closed || n == len(c.sets)
				fault("host %d on the way, %s, found the chain broken", n, s.as.Domain)
			case cv != string(want):
				fault("cv= of instance %d is not %s", n, want)
			}
		}
	}
}

// Canonicalizations are those that a [dkim.Body] has to be hashed by for [Chain.Validate].
func (c *Chain) Canonicalizations() []dkim.Canonicalization {
	if len(c.sets) == 0 || c.broken != "" {
		return nil
	}
	return []dkim.Canonicalization{c.sets[len(c.sets)-1].cover.Body}
}

// KeyNames are the names that Validate will look up when all is well, each once.
func (c *Chain) KeyNames() []string {
	if len(c.sets) == 0 || c.broken != "" {
		return nil
	}
	names := []string{c.sets[len(c.sets)-1].ams.KeyName()}
	for i := range c.sets {
		if name := c.sets[i].as.KeyName(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// Len is how many sets there are, complete or not.
func (c *Chain) Len() int { return len(c.sets) }

// Validate judges the chain (RFC 8617 §5.2).
func (c *Chain) Validate(ctx context.Context, body *dkim.Body, lookup dkim.Lookup) Result {
	switch {
	case c.broken != "":
		return Result{State: Fail, Reason: c.broken}
	case len(c.sets) == 0:
		return Result{State: None, Reason: "no host on the way has added anything"}
	}
	last := &c.sets[len(c.sets)-1]
	sum, err := body.Sum(last.cover.Body)
	if err != nil {
		return Result{State: Fail, Reason: err.Error(), Temporary: true}
	}
	if subtle.ConstantTimeCompare(sum, last.cover.BodyHash) != 1 {
		return Result{State: Fail, Reason: "the body was changed after " + last.ams.Domain + " passed it on"}
	}
	covered := c.header.AppendCovered(nil, last.cover.Names, last.cover.Header, last.place)
	if r, ok := check(ctx, last.ams, covered, last.cover.Header, lookup); !ok {
		return r
	}
	for n := len(c.sets); n > 0; n-- {
		if r, ok := check(ctx, c.sets[n-1].as, c.sealed(n), dkim.Relaxed, lookup); !ok {
			return r
		}
	}
	r := Result{State: Pass, Reason: "all seals hold, the last one by " + last.as.Domain}
	for i := range c.sets {
		s := &c.sets[i]
		r.Sets = append(r.Sets, Set{Instance: i + 1, Domain: s.as.Domain, Selector: s.as.Selector, Results: s.text})
	}
	return r
}

// check holds one signature against its key.
func check(ctx context.Context, s *dkim.Signature, covered []byte, form dkim.Canonicalization, lookup dkim.Lookup) (Result, bool) {
	hash, err := dkim.Sum(covered, s.Field.Raw, form)
	if err != nil {
		return Result{State: Fail, Reason: s.Field.Name + " " + err.Error()}, false
	}
	found := s.Check(ctx, hash, lookup)
	if found.Word == dkim.Pass {
		return Result{}, true
	}
	return Result{
		State: Fail, Temporary: found.Word == dkim.TempError, Reason: s.Field.Name + " of " + s.Domain + " does not hold: " + found.Reason,
	}, false
}

// sealed is what the seal of instance n covers besides itself (RFC 8617 §5.1.1).
func (c *Chain) sealed(n int) []byte {
	var b []byte
	for i := range n {
		s := &c.sets[i]
		b = dkim.AppendField(b, s.results, dkim.Relaxed)
		b = dkim.AppendField(b, s.message, dkim.Relaxed)
		if i < n-1 {
			b = dkim.AppendField(b, s.seal, dkim.Relaxed)
		}
	}
	return b
}

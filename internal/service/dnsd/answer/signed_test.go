package answer

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	codec "github.com/miekg/dns"

	"postroad/internal/proto/dns"
	"postroad/internal/service/dnsd/zonetest"
)

// The same table signed in each way: what is answered is the same, every signature is right, and what is denied is proved
// (RFC 4035 §3.1, RFC 5155 §7.2).
func TestSignedAnswers(t *testing.T) {
	for what, flags := range map[string][]string{"NSEC": nil, "NSEC3": {"-3", "-"}, "salt and iterations": {"-3", "0a1b", "-H", "5"}, "opt-out": {"-3", "-", "-A"}} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			z := zonetest.Read(t, "example.test", zonetest.Sign(t, "example.test", testZone, flags...))
			r := NewResponder(publish(t, z), Options{})
			v := newValidator(t, z.Signatures)
			for _, record := range z.Records {
				v.add(record.Name)
			}
			for _, c := range cases {
				for _, tcp := range []bool{false, true} {
					a := ask(t, r, c.name, c.kind, asking{do: true, tcp: tcp})
					if got, want := essence(show(a)), essence(c.want); got != want {
						t.Errorf("%s %s:\n got %s\nwant %s", c.name, c.kind, got, want)
						continue
					}
					if a.Rcode != codeRefused {
						if err := v.check(a); err != nil {
							t.Errorf("%s %s: %v\n%v", c.name, c.kind, err, a)
						}
					}
				}
				// Without DO no record of DNSSEC is told that was not asked for (RFC 4035 §3.1.1).
				plain := ask(t, r, c.name, c.kind, asking{})
				for _, rr := range slices.Concat(plain.Answer, plain.Ns, plain.Extra) {
					if kind := dns.Type(rr.Header().Rrtype); kind.DNSSEC() {
						t.Errorf("%s %s without DO: %v", c.name, c.kind, rr)
					}
				}
			}
		})
	}
}

func TestRecordsOfSigningAreAnswered(t *testing.T) {
	z := zonetest.Read(t, "example.test", zonetest.Sign(t, "example.test", testZone, "-3", "-"))
	r := NewResponder(publish(t, z), Options{})
	v := newValidator(t, z.Signatures)
	for kind, number := range map[string]int{"DNSKEY": 1, "NSEC3PARAM": 1, "RRSIG": 1} {
		a := ask(t, r, "example.test.", kind, asking{})
		if len(a.Answer) != number || codec.TypeToString[a.Answer[0].Header().Rrtype] != kind {
			t.Errorf("%s: %v", kind, a)
		}
	}
	if err := v.check(ask(t, r, "example.test.", "DNSKEY", asking{do: true})); err != nil {
		t.Error(err)
	}
	// A name of an NSEC3 record is none of the zone (RFC 5155 §7.2.8).
	i := slices.IndexFunc(z.Signatures, func(r dns.Record) bool { return r.Type == dns.TypeNSEC3 })
	for _, kind := range []string{"NSEC3", "A", "RRSIG"} {
		if a := ask(t, r, z.Signatures[i].Name, kind, asking{}); a.Rcode != codeNXDomain {
			t.Errorf("%s %s: %v", z.Signatures[i].Name, kind, a)
		}
	}
}

// essence is an answer without what stands beside it where there is room: the zone's name servers, and addresses.
func essence(shown string) string {
	var kept []string
	for word := range strings.FieldsSeq(shown) {
		if !strings.HasPrefix(word, "x:") && !strings.HasPrefix(word, "a:example.test./NS/") {
			kept = append(kept, word)
		}
	}
	return strings.Join(kept, " ")
}

// validator knows a zone's key and names.
type validator struct {
	key   *codec.DNSKEY
	names map[string]bool
}

func newValidator(t *testing.T, signatures []dns.Record) *validator {
	t.Helper()
	for _, r := range signatures {
		if r.Type == dns.TypeDNSKEY {
			key, err := codec.NewRR(r.String())
			if err != nil {
				t.Fatal(err)
			}
			return &validator{key: key.(*codec.DNSKEY), names: map[string]bool{}} //nolint:forcetypeassert // by its type
		}
	}
	t.Fatal("no key")
	return nil
}

func (v *validator) add(name string) {
	for name != "test." {
		v.names[name] = true
		name = dns.Parent(name)
	}
}

// check verifies all signatures of an answer and what it proves.
func (v *validator) check(a *codec.Msg) error {
	referral := !a.Authoritative || len(a.Ns) > 0 && a.Ns[0].Header().Rrtype == codec.TypeNS && a.Ns[0].Header().Name != "example.test."
	expanded, err := v.verify(a, referral)
	if err != nil {
		return err
	}
	name := a.Question[0].Name
	for moved := true; moved; {
		moved = false
		for _, rr := range a.Answer {
			if alias, ok := rr.(*codec.CNAME); ok && alias.Hdr.Name == name && alias.Target != name {
				name, moved = alias.Target, true
			}
		}
		if name == a.Question[0].Name {
			break
		}
	}
	p := proofs{a.Ns}
	for _, wild := range expanded { // what a wildcard stands in for is not there
		if !p.covered(v.nextCloser(wild)) {
			return fmt.Errorf("nothing proves that %s is not there", wild)
		}
	}
	soa := slices.ContainsFunc(a.Ns, func(rr codec.RR) bool { return rr.Header().Rrtype == codec.TypeSOA })
	kind := a.Question[0].Qtype
	switch {
	case referral:
		cut := a.Ns[0].Header().Name
		ds := slices.ContainsFunc(a.Ns, func(rr codec.RR) bool { return rr.Header().Rrtype == codec.TypeDS })
		if !ds && !p.lacks(cut, codec.TypeDS) && !p.optedOut(cut) {
			return fmt.Errorf("nothing proves that %s has no DS record", cut)
		}
	case a.Rcode == codeNXDomain:
		encloser := v.encloser(name)
		if !p.covered(v.nextCloser(name)) || !p.covered("*."+encloser) || p.hashed() && !p.matched(encloser) {
			return fmt.Errorf("nothing proves that %s is not there", name)
		}
	case soa && v.names[name]:
		if !p.lacks(name, kind) && !p.emptyNonTerminal(name) && !(kind == codec.TypeDS && p.optedOut(name)) {
			return fmt.Errorf("nothing proves that %s has no such records", name)
		}
	case soa:
		encloser := v.encloser(name)
		if !p.covered(v.nextCloser(name)) || !p.lacks("*."+encloser, kind) || p.hashed() && !p.matched(encloser) {
			return fmt.Errorf("nothing proves that the wildcard for %s has no such records", name)
		}
	}
	return nil
}

// verify verifies the signatures of answer and authority, and gives the names that wildcards were expanded to.
func (v *validator) verify(a *codec.Msg, referral bool) (expanded []string, err error) {
	for _, section := range [][]codec.RR{a.Answer, a.Ns} {
		sets := map[string][]codec.RR{}
		for _, rr := range section {
			if rr.Header().Rrtype != codec.TypeRRSIG {
				key := rr.Header().Name + codec.TypeToString[rr.Header().Rrtype]
				sets[key] = append(sets[key], rr)
			}
		}
		for key, set := range sets {
			h := set[0].Header()
			made := h.Rrtype == codec.TypeCNAME && slices.ContainsFunc(section, func(rr codec.RR) bool {
				return rr.Header().Rrtype == codec.TypeDNAME && rr.Header().Name != h.Name && codec.IsSubDomain(rr.Header().Name, h.Name)
			})
			if made || referral && h.Rrtype == codec.TypeNS {
				continue
			}
			i := slices.IndexFunc(section, func(rr codec.RR) bool {
				sig, ok := rr.(*codec.RRSIG)
				return ok && sig.Hdr.Name == h.Name && sig.TypeCovered == h.Rrtype
			})
			if i < 0 {
				return nil, fmt.Errorf("%s is not signed", key)
			}
			sig := section[i].(*codec.RRSIG) //nolint:forcetypeassert // just looked at
			if err := sig.Verify(v.key, set); err != nil || !sig.ValidityPeriod(time.Now()) {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			if labels := codec.CountLabel(h.Name); int(sig.Labels) < labels && !strings.HasPrefix(h.Name, "*.") {
				expanded = append(expanded, h.Name)
			}
		}
	}
	return expanded, nil
}

// encloser is the closest name above one that exists.
func (v *validator) encloser(name string) string {
	for !v.names[name] {
		name = dns.Parent(name)
	}
	return name
}

func (v *validator) nextCloser(name string) string {
	for !v.names[dns.Parent(name)] {
		name = dns.Parent(name)
	}
	return name
}

// proofs are NSEC and NSEC3 records.
type proofs struct{ records []codec.RR }

func (p proofs) some(f func(n *codec.NSEC) bool, g func(n *codec.NSEC3) bool) bool {
	return slices.ContainsFunc(p.records, func(rr codec.RR) bool {
		switch rr := rr.(type) {
		case *codec.NSEC:
			return f(rr)
		case *codec.NSEC3:
			return g(rr)
		}
		return false
	})
}

func (p proofs) hashed() bool {
	return p.some(func(*codec.NSEC) bool { return false }, func(*codec.NSEC3) bool { return true })
}

func (p proofs) covered(name string) bool {
	return p.some(func(n *codec.NSEC) bool {
		return dns.CompareNames(n.Hdr.Name, name) < 0 && (dns.CompareNames(name, n.NextDomain) < 0 || n.NextDomain == "example.test.") && !codec.IsSubDomain(name, n.NextDomain)
	}, func(n *codec.NSEC3) bool { return n.Cover(name) && !n.Match(name) })
}

func (p proofs) matched(name string) bool {
	return p.some(func(*codec.NSEC) bool { return false }, func(n *codec.NSEC3) bool { return n.Match(name) })
}

// lacks: the name is there, and a record of the type, or an alias, is not.
func (p proofs) lacks(name string, kind uint16) bool {
	none := func(types []uint16) bool {
		return !slices.Contains(types, kind) && !slices.Contains(types, codec.TypeCNAME)
	}
	return p.some(func(n *codec.NSEC) bool { return n.Hdr.Name == name && none(n.TypeBitMap) }, func(n *codec.NSEC3) bool { return n.Match(name) && none(n.TypeBitMap) })
}

func (p proofs) emptyNonTerminal(name string) bool {
	return p.some(func(n *codec.NSEC) bool {
		return dns.CompareNames(n.Hdr.Name, name) < 0 && codec.IsSubDomain(name, n.NextDomain)
	}, func(*codec.NSEC3) bool { return false })
}

// optedOut: the name a label longer than the closest one that is proved is covered with opt-out (RFC 5155 §7.2.4).
func (p proofs) optedOut(name string) bool {
	for above := dns.Parent(name); above != "test."; name, above = above, dns.Parent(above) {
		if p.matched(above) {
			return p.some(func(*codec.NSEC) bool { return false }, func(n *codec.NSEC3) bool { return n.Flags&1 == 1 && n.Cover(name) })
		}
	}
	return false
}

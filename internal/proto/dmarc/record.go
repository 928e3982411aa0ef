package dmarc

import (
	"fmt"
	"net/url"
	"strings"
)

// Policy is what a domain asks to be done with mail that fails (RFC 9989 §4.7).
type Policy string

// The policies, from the mildest on.
const (
	PolicyNone       Policy = "none"
	PolicyQuarantine Policy = "quarantine"
	PolicyReject     Policy = "reject"
)

// Milder is the policy one level below: what a domain that tests its policy expects.
func (p Policy) Milder() Policy {
	if p == PolicyReject {
		return PolicyQuarantine
	}
	return PolicyNone
}

// Stricter reports whether p asks for more than other.
func (p Policy) Stricter(other Policy) bool { return p.rank() > other.rank() }

func (p Policy) rank() int {
	switch p {
	case PolicyReject:
		return 2
	case PolicyQuarantine:
		return 1
	}
	return 0
}

func readPolicy(s string) (Policy, bool) {
	switch p := Policy(strings.ToLower(s)); p {
	case PolicyNone, PolicyQuarantine, PolicyReject:
		return p, true
	}
	return "", false
}

// The values of psd (RFC 9989 §4.7).
const (
	PSDUnknown = "u"
	PSDYes     = "y" // the domain is a public suffix
	PSDNo      = "n" // the domain is an organizational domain
)

// Record is a DMARC policy record.
type Record struct {
	// Text is the record as it stands in DNS.
	Text string
	// P, SP and NP are the policies for the domain, its subdomains and those that do not exist. SP and NP are empty
	// without such a tag.
	P, SP, NP Policy
	// PSD is PSDYes, PSDNo or PSDUnknown.
	PSD string
	// Testing: the policy is to be applied one level milder: t=y, or pct=0 of a record of RFC 7489.
	Testing bool
	// Void: no policy can be read and nobody is named who wants reports, which is as if there was no record (RFC 9989
	// §4.10.1).
	Void bool
	// StrictDKIM and StrictSPF: the domains must be the same, and not only of one organization.
	StrictDKIM, StrictSPF bool
	// RUA and RUF are the URIs for reports, FO the options of failure reports ("0" without RUF or tag).
	RUA, RUF []string
	FO       string
}

// maxURIs bounds the URIs that are taken from one tag.
const maxURIs = 20

// Parse reads a record. Only a version that is missing or another one is an error, ErrNotRecord: tags that are not known
// are ignored, as are values that cannot be read. A record in which a policy cannot be read asks for none, or is void
// (RFC 9989 §4.10.1). Tags that RFC 9989 removed are ignored but for pct=0, by which records of RFC 7489 said what t=y says now.
func Parse(text string) (*Record, error) {
	r := &Record{Text: text, P: PolicyNone, PSD: PSDUnknown, FO: "0"}
	first, seen := true, map[string]bool{}
	broken := false
	for part := range strings.SplitSeq(text, ";") {
		name, value, ok := strings.Cut(part, "=")
		name, value = trim(name), trim(value)
		if first {
			if !ok || name != "v" || value != "DMARC1" {
				return nil, fmt.Errorf("%w: it does not begin with v=DMARC1", ErrNotRecord)
			}
			first = false
			continue
		}
		name = strings.ToLower(name)
		if !ok || seen[name] || !printable(value) {
			continue
		}
		seen[name] = true
		good := true
		switch name {
		case "p":
			r.P, good = readPolicy(value)
		case "sp":
			r.SP, good = readPolicy(value)
		case "np":
			r.NP, good = readPolicy(value)
		case "pct":
			r.Testing = r.Testing || value == "0"
		default:
			r.option(name, value)
		}
		broken = broken || !good
	}
	if broken {
		r.P, r.SP, r.NP = PolicyNone, "", ""
	}
	r.Void = (broken || !seen["p"]) && len(r.RUA) == 0
	if len(r.RUF) == 0 {
		r.FO = "0"
	}
	return r, nil
}

// option reads a tag that is no policy; a value that cannot be read leaves the default.
func (r *Record) option(name, value string) {
	lower := strings.ToLower(value)
	switch name {
	case "psd":
		if lower == PSDYes || lower == PSDNo {
			r.PSD = lower
		}
	case "t":
		r.Testing = r.Testing || lower == "y"
	case "adkim":
		r.StrictDKIM = lower == "s"
	case "aspf":
		r.StrictSPF = lower == "s"
	case "rua":
		r.RUA = readURIs(value)
	case "ruf":
		r.RUF = readURIs(value)
	case "fo":
		switch lower {
		case "0", "1", "d", "s", "d:s", "s:d":
			r.FO = lower
		}
	}
}

// readURIs reads a list of URIs (RFC 3986); the size that older records may add after "!" is ignored.
func readURIs(value string) []string {
	var out []string
	for one := range strings.SplitSeq(value, ",") {
		one, _, _ = strings.Cut(trim(one), "!")
		if u, err := url.Parse(one); err == nil && u.Scheme != "" && len(out) < maxURIs {
			out = append(out, one)
		}
	}
	return out
}

// For is the policy for an author domain, and the tag that has it. own: it is the domain of the record; exists: it is in DNS.
func (r *Record) For(own, exists bool) (p Policy, tag string) {
	switch {
	case !own && !exists && r.NP != "":
		return r.NP, "np"
	case !own && r.SP != "":
		return r.SP, "sp"
	}
	return r.P, "p"
}

func trim(s string) string { return strings.Trim(s, " \t") }

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

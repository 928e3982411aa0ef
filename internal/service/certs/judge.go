package certs

import (
	"context"
	"errors"
	"strings"

	"github.com/mholt/acmez/v3/acme"

	"postroad/internal/core/cert"
)

// longestDetail is how much of what others say is kept.
const longestDetail = 600

// judge names what kept a certificate from being given, with what was seen.
func judge(err error) (cert.Problem, string) {
	var local *localError
	if errors.As(err, &local) {
		return local.problem, clean(local.detail)
	}
	var unfit *unusableError
	if errors.As(err, &unfit) {
		return cert.Unusable, clean("The certificate authority gave what cannot be used: " + unfit.Error() + ".")
	}
	var p acme.Problem
	if errors.As(err, &p) {
		is := kind(problem(err))
		var account *accountError
		if errors.As(err, &account) && is != cert.RateLimited && is != cert.Authority {
			is = cert.Account // whatever it finds wrong with it
		}
		return is, clean("The certificate authority says: " + told(&p))
	}
	var shown *unshownError
	if errors.As(err, &shown) {
		return cert.Failed, clean("The challenge could not be answered: " + shown.Error() + ".")
	}
	var silent *silentError
	if errors.As(err, &silent) || errors.Is(err, context.DeadlineExceeded) {
		return cert.Authority, clean("The certificate authority is not reached, or does not answer as one: " + err.Error() + ".")
	}
	return cert.Failed, clean(err.Error())
}

// problem is the type of the problem that an authority tells (RFC 8555 §6.7); empty for other errors.
func problem(err error) string {
	var p acme.Problem
	if !errors.As(err, &p) {
		return ""
	}
	return strings.TrimPrefix(p.Type, acme.ProblemTypeNamespace)
}

// kind is the problem that an authority means by a type (RFC 8555 §6.7).
func kind(of string) cert.Problem {
	switch of {
	case "rateLimited":
		return cert.RateLimited
	case "caa":
		return cert.CAAForbids
	case "connection", "tls":
		return cert.Unreachable
	case "dns":
		return cert.DNSFails
	case "unauthorized", "incorrectResponse":
		return cert.WrongAnswer
	case "rejectedIdentifier", "unsupportedIdentifier":
		return cert.NotIssued
	case "accountDoesNotExist", "externalAccountRequired", "userActionRequired", "invalidContact", "unsupportedContact":
		return cert.Account
	case "compound", "malformed", "badCSR", "badPublicKey", "badSignatureAlgorithm", "orderNotReady":
		return cert.Failed
	}
	return cert.Authority
}

// told is what an authority says, with the parts that it names.
func told(p *acme.Problem) string {
	out := p.Detail
	for i := range p.Subproblems {
		out += " " + p.Subproblems[i].Detail
	}
	if out == "" {
		out = p.Type
	}
	return out
}

// clean makes one bounded line of what others say.
func clean(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }), " ")
	s = strings.ToValidUTF8(s, "?")
	if len(s) > longestDetail {
		s = strings.ToValidUTF8(s[:longestDetail], "") + " …"
	}
	return s
}

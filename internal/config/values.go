package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"postroad/internal/core/cert"
)

// check judges one text; its error is the hint.
type check func(s string) error

type put = func(c *Config, text []string) error

func one(text []string) string {
	if len(text) == 0 {
		return ""
	}
	return text[0]
}

func text(field func(c *Config) *string, ok check) put {
	return func(c *Config, text []string) error {
		s := one(text)
		if err := ok(s); err != nil {
			return err
		}
		*field(c) = s
		return nil
	}
}

func name(field func(c *Config) *string) put {
	return func(c *Config, text []string) error {
		s := fold(one(text))
		if s != "" && !isDomainName(s) {
			return fmt.Errorf("%q is no domain name: letters, digits and hyphens in parts joined by dots", s)
		}
		*field(c) = s
		return nil
	}
}

func texts(field func(c *Config) *[]string, ok check) put {
	return func(c *Config, text []string) error {
		for _, s := range text {
			if err := ok(s); err != nil {
				return err
			}
		}
		*field(c) = append([]string{}, text...)
		return nil
	}
}

func listenList(field func(c *Config) *[]string, ok check) put { return texts(field, ok) }

func list[T any](field func(c *Config) *[]T, parse func(s string) (T, error)) put {
	return func(c *Config, text []string) error {
		out := make([]T, 0, len(text))
		for _, s := range text {
			v, err := parse(s)
			if err != nil {
				return err
			}
			out = append(out, v)
		}
		*field(c) = out
		return nil
	}
}

func number(field func(c *Config) *int, low, high int) put {
	return func(c *Config, text []string) error {
		n, err := strconv.Atoi(one(text))
		if err != nil {
			return fmt.Errorf("%q is no whole number", one(text))
		}
		if n < low || n > high {
			return fmt.Errorf("%d is outside %d to %d", n, low, high)
		}
		*field(c) = n
		return nil
	}
}

// numberOrOff is a number of which 0 means off, kept as a negative one.
func numberOrOff(field func(c *Config) *int, low, high int) put {
	bounded := number(field, low, high)
	return func(c *Config, text []string) error {
		if one(text) == "0" {
			*field(c) = -1
			return nil
		}
		return bounded(c, text)
	}
}

func size(field func(c *Config) *int64, low, high int64) put {
	return func(c *Config, text []string) error {
		n, err := ParseSize(one(text))
		if err != nil {
			return fmt.Errorf("%w; write 52428800 or \"50MiB\"", err)
		}
		if n < low || n > high {
			return fmt.Errorf("%s is outside %s to %s", FormatSize(n), FormatSize(low), FormatSize(high))
		}
		*field(c) = n
		return nil
	}
}

func duration(field func(c *Config) *time.Duration, low, high time.Duration) put {
	return func(c *Config, text []string) error {
		d, err := boundedDuration(one(text), low, high)
		if err != nil {
			return err
		}
		*field(c) = d
		return nil
	}
}

// durationOrOff is a duration of which zero means off, kept as a negative one.
func durationOrOff(field func(c *Config) *time.Duration, low, high time.Duration) put {
	bounded := duration(field, low, high)
	return func(c *Config, text []string) error {
		if d, err := ParseDuration(one(text)); err == nil && d == 0 {
			*field(c) = -1
			return nil
		}
		return bounded(c, text)
	}
}

func durations(field func(c *Config) *[]time.Duration, low, high time.Duration) put {
	return func(c *Config, text []string) error {
		out := make([]time.Duration, 0, len(text))
		for _, s := range text {
			d, err := boundedDuration(s, low, high)
			if err != nil {
				return err
			}
			out = append(out, d)
		}
		if len(out) == 0 {
			return errors.New("an empty list would never try again")
		}
		*field(c) = out
		return nil
	}
}

func boundedDuration(s string, low, high time.Duration) (time.Duration, error) {
	d, err := ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%w; write \"5d\", \"4h\", \"90s\"", err)
	}
	if d < low || d > high {
		return 0, fmt.Errorf("%s is outside %s to %s", FormatDuration(d), FormatDuration(low), FormatDuration(high))
	}
	return d, nil
}

// secret gives what the variable or the file holds that a value names, or the value itself.
func secret(s string) (string, error) {
	if v, ok := strings.CutPrefix(s, "env:"); ok {
		if s = os.Getenv(v); s == "" {
			return "", fmt.Errorf("the environment variable %q, which it names, is not set", v)
		}
	} else if v, ok := strings.CutPrefix(s, "file:"); ok {
		b, err := os.ReadFile(v)
		if err != nil {
			return "", fmt.Errorf("the file it names cannot be read: %w", err)
		}
		s = strings.TrimSpace(string(b))
	}
	return s, nil
}

// bindingKey reads a key of an external account binding. Authorities give it in base64url, with padding or without.
func bindingKey(c *Config, text []string) error {
	s, err := secret(one(text))
	if err != nil {
		return err
	}
	s = strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(s), "=")
	if _, err := base64.RawURLEncoding.DecodeString(s); err != nil {
		return errors.New("no key in base64url, as the authority gives it") // without the text: it is secret
	}
	c.ACME.EABKey = s
	return nil
}

func dsn(c *Config, text []string) error {
	s, err := secret(one(text))
	if err != nil {
		return err
	}
	if s != "" && !strings.HasPrefix(s, "postgres://") && !strings.HasPrefix(s, "postgresql://") {
		return errors.New("neither empty nor a postgres:// address")
	}
	c.Store.DSN = s
	return nil
}

// truth reads true or false.
func truth(field func(c *Config) *bool) put {
	return func(c *Config, text []string) error {
		switch one(text) {
		case "true":
			*field(c) = true
		case "false":
			*field(c) = false
		default:
			return fmt.Errorf("%q is neither true nor false", one(text))
		}
		return nil
	}
}

// httpsURL judges the URL of somebody to whom keys are shown: nobody on the way may read or change what is said.
func httpsURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return fmt.Errorf(`%q is no URL such as "https://acme.example.com/directory"`, s)
	}
	return nil
}

func emailAddress(s string) error {
	local, domain, ok := strings.Cut(s, "@")
	if s != "" && (!ok || local == "" || !isDomainName(fold(domain)) || strings.ContainsAny(s, " ,;:<>?&\"")) {
		return fmt.Errorf(`%q is no address such as "hostmaster@example.com"`, s)
	}
	return nil
}

func challengeName(s string) error {
	if !slices.Contains(cert.Challenges(), cert.Challenge(s)) {
		return fmt.Errorf("%q is no challenge; there are http-01, tls-alpn-01 and dns-01", s)
	}
	return nil
}

func labelName(s string) error {
	if !isDomainName(s) || s != fold(s) {
		return fmt.Errorf("%q is no part of a name: lower-case letters, digits and hyphens", s)
	}
	return nil
}

func anyText(string) error { return nil }

// keyID judges a key identifier (RFC 8555 §7.3.4): ASCII.
func keyID(s string) error {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("no key identifier of visible ASCII characters, as the authority gives it")
	}
	return nil
}

// supportURL judges where people ask: what stands for the facts is left as it is.
func supportURL(s string) error {
	u, err := url.Parse(strings.NewReplacer("{domain}", "x", "{text}", "x").Replace(s))
	switch {
	case s == "":
		return nil
	case err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "":
		return nil
	case err == nil && (u.Scheme == "mailto" || u.Scheme == "") && u.RawQuery == "" && strings.Contains(s, "@") && !strings.ContainsAny(s, " {}"):
		return nil
	}
	return fmt.Errorf(`%q is neither an address of mail nor a URL such as "https://help.example.com/?domain={domain}"`, s)
}

func notEmpty(s string) error {
	if s == "" {
		return errors.New("empty")
	}
	return nil
}

func address(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%q is no IP address", s)
	}
	return a.Unmap(), nil
}

func network(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is no network; write 10.0.0.0/8 or 2001:db8::/32", s)
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q has bits set behind its length; did you mean %q", s, p.Masked().String())
	}
	return p, nil
}

func listenLocal(s string) error {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if path == "" {
			return errors.New("unix: without a path")
		}
		return nil
	}
	return listenAddress(s)
}

func listenAddress(s string) error { return splitHostPort(s) }

// dnsServer takes an IP address with or without a port: a name could not be looked up by anybody.
func dnsServer(s string) error {
	if _, err := netip.ParseAddr(s); err == nil {
		return nil
	}
	if at, err := netip.ParseAddrPort(s); err != nil || at.Port() == 0 {
		return fmt.Errorf("%q is no IP address with a port; write 127.0.0.1:53 or [::1]:53", s)
	}
	return nil
}

// splitHostPort checks "host:port" of a listener: an empty host is all addresses, port 0 any free one.
func splitHostPort(s string) error {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return fmt.Errorf("%q has no port; write address:port", s)
	}
	host, port := s[:i], s[i+1:]
	_, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return fmt.Errorf("%q has no port from 0 to 65535", s)
	}
	if v6, ok := strings.CutPrefix(host, "["); ok {
		a, err := netip.ParseAddr(strings.TrimSuffix(v6, "]"))
		if err != nil || !a.Is6() || !strings.HasSuffix(v6, "]") {
			return fmt.Errorf("%q has no IPv6 address between [ and ]", s)
		}
		return nil
	}
	if strings.Contains(host, ":") {
		return fmt.Errorf("%q: an IPv6 address goes between [ and ]", s)
	}
	if host == "" {
		return nil
	}
	if !isDomainName(fold(host)) {
		return fmt.Errorf("%q has neither an address nor a name before the port", s)
	}
	return nil
}

func fold(s string) string { return strings.ToLower(strings.TrimSuffix(strings.TrimSpace(s), ".")) }

// isDomainName reports whether s is letters, digits and inner hyphens in parts of 1 to 63, at most 253 long; dotted
// decimals pass as well.
func isDomainName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(strings.ToLower(s), ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}

package message

import (
	"net/netip"
	"strings"
	"time"
)

// Received is the trace field that a server adds on top of each message it
// takes (RFC 5321 §4.4). Values may come from a hostile peer: what has no place
// in the field is replaced or left out when it is written.
type Received struct {
	// Helo is the name the client gave in EHLO, HELO or LHLO, as it was sent.
	Helo string
	// ClientName is the client's verified name in DNS; empty when unknown.
	ClientName string
	// ClientAddr is the client's address; invalid when there was no client.
	ClientAddr netip.Addr
	// By is this host's name.
	By string
	// With is the protocol, as [WithProtocol] gives it.
	With string
	// TLS is the TLS version and the cipher suite with a space between, such as
	// "TLS1.3 TLS_AES_128_GCM_SHA256"; empty without TLS. The suite is written
	// as a tls clause (RFC 8314 §4.3), the version as a comment.
	TLS string
	// ID is the queue id.
	ID string
	// For is the recipient's address without angle brackets. Set it only when
	// the transaction has one recipient, or others learn of a blind copy
	// (RFC 5321 §7.2).
	For string
	// Time is when the message was received.
	Time time.Time
}

// AppendTo appends the folded field with its final CRLF to b. No line is longer
// than 998 octets. Without Helo, ClientName and ClientAddr there is no from
// clause; a For that is not one plain address is left out.
func (r Received) AppendTo(b []byte) []byte {
	b = append(b, "Received: "...)
	if r.Helo != "" || r.ClientName != "" || r.ClientAddr.IsValid() {
		b = r.appendFrom(b)
		b = append(b, "\r\n\t"...)
	}
	b = append(b, "by "...)
	b = appendHostName(b, r.By)
	if with := traceAtom(r.With); with != "" {
		b = append(b, " with "...)
		b = append(b, with...)
	}
	if id := traceAtom(r.ID); id != "" {
		b = append(b, " id "...)
		b = append(b, id...)
	}
	if plainPath(r.For) {
		b = append(b, "\r\n\tfor <"...)
		b = append(b, r.For...)
		b = append(b, '>')
	}
	b = r.appendTLS(b)
	b = append(b, ";\r\n\t"...)
	b = AppendDate(b, r.Time)
	return append(b, "\r\n"...)
}

func (r Received) appendFrom(b []byte) []byte {
	b = append(b, "from "...)
	b = appendHostName(b, r.Helo)
	if r.ClientName == "" && !r.ClientAddr.IsValid() {
		return b
	}
	b = append(b, " ("...)
	if r.ClientName != "" {
		b = appendHostName(b, r.ClientName)
		if r.ClientAddr.IsValid() {
			b = append(b, ' ')
		}
	}
	if r.ClientAddr.IsValid() {
		b = appendAddressLiteral(b, r.ClientAddr)
	}
	return append(b, ')')
}

func (r Received) appendTLS(b []byte) []byte {
	if r.TLS == "" {
		return b
	}
	version, suite, _ := strings.Cut(r.TLS, " ")
	version, suite = traceAtom(version), traceAtom(suite)
	if suite != "" {
		b = append(b, "\r\n\ttls "...)
		b = append(b, suite...)
	}
	if version != "" {
		b = append(b, " ("...)
		b = append(b, version...)
		b = append(b, ')')
	}
	return b
}

// appendAddressLiteral appends "[192.0.2.1]" or "[IPv6:2001:db8::1]"
// (RFC 5321 §4.1.3). A zone is not written: it means nothing elsewhere.
func appendAddressLiteral(b []byte, addr netip.Addr) []byte {
	addr = addr.Unmap().WithZone("")
	b = append(b, '[')
	if addr.Is6() {
		b = append(b, "IPv6:"...)
	}
	b = addr.AppendTo(b)
	return append(b, ']')
}

// maxHostName is the longest name written into a trace or report field, in
// octets (RFC 5321 §4.5.3.1.2).
const maxHostName = 255

// appendHostName appends a domain or address literal; other octets become '?'.
func appendHostName(b []byte, name string) []byte {
	if name == "" {
		return append(b, "unknown"...)
	}
	for i := range min(len(name), maxHostName) {
		c := name[i]
		if !isAlnum(c) && strings.IndexByte(".-_:[]", c) < 0 {
			c = '?'
		}
		b = append(b, c)
	}
	return b
}

// traceAtom returns s when it can stand as one atom or dot-atom in a trace
// field, otherwise "".
func traceAtom(s string) string {
	if len(s) > maxHostName {
		return ""
	}
	for i := range len(s) {
		if !isAtext(s[i]) && s[i] != '.' {
			return ""
		}
	}
	return s
}

// plainPath reports whether s can be written between angle brackets: one
// address, nothing that could end the path or the line.
func plainPath(s string) bool {
	if len(s) > 2*maxHostName || !isClean(s) {
		return false
	}
	p := addressParser{s: s}
	_, ok := p.addrSpec()
	return ok && p.i == len(s) && !strings.ContainsAny(s, "<>()")
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// isAtext reports whether c is an ASCII character of an atom (RFC 5322 §3.2.3).
func isAtext(c byte) bool {
	return isAlnum(c) || c != 0 && strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

// WithProtocol returns the protocol word for a Received field: RFC 3848 with
// the UTF8 forms of RFC 6531 §4.3. utf8 is for a transaction that used
// SMTPUTF8. STARTTLS and AUTH are extensions, so tls and auth imply ESMTP.
func WithProtocol(esmtp, tls, auth, utf8, lmtp bool) string {
	name := "SMTP"
	switch {
	case utf8 && lmtp:
		name = "UTF8LMTP"
	case utf8:
		name = "UTF8SMTP"
	case lmtp:
		name = "LMTP"
	case esmtp || tls || auth:
		name = "ESMTP"
	}
	if tls {
		name += "S"
	}
	if auth {
		name += "A"
	}
	return name
}

package smtp

import "bytes"

// Lengths in octets that a session offers its peer.
const (
	// MaxCommandLine is the limit for command lines, CRLF included. RFC 5321
	// §4.5.3.1.4 has 512; SIZE, BODY, AUTH, DSN and SMTPUTF8 add to it
	// (RFC 3461 §4, RFC 4954 §3, RFC 6531 §3.6).
	MaxCommandLine = 2048
	// MaxAuthLine is the limit for lines of an AUTH exchange, CRLF included
	// (RFC 4954 §4).
	MaxAuthLine = 12288
)

// Verb is the name of a command.
type Verb uint8

// The verbs. HTTP stands for every method of RFC 9110: such a peer is not a mail
// client and should be left at once.
const (
	VerbUnknown Verb = iota
	HELO             // RFC 5321 §4.1.1.1
	EHLO             // RFC 5321 §4.1.1.1
	LHLO             // RFC 2033 §4.1
	MAIL             // RFC 5321 §4.1.1.2
	RCPT             // RFC 5321 §4.1.1.3
	DATA             // RFC 5321 §4.1.1.4
	BDAT             // RFC 3030 §2
	RSET             // RFC 5321 §4.1.1.5
	VRFY             // RFC 5321 §4.1.1.6
	EXPN             // RFC 5321 §4.1.1.7
	HELP             // RFC 5321 §4.1.1.8
	NOOP             // RFC 5321 §4.1.1.9
	QUIT             // RFC 5321 §4.1.1.10
	STARTTLS         // RFC 3207 §4
	AUTH             // RFC 4954 §4
	ETRN             // RFC 1985 §5
	TURN             // RFC 5321 appendix F.1, dead
	SEND             // RFC 5321 appendix F.6, dead
	SOML             // RFC 5321 appendix F.6, dead
	SAML             // RFC 5321 appendix F.6, dead
	XCLIENT          // Postfix's extension
	XFORWARD         // Postfix's extension
	HTTP             // GET, POST, CONNECT and their like
)

// String gives the verb as it is written in a command.
func (v Verb) String() string {
	switch v {
	case VerbUnknown:
		return "unknown"
	case HELO:
		return "HELO"
	case EHLO:
		return "EHLO"
	case LHLO:
		return "LHLO"
	case MAIL:
		return "MAIL"
	case RCPT:
		return "RCPT"
	case DATA:
		return "DATA"
	case BDAT:
		return "BDAT"
	case RSET:
		return "RSET"
	case VRFY:
		return "VRFY"
	case EXPN:
		return "EXPN"
	case HELP:
		return "HELP"
	case NOOP:
		return "NOOP"
	case QUIT:
		return "QUIT"
	case STARTTLS:
		return "STARTTLS"
	case AUTH:
		return "AUTH"
	case ETRN:
		return "ETRN"
	case TURN:
		return "TURN"
	case SEND:
		return "SEND"
	case SOML:
		return "SOML"
	case SAML:
		return "SAML"
	case XCLIENT:
		return "XCLIENT"
	case XFORWARD:
		return "XFORWARD"
	case HTTP:
		return "HTTP"
	}
	return "unknown"
}

// ParseVerb splits a command line, without its CRLF, into verb and argument.
// The verb ends at the first space and must match exactly, in any case
// (RFC 5321 §2.4). The argument has no spaces or tabs around it and is a part of
// line; it is nil when there is none.
func ParseVerb(line []byte) (v Verb, arg []byte) {
	line = bytes.TrimRight(line, " \t")
	verb := line
	if i := bytes.IndexByte(line, ' '); i >= 0 {
		verb, arg = line[:i], bytes.TrimLeft(line[i:], " \t")
	}
	var upper [8]byte
	if len(verb) > len(upper) {
		return VerbUnknown, arg
	}
	for i, c := range verb {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		upper[i] = c
	}
	switch string(upper[:len(verb)]) {
	case "HELO":
		return HELO, arg
	case "EHLO":
		return EHLO, arg
	case "LHLO":
		return LHLO, arg
	case "MAIL":
		return MAIL, arg
	case "RCPT":
		return RCPT, arg
	case "DATA":
		return DATA, arg
	case "BDAT":
		return BDAT, arg
	case "RSET":
		return RSET, arg
	case "VRFY":
		return VRFY, arg
	case "EXPN":
		return EXPN, arg
	case "HELP":
		return HELP, arg
	case "NOOP":
		return NOOP, arg
	case "QUIT":
		return QUIT, arg
	case "STARTTLS":
		return STARTTLS, arg
	case "AUTH":
		return AUTH, arg
	case "ETRN":
		return ETRN, arg
	case "TURN":
		return TURN, arg
	case "SEND":
		return SEND, arg
	case "SOML":
		return SOML, arg
	case "SAML":
		return SAML, arg
	case "XCLIENT":
		return XCLIENT, arg
	case "XFORWARD":
		return XFORWARD, arg
	case "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH":
		return HTTP, arg
	}
	return VerbUnknown, arg
}

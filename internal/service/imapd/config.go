package imapd

import (
	"crypto/tls"
	"time"

	"postroad/internal/core/budget"
)

// Kind is what a listener is for.
type Kind uint8

// The kinds of listener.
const (
	IMAP  Kind = iota // STARTTLS before a login (RFC 9051 §11.1)
	IMAPS             // TLS from the first octet (RFC 8314 §3.2)
)

// String is the listener's name in configuration, logs and metrics.
func (k Kind) String() string {
	switch k {
	case IMAP:
		return "imap"
	case IMAPS:
		return "imaps"
	}
	return "unknown"
}

// Config says what sessions may do. The zero value works, but nobody can log in without TLS.
type Config struct {
	TLS                *tls.Config    // for STARTTLS and imaps; nil: not offered
	MessageSize        int64          // octets of one message, 0: 50 MiB (RFC 7889)
	Sessions           int            // at once on all listeners, 0: 20,000
	SessionsPerAddress int            // at once from one IPv4 address or one IPv6 /64, 0: 500
	SessionsPerUser    int            // at once of one mailbox, 0: 50
	Memory             *budget.Budget // for messages that are taken apart; nil: no limit
}

func (c Config) withDefaults() Config {
	if c.MessageSize <= 0 {
		c.MessageSize = 50 << 20
	}
	if c.Sessions <= 0 {
		c.Sessions = 20_000
	}
	if c.SessionsPerAddress <= 0 {
		c.SessionsPerAddress = 500
	}
	if c.SessionsPerUser <= 0 {
		c.SessionsPerUser = 50
	}
	return c
}

// Time limits of a session.
const (
	loginTimeout   = 2 * time.Minute                 // from the first octet to a login
	idleTimeout    = 30*time.Minute + 30*time.Second // between commands, and in IDLE (RFC 9051 §5.4)
	commandTimeout = 2 * time.Minute                 // from a command's first octet to its last
	handOverAfter  = time.Second                     // from when on a session is taken to wait for long
	writeTimeout   = 2 * time.Minute                 // for inPieces octets to be taken by the client
	minRateAfter   = time.Minute                     // from when on the rate of an appended message is looked at
	minRate        = 256                             // octets a second of an appended message
	sweepTime      = time.Second                     // between two looks whether logins still hold
)

// Limits of what a session may do wrong, and of what it may hold.
const (
	maxErrorsBefore = 10       // commands that are refused as BAD before login
	maxErrors       = 100      // after it, without one in between that was right
	maxLogins       = 5        // failed logins
	maxPatterns     = 1000     // octets of the patterns of LIST: each is held against all names
	inPieces        = 64 << 10 // octets of a message that are read or written at a time
)

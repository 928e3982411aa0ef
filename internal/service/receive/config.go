package receive

import (
	"crypto/tls"
	"net/netip"
	"time"

	"postroad/internal/core/budget"
	"postroad/internal/core/routing"
)

// Kind is what a listener is for.
type Kind uint8

// The kinds of listener.
const (
	MX          Kind = iota // mail from strangers for our domains (RFC 5321)
	Submission              // mail from our own users, STARTTLS (RFC 6409)
	Submissions             // the same under TLS from the first octet (RFC 8314 §3.3)
)

// String is the listener's name in configuration, logs and metrics.
func (k Kind) String() string {
	switch k {
	case MX:
		return "smtp"
	case Submission:
		return "submission"
	case Submissions:
		return "submissions"
	}
	return "unknown"
}

// Config says what sessions may do. The zero value works.
type Config struct {
	Hostname           string          // name in banner, EHLO reply and Received
	TLS                *tls.Config     // for STARTTLS and submissions; nil: not offered
	TrustedNetworks    []netip.Prefix  // clients that may send as any domain hosted here, to anywhere
	MessageSize        int64           // octets of one message, 0: 50 MiB (RFC 1870)
	Recipients         int             // per message, 0: 1,000; RFC 5321 §4.5.3.1.8 asks for at least 100
	Sessions           int             // at once on all listeners, 0: 10,000
	SessionsPerAddress int             // at once from one IPv4 address or one IPv6 /64, 0: 100
	Memory             *budget.Budget  // for contents and TLS; nil: no limit
	ReceivedFields     int             // of a message before it is taken for a loop, 0: 50 (RFC 5321 §6.3)
	Trace              *routing.Tracer // knows mail that comes back; nil: only Received and Delivered-To tell of loops
	Facts              Facts           // learns what a decision about a recipient lacks; nil: the recipient is refused for now
	Recorder           Recorder        // is told what is taken and refused; nil: nobody is
	Turns              Turns           // starts mail that waits for a domain's own server; nil: ETRN is not offered
	Findings           Findings        // is told of mail that goes in circles or around a filter; nil: nobody is
	Signer             Signer          // signs mail of our own users; nil: nobody does
	Forwarder          Forwarder       // makes forwarded mail believable; nil: it is forwarded as it came
	Names              func() []string // in which results of checks are removed from what comes in, as claims to be ours; nil: Hostname alone
	Judge              Judge           // judges strangers' mail; nil: nobody does
	Probes             Probes          // knows probes of forwards that come back; nil: nobody does
	Sending            Sending         // holds what logins send against limits; nil: nobody does
	Boxes              Boxes           // tells at RCPT which mailboxes are full; nil: delivery alone judges
}

func (c Config) withDefaults() Config {
	if c.MessageSize <= 0 {
		c.MessageSize = 50 << 20
	}
	if c.Recipients <= 0 {
		c.Recipients = 1000
	}
	if c.Sessions <= 0 {
		c.Sessions = 10_000
	}
	if c.SessionsPerAddress <= 0 {
		c.SessionsPerAddress = 100
	}
	if c.ReceivedFields <= 0 {
		c.ReceivedFields = 50
	}
	if c.Names == nil {
		own := []string{c.Hostname}
		c.Names = func() []string { return own }
	}
	return c
}

// Time limits of a session. Each command has RFC 5321 §4.5.3.2's five minutes, but a client may not string
// commands together for ever, nor send its content by the octet.
const (
	commandTimeout  = 5 * time.Minute  // RFC 5321 §4.5.3.2.7: server, between commands
	dataTimeout     = 3 * time.Minute  // without a single octet of content
	envelopeTimeout = 15 * time.Minute // from MAIL to DATA or BDAT
	writeTimeout    = 5 * time.Minute
	idleCommands    = 30 * time.Minute // a session without a message accepted
	minRateAfter    = time.Minute      // from when on the rate is looked at
	minRate         = 256              // octets a second of content, over the whole transfer
)

// Limits of what a session may do wrong.
const (
	maxErrors       = 20 // unknown or malformed commands
	maxNoops        = 100
	slowUnknown     = 10 // unknown recipients after which replies are slowed
	maxUnknown      = 25 // unknown recipients after which the session ends
	unknownDelay    = time.Second
	readBuffer      = 4096
	maxAuthAttempts = 5
)

package deliver

import (
	"crypto/x509"
	"net"
	"net/netip"
	"time"

	"postroad/internal/core/routing"
	"postroad/internal/proto/smtp"
)

// Config says how mail leaves. The zero value works.
type Config struct {
	// Hostname is the name in EHLO, an A-label; "": localhost, which many hosts refuse.
	Hostname string
	// Port is the port of exchangers found by MX; 0: 25.
	Port uint16
	// Allow are networks that may be dialled although they are no part of the public Internet, on any port.
	Allow []netip.Prefix
	// Timeouts bound single commands; zero fields: RFC 5321 §4.5.3.2.
	Timeouts smtp.Timeouts
	// ConnectTimeout is how long a connection may take to open; 0: 30 s.
	ConnectTimeout time.Duration
	// PerHost is how many connections one remote address gets at once, over all lanes; 0: 8.
	PerHost int
	// Trace writes the field by which mail is known that comes back; nil: none is written.
	Trace *routing.Tracer
	// Findings learns when the way to a domain of this installation leads nowhere, and when it has been mended; nil:
	// nobody does.
	Findings Findings
	// From gives the dialer whose connections leave from an address of this machine; nil: the network's.
	From func(source netip.Addr) Dialer
	// RootCAs are whom certificates of smart hosts may come from; nil: those the system trusts.
	RootCAs *x509.CertPool
}

const (
	idleTimeout  = 5 * time.Second // an open connection waits this long for more mail
	idlePerLane  = 4
	lookupTime   = 20 * time.Second // for all look-ups of an attempt
	tlsTimeout   = 30 * time.Second
	hostWait     = 10 * time.Second // for a free connection to a busy host
	maxPerClient = 500              // messages over one connection before it is renewed

	// openTimeout bounds the opening of a session as a whole, whatever its single replies take.
	openTimeout = 10 * time.Minute
	// messageTimeout bounds one message with all its replies, together with its octets at slowestRate.
	messageTimeout = 30 * time.Minute
	slowestRate    = 8 << 10 // octets a second
	// farewell is how long a reply that is on its way may take when an attempt is called off.
	farewell = time.Second
	// lastReply is how long the reply to a final dot may take then, unless the one who calls off says.
	lastReply = 10 * time.Second
	// drainTime is how long Close waits for connections to end.
	drainTime = 10 * time.Second
	// failedTime is how long an address that could not be used comes after its equals.
	failedTime = time.Minute
	maxFailed  = 4096 // addresses remembered for that
	// fruitless is how many connections in a row may end without a reply to any message, at an address that has
	// answered for others before.
	fruitless = 3
	// replyOctets is the longest text of a foreign reply that is kept.
	replyOctets = 2048
)

func (c Config) withDefaults() Config {
	if c.Hostname == "" {
		c.Hostname = "localhost"
	}
	if c.Port == 0 {
		c.Port = smtpPort
	}
	if c.ConnectTimeout <= 0 {
		c.ConnectTimeout = 30 * time.Second
	}
	if c.PerHost <= 0 {
		c.PerHost = 8
	}
	if c.From == nil {
		c.From = func(source netip.Addr) Dialer { return &net.Dialer{LocalAddr: &net.TCPAddr{IP: source.AsSlice()}} }
	}
	return c
}

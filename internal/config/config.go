// Package config reads the installation's configuration: TOML 1.0 text with an overlay of environment variables.
//
// What people change daily is data and lives in the store; what stands here is needed before the store is open,
// or belongs to the machine. Every key has a default, so that no configuration at all is a working one.
//
// # Failure
//
// Load reports everything that is wrong at once, as ProblemErrors: unknown keys with the nearest known one, values
// of the wrong kind, values out of range, each with its line or its environment variable and a hint.
package config

import (
	"net"
	"net/netip"
	"strconv"
	"time"

	"postroad/internal/core/cert"
	"postroad/internal/service/queue"
)

// Config is everything that is configured. The zero value means the defaults; Load and WithDefaults fill them in.
type Config struct {
	// DataDir is the folder of everything that is kept: databases, bodies, keys, the socket. Default ./postroad-data.
	DataDir string
	// Hostname is the name in greetings, Received fields and reports (RFC 5321 §2.3.5). Default: the machine's name.
	Hostname string
	// Addresses are the addresses that count as ours beside those of the listeners: public ones behind NAT.
	// A next hop that leads to one of them is a loop.
	Addresses []netip.Addr
	// RoutingDomain is the domain of routing addresses, one for the whole installation. Default "in." + Hostname.
	RoutingDomain string

	Listen   Listen
	Store    Store
	Resolver Resolver
	Deliver  Deliver
	Queue    Queue
	Trace    Trace
	Notices  Notices
	Support  Support
	Clients  Clients
	Sending  Sending
	DNS      DNS
	TLS      TLS
	ACME     ACME
	Receive  Receive
	Limits   Limits
}

// Listen says where each listener listens: a list of "address:port". In the zero value nil means the default;
// an empty list that is not nil means off.
type Listen struct {
	SMTP        []string // mail exchanger; default 127.0.0.1:2525
	Submission  []string // submission with STARTTLS (RFC 6409); default 127.0.0.1:2587
	Submissions []string // submission over TLS (RFC 8314); default 127.0.0.1:2465
	IMAP        []string // IMAP with STARTTLS; default 127.0.0.1:2143
	IMAPS       []string // IMAP over TLS; default 127.0.0.1:2993
	LMTP        []string // LMTP (RFC 2033), "unix:/path" or address:port; default off
	DNS         []string // authoritative DNS, UDP and TCP; default 127.0.0.1:2053
	HTTP        []string // API, metrics and health, in clear; default 127.0.0.1:8025
	HTTPS       []string // the same over TLS; default off
}

// Store says where data is kept.
type Store struct {
	// DSN is empty for SQLite in the data folder, or a postgres:// address. "env:NAME" and "file:PATH" in the
	// configuration are replaced by what the variable or the file holds, so that no password need stand there.
	DSN string
}

// Resolver says who is asked about foreign DNS.
type Resolver struct {
	// Servers are "address:port" of recursive servers; empty means those of /etc/resolv.conf.
	Servers []string
	// Roots are "address:port" of servers of the root that delegations are followed from; empty means the public ones.
	Roots []string
	// Port is the port of name servers that a delegation leads to. Default 53.
	Port int
	// Allow lists networks in which name servers may be asked although they are private or loopback.
	Allow []netip.Prefix
}

// Deliver is how mail leaves.
type Deliver struct {
	// Port is the port of exchangers found by MX. Default 25.
	Port int
	// Allow lists networks that may be dialled although they are private or loopback, on any port.
	Allow []netip.Prefix
}

// Queue is how long and how often is tried.
type Queue struct {
	// Hold is how long mail is kept before it is returned. Default 5 days.
	Hold time.Duration
	// Retry are the waits between attempts; the last one repeats. Default 1m,5m,15m,30m,1h,1h,2h,3h.
	Retry []time.Duration
	// DelayNotice is when a sender is told that mail is late. Default 4 hours.
	DelayNotice time.Duration
}

// Trace is what is kept of the life of messages.
type Trace struct {
	// Keep is how long the traces of messages are kept; negative, written as 0, is off. Default 30 days.
	Keep time.Duration
}

// Notices is how soon and how often people are told of what happens to their domains' mail.
type Notices struct {
	// Wait is how long something holds before people are told. Default 5 minutes.
	Wait time.Duration
	// Interval is the least time between two notices that the same has begun for the same domain. Default 6 hours.
	Interval time.Duration
}

// Support is where people ask who do not know what to do.
type Support struct {
	// URL is an address of mail, or a URL in which {domain} and {text} stand for the domain and for what is known of it.
	// Default the installation's postmaster.
	URL string
}

// Clients is where users' mail programs are told to connect. Ports: negative, written as 0, is not offered; default that
// of the first listener of the kind, which is wrong where a router in front of this machine has others.
type Clients struct {
	Host        string // default Hostname
	IMAPS       int
	IMAP        int
	Submissions int
	Submission  int
	HTTPS       int
}

// Sending is how many recipients our own users may have in an hour, and in a day of UTC. Negative, written as 0, is no
// limit.
type Sending struct {
	LoginHour   int // of one login; default 1,000
	LoginDay    int // default 5,000
	DomainHour  int // of all logins in one domain; default 5,000
	DomainDay   int // default 25,000
	AccountHour int // of all domains of one account; default 10,000
	AccountDay  int // default 50,000
	// PauseAfter is how many recipients a login may have refused by its own limits in one hour, before it is paused; default 100.
	PauseAfter int
}

// DNS is how questions are answered.
type DNS struct {
	// RateLimit is the number of equal UDP answers a second to one network; negative, written as 0, is no limit. Default 200.
	RateLimit int
}

// TLS is the certificate of the server, for all names without one of their own.
type TLS struct {
	// CertFile and KeyFile are PEM files, both or neither; they are read again when they change. Without them a self-signed
	// certificate is made and kept in the data folder, which serves until one is fetched.
	CertFile string
	KeyFile  string
}

// ACME is how certificates are fetched from a certificate authority (RFC 8555).
type ACME struct {
	// Agree: the operator agrees to the authority's terms, and certificates are fetched. Default false.
	Agree bool
	// Directory is the URL of the authority's directory. Default that of Let's Encrypt.
	Directory string
	// Email is where the authority may write to. Default nowhere.
	Email string
	// EABKeyID and EABKey bind the account to one that the operator has with the authority (RFC 8555 §7.3.4); both or neither.
	// EABKey is base64url without padding; "env:NAME" and "file:PATH" are replaced by what they hold, as in Store.DSN.
	EABKeyID string
	EABKey   string
	// CAFile is a PEM file with the roots by which the authority's own HTTPS is known. Default the system's.
	CAFile string
	// Challenges are those that may be used, in this order. Default all: http-01, tls-alpn-01, dns-01.
	Challenges []string
	// Labels are put before domains whose mailboxes are here: such names get certificates by themselves where they point here.
	// Default mail, autoconfig, autodiscover; an empty list that is not nil is none.
	Labels []string
	// NamesPerAccount is how many names an account may add. Default 100.
	NamesPerAccount int
}

// Receive is who may do what when mail comes in.
type Receive struct {
	// TrustedNetworks may send as any domain hosted here, to anywhere. Default none.
	TrustedNetworks []netip.Prefix
}

// Limits bound what one message, one session and the whole program may use.
type Limits struct {
	MessageSize        int64 // octets of a message (RFC 1870); default 50 MiB
	Recipients         int   // recipients of a message; default 1,000; RFC 5321 §4.5.3.1.8 wants at least 100
	Sessions           int   // SMTP sessions at a time; default 10,000
	SessionsPerAddress int   // SMTP sessions at a time from one address or IPv6 /64; default 100
	ForwardsPerHour    int   // messages that one forward may send to other servers in an hour; default 1,000
	Memory             int64 // octets for message content held in memory; default 256 MiB

	IMAPSessions           int // IMAP sessions at a time; default 20,000
	IMAPSessionsPerAddress int // IMAP sessions at a time from one address or IPv6 /64; default 500
	IMAPSessionsPerMailbox int // IMAP sessions at a time of one mailbox; default 50
}

// DefaultDataDir is the data folder when none is named.
const DefaultDataDir = "./postroad-data"

// SocketName is the API's socket in the data folder. Whoever may open it is the operator.
const SocketName = "postroad.sock"

// WithDefaults gives the configuration with every key that is unset at its default. machine is the machine's own
// name; one that is no domain name is passed over for "localhost".
func (c Config) WithDefaults(machine string) Config {
	orText(&c.DataDir, DefaultDataDir)
	if !isDomainName(machine) {
		machine = "localhost"
	}
	orText(&c.Hostname, fold(machine))
	orText(&c.RoutingDomain, "in."+c.Hostname)
	l := &c.Listen
	orList(&l.SMTP, "127.0.0.1:2525")
	orList(&l.Submission, "127.0.0.1:2587")
	orList(&l.Submissions, "127.0.0.1:2465")
	orList(&l.IMAP, "127.0.0.1:2143")
	orList(&l.IMAPS, "127.0.0.1:2993")
	orList(&l.LMTP)
	orList(&l.DNS, "127.0.0.1:2053")
	orList(&l.HTTP, "127.0.0.1:8025")
	orList(&l.HTTPS)
	orNumber(&c.Resolver.Port, 53)
	orNumber(&c.Deliver.Port, 25)
	orNumber(&c.Queue.Hold, 5*day)
	orNumber(&c.Queue.DelayNotice, 4*time.Hour)
	if len(c.Queue.Retry) == 0 {
		c.Queue.Retry = queue.DefaultRetry()
	}
	orNumber(&c.Trace.Keep, 30*day)
	orNumber(&c.DNS.RateLimit, 200)
	orText(&c.ACME.Directory, "https://acme-v02.api.letsencrypt.org/directory")
	if c.ACME.Challenges == nil {
		for _, challenge := range cert.Challenges() {
			c.ACME.Challenges = append(c.ACME.Challenges, string(challenge))
		}
	}
	orList(&c.ACME.Labels, "mail", "autoconfig", "autodiscover")
	orNumber(&c.ACME.NamesPerAccount, 100)
	orNumber(&c.Notices.Wait, 5*time.Minute)
	orNumber(&c.Notices.Interval, 6*time.Hour)
	orText(&c.Clients.Host, c.Hostname)
	orNumber(&c.Clients.IMAPS, firstPort(l.IMAPS))
	orNumber(&c.Clients.IMAP, firstPort(l.IMAP))
	orNumber(&c.Clients.Submissions, firstPort(l.Submissions))
	orNumber(&c.Clients.Submission, firstPort(l.Submission))
	orNumber(&c.Clients.HTTPS, firstPort(l.HTTPS))
	orNumber(&c.Sending.LoginHour, 1000)
	orNumber(&c.Sending.LoginDay, 5000)
	orNumber(&c.Sending.DomainHour, 5000)
	orNumber(&c.Sending.DomainDay, 25_000)
	orNumber(&c.Sending.AccountHour, 10_000)
	orNumber(&c.Sending.AccountDay, 50_000)
	orNumber(&c.Sending.PauseAfter, 100)
	orText(&c.Support.URL, "mailto:postmaster@"+c.Hostname)
	orNumber(&c.Limits.MessageSize, 50<<20)
	orNumber(&c.Limits.Recipients, 1000)
	orNumber(&c.Limits.Sessions, 10_000)
	orNumber(&c.Limits.ForwardsPerHour, 1000)
	orNumber(&c.Limits.SessionsPerAddress, min(100, c.Limits.Sessions))
	orNumber(&c.Limits.Memory, 256<<20)
	orNumber(&c.Limits.IMAPSessions, 20_000)
	orNumber(&c.Limits.IMAPSessionsPerAddress, min(500, c.Limits.IMAPSessions))
	orNumber(&c.Limits.IMAPSessionsPerMailbox, min(50, c.Limits.IMAPSessions))
	return c
}

// firstPort is the port of the first of some listeners, 0 where there is none.
func firstPort(addresses []string) int {
	if len(addresses) == 0 {
		return 0
	}
	_, text, err := net.SplitHostPort(addresses[0])
	if err != nil {
		return 0
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0
	}
	return int(port)
}

func orText(v *string, def string) {
	if *v == "" {
		*v = def
	}
}

func orList(v *[]string, def ...string) {
	if *v == nil {
		*v = append([]string{}, def...)
	}
}

func orNumber[N int | int64 | time.Duration](v *N, def N) {
	if *v == 0 {
		*v = def
	}
}

package config

import (
	"net/netip"
	"time"
)

// key is one configuration key: its place in Config, what it means, and how its text becomes a value.
type key struct {
	name    string // dotted, as in the file
	kind    kind
	def     string // the default as the reference page shows it
	doc     string
	put     func(c *Config, text []string) error // text has one element unless kind is a list
	example string                               // right-hand side for the reference page
}

// kind is what a key holds.
type kind uint8

const (
	kindText kind = iota
	kindNumber
	kindSize
	kindDuration
	kindTexts
	kindDurations
	kindSwitch
)

func (k kind) list() bool { return k == kindTexts || k == kindDurations }

// describe says what a key of this kind wants.
func (k kind) describe() string {
	switch k {
	case kindText:
		return `text, as in "text"`
	case kindNumber:
		return "a whole number"
	case kindSize:
		return `a size, as in "50MiB", or a number of octets`
	case kindDuration:
		return `a duration, as in "5d", "4h" or "90s"`
	case kindSwitch:
		return "true or false"
	case kindTexts:
		return `a list of texts, as in ["a", "b"]`
	case kindDurations:
		return `a list of durations, as in ["1m", "5m"]`
	}
	return "a value"
}

// short names the kind in the reference page.
func (k kind) short() string {
	switch k {
	case kindText:
		return "text"
	case kindNumber:
		return "number"
	case kindSize:
		return "size"
	case kindDuration:
		return "duration"
	case kindSwitch:
		return "true or false"
	case kindTexts:
		return "list of texts"
	case kindDurations:
		return "list of durations"
	}
	return ""
}

// keys is every key there is, in the order of the reference page.
func keys() []key {
	out := []key{
		{
			name: "data_dir", def: `"./postroad-data"`, example: `"/var/lib/postroad"`,
			doc: "Folder of everything that is kept: databases, message bodies, keys, and the socket of the command line. Made at the first start. One running server per folder.",
			put: text(func(c *Config) *string { return &c.DataDir }, notEmpty),
		},
		{
			name: "hostname", def: "the machine's name", example: `"mx.example.com"`,
			doc: "Name in greetings, EHLO, Received fields and reports. It should resolve to this machine and back, or other servers may refuse mail from it.",
			put: name(func(c *Config) *string { return &c.Hostname }),
		},
		{
			name: "addresses", kind: kindTexts, def: "[]", example: `["203.0.113.5", "2001:db8::5"]`,
			doc: "Addresses that count as ours beside those listened on, such as the public one behind NAT. A next hop that leads to one of them is a loop.",
			put: list(func(c *Config) *[]netip.Addr { return &c.Addresses }, address),
		},
		{
			name: "routing_domain", def: `"in." + hostname`, example: `"in.mx.example.com"`,
			doc: "Domain of routing addresses (user=domain@in.mx.example.com), which reach a mailbox whatever public MX records say. One for the whole installation.",
			put: name(func(c *Config) *string { return &c.RoutingDomain }),
		},
	}
	out = append(out, listenKeys()...)
	out = append(out, serviceKeys()...)
	out = append(out, clientKeys()...)
	out = append(out, sendingKeys()...)
	out = append(out, acmeKeys()...)
	return append(out, limitKeys()...)
}

func listenKeys() []key {
	type listener struct {
		name, def, doc string
		field          func(c *Config) *[]string
		ok             check
	}
	var out []key
	for _, l := range []listener{
		{"smtp", "127.0.0.1:2525", "Mail exchanger: mail from other servers (port 25 in production).", func(c *Config) *[]string { return &c.Listen.SMTP }, listenAddress},
		{"submission", "127.0.0.1:2587", "Mail from our own users, STARTTLS and login wanted (port 587 in production).", func(c *Config) *[]string { return &c.Listen.Submission }, listenAddress},
		{"submissions", "127.0.0.1:2465", "The same over TLS from the first octet (port 465 in production).", func(c *Config) *[]string { return &c.Listen.Submissions }, listenAddress},
		{"imap", "127.0.0.1:2143", "IMAP with STARTTLS (port 143 in production).", func(c *Config) *[]string { return &c.Listen.IMAP }, listenAddress},
		{"imaps", "127.0.0.1:2993", "IMAP over TLS (port 993 in production).", func(c *Config) *[]string { return &c.Listen.IMAPS }, listenAddress},
		{"lmtp", "", "Hand-over from a filter on the same machine: \"unix:/path\" or address:port.", func(c *Config) *[]string { return &c.Listen.LMTP }, listenLocal},
		{"dns", "127.0.0.1:2053", "Authoritative DNS over UDP and TCP (port 53 in production).", func(c *Config) *[]string { return &c.Listen.DNS }, listenAddress},
		{"http", "127.0.0.1:8025", "API, metrics and health in clear. Whoever reaches it and has a token may use it: keep it on loopback or behind a proxy with TLS.", func(c *Config) *[]string { return &c.Listen.HTTP }, listenAddress},
		{"https", "", "The same over TLS.", func(c *Config) *[]string { return &c.Listen.HTTPS }, listenAddress},
	} {
		def := "[]"
		if l.def != "" {
			def = `["` + l.def + `"]`
		}
		out = append(out, key{
			name: "listen." + l.name, kind: kindTexts, def: def, example: `["0.0.0.0:25", "[::]:25"]`,
			doc: l.doc + " An empty list is off.",
			put: listenList(l.field, l.ok),
		})
	}
	return out
}

func serviceKeys() []key {
	return []key{
		{
			name: "store.dsn", def: `""`, example: `"env:POSTROAD_DATABASE"`,
			doc: "Empty keeps everything in SQLite in the data folder; postgres://… keeps it in PostgreSQL. \"env:NAME\" and \"file:PATH\" stand for what the variable or the file holds, so that no password need be written here.",
			put: dsn,
		},
		{
			name: "resolver.servers", kind: kindTexts, def: "[]", example: `["127.0.0.1:53"]`,
			doc: "Recursive DNS servers, address:port. Empty means those of /etc/resolv.conf.",
			put: texts(func(c *Config) *[]string { return &c.Resolver.Servers }, dnsServer),
		},
		{
			name: "resolver.roots", kind: kindTexts, def: "[]", example: `["198.41.0.4:53"]`,
			doc: "Servers of the root, address:port, from which the delegation of a domain is followed by look-up, proofs of ownership and checks. Empty means those of the public root.",
			put: texts(func(c *Config) *[]string { return &c.Resolver.Roots }, dnsServer),
		},
		{
			name: "resolver.port", kind: kindNumber, def: "53", example: "53",
			doc: "Port of name servers that a delegation leads to. Anything but 53 is for tests.",
			put: number(func(c *Config) *int { return &c.Resolver.Port }, 1, 65535),
		},
		{
			name: "resolver.allow", kind: kindTexts, def: "[]", example: `["10.1.0.0/16"]`,
			doc: "Networks in which name servers may be asked although they are private or loopback. Everybody who may delegate a domain can then have questions sent there; servers and roots need no mention.",
			put: list(func(c *Config) *[]netip.Prefix { return &c.Resolver.Allow }, network),
		},
		{
			name: "deliver.port", kind: kindNumber, def: "25", example: "25",
			doc: "Port of exchangers found by MX records. Anything but 25 is for tests.",
			put: number(func(c *Config) *int { return &c.Deliver.Port }, 1, 65535),
		},
		{
			name: "deliver.allow", kind: kindTexts, def: "[]", example: `["10.1.0.0/16"]`,
			doc: "Networks that mail may be delivered to although they are private or loopback, on any port. Everybody who may set a route can then reach them.",
			put: list(func(c *Config) *[]netip.Prefix { return &c.Deliver.Allow }, network),
		},
		{
			name: "queue.hold", kind: kindDuration, def: `"5d"`, example: `"5d"`,
			doc: "How long mail is kept and tried before it is returned to its sender.",
			put: duration(func(c *Config) *time.Duration { return &c.Queue.Hold }, time.Second, 60*day),
		},
		{
			name: "queue.retry", kind: kindDurations, def: `["1m", "5m", "15m", "30m", "1h", "1h", "2h", "3h"]`, example: `["1m", "5m", "15m", "1h"]`,
			doc: "Waits between attempts to a destination that is down; the last one repeats.",
			put: durations(func(c *Config) *[]time.Duration { return &c.Queue.Retry }, time.Second, 7*day),
		},
		{
			name: "queue.delay_notice", kind: kindDuration, def: `"4h"`, example: `"4h"`,
			doc: "After this time the sender is told why the mail is late and until when it will be tried.",
			put: duration(func(c *Config) *time.Duration { return &c.Queue.DelayNotice }, time.Second, 60*day),
		},
		{
			name: "trace.keep", kind: kindDuration, def: `"30d"`, example: `"90d"`,
			doc: "How long the traces of messages are kept, counted from when they came. \"0s\" is off: nothing is recorded and nothing shown.",
			put: durationOrOff(func(c *Config) *time.Duration { return &c.Trace.Keep }, time.Hour, 400*day),
		},
		{
			name: "notices.wait", kind: kindDuration, def: `"5m"`, example: `"5m"`,
			doc: "How long something holds before people are told of it: a mail server that takes no mail, mail that goes in circles.",
			put: duration(func(c *Config) *time.Duration { return &c.Notices.Wait }, time.Second, 7*day),
		},
		{
			name: "notices.interval", kind: kindDuration, def: `"6h"`, example: `"6h"`,
			doc: "The least time between two notices that the same has begun for the same domain. That it has ended is told at once.",
			put: duration(func(c *Config) *time.Duration { return &c.Notices.Interval }, time.Second, 30*day),
		},
		{
			name: "support.url", def: `"mailto:postmaster@" + hostname`, example: `"https://help.example.com/new?domain={domain}&text={text}"`,
			doc: "Where people ask who do not know what to do: an address of mail, or a URL in which {domain} and {text} stand for the domain and for what is known of it. Shown by domain show and domain choose.",
			put: text(func(c *Config) *string { return &c.Support.URL }, supportURL),
		},
		{
			name: "dns.rate_limit", kind: kindNumber, def: "200", example: "200",
			doc: "Equal UDP answers a second to one network (IPv4 /24, IPv6 /56), so that nobody is flooded from here in another's name. Of those over the limit every second one says to come by TCP, which is not limited; clients with cookies are not limited either. What does not exist counts per zone. 0 is no limit.",
			put: numberOrOff(func(c *Config) *int { return &c.DNS.RateLimit }, 1, 1_000_000),
		},
		{
			name: "tls.cert_file", def: `""`, example: `"/etc/ssl/mx.example.com.pem"`,
			doc: "PEM file with the server's certificate and its chain, read again when it changes. Empty: the one that is fetched for the hostname (acme.agree), and until there is one a self-signed one, kept in the data folder.",
			put: text(func(c *Config) *string { return &c.TLS.CertFile }, anyText),
		},
		{
			name: "tls.key_file", def: `""`, example: `"/etc/ssl/private/mx.example.com.key"`,
			doc: "PEM file with its key. Both files or neither.",
			put: text(func(c *Config) *string { return &c.TLS.KeyFile }, anyText),
		},
		{
			name: "receive.trusted_networks", kind: kindTexts, def: "[]", example: `["192.0.2.0/28"]`,
			doc: "Networks that may send as any domain hosted here, to anywhere, without login. Too wide a network makes an open relay.",
			put: list(func(c *Config) *[]netip.Prefix { return &c.Receive.TrustedNetworks }, network),
		},
	}
}

func clientKeys() []key {
	out := []key{{
		name: "clients.host", def: "hostname", example: `"mail.example.com"`,
		doc: "Host that mail programs of users are told to connect to, by set-up files and SRV records.",
		put: name(func(c *Config) *string { return &c.Clients.Host }),
	}}
	for _, p := range []struct {
		name, what, example string
		field               func(c *Config) *int
	}{
		{"imaps", "IMAP over TLS", "993", func(c *Config) *int { return &c.Clients.IMAPS }},
		{"imap", "IMAP with STARTTLS", "143", func(c *Config) *int { return &c.Clients.IMAP }},
		{"submissions", "submission over TLS", "465", func(c *Config) *int { return &c.Clients.Submissions }},
		{"submission", "submission with STARTTLS", "587", func(c *Config) *int { return &c.Clients.Submission }},
		{"https", "set-up files over TLS", "443", func(c *Config) *int { return &c.Clients.HTTPS }},
	} {
		out = append(out, key{
			name: "clients." + p.name, kind: kindNumber, def: "port of the first listen." + p.name, example: p.example,
			doc: "Port of " + p.what + " that they are told. Another than the listener's where a router in front of this machine has another. 0 is not offered.",
			put: numberOrOff(p.field, 1, 65535),
		})
	}
	return out
}

func acmeKeys() []key {
	return []key{
		{
			name: "acme.agree", kind: kindSwitch, def: "false", example: "true",
			doc: "Whether you agree to the terms of the certificate authority: only then are certificates fetched, for the server's own names, for those that customers add, and for the usual ones of their domains (acme.labels). See certificates.md.",
			put: truth(func(c *Config) *bool { return &c.ACME.Agree }),
		},
		{
			name: "acme.directory", def: `"https://acme-v02.api.letsencrypt.org/directory"`, example: `"https://acme-staging-v02.api.letsencrypt.org/directory"`,
			doc: "The authority, by the URL of its ACME directory. Certificates that are there are used until they are renewed.",
			put: text(func(c *Config) *string { return &c.ACME.Directory }, httpsURL),
		},
		{
			name: "acme.email", def: `""`, example: `"hostmaster@example.com"`,
			doc: "Address at which the authority may reach you. Empty: it may not.",
			put: text(func(c *Config) *string { return &c.ACME.Email }, emailAddress),
		},
		{
			name: "acme.eab_key_id", def: `""`, example: `"kid-1"`,
			doc: "Key identifier by which the authority knows you as a customer, for those that want it (external account binding: ZeroSSL, Google Trust Services). With acme.eab_key. Another one is another account there.",
			put: text(func(c *Config) *string { return &c.ACME.EABKeyID }, keyID),
		},
		{
			name: "acme.eab_key", def: `""`, example: `"env:POSTROAD_BINDING"`,
			doc: "The HMAC key that the authority gives with it, in base64url. \"env:NAME\" and \"file:PATH\" stand for what the variable or the file holds, so that it need not be written here.",
			put: bindingKey,
		},
		{
			name: "acme.ca_file", def: `""`, example: `"/etc/ssl/our-authority.pem"`,
			doc: "PEM file with the roots by which the authority's own HTTPS is verified, for one of your own. Empty: those of the system.",
			put: text(func(c *Config) *string { return &c.ACME.CAFile }, anyText),
		},
		{
			name: "acme.challenges", kind: kindTexts, def: `["http-01", "tls-alpn-01", "dns-01"]`, example: `["dns-01"]`,
			doc: "How the authority may be shown that a name is yours, in the order in which it is tried: http-01 by the http listeners, which the world has to reach at port 80; tls-alpn-01 by the https listeners, at port 443; dns-01 by a record in zones that are hosted here.",
			put: texts(func(c *Config) *[]string { return &c.ACME.Challenges }, challengeName),
		},
		{
			name: "acme.labels", kind: kindTexts, def: `["mail", "autoconfig", "autodiscover"]`, example: `["mail", "imap", "smtp", "autoconfig", "autodiscover"]`,
			doc: "Names below a customer's domain that get a certificate by themselves where they point to this server: mail.example.com, and so on, of domains whose ownership is shown and whose mailboxes are here. An empty list is none.",
			put: texts(func(c *Config) *[]string { return &c.ACME.Labels }, labelName),
		},
		{
			name: "acme.names_per_account", kind: kindNumber, def: "100", example: "100",
			doc: "How many names an account may add by itself; the operator may add more.",
			put: number(func(c *Config) *int { return &c.ACME.NamesPerAccount }, 1, 100_000),
		},
	}
}

func sendingKeys() []key {
	var out []key
	for _, k := range []struct {
		name, who, def string
		field          func(c *Config) *int
	}{
		{"login_hour", "one login in one hour", "1000", func(c *Config) *int { return &c.Sending.LoginHour }},
		{"login_day", "one login in one day", "5000", func(c *Config) *int { return &c.Sending.LoginDay }},
		{"domain_hour", "all logins of one domain in one hour", "5000", func(c *Config) *int { return &c.Sending.DomainHour }},
		{"domain_day", "all logins of one domain in one day", "25000", func(c *Config) *int { return &c.Sending.DomainDay }},
		{"account_hour", "all domains of one account in one hour", "10000", func(c *Config) *int { return &c.Sending.AccountHour }},
		{"account_day", "all domains of one account in one day", "50000", func(c *Config) *int { return &c.Sending.AccountDay }},
	} {
		out = append(out, key{
			name: "sending." + k.name, kind: kindNumber, def: k.def, example: k.def,
			doc: "Recipients of " + k.who + " (of UTC). The next one is told 450 4.7.1 with the time from which on it is taken. 0 is no limit.",
			put: numberOrOff(k.field, 1, 1_000_000_000),
		})
	}
	return append(out, key{
		name: "sending.pause_after", kind: kindNumber, def: "100", example: "100",
		doc: "A login of which so many recipients are refused by its own limits in one hour (of UTC) is paused: it sends nothing, what it has sent is held, and its domain's account and the operator are told, until mailbox resume. 0: none is paused.",
		put: numberOrOff(func(c *Config) *int { return &c.Sending.PauseAfter }, 1, 1_000_000_000),
	})
}

func limitKeys() []key {
	return []key{
		{
			name: "limits.message_size", kind: kindSize, def: `"50MiB"`, example: `"50MiB"`,
			doc: "Largest message, announced by SIZE.",
			put: size(func(c *Config) *int64 { return &c.Limits.MessageSize }, 1<<10, 2<<30),
		},
		{
			name: "limits.recipients", kind: kindNumber, def: "1000", example: "1000",
			doc: "Recipients of one message, announced by LIMITS. RFC 5321 §4.5.3.1.8 wants at least 100.",
			put: number(func(c *Config) *int { return &c.Limits.Recipients }, 1, 100_000),
		},
		{
			name: "limits.sessions", kind: kindNumber, def: "10000", example: "10000",
			doc: "SMTP sessions at a time; the next ones are told 421.",
			put: number(func(c *Config) *int { return &c.Limits.Sessions }, 1, 1_000_000),
		},
		{
			name: "limits.forwards_per_hour", kind: kindNumber, def: "1000", example: "1000",
			doc: "Messages that one forward, alias, group or catch-all may send to other servers in an hour, on each node. What is over is taken and waits, and leaves at that pace; the domain has the finding FORWARD_FUSE.",
			put: number(func(c *Config) *int { return &c.Limits.ForwardsPerHour }, 1, 1_000_000),
		},
		{
			name: "limits.sessions_per_address", kind: kindNumber, def: "100", example: "100",
			doc: "SMTP sessions at a time from one IPv4 address or one IPv6 /64.",
			put: number(func(c *Config) *int { return &c.Limits.SessionsPerAddress }, 1, 1_000_000),
		},
		{
			name: "limits.memory", kind: kindSize, def: `"256MiB"`, example: `"256MiB"`,
			doc: "Memory for message content and other large buffers. When it is short, messages go to files; when it is used up, MAIL gets 452.",
			put: size(func(c *Config) *int64 { return &c.Limits.Memory }, 16<<20, 1<<40),
		},
		{
			name: "limits.imap_sessions", kind: kindNumber, def: "20000", example: "20000",
			doc: "IMAP sessions at a time. Sessions without a login may take half of the places; the oldest of them is ended for a new one.",
			put: number(func(c *Config) *int { return &c.Limits.IMAPSessions }, 1, 1_000_000),
		},
		{
			name: "limits.imap_sessions_per_address", kind: kindNumber, def: "500", example: "500",
			doc: "IMAP sessions at a time from one IPv4 address or one IPv6 /64. A mail client has up to ten for each mailbox.",
			put: number(func(c *Config) *int { return &c.Limits.IMAPSessionsPerAddress }, 1, 1_000_000),
		},
		{
			name: "limits.imap_sessions_per_mailbox", kind: kindNumber, def: "50", example: "50",
			doc: "IMAP sessions at a time of one mailbox, over all of its user's devices.",
			put: number(func(c *Config) *int { return &c.Limits.IMAPSessionsPerMailbox }, 1, 1_000_000),
		},
	}
}

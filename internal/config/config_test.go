package config_test

import (
	"bytes"
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postroad/internal/config"
)

var update = flag.Bool("update", false, "write the reference page instead of comparing it")

func parse(t *testing.T, text string, environ ...string) config.Config {
	t.Helper()
	c, err := config.Parse("postroad.toml", []byte(text), environ, "vm1.example.net")
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return c
}

func TestDefaultsAreThoseOfTheInterface(t *testing.T) {
	t.Parallel()
	want := config.Config{
		DataDir: "./postroad-data", Hostname: "vm1.example.net", RoutingDomain: "in.vm1.example.net",
		Listen: config.Listen{
			SMTP:       []string{"127.0.0.1:2525"},
			Submission: []string{"127.0.0.1:2587"}, Submissions: []string{"127.0.0.1:2465"},
			IMAP: []string{"127.0.0.1:2143"}, IMAPS: []string{"127.0.0.1:2993"},
			LMTP: []string{}, DNS: []string{"127.0.0.1:2053"},
			HTTP: []string{"127.0.0.1:8025"}, HTTPS: []string{},
		},
		Resolver: config.Resolver{Port: 53},
		Deliver:  config.Deliver{Port: 25},
		Queue: config.Queue{
			Hold: 120 * time.Hour, DelayNotice: 4 * time.Hour,
			Retry: []time.Duration{
				time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute,
				time.Hour, time.Hour, 2 * time.Hour, 3 * time.Hour,
			},
		},
		Trace:   config.Trace{Keep: 720 * time.Hour},
		Notices: config.Notices{Wait: 5 * time.Minute, Interval: 6 * time.Hour},
		Support: config.Support{URL: "mailto:postmaster@vm1.example.net"},
		Clients: config.Clients{Host: "vm1.example.net", IMAPS: 2993, IMAP: 2143, Submissions: 2465, Submission: 2587},
		Sending: config.Sending{LoginHour: 1000, LoginDay: 5000, DomainHour: 5000, DomainDay: 25_000, AccountHour: 10_000, AccountDay: 50_000, PauseAfter: 100},
		DNS:     config.DNS{RateLimit: 200},
		ACME: config.ACME{
			Directory: "https://acme-v02.api.letsencrypt.org/directory", Challenges: []string{"http-01", "tls-alpn-01", "dns-01"},
			Labels: []string{"mail", "autoconfig", "autodiscover"}, NamesPerAccount: 100,
		},
		Limits: config.Limits{MessageSize: 50 << 20, Recipients: 1000, Sessions: 10000, SessionsPerAddress: 100, ForwardsPerHour: 1000, Memory: 256 << 20, IMAPSessions: 20000, IMAPSessionsPerAddress: 500, IMAPSessionsPerMailbox: 50},
	}
	if d := cmp.Diff(want, parse(t, "")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(want, config.Config{}.WithDefaults("vm1.example.net")); d != "" {
		t.Error("zero value:", d)
	}
	for _, machine := range []string{"", "my_machine", "a b", "-x", "x..y", strings.Repeat("a", 64)} {
		if got := (config.Config{}).WithDefaults(machine).Hostname; got != "localhost" {
			t.Errorf("machine %q: hostname %q", machine, got)
		}
	}
}

func TestEveryKeyFromTheFile(t *testing.T) {
	t.Parallel()
	c := parse(t, `
data_dir = "/srv/p" # comment
hostname = "MX.Example.com."
addresses = ["203.0.113.5", "2001:db8::5"]
routing_domain = "in.example.com"
listen = { smtp = ["0.0.0.0:25", "[::]:25"], dns = [] }
[store]
dsn = "postgres://p@db/postroad"
[resolver]
servers = ["127.0.53.1:53"]
roots = ["127.0.53.2:5353"]
port = 5353
allow = ["127.0.53.0/24"]
[deliver]
port = 2500
allow = ["127.0.0.0/8", "::1"]
[queue]
hold = "10d"
retry = [
  "30s", # soon
  "1h30m",
]
delay_notice = "2h"
[dns]
rate_limit = 500
[tls]
cert_file = "/c"
key_file = "/k"
[acme]
agree = true
directory = "https://acme.example/dir"
email = "hostmaster@example.com"
ca_file = "/r"
challenges = ["dns-01"]
labels = []
names_per_account = 7
[receive]
trusted_networks = ["192.0.2.0/28"]
[limits]
message_size = 1_000_000
recipients = 100
sessions = 20000
sessions_per_address = 20000
memory = "1GiB"
`)
	want := config.Config{
		DataDir: "/srv/p", Hostname: "mx.example.com", RoutingDomain: "in.example.com",
		Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.5"), netip.MustParseAddr("2001:db8::5")},
		Listen: config.Listen{
			SMTP: []string{"0.0.0.0:25", "[::]:25"}, DNS: []string{},
		},
		Store:    config.Store{DSN: "postgres://p@db/postroad"},
		Resolver: config.Resolver{Servers: []string{"127.0.53.1:53"}, Roots: []string{"127.0.53.2:5353"}, Port: 5353, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.53.0/24")}},
		Deliver:  config.Deliver{Port: 2500, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}},
		Queue:    config.Queue{Hold: 240 * time.Hour, Retry: []time.Duration{30 * time.Second, 90 * time.Minute}, DelayNotice: 2 * time.Hour},
		DNS:      config.DNS{RateLimit: 500},
		TLS:      config.TLS{CertFile: "/c", KeyFile: "/k"},
		ACME: config.ACME{
			Agree: true, Directory: "https://acme.example/dir", Email: "hostmaster@example.com", CAFile: "/r", Challenges: []string{"dns-01"}, Labels: []string{}, NamesPerAccount: 7,
		},
		Receive: config.Receive{TrustedNetworks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/28")}},
		Limits:  config.Limits{MessageSize: 1_000_000, Recipients: 100, Sessions: 20000, SessionsPerAddress: 20000, Memory: 1 << 30},
	}.WithDefaults("x")
	if d := cmp.Diff(want, c, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
		t.Error(d)
	}
}

func TestEnvironmentWins(t *testing.T) {
	t.Setenv("SECRET_DSN", "postgres://u:secret@h/d")
	c := parse(t, "data_dir = \"/file\"\n[listen]\nsmtp = [\"127.0.0.1:1\"]\n",
		"POSTROAD_DATA_DIR=/env", "POSTROAD_LISTEN_SMTP=127.0.0.1:26, [::1]:26", "POSTROAD_LISTEN_HTTP=", "POSTROAD_STORE_DSN=env:SECRET_DSN",
		"POSTROAD_QUEUE_RETRY=1s,2s", "POSTROAD_LIMITS_MESSAGE_SIZE=10MiB", "POSTROAD_HOSTNAME=", "POSTROAD_QUEUE_HOLD=",
		"POSTROAD_BIN=/x", "POSTROAD_TOKEN=pr_x", "PATH=/bin", "odd")
	if c.DataDir != "/env" || !cmp.Equal(c.Listen.SMTP, []string{"127.0.0.1:26", "[::1]:26"}) || len(c.Listen.HTTP) != 0 || c.Listen.HTTP == nil {
		t.Errorf("%+v", c)
	}
	if c.Store.DSN != "postgres://u:secret@h/d" || c.Limits.MessageSize != 10<<20 || !cmp.Equal(c.Queue.Retry, []time.Duration{time.Second, 2 * time.Second}) {
		t.Errorf("%+v", c)
	}
	if c.Hostname != "vm1.example.net" || c.Queue.Hold != 120*time.Hour {
		t.Errorf("a variable that is set but empty did not mean the default: %+v", c)
	}
}

func TestTheKeyOfABindingComesFromAFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("+/8x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := parse(t, "[acme]\neab_key_id = \"kid-1\"\neab_key = \"file:"+file+"\"\n")
	if c.ACME.EABKeyID != "kid-1" || c.ACME.EABKey != "-_8x" {
		t.Errorf("%+v", c.ACME)
	}
	if c = parse(t, "[acme]\neab_key_id = \"kid-1\"\neab_key = \"a2U=\"\n"); c.ACME.EABKey != "a2U" {
		t.Errorf("%+v", c.ACME)
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		environ    []string
		want       []string // one per problem, in order; each must be part of it
	}{
		{"all at once", "hostnam = \"x\"\n[listen]\nsmpt = []\nsmtp = \"127.0.0.1:25\"\n[limits]\nrecipients = \"many\"\n", nil, []string{
			"postroad.toml:1: hostnam: unknown key (did you mean hostname?)",
			"postroad.toml:3: listen.smpt: unknown key (did you mean listen.smtp?)",
			"postroad.toml:4: listen.smtp: wants a list of texts",
			"postroad.toml:6: limits.recipients: wants a whole number",
		}},
		{"no TOML", "hostname = \"a\"\nhostname = = 3\nxx = 1\n", nil, []string{"postroad.toml:2: "}},
		{"twice", "hostname = \"a\"\nhostname = \"b\"\n", nil, []string{"postroad.toml:2: "}},
		{"unknown table", "[lisen]\nsmtp = []\n[limits]\n", nil, []string{"postroad.toml:1: lisen: unknown table (did you mean [listen]?)"}},
		{"far table", "[wholly_different]\na = 1\n", nil, []string{"unknown table (tables: listen, store,"}},
		{"wrong table", "[queue]\nmessage_size = 3\n", nil, []string{"did you mean limits.message_size?"}},
		{"table as key", "listen = 3\n", nil, []string{"listen: is a table"}},
		{"key as table", "[hostname]\n", nil, []string{"hostname: is a key, not a table"}},
		{"list of tables", "[[listen]]\n", nil, []string{"a list of tables is not known here"}},
		{"dotted", "listen.smtpp = []\n", nil, []string{"did you mean listen.smtp?"}},
		{"durations", "[queue]\nhold = 5\nretry = [\"1x\"]\ndelay_notice = \"-1h\"\n", nil, []string{"2: queue.hold: wants a duration", "3: queue.retry: not a duration: \"1x\"", "4: queue.delay_notice: not a duration"}},
		{"ranges", "[limits]\nrecipients = 0\nmessage_size = 1\nmemory = \"999TiB\"\n[deliver]\nport = 65536\n", nil, []string{"outside 1 to", "outside 1KiB to", "outside 16MiB", "outside 1 to 65535"}},
		{"listeners", "[listen]\nsmtp = [\"127.0.0.1\"]\nimap = [\"::1:25\"]\ndns = [\"[::1\"]\nhttp = [\"[1.2.3.4]:1\"]\nhttps = [\"a_b:1\"]\nlmtp = [\"unix:\"]\n", nil, []string{"has no port", "goes between [ and ]", "no IPv6 address", "no IPv6 address", "neither an address nor a name", "without a path"}},
		{"networks", "addresses = [\"nonsense\"]\n[receive]\ntrusted_networks = [\"10.0.0.1/8\"]\n[deliver]\nallow = [\"10/8\"]\n", nil, []string{"no IP address", "did you mean \"10.0.0.0/8\"", "no network"}},
		{"resolver", "[resolver]\nservers = [\"dns.example:53\"]\n", nil, []string{"no IP address with a port"}},
		{"dsn", "[store]\ndsn = \"mysql://x\"\n", nil, []string{"neither empty nor a postgres:// address"}},
		{"dsn in a variable that is not set", "[store]\ndsn = \"env:NO_SUCH_VARIABLE_X\"\n", nil, []string{"is not set"}},
		{"certificates", "[acme]\nagree = \"yes\"\ndirectory = \"http://acme.example/dir\"\nemail = \"me\"\nchallenges = [\"http-02\"]\nlabels = [\"a_b\"]\n", []string{"POSTROAD_ACME_AGREE=1"}, []string{
			"wants true or false", "is no URL such as", "is no address such as", "is no challenge; there are http-01", "is no part of a name", "POSTROAD_ACME_AGREE: acme.agree: \"1\" is neither true nor false",
		}},
		{"binding", "[acme]\neab_key_id = \"a b\"\neab_key = \"not/a!key\"\n", nil, []string{"no key identifier", "no key in base64url"}},
		{"binding without a key", "[acme]\neab_key_id = \"kid-1\"\n", nil, []string{"eab_key_id and eab_key go together"}},
		{"binding in a variable that is not set", "[acme]\neab_key_id = \"kid-1\"\neab_key = \"env:NO_SUCH_VARIABLE_X\"\n", nil, []string{"is not set"}},
		{"certificate without key", "[tls]\ncert_file = \"/c\"\n", nil, []string{"cert_file and key_file go together"}},
		{"per address above all", "[limits]\nsessions = 5\nsessions_per_address = 6\n", nil, []string{"larger than limits.sessions"}},
		{"variables", "", []string{"POSTROAD_LISTEN_SMPT=x:1", "POSTROAD_DELIVER_PORT=x"}, []string{"POSTROAD_DELIVER_PORT: deliver.port: \"x\" is no whole number", "POSTROAD_LISTEN_SMPT: unknown variable (did you mean POSTROAD_LISTEN_SMTP?)"}},
		{"hostname", "hostname = \"a b\"\nrouting_domain = \"-x\"\n", nil, []string{"no domain name", "no domain name"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Parse("postroad.toml", []byte(tt.text), tt.environ, "m")
			var problems config.ProblemErrors
			if !errors.As(err, &problems) {
				t.Fatalf("no problems: %v", err)
			}
			if len(problems) != len(tt.want) {
				t.Fatalf("%d problems, want %d:\n%v", len(problems), len(tt.want), err)
			}
			for i, want := range tt.want {
				if !strings.Contains(problems[i].String(), want) {
					t.Errorf("problem %d is %q, want %q in it", i, problems[i], want)
				}
			}
		})
	}
}

func TestLoadReadsTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "p.toml")
	if _, err := config.Load(path, nil); err == nil {
		t.Error("a file that is not there was no error")
	}
	if err := os.WriteFile(path, []byte("hostname = \"mx.example.org\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path, nil)
	if err != nil || c.Hostname != "mx.example.org" {
		t.Errorf("%v %v", c.Hostname, err)
	}
	if c, err = config.Load("", nil); err != nil || c.Hostname == "" {
		t.Errorf("%v %v", c.Hostname, err)
	}
}

func TestUnits(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"5d": 120 * time.Hour, "1d12h": 36 * time.Hour, "90s": 90 * time.Second, "0s": 0, "1h30m": 90 * time.Minute, " 2m ": 2 * time.Minute,
	} {
		got, err := config.ParseDuration(text)
		if err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v", text, got, err)
		}
		if back, err := config.ParseDuration(config.FormatDuration(got)); err != nil || back != got {
			t.Errorf("%q does not come back from %q", text, config.FormatDuration(got))
		}
	}
	for _, bad := range []string{"", "d", "5", "-1h", "1.5d", "-5d", "5dd", "99999999d", "1h-2h", "65535d9999999h", "5d x"} {
		if d, err := config.ParseDuration(bad); err == nil {
			t.Errorf("ParseDuration(%q) = %v", bad, d)
		}
	}
	for text, want := range map[string]int64{
		"0": 0, "52428800": 50 << 20, "50MiB": 50 << 20, "50M": 50 << 20, "50MB": 50e6, "1.5GiB": 3 << 29, "1 kib": 1024, "7B": 7,
	} {
		if got, err := config.ParseSize(text); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "-1", "1.5", "MiB", "1e9", "9999999999999GiB", "1XB", "1.2.3M", "NaNM", "infM"} {
		if n, err := config.ParseSize(bad); err == nil {
			t.Errorf("ParseSize(%q) = %v", bad, n)
		}
	}
}

func TestReferencePageIsTheOutput(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	if err := config.WriteReference(&got); err != nil {
		t.Fatal(err)
	}
	page := filepath.Join("..", "..", "docs", "reference", "configuration.md")
	if *update {
		if err := os.WriteFile(page, got.Bytes(), 0o644); err != nil { //nolint:gosec // a page for everybody
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Error("docs/reference/configuration.md is not what `postroad config reference` prints; run go test ./internal/config -update:", d)
	}
}

func TestExamplesAndDefaultsOfTheReferenceLoad(t *testing.T) {
	t.Parallel()
	var page bytes.Buffer
	if err := config.WriteReference(&page); err != nil {
		t.Fatal(err)
	}
	var table, text string
	n := 0
	for line := range strings.SplitSeq(page.String(), "\n") {
		if head, ok := strings.CutPrefix(line, "## ["); ok {
			table = "[" + strings.TrimSuffix(head, "]") + "]\n"
			text += table
		}
		if e, ok := strings.CutPrefix(line, "- example: `"); ok {
			e = strings.NewReplacer("env:POSTROAD_DATABASE", "postgres://x", "env:POSTROAD_BINDING", "a2V5").Replace(strings.TrimSuffix(e, "`"))
			text += e + "\n"
			n++
		}
	}
	if _, err := config.Parse("examples", []byte(text), nil, "m"); err != nil {
		t.Error(err)
	}
	if n < 25 {
		t.Errorf("only %d keys have examples", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("hostname = \"x\"\n[listen]\nsmtp = []\n")
	f.Add("listen = { smtp = [\"a:1\"], x.y = 3 }")
	f.Add("[[listen]]\n[listen.smtp]\n\"\" = 1\n")
	f.Fuzz(func(_ *testing.T, text string) {
		_, err := config.Parse("f", []byte(text), []string{"POSTROAD_QUEUE_RETRY=" + text}, text)
		if err != nil {
			_ = err.Error()
		}
	})
}

func FuzzUnits(f *testing.F) {
	for _, s := range []string{"5d", "1d12h", "50MiB", "1.5G", "-1", "99999999999999999999d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := config.ParseDuration(s); err == nil {
			back, err := config.ParseDuration(config.FormatDuration(d))
			if d < 0 || err != nil || back != d {
				t.Errorf("duration %q: %v, %v back, %v", s, d, back, err)
			}
		}
		if n, err := config.ParseSize(s); err == nil {
			back, err := config.ParseSize(config.FormatSize(n))
			if n < 0 || err != nil || back != n {
				t.Errorf("size %q: %v, %v back, %v", s, n, back, err)
			}
		}
	})
}

func TestTracesCanBeOff(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"0s": -1, "0d": -1, "2h": 2 * time.Hour} {
		if got := parse(t, "[trace]\nkeep = \""+text+"\"\n").WithDefaults("x").Trace.Keep; got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if _, err := config.Parse("x", []byte("[trace]\nkeep = \"1m\"\n"), nil, "x"); err == nil {
		t.Error("a minute is taken")
	}
}

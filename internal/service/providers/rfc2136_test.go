package providers_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/publish"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/service/providers"
	"postroad/internal/sim"
)

const keySecret = "c2VjcmV0IG9mIGEga2V5IHRoYXQgdHdvIHNoYXJlIQ=="

const zoneText = `$ORIGIN acme.example.
$TTL 3600
@ SOA ns hostmaster 1 7200 900 1209600 300
@ NS ns
ns A 127.0.0.1
www 300 A 192.0.2.7
@ 600 MX 10 old.far.example.
@ TXT "v=spf1 ip4:192.0.2.1 -all"
@ TXT "verification=1 \; \"quoted\""
`

// primary runs a name server that takes updates under the key "postroad", and gives its address.
func primary(t *testing.T, name, config string) string {
	t.Helper()
	path := "/usr/sbin/" + name
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is missing: run scripts/install-test-deps", name)
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil { //nolint:gosec // the daemon may give up its rights
		t.Fatal(err)
	}
	address := sim.FreeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	for file, text := range map[string]string{"acme.zone": zoneText, "daemon.conf": strings.NewReplacer("DIR", dir, "PORT", port, "SECRET", keySecret).Replace(config)} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o666); err != nil { //nolint:gosec // as above
			t.Fatal(err)
		}
	}
	args := map[string][]string{"named": {"-g", "-c"}, "knotd": {"-c"}}[name]
	cmd := exec.CommandContext(t.Context(), path, append(args, filepath.Join(dir, "daemon.conf"))...)
	var log sim.Output
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", name, log.String())
		}
	})
	ready := time.After(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		out, err := exec.Command("dig", "@127.0.0.1", "-p", port, "+short", "+time=1", "+tries=1", "+tcp", "acme.example", "SOA").Output() //nolint:gosec // a port
		if err == nil && strings.Contains(string(out), "hostmaster") {
			return address
		}
		select {
		case <-ready:
			t.Fatalf("%s does not answer:\n%s", name, log.String())
		case <-tick.C:
		}
	}
}

// transferred is the whole zone as a server has it, without SOA, as lines.
func transferred(t *testing.T, address string) string {
	t.Helper()
	host, port, _ := net.SplitHostPort(address)
	out, err := exec.Command("dig", "@"+host, "-p", port, "-y", "hmac-sha256:postroad:"+keySecret, "+noall", "+answer", "acme.example", "AXFR").CombinedOutput() //nolint:gosec // an address
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 4 && f[3] != "SOA" {
			lines = append(lines, strings.Join(f, " "))
		}
	}
	return strings.Join(lines, "\n")
}

var wantedSets = []publish.Set{{Name: "acme.example.", Type: dns.TypeMX}, {Name: "acme.example.", Type: dns.TypeTXT}}

// ours is a zone's change to the exchangers of ours, by what it has now.
func ours(t *testing.T, records []dns.Record, hosts ...zone.Exchanger) zone.Difference {
	t.Helper()
	z := zone.Zone{Domain: "acme.example", Records: zone.Sort(records)}
	next, err := z.WithExchangers(z.Apex(), hosts)
	if err != nil {
		t.Fatal(err)
	}
	if own := z.SPF(); len(own) == 1 {
		next = next.WithSPF(zone.MergeSPF(own[0], "v=spf1 mx ~all"))
	}
	return zone.Plan(z.Records, next.Records)
}

func TestAPrimaryIsUpdatedByRFC2136AndNothingElseIsTouched(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]string{
		"named": `options { directory "DIR"; listen-on port PORT { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none; recursion no; session-keyfile none; };
controls { };
key postroad { algorithm hmac-sha256; secret "SECRET"; };
zone acme.example { type primary; file "DIR/acme.zone"; update-policy { grant postroad zonesub MX TXT; }; allow-transfer { key postroad; }; };
`,
		"knotd": `server:
  rundir: DIR
  listen: 127.0.0.1@PORT
database:
  storage: DIR
log:
  - target: stderr
    any: info
key:
  - id: postroad
    algorithm: hmac-sha256
    secret: SECRET
acl:
  - id: write
    key: postroad
    action: [update, transfer]
zone:
  - domain: acme.example
    file: DIR/acme.zone
    acl: write
`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := primary(t, name, config)
			secret, err := base64.StdEncoding.DecodeString(keySecret)
			if err != nil {
				t.Fatal(err)
			}
			s, ctx := &providers.Service{}, t.Context()
			a := publish.Access{Secret: secret, Provider: publish.Provider{
				Domain: "acme.example", Kind: providers.RFC2136, Zone: "acme.example", Server: address, Key: "postroad.", Algorithm: dns.HMACSHA256, Operator: true,
			}}
			before := transferred(t, address)
			records, err := s.Read(ctx, a, wantedSets)
			if err != nil || len(records) != 3 {
				t.Fatalf("read: %v, %v", records, err)
			}
			change := ours(t, records, zone.Exchanger{Preference: 10, Host: "mx1.host.example"}, zone.Exchanger{Preference: 20, Host: "mx2.host.example"})
			if err := s.Write(ctx, a, change); err != nil {
				t.Fatal(err)
			}
			after := transferred(t, address)
			want := strings.Replace(before, "acme.example. 600 IN MX 10 old.far.example.", "acme.example. 600 IN MX 10 mx1.host.example.\nacme.example. 600 IN MX 20 mx2.host.example.", 1)
			want = strings.Replace(want, `"v=spf1 ip4:192.0.2.1 -all"`, `"v=spf1 ip4:192.0.2.1 mx -all"`, 1)
			if lines(after) != lines(want) {
				t.Errorf("the zone is\n%s\nwant\n%s", after, want)
			}
			// The same once more: the zone is not as it was.
			if err := s.Write(ctx, a, change); !errors.Is(err, publish.ErrChanged) {
				t.Errorf("a change that is stale: %v", err)
			}
			if again := transferred(t, address); again != after {
				t.Errorf("a change that is stale has changed the zone:\n%s", again)
			}
			if err := s.Write(ctx, a, change.Reverse()); err != nil {
				t.Fatal(err)
			}
			if back := transferred(t, address); lines(back) != lines(before) {
				t.Errorf("taken back the zone is\n%s\nwant\n%s", back, before)
			}
			for what, spoil := range map[string]func(*publish.Access){
				"another secret":      func(a *publish.Access) { a.Secret = []byte("another secret of a key....") },
				"another key":         func(a *publish.Access) { a.Key = "nobody." },
				"a customer's server": func(a *publish.Access) { a.Operator = false },
			} {
				bad := a
				spoil(&bad)
				if _, err := s.Read(ctx, bad, wantedSets); err == nil {
					t.Errorf("%s: it reads", what)
				}
				if err := s.Write(ctx, bad, change); err == nil || errors.Is(err, publish.ErrChanged) {
					t.Errorf("%s: it writes: %v", what, err)
				}
			}
		})
	}
}

// lines sorts the lines of a text.
func lines(text string) string {
	all := strings.Split(text, "\n")
	out := make([]dns.Record, 0, len(all))
	var rest []string
	for _, l := range all {
		f := strings.SplitN(l, " ", 5)
		t, err := dns.ParseType(f[3])
		if err != nil {
			rest = append(rest, l)
			continue
		}
		data, err := dns.Data(t, f[4], "")
		if err != nil {
			rest = append(rest, l)
			continue
		}
		var ttl uint32
		_, _ = fmt.Sscan(f[1], &ttl)
		out = append(out, dns.Record{Name: f[0], Type: t, TTL: ttl, Data: data})
	}
	var b strings.Builder
	for _, r := range zone.Sort(out) {
		b.WriteString(r.String() + "\n")
	}
	return b.String() + strings.Join(rest, "\n")
}

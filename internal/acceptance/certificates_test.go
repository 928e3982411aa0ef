package acceptance

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"postroad/internal/sim"
)

// certified is an installation in a world with a certificate authority, and with listeners for everything under TLS.
type certified struct {
	*instance
	acme        *sim.ACME
	imap, https string
}

// certificates starts an installation that fetches certificates from an authority which asks DNS at the resolver given.
func certificates(t *testing.T, config, resolver string, env ...string) *certified {
	t.Helper()
	return certificatesFrom(t, sim.ACMEOptions{Resolver: resolver}, config, env...)
}

// certificatesFrom starts one that fetches them from an authority that is as the options say.
func certificatesFrom(t *testing.T, o sim.ACMEOptions, config string, env ...string) *certified {
	t.Helper()
	c := &certified{instance: prepareInstance(t, t.TempDir(), config), imap: sim.FreeAddress(t), https: sim.FreeAddress(t)}
	o.HTTP, o.HTTPS = c.http, c.https
	c.acme = sim.StartACME(t, o)
	roots := filepath.Join(c.dir, "authority.pem")
	if err := os.WriteFile(roots, c.acme.HTTPSRoots(), 0o600); err != nil {
		t.Fatal(err)
	}
	c.env = append(c.env, "POSTROAD_ACME_AGREE=true", "POSTROAD_ACME_DIRECTORY="+c.acme.Directory(), "POSTROAD_ACME_CA_FILE="+roots, "POSTROAD_ADDRESSES=127.0.0.1",
		"POSTROAD_LISTEN_IMAPS="+c.imap, "POSTROAD_LISTEN_HTTPS="+c.https)
	c.env = append(c.env, env...)
	c.start()
	return c
}

// certificate is what `cert show --json` tells.
type certificate struct {
	Name, Domain, Source, State, Challenge, Problem, Detail, Remedy string
	AdvisedFrom                                                     string `json:"advised_from"`
}

// holds waits until a name has a certificate that holds.
func (c *certified) holds(name string) certificate {
	c.t.Helper()
	var got certificate
	eventually(c.t, "a certificate for "+name, func() bool {
		if _, _, code := c.try("cert", "show", name); code != 0 {
			return false
		}
		got = ask[certificate](c.instance, "cert", "show", name)
		return got.State == "valid"
	})
	return got
}

// fails waits until an attempt for a name has come to nothing.
func (c *certified) fails(name string) certificate {
	c.t.Helper()
	var got certificate
	eventually(c.t, "an attempt for "+name, func() bool {
		got = ask[certificate](c.instance, "cert", "show", name)
		return got.State == "failing"
	})
	return got
}

// shown gives the name of the certificate that a client is shown who names a host, verified as clients do; "" when it is
// signed by nobody known.
func (c *certified) shown(address, name string, begin func(conn net.Conn)) string {
	c.t.Helper()
	conn, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if begin != nil {
		begin(conn)
	}
	client := tls.Client(conn, &tls.Config{ServerName: name, InsecureSkipVerify: true}) //nolint:gosec // it is verified below
	if err := client.HandshakeContext(c.t.Context()); err != nil {
		c.t.Fatalf("%s at %s: %v", name, address, err)
	}
	chain := client.ConnectionState().PeerCertificates
	between := x509.NewCertPool()
	for _, more := range chain[1:] {
		between.AddCert(more)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{Roots: c.acme.Pool(), Intermediates: between}); err != nil {
		return ""
	}
	return strings.Join(chain[0].DNSNames, " ")
}

// startTLS begins TLS in SMTP.
func (c *certified) startTLS(conn net.Conn) {
	c.t.Helper()
	r := bufio.NewReader(conn)
	until := func(end string) {
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				c.t.Fatal(err)
			}
			if strings.HasPrefix(line, end) {
				return
			}
		}
	}
	until("220 ")
	_, _ = fmt.Fprint(conn, "EHLO client.example\r\n")
	until("250 ")
	_, _ = fmt.Fprint(conn, "STARTTLS\r\n")
	until("220 ")
}

func TestP2_1CertificatesOfTheServerAndOfCustomersAreFetchedAndShown(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("test.example", "mx A 127.0.0.1\n")
	o.zone("acme.example", "imap A 127.0.0.1\nautoconfig A 127.0.0.1\nalpn A 127.0.0.1\naway A 127.0.0.99\ncaa A 127.0.0.1\ncaa CAA 0 issue \"other.example\"\n")
	c := certificates(t, fmt.Sprintf("[resolver]\nservers = [%q]\n", o.dns.Addr()), o.dns.Addr())
	ann, bob := c.tenant("ann"), c.tenant("bob")
	c.run("domain", "add", "acme.example", "--account", "ann", "--proved")
	ann.run("cert", "add", "imap.acme.example")
	ann.run("cert", "add", "away.acme.example")
	ann.run("cert", "add", "caa.acme.example")
	if out, errs, code := bob.try("cert", "add", "mine.acme.example"); code != 1 || !strings.Contains(errs, "no domain of yours") {
		t.Errorf("in a domain of somebody else: exit %d, %s%s", code, out, errs)
	}
	if got := c.holds("mx.test.example"); got.Source != "server" || got.Challenge != "http-01" {
		t.Errorf("the server's: %+v", got)
	}
	if got := c.holds("autoconfig.acme.example"); got.Source != "automatic" || got.Domain != "acme.example" {
		t.Errorf("a name that points here: %+v", got)
	}
	if got := c.holds("imap.acme.example"); got.Source != "added" {
		t.Errorf("a customer's: %+v", got)
	}
	if got := c.fails("away.acme.example"); got.Problem != "elsewhere" || !strings.Contains(got.Detail, "127.0.0.99") || !strings.Contains(got.Remedy, "127.0.0.1") {
		t.Errorf("one that points elsewhere: %+v", got)
	}
	if got := c.fails("caa.acme.example"); got.Problem != "caa-forbids" || !strings.Contains(got.Detail, "other.example") {
		t.Errorf("one that CAA records forbid: %+v", got)
	}
	if n := c.acme.Orders(); n != 3 {
		t.Errorf("%d certificates were ordered", n)
	}
	listeners := map[string]func(conn net.Conn){c.smtp: c.startTLS, c.submit: c.startTLS, c.secure: nil, c.imap: nil, c.https: nil}
	check := func(when, customers string) {
		t.Helper()
		for address, begin := range listeners {
			for name, want := range map[string]string{"imap.acme.example": customers, "mx.test.example": "mx.test.example", "unknown.example": "mx.test.example", "away.acme.example": "mx.test.example"} {
				if got := c.shown(address, name, begin); got != want {
					t.Errorf("%s: %s at %s is shown %q", when, name, address, got)
				}
			}
		}
	}
	check("at first", "imap.acme.example")
	if out, err := exec.Command("openssl", "s_client", "-connect", c.smtp, "-starttls", "smtp", "-servername", "imap.acme.example", "-brief").CombinedOutput(); !strings.Contains(string(out), "TLSv1.3") {
		t.Errorf("openssl: %v\n%s", err, out)
	}
	_ = c.kill(syscall.SIGKILL)
	c.start()
	check("after a crash", "imap.acme.example")
	if list := ann.run("cert", "list"); strings.Contains(list, "mx.test.example") || !strings.Contains(list, "imap.acme.example") {
		t.Errorf("ann's list:\n%s", list)
	}
	if list := bob.run("cert", "list"); strings.Contains(list, "example") {
		t.Errorf("bob's list:\n%s", list)
	}
	if _, _, code := bob.try("cert", "remove", "imap.acme.example", "--yes"); code != 1 {
		t.Errorf("bob removes ann's: exit %d", code)
	}
	out, err := exec.Command("curl", "-sSik", "--http2", "--max-time", "20", "https://"+c.https+"/healthz").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "HTTP/2 200") || !strings.Contains(strings.ToLower(string(out)), "strict-transport-security: max-age=") {
		t.Errorf("https: %v\n%s", err, out)
	}
	if strings.Contains(c.fetch("/.well-known/acme-challenge/abc"), "200") || strings.Contains(c.fetch("/.well-known/acme-challenge/..%2f"), "200") {
		t.Error("a challenge that nobody asked for is answered")
	}
	ann.run("cert", "remove", "imap.acme.example", "--yes")
	eventually(t, "the end of the certificate of imap.acme.example", func() bool { return c.shown(c.secure, "imap.acme.example", nil) == "mx.test.example" })
}

func TestP2_1CertificatesByTLSALPN01(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("test.example", "mx A 127.0.0.1\n")
	c := certificates(t, fmt.Sprintf("[resolver]\nservers = [%q]\n", o.dns.Addr()), o.dns.Addr(), "POSTROAD_ACME_CHALLENGES=tls-alpn-01")
	if got := c.holds("mx.test.example"); got.Challenge != "tls-alpn-01" {
		t.Errorf("%+v", got)
	}
	eventually(t, "it is shown", func() bool { return c.shown(c.secure, "mx.test.example", nil) == "mx.test.example" })
	eventually(t, "the authority has said when it is to be renewed", func() bool { return c.holds("mx.test.example").AdvisedFrom != "" })
	c.says("cert show mx.test.example", "advised       renewal from ")
}

func TestP2_1CertificatesFromAnAuthorityThatKnowsItsCustomersOnly(t *testing.T) {
	t.Parallel()
	const key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	o := newOutside(t)
	o.zone("test.example", "mx A 127.0.0.1\n")
	file := filepath.Join(t.TempDir(), "eab.key")
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	authority := sim.ACMEOptions{Resolver: o.dns.Addr(), KeyID: "kid-1", Key: key}
	config := fmt.Sprintf("[resolver]\nservers = [%q]\n", o.dns.Addr())
	c := certificatesFrom(t, authority, config, "POSTROAD_ACME_EAB_KEY_ID=kid-1", "POSTROAD_ACME_EAB_KEY=file:"+file)
	c.holds("mx.test.example")
	stranger := certificatesFrom(t, authority, config)
	if got := stranger.fails("mx.test.example"); got.Problem != "account" || !strings.Contains(got.Remedy, "acme.eab_key_id") {
		t.Errorf("%+v", got)
	}
}

func TestP2_1CertificatesByDNS01InASignedZone(t *testing.T) {
	t.Parallel()
	w := newTree(t)
	w.hosted("host.example", "ns1 A "+treeOurs1+"\n", [2]string{"a.host.example", "127.1.8.1"}, [2]string{"b.host.example", "127.1.7.1"})
	ours := net.JoinHostPort(treeOurs1, w.dnsPort)
	c := certificates(t, w.config(), ours, "POSTROAD_ACME_CHALLENGES=dns-01", "POSTROAD_ACME_LABELS=", "POSTROAD_LISTEN_DNS="+ours)
	c.run("nameserver-set", "add", "ours", "ns1.host.example", "--yes")
	c.run("domain", "add", "acme.example", "--zone", "hosted", "--nameserver-set", "ours", "--proved", "--yes")
	c.run("dnssec", "on", "acme.example", "--yes")
	w.hand("acme.example", [2]string{"ns1.host.example", ""})
	c.run("cert", "add", "inside.acme.example")
	if got := c.holds("inside.acme.example"); got.Challenge != "dns-01" {
		t.Errorf("%+v", got)
	}
	if out := w.digAt(treeOurs1, "_acme-challenge.inside.acme.example", "TXT"); !strings.Contains(out, "NXDOMAIN") {
		t.Errorf("the record of the challenge is still there:\n%s", out)
	}
	if out := c.run("audit", "--domain", "acme.example"); strings.Contains(out, "_acme-challenge") {
		t.Errorf("a challenge is in the audit log:\n%s", out)
	}
	file := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(file, []byte(c.run("zone", "export", "acme.example", "--signed")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("dnssec-verify", "-o", "acme.example", "-z", file).CombinedOutput(); err != nil {
		t.Errorf("dnssec-verify: %v\n%s", err, out)
	}
}

// A certificate that runs out is told of in time, and no longer once its file has another one, which clients are shown then.
func TestP2_2ACertificateThatRunsOutIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write := func(until time.Time) {
		t.Helper()
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(until.Unix()), DNSNames: []string{"mx.test.example"}, NotBefore: until.Add(-90 * 24 * time.Hour), NotAfter: until}
		der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
		if err != nil {
			t.Fatal(err)
		}
		text, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: text}} {
			if err := os.WriteFile(file+".new", pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(file+".new", file); err != nil {
				t.Fatal(err)
			}
		}
	}
	soon := time.Now().Add(10 * 24 * time.Hour)
	write(soon)
	i := newInstance(t, fmt.Sprintf("[queue]\n%s[tls]\ncert_file = %q\nkey_file = %q\n", tellSoon, cert, key))
	found := func() []string {
		var list []string
		for _, f := range ask[shownDomain](i, "domain", "show", "mx.test.example").Findings {
			list = append(list, f.Name+": "+f.Evidence)
		}
		return list
	}
	eventually(t, "the finding", func() bool {
		list := found()
		return len(list) == 1 && strings.HasPrefix(list[0], "CERT_EXPIRING: ") && strings.Contains(list[0], soon.UTC().Format(time.DateOnly))
	})
	if list := i.told("mx.test.example", 1); list[0].Event != "certificate-expiring" || list[0].State != "sent" {
		t.Errorf("told: %+v", list)
	}
	i.await("postmaster@mx.test.example", 1)
	if text := i.fetch("/metrics"); !strings.Contains(text, `postroad_certificate_days_left{name="file"} 9.`) {
		t.Errorf("metrics: %s", text)
	}
	later := time.Now().Add(80 * 24 * time.Hour)
	write(later)
	eventually(t, "the end of it", func() bool { return len(found()) == 0 })
	if out, err := exec.Command("openssl", "s_client", "-connect", i.secure, "-servername", "other.example").CombinedOutput(); !strings.Contains(string(out), later.UTC().Format("Jan _2")) {
		t.Errorf("openssl: %v\n%s", err, out)
	}
}

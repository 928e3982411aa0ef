package acceptance

import (
	"os/exec"
	"strings"
	"testing"
)

// clientPorts are what mail programs are told in these tests.
func clientPorts() []string {
	return []string{
		"POSTROAD_CLIENTS_HOST=mail.test.example", "POSTROAD_CLIENTS_IMAPS=993", "POSTROAD_CLIENTS_IMAP=143", "POSTROAD_CLIENTS_SUBMISSIONS=465",
		"POSTROAD_CLIENTS_SUBMISSION=587", "POSTROAD_CLIENTS_HTTPS=443",
	}
}

// fetch asks the http listener as mail programs do, and gives the status behind the answer.
func (i *instance) fetch(path string, options ...string) string {
	i.t.Helper()
	out, err := exec.Command("curl", append(append([]string{"-sS", "--max-time", "20", "-w", "\n%{http_code}"}, options...), "http://"+i.http+path)...).CombinedOutput()
	if err != nil {
		i.t.Fatalf("curl %s: %v\n%s", path, err, out)
	}
	return string(out)
}

func TestS1_9MailProgramsFindTheirServersByTheZone(t *testing.T) {
	t.Parallel()
	n := newOutside(t).naming(clientPorts()...)
	records := func(want bool) {
		t.Helper()
		for _, c := range []struct{ name, kind, data string }{
			{"_imaps._tcp", "SRV", "0 1 993 mail.test.example."},
			{"_imap._tcp", "SRV", "10 1 143 mail.test.example."},
			{"_submissions._tcp", "SRV", "0 1 465 mail.test.example."},
			{"_submission._tcp", "SRV", "10 1 587 mail.test.example."},
			{"_autodiscover._tcp", "SRV", "0 1 443 mail.test.example."},
			{"autoconfig", "CNAME", "mail.test.example."},
			{"autodiscover", "CNAME", "mail.test.example."},
		} {
			if !want {
				c.data = ""
			}
			if got := n.answer(c.name+".acme.example", c.kind); got != c.data {
				t.Errorf("%s %s: %q, want %q", c.name, c.kind, got, c.data)
			}
		}
	}
	n.run("domain", "add", "acme.example", "--zone", "hosted", "--proved")
	records(true)
	n.run("domain", "set", "acme.example", "--mode", "remote", "--yes")
	records(false)
	n.run("domain", "set", "acme.example", "--mode", "split", "--yes")
	records(true)

	// What somebody wrote stays; what he took away comes back when he says so.
	n.run("record", "remove", "acme.example", "_imaps._tcp", "SRV", "--yes")
	n.run("record", "add", "acme.example", "_imaps._tcp", "SRV", "5 5 1993 own.acme.example.", "--yes")
	n.run("record", "remove", "acme.example", "autoconfig", "CNAME", "--yes")
	if out := n.run("client-setup", "show", "acme.example"); !strings.Contains(out, "other") || !strings.Contains(out, "missing") || !strings.Contains(out, "mail.test.example") {
		t.Errorf("%s", out)
	}
	n.run("client-setup", "publish", "acme.example", "--yes")
	if got := n.answer("autoconfig.acme.example", "CNAME"); got != "mail.test.example." {
		t.Errorf("put back: %q", got)
	}
	if got := n.answer("_imaps._tcp.acme.example", "SRV"); got != "5 5 1993 own.acme.example." {
		t.Errorf("what somebody wrote: %q", got)
	}
}

func TestS3_2MailProgramsAreSetUpByTheDomainOfAnAddress(t *testing.T) {
	t.Parallel()
	n := newOutside(t).naming(clientPorts()...)
	n.run("domain", "add", "acme.example", "--proved")
	n.run("domain", "add", "relayed.example", "--mode", "relay", "--next-hop", "127.0.0.50:25", "--proved")
	n.run("mailbox", "add", "ann@acme.example")
	bob := n.tenant("bob")
	bob.run("domain", "add", "pending.example")

	const autoconfig, mobile = "/mail/config-v1.1.xml?emailaddress=", "/mail/profile.mobileconfig?email="
	found := n.fetch(autoconfig + "ann@acme.example")
	for _, part := range []string{"<hostname>mail.test.example</hostname>", "<port>993</port>", "<port>465</port>", "<socketType>SSL</socketType>", "\n200"} {
		if !strings.Contains(found, part) {
			t.Errorf("autoconfig lacks %s: %s", part, found)
		}
	}
	if other := n.fetch(autoconfig + "nobody@acme.example"); other != found {
		t.Errorf("an address that does not exist gets another answer: %s", other)
	}
	if byHost := n.fetch("/.well-known/autoconfig/mail/config-v1.1.xml", "-H", "Host: acme.example"); byHost != found {
		t.Errorf("by the host: %s", byHost)
	}
	for _, domain := range []string{"relayed.example", "pending.example", "elsewhere.example"} {
		for _, path := range []string{autoconfig, mobile, "/autodiscover/autodiscover.json?Protocol=AutodiscoverV1&Email="} {
			if got := n.fetch(path + "ann@" + domain); !strings.HasSuffix(got, "\n404") {
				t.Errorf("%s%s: %s", path, domain, got)
			}
		}
	}

	const pox = `<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"><Request><EMailAddress>nobody@acme.example</EMailAddress></Request></Autodiscover>`
	if got := n.fetch("/Autodiscover/Autodiscover.xml", "-H", "Content-Type: text/xml", "--data-binary", pox); !strings.Contains(got, "<Type>IMAP</Type>") || !strings.Contains(got, "<Port>465</Port>") || !strings.Contains(got, "<LoginName>nobody@acme.example</LoginName>") {
		t.Errorf("Autodiscover: %s", got)
	}
	if got := n.fetch("/autodiscover/autodiscover.json?Protocol=AutodiscoverV1&Email=nobody@acme.example"); !strings.Contains(got, `"Url":"https://mail.test.example/autodiscover/autodiscover.xml"`) {
		t.Errorf("JSON: %s", got)
	}
	if got := n.fetch(mobile + "nobody@acme.example"); !strings.Contains(got, "<string>mail.test.example</string>\n<key>IncomingMailServerPortNumber</key>\n<integer>993</integer>") {
		t.Errorf("profile: %s", got)
	}

	// For a zone elsewhere the records to enter are shown, to its own account alone.
	if out := n.run("client-setup", "show", "acme.example"); !strings.Contains(out, "Enter where the zone is") || !strings.Contains(out, "_submissions._tcp") || !strings.Contains(out, "0 1 465 mail.test.example.") {
		t.Errorf("%s", out)
	}
	for _, command := range []string{"show", "publish"} {
		if out, errs, code := bob.try("client-setup", command, "acme.example"); code != 1 || !strings.Contains(errs, "There is no domain") {
			t.Errorf("%s of another account: %d %s %s", command, code, out, errs)
		}
	}
	n.refuses([]string{"client-setup", "publish", "acme.example"}, "not hosted here", "client-setup show acme.example")
}

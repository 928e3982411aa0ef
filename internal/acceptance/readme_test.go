package acceptance

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestREADMEExamplesRun runs the commands of README's "Use it" as they stand there, against a server of the test.
func TestREADMEExamplesRun(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "## Use it")
	_, rest, _ = strings.Cut(rest, "```\n")
	block, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("README has no commands under \"Use it\"")
	}
	n := newOutside(t).naming()
	if ran := n.examples(block); ran < 5 {
		t.Errorf("only %d commands", ran)
	}
	if got := n.run("mailbox", "message", "ann@acme.example", "1"); !strings.Contains(got, "you@far.example") {
		t.Errorf("the message of the example reads: %s", got)
	}
}

// examples runs commands as documents show them, against a server of the test, and counts them.
func (n *named) examples(block string) (ran int) {
	t := n.t
	t.Helper()
	host, port, err := net.SplitHostPort(n.dns)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(block) {
		line, _, _ = strings.Cut(line, "   # ")
		words := strings.Fields(strings.NewReplacer("127.0.0.1:2525", n.smtp, "@127.0.0.1 -p 2053", "@"+host+" -p "+port).Replace(line))
		switch {
		case len(words) == 0:
			continue
		case words[0] == "swaks":
			if out, code := swaks(t, words[1:]...); code != 0 {
				t.Fatalf("%s%s", line, out)
			}
		case words[0] == "dig":
			out, err := exec.Command("dig", words[1:]...).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "192.0.2.80") {
				t.Fatalf("%s%v\n%s", line, err, out)
			}
		case words[0] == "bin/postroad":
			for i, w := range words {
				if strings.HasSuffix(w, ".zone") {
					words[i] = filepath.Join(n.dir, w)
				}
			}
			eventually(t, line, func() bool { // mail takes a moment to its mailbox
				_, _, code := n.try(words[1:]...)
				return code == 0
			})
		default:
			t.Fatalf("a command that this test does not know: %s", line)
		}
		ran++
	}
	return ran
}

// TestExamplesOfDNSSECRun runs the commands of docs/dnssec.md as they stand there, one after the other.
func TestExamplesOfDNSSECRun(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../docs/dnssec.md")
	if err != nil {
		t.Fatal(err)
	}
	s := newSafe(t)
	s.run("domain", "add", "acme.example", "--zone", "hosted", "--proved")
	n := &named{instance: s.instance, dns: s.dns}
	ran := 0
	for i, block := range strings.Split(string(b), "```\n") {
		if i%2 == 0 {
			continue
		}
		ran += n.examples(block)
		signed := strings.Contains(digAt(t, s.dns, "+dnssec", "acme.example", "SOA"), "RRSIG")
		if off := strings.Contains(block, "dnssec off acme.example --yes"); signed == off {
			t.Errorf("the zone is signed: %t, after\n%s", signed, block)
		}
	}
	if ran < 7 {
		t.Errorf("only %d commands", ran)
	}
}

// TestExamplesOfZonesRun runs the commands of docs/dns.md as they stand there, with the zone file beside them.
func TestExamplesOfZonesRun(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../docs/dns.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(b), "```\n")
	if len(blocks) < 5 {
		t.Fatal("docs/dns.md has no examples")
	}
	n := newOutside(t).naming()
	n.file("acme.example.zone", blocks[1])
	if ran := n.examples(blocks[3]); ran < 10 {
		t.Errorf("only %d commands", ran)
	}
	n.wants("www.acme.example", "A", "192.0.2.81")
	n.wants("www.acme.example", "AAAA", "2001:db8::80")
	if serial := n.serial("acme.example"); serial != 2030010104 {
		t.Errorf("serial %d", serial)
	}
}

// TestExamplesOfPrimariesRun runs the commands of docs/primaries.md as they stand there, one after the other.
func TestExamplesOfPrimariesRun(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../docs/primaries.md")
	if err != nil {
		t.Fatal(err)
	}
	n := newOutside(t).naming()
	n.run("domain", "add", "crm.acme.com", "--proved")
	for _, local := range []string{"ann", "bob"} {
		n.run("mailbox", "add", local+"@crm.acme.com")
	}
	ran := 0
	for i, block := range strings.Split(string(b), "```\n") {
		if i%2 == 1 {
			ran += n.examples(block)
		}
	}
	if ran < 7 {
		t.Errorf("only %d commands", ran)
	}
	if list := n.forwards("crm.acme.com"); len(list) != 2 || list["ann@crm.acme.com"].State == "unprobed" || list["bob@crm.acme.com"].State == "unprobed" {
		t.Errorf("%+v", list)
	}
}

package acceptance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"postroad/internal/sim"
)

// twoNodes are two nodes of one installation, started at once: one database, one secret, folders of their own.
func twoNodes(t *testing.T) (one, two *answering) {
	t.Helper()
	return twoNodesOf(t, "mx.test.example", "mx.test.example")
}

// twoNodesOf are two nodes with host names.
func twoNodesOf(t *testing.T, first, second string) (one, two *answering) {
	t.Helper()
	var cluster sim.Postgres
	t.Cleanup(cluster.Stop)
	dsn := cluster.Database(t)
	node := func(hostname string) *answering {
		a := &answering{instance: prepareInstance(t, t.TempDir(), "[receive]\ntrusted_networks = [\"127.0.0.2/32\"]\n"), dns: sim.FreeAddress(t)}
		a.env = append(a.env, "POSTROAD_LISTEN_DNS="+a.dns, "POSTROAD_STORE_DSN="+dsn, "POSTROAD_HOSTNAME="+hostname)
		return a
	}
	one, two = node(first), node(second)
	for _, n := range []*answering{one, two} {
		if err := os.MkdirAll(n.data, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(n.data, "keys.secret"), []byte(strings.Repeat("5a", 32)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		n.launch()
	}
	for _, n := range []*answering{one, two} {
		if err := n.up(); err != nil {
			t.Fatalf("%v\n%s", err, n.log.String())
		}
	}
	return one, two
}

// answers waits until a node answers with a text.
func (a *answering) answers(what, text string, args ...string) {
	a.t.Helper()
	eventually(a.t, what, func() bool { return strings.Contains(digAt(a.t, a.dns, args...), text) })
}

// Nodes of one installation go by what any of them changes.
func TestS5_2EveryNodeTakesUpWhatOneChanges(t *testing.T) {
	t.Parallel()
	one, two := twoNodes(t)
	one.host("acme.example")
	two.answers("a zone that is made at the other node", "status: NOERROR", "acme.example", "SOA")
	two.run("record", "add", "acme.example", "www", "A", "192.0.2.80", "--yes")
	one.answers("a record that is made at the other node", "192.0.2.80", "www.acme.example", "A")
	one.run("dnssec", "on", "acme.example")
	two.answers("signatures that are made at the other node", "RRSIG", "+dnssec", "acme.example", "SOA")
	two.run("record", "add", "acme.example", "ftp", "A", "192.0.2.81", "--yes") // under the other node's key
	one.answers("a record that is signed at the other node", "RRSIG", "+dnssec", "ftp.acme.example", "A")
	one.run("transfer", "allow", "acme.example", "--from", "127.0.0.0/8", "--yes")
	two.answers("leave to have the zone", "www.acme.example.", "acme.example", "AXFR")
	one.run("mailbox", "add", "ann@acme.example")
	eventually(t, "the mailbox at the other node", func() bool { return strings.Contains(two.run("mailbox", "list"), "ann@acme.example") })
	eventually(t, "mail for it at the other node", func() bool {
		_, code := swaks(t, "--server", two.smtp, "--local-interface", "127.0.0.2", "--from", "x@far.example", "--to", "ann@acme.example", "--quit-after", "RCPT")
		return code == 0
	})

	// Both change at once, and nothing is lost.
	var changes sync.WaitGroup
	for i := range 5 {
		for n, node := range []*answering{one, two} {
			changes.Go(func() {
				if out, errs, code := node.try("record", "add", "acme.example", fmt.Sprintf("h%d-%d", n, i), "A", "192.0.2.1", "--yes"); code != 0 {
					t.Errorf("exit %d: %s%s", code, out, errs)
				}
			})
		}
	}
	changes.Wait()
	for i := range 5 {
		for n := range 2 {
			for _, node := range []*answering{one, two} {
				node.answers("a record of many changes at once", "192.0.2.1", fmt.Sprintf("h%d-%d.acme.example", n, i), "A")
			}
		}
	}
	if tokens := strings.Count(one.log.String()+two.log.String(), "The operator's token for the API"); tokens != 1 {
		t.Errorf("%d first tokens are shown", tokens)
	}
	two.run("domain", "remove", "acme.example", "--yes")
	one.answers("the end of a zone", "status: REFUSED", "acme.example", "SOA")
}

// Nodes learn each other's names, and take nothing in that bears one of them as the author of results of checks.
func TestP4_3ForgedResultsInTheNameOfAnotherNodeAreRemoved(t *testing.T) {
	t.Parallel()
	one, _ := twoNodesOf(t, "mx.test.example", "mx2.test.example")
	one.run("domain", "add", "acme.example", "--proved")
	one.run("mailbox", "add", "ann@acme.example")
	n := 0
	eventually(t, "mail without results of the other node", func() bool {
		_, code := swaks(t, "--server", one.smtp, "--local-interface", "127.0.0.2", "--from", "x@far.example", "--to", "ann@acme.example", "--h-From", "x@far.example",
			"--add-header", "Authentication-Results: mx2.test.example; dmarc=pass", "--add-header", "Authentication-Results: other.example; dmarc=pass")
		if code != 0 {
			return false
		}
		n++
		text := one.read("ann@acme.example", "INBOX", n)
		if !strings.Contains(text, "Authentication-Results: other.example; dmarc=pass") {
			t.Errorf("it lies there as\n%s", text)
		}
		return !strings.Contains(text, "Authentication-Results: mx2.test.example")
	})
}

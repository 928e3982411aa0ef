package acceptance

import (
	"fmt"
	"strings"
	"testing"
)

// Results of checks that a message brings in our name are removed, in whatever form; those of others stay.
func TestP4_3ForgedResultsAreRemoved(t *testing.T) {
	t.Parallel()
	_, i := judging(t)
	forged := []string{
		"Authentication-Results: mx.test.example; dmarc=pass",
		"AUTHENTICATION-RESULTS: MX.Test.Example; dmarc=pass",
		"Authentication-Results : mx.test.example; dmarc=pass",
		"Authentication-Results: (a (nested) comment) mx.test.example (x) 1 (y); dmarc=pass",
		"Authentication-Results:\r\n\tmx.test.example\r\n 1;\r\n dmarc=pass",
		"Authentication-Results: \"mx.test.example\"; dmarc=pass",
		"Authentication-Results: \"mx.\\test.example\" ; dmarc=pass",
		"Authentication-Results: mx.test.example./1 2; dmarc=pass",
		"Authentication-Results: mx . test . example; dmarc=pass",
		"Authentication-Results: ; mx.test.example; dmarc=pass",
		"Authentication-Results: mx.test.example",
	}
	const others = "Authentication-Results: other.example; dmarc=pass\r\nX-Authentication-Results: mx.test.example; dmarc=pass\r\n"
	wants(t, "the reply", i.brings(stranger, "x.example", "plain.example", strings.Join(forged, "\r\n")+"\r\n"+others+from("plain.example"), "ann@crm.example"), "250")
	text := i.read("ann@crm.example", "INBOX", 1)
	_, brought, found := strings.Cut(text, "Received: ")
	if !found || strings.Count(brought, "uthentication-Results") != 2 || !strings.Contains(brought, others) || strings.Contains(brought, "AUTHENTICATION") {
		t.Errorf("it lies there as\n%s", text)
	}
	if own := strings.Count(text, "Authentication-Results: mx.test.example; spf="); own != 1 {
		t.Errorf("%d fields of our own:\n%s", own, text)
	}
}

// Policies are found as RFC 9989 has it: by the walk up the tree of names, with np, psd and t, and for all authors that a
// reader may see.
func TestP4_4PoliciesAreFoundUpTheTreeOfNames(t *testing.T) {
	t.Parallel()
	o, i := judging(t)
	client := "@ TXT \"v=spf1 ip4:" + stranger + " -all\"\n"
	o.zone("org.example", client+"_dmarc TXT \"v=DMARC1; p=none; sp=quarantine; np=reject\"\nthere A 192.0.2.1\n"+
		"own A 192.0.2.1\n_dmarc.own TXT \"v=DMARC1; p=reject\"\napart A 192.0.2.1\n_dmarc.apart TXT \"v=DMARC1; p=reject; psd=n\"\n"+
		"a.b.c.d.e.f.g.h.there A 192.0.2.1\n")
	o.zone("suffix.example", "_dmarc TXT \"v=DMARC1; p=reject; psd=y; np=quarantine\"\nthere A 192.0.2.1\none A 192.0.2.1\n"+strings.Replace(client, "@", "two", 1))
	o.zone("tests.example", "_dmarc TXT \"v=DMARC1; p=reject; t=y\"\n")
	o.zone("strict.example", "_dmarc TXT \"v=DMARC1; p=reject; aspf=s\"\n"+strings.Replace(client, "@", "m", 1))
	o.zone("two.example", "_dmarc TXT \"v=DMARC1; p=reject\"\n_dmarc TXT \"v=DMARC1; p=none\"\n")
	o.zone("broken.example", "_dmarc TXT \"v=DMARC1; p=rejekt\"\n")
	for _, c := range []struct{ why, author, sender, reply, result string }{
		{"the own record", "bob@org.example", "", "250", "dmarc=fail header.from=org.example polrec.p=none"},
		{"sp of the organization", "bob@there.org.example", "", "250", "Junk"},
		{"a name with more than eight labels", "bob@a.b.c.d.e.f.g.h.there.org.example", "", "250", "Junk"},
		{"np of the organization", "bob@gone.org.example", "", "550 5.7.26", ""},
		{"a record below the organization", "bob@own.org.example", "", "550 5.7.26", ""},
		{"aligned by the organization", "bob@own.org.example", "org.example", "250", "dmarc=pass header.from=own.org.example"},
		{"an organization of its own", "bob@apart.org.example", "org.example", "550 5.7.26", ""},
		{"the policy of a suffix", "bob@there.suffix.example", "", "550 5.7.26", ""},
		{"np of a suffix", "bob@gone.suffix.example", "", "250", "Junk"},
		{"neighbours below a suffix", "bob@one.suffix.example", "two.suffix.example", "550 5.7.26", ""},
		{"a policy that is tested", "bob@tests.example", "", "250", "Junk"},
		{"strict alignment", "bob@strict.example", "m.strict.example", "550 5.7.26", ""},
		{"two records", "bob@two.example", "", "250", "dmarc=none"},
		{"a policy that cannot be read", "bob@broken.example", "", "250", "dmarc=none"},
		{"two authors", "eve@broken.example, bob@own.org.example", "", "550 5.7.26", ""},
		{"an author behind an author", "eve@broken.example <bob@own.org.example>", "", "550 5.7.26", ""},
		{"an author in an encoded word", "=?utf-8?q?bob=40own.org.example=3E?=@broken.example", "", "250", "Junk"},
	} {
		sender := "nobody.example"
		if c.sender != "" {
			sender = c.sender
		}
		content := "From: " + c.author + "\r\nSubject: " + c.why + "\r\n\r\nHello.\r\n"
		wants(t, c.why, i.brings(stranger, "x.example", sender, content, "ann@crm.example"), c.reply)
		if c.reply != "250" {
			continue
		}
		folder := "INBOX"
		if c.result == "Junk" {
			folder = "Junk"
		}
		var uid string
		eventually(t, c.why+" in "+folder, func() bool {
			for _, m := range ask[[]message](i, "mailbox", "messages", "ann@crm.example", "--folder", folder) {
				if m.Subject == c.why {
					uid = fmt.Sprint(m.UID)
				}
			}
			return uid != ""
		})
		text := strings.NewReplacer("\r\n\t ", " ", "\r\n\t", " ").Replace(i.run("mailbox", "message", "ann@crm.example", uid, "--folder", folder))
		if folder == "INBOX" && !strings.Contains(text, c.result) {
			t.Errorf("%s: %s", c.why, text)
		}
	}
}

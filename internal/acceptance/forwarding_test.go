package acceptance

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	msgauth "github.com/emersion/go-msgauth/dkim"

	"postroad/internal/proto/dkim"
	mailtext "postroad/internal/proto/message"
	"postroad/internal/sim"
)

// rewritten is the form of a sender that here.example forwards mail of away.example under.
var rewritten = regexp.MustCompile(`^SRS0=[A-Z2-7]{8}=[A-Z2-7]{2}=away\.example=bob@here\.example$`)

// forwarding is a server with the forward fan@here.example → x@far.example, and the servers of both far.example and
// away.example.
func forwarding(t *testing.T) (i *instance, far, away *sim.Peer) {
	t.Helper()
	o := newOutside(t)
	o.zone("far.example", "@ MX 10 a\na A 127.0.0.21\n")
	o.zone("away.example", "@ MX 10 a\na A 127.0.0.22\n")
	far, away = o.peer(21, sim.Script{}), o.peer(22, sim.Script{})
	i = o.strict()
	i.run("forward", "add", "fan@here.example", "x@far.example")
	return i, far, away
}

// bring brings a message and wants a reply at its end.
func (c *talk) bring(from, to, content, want string) {
	c.t.Helper()
	c.say("MAIL FROM:<"+from+">", "250")
	c.say("RCPT TO:<"+to+">", "250")
	c.say("DATA", "354")
	c.say(strings.ReplaceAll(content, "\n", "\r\n")+"\r\n.", want)
}

func TestP5_1ForwardedMailHasASenderOfItsForwarder(t *testing.T) {
	t.Parallel()
	i, far, away := forwarding(t)
	const letter = "From: bob@away.example\nSubject: hello\n\nhi"
	c := i.from(stranger)
	c.bring("bob@away.example", "fan@here.example", letter, "250")
	got := far.Await(1)[0]
	if !rewritten.MatchString(got.From) || got.Recipients[0].Address != "x@far.example" {
		t.Errorf("from %s to %s", got.From, got.Recipients[0].Address)
	}
	if body := string(got.Body); !strings.Contains(body, "\r\nDelivered-To: fan@here.example\r\nAuthentication-Results: mx.test.example;") || !strings.HasSuffix(body, strings.ReplaceAll("\n"+letter+"\n", "\n", "\r\n")) {
		t.Errorf("the message is\n%s", body)
	}
	// Its bounce finds the sender, whatever became of the case of letters; nothing else does.
	c.bring("", strings.ToLower(got.From), "Subject: it failed\n\nx", "250")
	back := away.Await(1)[0]
	if back.From != "" || back.Recipients[0].Address != "bob@away.example" || !bytes.Contains(back.Body, []byte("it failed")) {
		t.Errorf("the bounce came from %q to %q", back.From, back.Recipients[0].Address)
	}
	c.say("MAIL FROM:<eve@away.example>", "250")
	c.say("RCPT TO:<"+got.From+">", "550 5.7.1")
	c.say("RSET", "250")
	c.say("MAIL FROM:<>", "250")
	c.say("RCPT TO:<"+strings.Replace(got.From, "=bob", "=eve", 1)+">", "550 5.1.1")
	c.say("RCPT TO:<"+strings.Replace(got.From, "here.example", "far.example", 1)+">", "550 5.7.1")
	c.say("RSET", "250")
	if out := i.run("explain", got.From); !strings.Contains(out, "behind it is bob@away.example") {
		t.Errorf("explain says\n%s", out)
	}
	// The secret outlives the program.
	c.say("QUIT", "221")
	if err := i.kill(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	i.start()
	c = i.from(stranger)
	c.bring("", got.From, "Subject: failed later\n\nx", "250")
	away.Await(2)
}

func TestP5_1ForwardedReportsAndOwnMailKeepTheirSender(t *testing.T) {
	t.Parallel()
	i, far, _ := forwarding(t)
	c := i.from(stranger)
	c.bring("", "fan@here.example", "Subject: a report\n\nx", "250")
	if got := far.Await(1)[0]; got.From != "" {
		t.Errorf("a report is forwarded from %q", got.From)
	}
	own := i.from(script)
	own.bring("ann@here.example", "fan@here.example", "From: ann@here.example\n\nx", "250")
	if got := far.Await(2)[1]; got.From != "ann@here.example" {
		t.Errorf("own mail is forwarded from %q", got.From)
	}
	// An address too long for a local part stays.
	long := strings.Repeat("bob", 15) + "@away.example"
	c.bring(long, "fan@here.example", "From: "+long+"\n\nx", "250")
	if got := far.Await(3)[2]; got.From != long {
		t.Errorf("a long sender became %q", got.From)
	}
	// What is delivered here, and what goes to a domain's own server, is no forward.
	i.run("alias", "add", "also@here.example", "ann@here.example")
	c.bring("bob@away.example", "also@here.example", "From: bob@away.example\n\nhello", "250")
	i.await("ann@here.example", 1)
}

func TestP5_2ForwardedMailDoesNotGoInCircles(t *testing.T) {
	t.Parallel()
	i, far, _ := forwarding(t)
	c := i.from(stranger)
	c.bring("bob@away.example", "fan@here.example", "From: bob@away.example\n\nhi", "250")
	got := far.Await(1)[0]
	c.bring("SRS0=x@far.example", "fan@here.example", strings.ReplaceAll(strings.TrimSuffix(string(got.Body), "\r\n"), "\r\n", "\n"), "554 5.4.6")
	// The field alone is enough: not everybody keeps ours.
	c.bring("bob@away.example", "fan@here.example", "Delivered-To: FAN@here.example\nFrom: bob@away.example\n\nhi", "554 5.4.6")
	c.bring("bob@away.example", "fan@here.example", "Delivered-To: other@here.example\nFrom: bob@away.example\n\nhi", "250")
	far.Await(2)
}

func TestP5_3ForwardsThatSendTooMuchWait(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("far.example", "@ MX 10 a\na A 127.0.0.21\n")
	far := o.peer(21, sim.Script{})
	i := o.instance("", "[limits]\nforwards_per_hour = 3")
	i.run("forward", "add", "fan@here.example", "x@far.example")
	c := i.sender()
	for range 5 {
		c.bring("bob@away.example", "fan@here.example", "From: bob@away.example\n\nhi", "250")
	}
	far.Await(3)
	count := ask[struct{ Recipients, Due int }](i, "queue", "count")
	if count.Recipients != 2 || count.Due != 0 {
		t.Errorf("%+v wait", count)
	}
	if out := i.run("queue", "list"); !strings.Contains(out, "waits for its turn") {
		t.Errorf("the queue says\n%s", out)
	}
	if out := i.run("domain", "show", "here.example"); !strings.Contains(out, "FORWARD_FUSE") || !strings.Contains(out, "may send 3 messages in an hour") {
		t.Errorf("the domain shows\n%s", out)
	}
	// Whoever knows better has it sent.
	i.run("queue", "retry", "--to", "far.example", "--yes")
	far.Await(5)
	// A restart gives no other share of the hour.
	if err := i.kill(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	i.start()
	i.sender().bring("bob@away.example", "fan@here.example", "From: bob@away.example\n\nhi", "250")
	if out := i.run("queue", "list"); !strings.Contains(out, "waits for its turn") {
		t.Errorf("after a restart the queue says\n%s", out)
	}
}

func TestS3_14AnArchiveCopyTellsItsSenderNothing(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("far.example", "@ MX 10 a\na A 127.0.0.21\n")
	o.zone("away.example", "@ MX 10 a\na A 127.0.0.22\n")
	far, away := o.peer(21, sim.Script{Rcpt: map[string]string{"store@far.example": "550 5.1.1 nobody"}}), o.peer(22, sim.Script{})
	i := o.strict()
	if out := i.run("forward", "add", "ann@here.example", "store@far.example", "--keep", "--archive"); !strings.Contains(out, "its sender is told nothing of it") {
		t.Errorf("the plan says\n%s", out)
	}
	if out := i.run("forward", "list"); !strings.Contains(out, "ARCHIVE") || strings.Count(out, "yes") != 2 {
		t.Errorf("the list says\n%s", out)
	}
	const letter = "From: bob@away.example\nAuto-Submitted: no\nDisposition-Notification-To: bob@away.example\n\nhi"
	c := i.from(stranger)
	bring := func() {
		c.say("MAIL FROM:<bob@away.example>", "250")
		c.say("RCPT TO:<ann@here.example> NOTIFY=SUCCESS,FAILURE,DELAY", "250")
		c.say("DATA", "354")
		c.say(strings.ReplaceAll(letter, "\n", "\r\n")+"\r\n.", "250")
	}
	bring()
	// The mailbox's own copy is confirmed; that the archive refuses its copy is told to nobody.
	one := away.Await(1)[0]
	if bytes.Contains(one.Body, []byte("far.example")) || !bytes.Contains(one.Body, []byte("ann@here.example")) {
		t.Errorf("the sender is told\n%s", one.Body)
	}
	i.await("ann@here.example", 1)
	deadline := time.Now().Add(10 * time.Second)
	for !strings.Contains(i.run("queue", "list"), "dead") {
		if time.Now().After(deadline) {
			t.Fatalf("the refused copy is\n%s", i.run("queue", "list"))
		}
	}
	i.run("forward", "set", "ann@here.example", "other@far.example", "--keep", "--archive", "--yes")
	bring()
	got := far.Await(1)[0]
	if got.From != "" || strings.Contains(got.Recipients[0].Parameters, "NOTIFY=SUCCESS") || !strings.HasSuffix(string(got.Body), strings.ReplaceAll("\n"+letter+"\n", "\n", "\r\n")) {
		t.Errorf("the archive got from <%s> %s\n%s", got.From, got.Recipients[0].Parameters, got.Body)
	}
	if n := len(away.Await(2)); n != 2 {
		t.Errorf("the sender got %d messages for two letters", n)
	}
	// In a mailbox here no mail program answers what asks for a receipt, and what asks is there still.
	i.run("mailbox", "add", "vault@here.example")
	i.run("forward", "set", "ann@here.example", "vault@here.example", "--keep", "--archive", "--yes")
	bring()
	if copied := i.await("vault@here.example", 1); len(copied) != 1 || !slices.Equal(copied[0].Flags, []string{"$MDNSent"}) {
		t.Errorf("the archive has %+v", copied)
	}
	if text := i.read("vault@here.example", "INBOX", 1); !strings.HasPrefix(text, "Return-Path: <>\r\n") || !strings.Contains(text, "\r\nDisposition-Notification-To: bob@away.example\r\n") {
		t.Errorf("the archive has\n%s", text)
	}
	for _, own := range i.await("ann@here.example", 3) {
		if len(own.Flags) > 0 {
			t.Errorf("the mailbox's own has %+v", own)
		}
	}
	if n := len(away.Await(3)); n != 3 {
		t.Errorf("the sender got %d messages for three letters", n)
	}
}

// What was found out about a message goes with it, under a seal of the domain that forwards it.
func TestP5_4ForwardedMailIsSealed(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	seed := func(octet byte) (ed25519.PrivateKey, string) {
		key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{octet}, 32))
		record, err := dkim.MakeRecord(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		return key, record
	}
	ours, record := seed(1)
	theirs, theirRecord := seed(2)
	o.zone("far.example", "@ MX 10 a\na A 127.0.0.21\n")
	o.zone("away.example", "@ TXT \"v=spf1 -all\"\n_dmarc TXT \"v=DMARC1; p=reject\"\ns._domainkey TXT \""+theirRecord+"\"\n")
	o.zone("here.example", "s1._domainkey TXT \""+record+"\"\n")
	far := o.peer(21, sim.Script{})
	i := o.strict()
	i.run("forward", "add", "fan@here.example", "x@far.example")
	der, err := x509.MarshalPKCS8PrivateKey(ours)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := i.given(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "dkim", "import", "here.example", "s1", "--key-stdin", "--yes"); err != nil {
		t.Fatal(out)
	}
	i.run("dkim", "activate", "here.example", "--yes")

	msg := "From: bob@away.example\r\nSubject: hello\r\n\r\nhi\r\n"
	header, content, _ := mailtext.SplitHeader([]byte(msg))
	body := dkim.NewBody(dkim.Relaxed)
	_, _ = body.Write(content)
	signature, err := dkim.Sign(header, body, []dkim.Key{{Domain: "away.example", Selector: "s", Signer: theirs}}, dkim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	wants(t, "the reply", i.brings(stranger, "client.example", "away.example", string(signature)+msg, "fan@here.example"), "250")
	got := string(far.Await(1)[0].Body)
	out, err := i.given(strings.TrimSuffix(got, "\n"), "tool", "dkim", "--resolver", o.dns.Addr())
	if err != nil || !strings.HasPrefix(out, "pass\n") || !strings.Contains(out, "  ARC pass: all seals hold, the last one by here.example") {
		t.Errorf("the next host finds\n%s\nin\n%s", out, got)
	}
	// The next server can believe a signature; it could not believe SPF, which holds from this client alone.
	show := func() string { return i.run("forward", "show", "fan@here.example") }
	if out := show(); !strings.Contains(out, "is sent on to x@far.example") || !strings.Contains(out, "None of the last 1 messages") {
		t.Errorf("the forward shows\n%s", out)
	}
	o.zone("spf.example", "@ TXT \"v=spf1 ip4:"+stranger+" -all\"\n_dmarc TXT \"v=DMARC1; p=reject\"\n")
	wants(t, "the reply", i.brings(stranger, "client.example", "spf.example", from("spf.example"), "fan@here.example"), "250")
	if out := show(); !strings.Contains(out, "1 of the last 2 messages had senders who are believed by SPF alone") {
		t.Errorf("the forward shows\n%s", out)
	}
	_ = i.kill(syscall.SIGKILL) // it ends by a signal
	i.start()
	if out := show(); !strings.Contains(out, "1 of the last 2 messages had senders who are believed by SPF alone") {
		t.Errorf("after a crash the forward shows\n%s", out)
	}
	i.refuses([]string{"forward", "show", "ann@here.example"}, "There is no forward")
	results := regexp.MustCompile(`ARC-Authentication-Results: i=1; mx\.test\.example;[^:]*dkim=pass`)
	if !results.MatchString(strings.ReplaceAll(got, "\r\n", "")) || !strings.HasSuffix(got, string(signature)+msg) {
		t.Errorf("forwarded as\n%s", got)
	}
}

// A thousand messages of many shapes bear their DKIM signatures intact to where they are forwarded.
func TestP5_5ForwardedMailKeepsItsSignatures(t *testing.T) {
	t.Parallel()
	i, far, _ := forwarding(t)
	const count = 1000
	key := dkim.Key{Domain: "away.example", Selector: "s", Signer: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))}
	record, err := dkim.MakeRecord(key.Signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	lookup := func(context.Context, string) ([]string, error) { return []string{record}, nil }
	c := i.from(stranger)
	for n := range count {
		msg := shape(n)
		header, content, _ := mailtext.SplitHeader([]byte(msg))
		o := dkim.Options{Header: dkim.Canonicalization(n & 1), Body: dkim.Canonicalization(n >> 1 & 1)}
		body := dkim.NewBody(o.Body)
		_, _ = body.Write(content)
		signature, err := dkim.Sign(header, body, []dkim.Key{key}, o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprint(c, "MAIL FROM:<bob@away.example> BODY=8BITMIME\r\nRCPT TO:<fan@here.example>\r\nDATA\r\n"); err != nil {
			t.Fatal(err)
		}
		c.expect("250")
		c.expect("250")
		c.expect("354")
		c.say(strings.ReplaceAll(string(signature)+msg, "\r\n.", "\r\n..")+".", "250")
	}
	for n, m := range far.Await(count) {
		header, content, _ := mailtext.SplitHeader(m.Body)
		signatures := dkim.Read(header)
		body := dkim.NewBody(signatures.Canonicalizations()...)
		_, _ = body.Write(content)
		if got := signatures.Verify(t.Context(), body, lookup, time.Now()); len(got) != 1 || got[0].Word != dkim.Pass || !rewritten.MatchString(m.From) {
			t.Fatalf("message %d from %s: %+v\n%s", n, m.From, got, m.Body)
		}
		if n%5 != 0 {
			continue
		}
		// Another program says so too.
		o := &msgauth.VerifyOptions{LookupTXT: func(string) ([]string, error) { return []string{record}, nil }}
		if got, err := msgauth.VerifyWithOptions(bytes.NewReader(m.Body), o); err != nil || len(got) != 1 || got[0].Err != nil {
			t.Fatalf("message %d: %v, %v\n%s", n, got, err, m.Body)
		}
	}
}

// shape makes the n-th of many messages: fields folded, repeated, empty, in UTF-8; lines long, with dots and white space.
func shape(n int) string {
	of := func(by int, list ...string) string { return list[n/by%len(list)] }
	return fmt.Sprintf("From: Bob <bob@away.example>\r\nMessage-ID: <%d@away.example>\r\n", n) +
		of(1, "Subject: hi\r\n", "Subject:  two  words \r\n", "Subject:\r\n", "SUBJECT : odd\r\n", "Subject: long "+strings.Repeat("word ", 20)+"\r\n folded\r\n") +
		of(5, "To: fan@here.example\r\n", "", "to:fan@here.example,\r\n\t\"c  d\" <c@example.net>\r\n") +
		of(15, "", "MIME-Version: 1.0\r\nContent-Type: text/plain;\r\n\tcharset=utf-8\r\n", "X-Empty:\r\n", "Received: from a by b;\r\n\tSat, 28 Nov 2026 12:00:00 +0000\r\n") +
		"\r\n" +
		of(2, "text\r\n", "trailing  \t\r\n\r\n", ".\r\n..\r\n", "") + of(3, "J\u00f6\r\n", strings.Repeat("y", 998)+"\r\n", "") +
		of(7, "\r\n\r\n\r\n", "the end\r\n", " \r\n")
}

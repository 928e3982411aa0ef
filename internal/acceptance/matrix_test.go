package acceptance

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"postroad/internal/sim"
)

// Two accounts on one installation, red and blue. Each has the same domains, one for each way in which mail can be routed,
// and in each of them a mailbox "known". Each domain also has a server of its own elsewhere, "real", which its MX records
// name unless the table says otherwise.
//
// The table is read so: mail to known@… or other@… of such a domain, of either account, from
//
//	stranger   anybody on the Internet
//	own        a user of the account that the domain belongs to, logged in
//	neighbour  a user of the other account, logged in
//	script     a program in a trusted network, as an address of the account red
//
// is delivered into the mailbox (here), handed to the domain's own server (real), or refused with the code. What is the
// same for all four stands once. That both accounts have the same table means that nobody's settings change another's mail.
var matrix = []struct {
	domain   string // its label
	settings string // of `domain add`
	mx       string // who the MX records name, in order
	address  string
	want     string // for stranger, own, neighbour, script; or once for all
}{
	{"local", "--proved", "us", "known", "here"},
	{"local", "--proved", "us", "other", "550 5.1.1"},
	{"local", "--proved", "us", "KNOWN+tag", "here"},
	{"early", "--proved --onboarding 1h", "us", "other", "450 4.2.1"},
	{"filtered", "--proved --gateway 192.0.2.0/24", "us", "known", "450 4.7.1, here, here, here"},
	{"backwards", "--proved", "real", "known", "here"}, // mode local, whatever public DNS says
	{"auto-local", "--proved --mode auto", "us real", "known", "here"},
	{"auto-backup", "--proved --mode auto --recipients accept", "real us", "known", "real"},
	{"split", "--proved --mode split", "real us", "known", "here"},
	{"split", "--proved --mode split", "real us", "other", "real"},
	{"split", "--proved --mode split", "real us", "nobody", "550 5.1.1"}, // the real server does not know nobody
	{"backup", "--proved --mode backup", "real us", "known", "real"},
	{"backup", "--proved --mode backup", "real us", "other", "real"},
	{"relay", "--proved --mode relay --next-hop REAL", "us", "known", "real"},
	{"relay", "--proved --mode relay --next-hop REAL", "us", "nobody", "550 5.1.1"},
	{"remote", "--proved --mode remote", "real", "known", "550 5.7.1, real, real, real"}, // though the mailbox is here
	{"remote", "--proved --mode remote", "real", "other", "550 5.7.1, real, real, real"},
	{"inert", "", "real", "known", "550 5.7.1, real, real, real"}, // nobody has shown that it is his
}

// matrixSenders are the columns of the table.
var matrixSenders = []string{"stranger", "own", "neighbour", "script"}

// loggedIn opens a session of a user who has logged in.
func (i *instance) loggedIn(user, password string) *talk {
	i.t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", i.secure, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a certificate of its own
	if err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	c := &talk{t: i.t, Conn: conn, r: bufio.NewReader(conn)}
	c.expect("220")
	c.say("EHLO client.example", "250")
	c.say("AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)), "235")
	return c
}

// offer brings a message for one recipient and gives the reply that decided: of RCPT, or of the content.
func (c *talk) offer(from, to, subject string) string {
	c.t.Helper()
	c.say("MAIL FROM:<"+from+">", "250")
	if _, err := fmt.Fprintf(c, "RCPT TO:<%s>\r\n", to); err != nil {
		c.t.Fatal(err)
	}
	reply := c.read()
	if strings.HasPrefix(reply, "250") {
		c.say("DATA", "354")
		return c.say("From: "+from+"\r\nSubject: "+subject+"\r\n\r\nHello.\r\n.", "250")
	}
	c.say("RSET", "250")
	return reply
}

// matrixWorld makes the accounts and their domains.
func matrixWorld(t *testing.T) (*outside, *instance, map[string]*talk) {
	t.Helper()
	o := newOutside(t)
	i := o.strict()
	sessions := map[string]*talk{"script": i.from(script), "stranger": i.from(stranger)}
	made := map[string]bool{}
	for _, owner := range []string{"red", "blue"} {
		i.run("account", "add", owner)
		for _, row := range matrix {
			domain := owner + "-" + row.domain + ".example"
			if made[domain] {
				continue
			}
			made[domain] = true
			var zone strings.Builder
			zone.WriteString("real A 127.0.0.11\nus A 127.0.0.12\n")
			for n, host := range strings.Fields(row.mx) {
				fmt.Fprintf(&zone, "@ MX %d %s\n", 10*n, host)
			}
			o.zone(domain, zone.String())
			args := append([]string{"domain", "add", domain, "--account", owner, "--yes"}, strings.Fields(strings.ReplaceAll(row.settings, "REAL", "127.0.0.11:"+o.port))...)
			i.run(args...)
			if row.domain == "local" {
				i.addMailbox("user@"+domain, owner+" password")
				sessions[owner] = i.loggedIn("user@"+domain, owner+" password")
			}
			i.run("mailbox", "add", "known@"+domain)
		}
	}
	for domain, mode := range map[string]string{"auto-local": "local", "auto-backup": "backup"} {
		for _, owner := range []string{"red", "blue"} {
			eventually(t, domain+" to follow public DNS", func() bool {
				return strings.Contains(i.run("audit", "--domain", owner+"-"+domain+".example"), " auto ") && ask[shownDomain](i, "domain", "show", owner+"-"+domain+".example").EffectiveMode == mode
			})
		}
	}
	return o, i, sessions
}

func TestS1_17EveryModeIsTheSameForEveryAccount(t *testing.T) {
	t.Parallel()
	o, i, sessions := matrixWorld(t)
	known := sim.Script{Rcpt: map[string]string{"*": "250 2.1.5 ours"}}
	for _, owner := range []string{"red", "blue"} {
		for _, row := range matrix {
			known.Rcpt["nobody@"+owner+"-"+row.domain+".example"] = "550 5.1.1 nobody of that name"
		}
	}
	real := o.peer(11, known)
	other := map[string]string{"red": "blue", "blue": "red"}
	want := map[string]string{} // where each accepted message is to arrive, by subject
	boxes := map[string]int{}   // how many of them in which mailbox
	for _, owner := range []string{"red", "blue"} {
		for n, row := range matrix {
			to := row.address + "@" + owner + "-" + row.domain + ".example"
			results := strings.Split(row.want, ", ")
			for k, sender := range matrixSenders {
				result := results[min(k, len(results)-1)]
				session, from := sessions[sender], "x@far.example"
				switch sender {
				case "own":
					session, from = sessions[owner], "user@"+owner+"-local.example"
				case "neighbour":
					session, from = sessions[other[owner]], "user@"+other[owner]+"-local.example"
				case "script":
					from = "cron@red-local.example"
				}
				subject := fmt.Sprintf("row %d for %s from %s", n+1, to, sender)
				got := session.offer(from, to, subject)
				switch {
				case result != "here" && result != "real":
					if !strings.HasPrefix(got, result) {
						t.Errorf("%s: %s, want %s", subject, got, result)
					}
				case !strings.HasPrefix(got, "250"):
					t.Errorf("%s: %s, and it is to go %s", subject, got, result)
				default:
					want[subject] = result
					if result == "here" {
						boxes["known@"+to[strings.LastIndexByte(to, '@')+1:]]++
					}
				}
			}
		}
	}
	arrived := map[string]string{}
	for box, n := range boxes {
		for _, m := range i.await(box, n) {
			arrived[m.Subject] += "here"
		}
	}
	eventually(t, "the queue to be empty", func() bool { return ask[counts](i, "queue", "count").Messages == 0 })
	for subject, n := range peerSubjects(real) {
		arrived[subject] += strings.Repeat("real", n)
	}
	for subject, where := range want {
		if arrived[subject] != where {
			t.Errorf("%s went %q, want %q", subject, arrived[subject], where)
		}
		delete(arrived, subject)
	}
	for subject, where := range arrived {
		t.Errorf("%s arrived %s, and was not to be accepted", subject, where)
	}
}

// peerSubjects counts the messages that a peer holds by their subjects.
func peerSubjects(p *sim.Peer) map[string]int {
	out := map[string]int{}
	for _, m := range p.Messages() {
		_, rest, _ := strings.Cut(string(m.Body), "Subject: ")
		subject, _, _ := strings.Cut(rest, "\r\n")
		out[subject]++
	}
	return out
}

// TestS1_17NoAccountsSettingsChangeAnothersMail: what one account sets for its mail to the outside, or claims of a name that
// is not its own, is nothing to the other.
func TestS1_17NoAccountsSettingsChangeAnothersMail(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("far.example", "@ MX 10 far\nfar A 127.0.0.13\n")
	far, smart := o.peer(13, sim.Script{}), o.peer(14, sim.Script{})
	i := o.strict()
	users := map[string]*talk{}
	for _, owner := range []string{"red", "blue"} {
		i.run("account", "add", owner)
		i.run("domain", "add", owner+".example", "--account", owner, "--proved")
		i.addMailbox("user@"+owner+".example", owner+" password")
		users[owner] = i.loggedIn("user@"+owner+".example", owner+" password")
	}
	i.run("outbound", "set", "127.0.0.14:"+o.port, "--domain", "red.example", "--yes")
	i.run("domain", "add", "far.example", "--account", "red") // an inert claim
	i.run("mailbox", "add", "known@far.example")
	i.run("catch-all", "set", "far.example", "user@red.example")
	i.run("catch-all", "set", "red.example", "user@red.example")
	users["red"].offer("user@red.example", "known@far.example", "red sends out")
	users["blue"].offer("user@blue.example", "known@far.example", "blue sends out")
	users["blue"].offer("user@blue.example", "someone@red.example", "blue to red's catch-all")
	if got := users["red"].offer("user@red.example", "someone@blue.example", "red to blue"); !strings.HasPrefix(got, "550 5.1.1") {
		t.Errorf("red's catch-all takes blue's mail: %s", got)
	}
	smart.Await(1)
	far.Await(1)
	if got := i.await("user@red.example", 1); len(got) != 1 || got[0].Subject != "blue to red's catch-all" {
		t.Errorf("in red's mailbox: %+v", got)
	}
	if by := peerSubjects(smart); len(by) != 1 || by["red sends out"] != 1 {
		t.Errorf("by red's smart host: %v", by)
	}
	if by := peerSubjects(far); len(by) != 1 || by["blue sends out"] != 1 {
		t.Errorf("by MX: %v", by)
	}
	if n := len(ask[[]message](i, "mailbox", "messages", "known@far.example")); n != 0 {
		t.Errorf("an inert claim got %d messages", n)
	}
}

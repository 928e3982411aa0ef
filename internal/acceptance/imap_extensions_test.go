package acceptance

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"
)

// says wants each of some lines, as a regular expression, among what is said to a command, in their order.
func (c *imapTalk) says(command string, wants ...string) []string {
	c.t.Helper()
	lines := c.ok(command)
	rest := lines
	for _, want := range wants {
		whole := regexp.MustCompile("^" + want + "$")
		for len(rest) > 0 && !whole.MatchString(rest[0]) {
			rest = rest[1:]
		}
		if len(rest) == 0 {
			c.t.Errorf("%s: no %s among\n%s", command, want, strings.Join(lines, "\n"))
			return lines
		}
		rest = rest[1:]
	}
	return lines
}

// never wants nothing of an expression among what was said.
func (c *imapTalk) never(lines []string, pattern string) {
	c.t.Helper()
	if text := strings.Join(lines, "\n"); regexp.MustCompile(pattern).MatchString(text) {
		c.t.Errorf("%s stands in\n%s", pattern, text)
	}
}

// What is announced works as its standard says.
func TestP1_4ExtensionsDoWhatTheyAnnounce(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	r.run("mailbox", "set", "ann@here.example", "--quota", "1MiB", "--yes")
	c := r.session()
	for name := range strings.FieldsSeq("IMAP4rev2 IMAP4rev1 SASL-IR ID ENABLE LITERAL+ IDLE NAMESPACE UNSELECT UIDPLUS MOVE CHILDREN SPECIAL-USE CREATE-SPECIAL-USE " +
		"LIST-EXTENDED LIST-STATUS STATUS=SIZE ESEARCH SEARCHRES CONDSTORE QRESYNC BINARY MULTIAPPEND UTF8=ACCEPT QUOTA QUOTA=RES-STORAGE APPENDLIMIT=52428800") {
		c.says("CAPABILITY", `\* CAPABILITY(| .*) `+regexp.QuoteMeta(name)+`(| .*)`)
	}
	c.says("NAMESPACE", `\* NAMESPACE \(\("" "/"\)\) NIL NIL`)
	c.says(`ID ("name" "test")`, `\* ID \("name" "Postroad"\)`)
	c.says("GETQUOTAROOT INBOX", `\* QUOTAROOT "INBOX" ""`, `\* QUOTA "" \(STORAGE 0 1024\)`)
	c.says(`LIST (SPECIAL-USE) "" "*"`, `.*\\Archive.*`, `.*\\Drafts.*`, `.*\\Junk.*`, `.*\\Sent.*`, `.*\\Trash.*`)

	// UIDPLUS, MULTIAPPEND, BINARY, UTF8=ACCEPT.
	const eight = "From: x@y.example\r\nSubject: eight\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECw7w=\r\n"
	const utf8 = "From: Jö <jö@bücher.example>\r\nSubject: grüße\r\n\r\nText.\r\n"
	literal := func(text string) string { return fmt.Sprintf("{%d+}\r\n%s", len(text), text) }
	c.says("APPEND INBOX (\\Seen $Work) "+literal(eight)+" "+literal("Subject: two\r\n\r\nTwo.\r\n"), `OK \[APPENDUID \d+ 1:2\] .*`)
	c.says("ENABLE UTF8=ACCEPT CONDSTORE", `\* ENABLED UTF8=ACCEPT CONDSTORE`)
	c.says("APPEND INBOX UTF8 (~"+literal(utf8)+")", `OK \[APPENDUID \d+ 3\] .*`)
	c.says(`LIST "" "INBOX" RETURN (STATUS (MESSAGES SIZE APPENDLIMIT))`, `\* LIST \(.*\) "/" "INBOX"`,
		fmt.Sprintf(`\* STATUS "INBOX" \(MESSAGES 3 SIZE %d APPENDLIMIT 52428800\)`, len(eight)+len("Subject: two\r\n\r\nTwo.\r\n")+len(utf8)))
	selected := c.says("SELECT INBOX", `\* 3 EXISTS`, `\* \d+ RECENT`, `\* OK \[UIDVALIDITY \d+\] .*`, `\* OK \[UIDNEXT 4\] .*`, `\* OK \[HIGHESTMODSEQ \d+\] .*`, `OK \[READ-WRITE\] .*`)
	c.says("FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1])", regexp.QuoteMeta("* 1 FETCH (BINARY.SIZE[1] 5 BINARY[1] ~{5}"), "\x00\x01\x02ü\\)")
	c.says("FETCH 3 (ENVELOPE)", `\* 3 FETCH \(ENVELOPE \(NIL "grüße" \(\("Jö" NIL "jö" "bücher.example"\)\).*`)
	c.says(`SEARCH SUBJECT "GRÜSSE"`, `\* SEARCH 3`)

	// ESEARCH, SEARCHRES, CONDSTORE.
	c.says("SEARCH RETURN (MIN MAX COUNT ALL) ALL", `\* ESEARCH \(TAG "d"\) MIN 1 MAX 3 COUNT 3 ALL 1:3`)
	c.says("UID SEARCH RETURN (SAVE COUNT) UNSEEN", `\* ESEARCH \(TAG "d"\) UID COUNT 2`)
	c.says("SEARCH RETURN (SAVE COUNT) $ SUBJECT two", `\* ESEARCH \(TAG "d"\) COUNT 1`)
	c.says("STORE $ (UNCHANGEDSINCE 1) +FLAGS (\\Flagged)", `OK \[MODIFIED 2\] .*`)
	c.says("STORE $ +FLAGS (\\Flagged)", `\* 2 FETCH \(FLAGS \(\\Flagged\) MODSEQ \(\d+\)\)`)
	if _, err := c.do("SEARCH CHARSET UTF-8 ALL"); err == nil || !strings.HasPrefix(err.Error(), "BAD ") {
		t.Errorf("a charset after UTF8=ACCEPT: %v", err)
	}
	c.says("MOVE $ Archive", `\* OK \[COPYUID \d+ 2 1\] .*`, `\* 2 EXPUNGE`)
	c.says("COPY 1 Archive", `OK \[COPYUID \d+ 1 2\] .*`)
	c.says("UNSELECT")

	// QRESYNC, and what is different in IMAP4rev2.
	validity := regexp.MustCompile(`UIDVALIDITY (\d+)`).FindStringSubmatch(strings.Join(selected, "\n"))[1]
	q := r.session()
	q.says("ENABLE QRESYNC", `\* ENABLED QRESYNC`)
	q.says("SELECT INBOX (QRESYNC ("+validity+" 4))", `\* 2 EXISTS`, `\* VANISHED \(EARLIER\) 2`)
	q.says("STORE 1 +FLAGS.SILENT (\\Deleted)")
	q.says("EXPUNGE", `\* VANISHED 1`)
	second := r.session()
	second.says("ENABLE IMAP4rev2", `\* ENABLED IMAP4rev2`)
	second.never(second.says("SELECT INBOX", `\* 1 EXISTS`, `\* LIST \(.*\) "/" "INBOX"`, `OK \[READ-WRITE\] .*`), `RECENT|UNSEEN`)
	second.says("SEARCH ALL", `\* ESEARCH \(TAG "d"\) ALL 1`)
	second.says(`CREATE "Grüße"`)
	second.says(`LIST "" "G*"`, `\* LIST \(.*\) "/" "Grüße"`)
	c.says(`LIST "" "G*"`, `\* LIST \(.*\) "/" "Grüße"`)
	r.session().says(`LIST "" "G*"`, `\* LIST \(.*\) "/" "Gr&APwA3w-e"`)
}

// Before a login little is taken, in whatever form it comes, and nothing in clear that is a secret.
func TestP1_5LittleIsTakenBeforeALogin(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	long := strings.Repeat("x", 9000)
	for _, c := range []struct{ what, send, want string }{
		{"a long command", "a NOOP " + long + "\r\n", "* BYE "},
		{"a line without end", long, "* BYE "},
		{"a long literal", "a LOGIN {1025}\r\n", "a BAD [TOOBIG] "},
		{"a long literal that is not asked for", "a LOGIN {1025+}\r\n" + long[:1025] + " x\r\n", "a BAD [TOOBIG] "},
		{"a huge literal that is not asked for", "a LOGIN {10000000000+}\r\n", "* BYE [TOOBIG] "},
		{"literals that are long together", "a LOGIN {600+}\r\n" + long[:600] + " {600+}\r\n" + long[:600] + "\r\n", "a BAD [TOOBIG] "},
		{"a message", "a APPEND INBOX {2000}\r\n", "a BAD "},
		{"a long response", "a AUTHENTICATE PLAIN\r\n" + long + "\r\n", "* BYE "},
		{"lines that do not end with CRLF", "a NOOP\n", "* BYE "},
		{"what is no command", strings.Repeat("x\r\n", 12), "* BYE "},
		{"what needs a login", "a SELECT INBOX\r\n", "a BAD Log in first."},
	} {
		for _, address := range []string{r.imaps, r.imap} {
			conn, err := net.DialTimeout("tcp", address, 10*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			if address == r.imaps {
				conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // its own server
			}
			_, _ = io.WriteString(conn, c.send) // it may be ended meanwhile
			lines := bufio.NewReader(conn)
			var heard strings.Builder
			for {
				line, err := lines.ReadString('\n')
				heard.WriteString(line)
				if strings.HasPrefix(line, c.want) {
					break
				}
				if err != nil {
					t.Errorf("%s at %s: %v, and was told\n%s", c.what, address, err, heard.String())
					break
				}
			}
		}
	}
	conn, err := net.DialTimeout("tcp", r.imap, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	lines := bufio.NewReader(conn)
	if greeting, _ := lines.ReadString('\n'); !strings.Contains(greeting, " STARTTLS LOGINDISABLED]") || strings.Contains(greeting, "AUTH=") {
		t.Errorf("in clear the greeting is %s", greeting)
	}
	for _, command := range []string{"LOGIN ann@here.example \"" + annsPassword + "\"", "AUTHENTICATE PLAIN", "AUTHENTICATE LOGIN", "AUTHENTICATE SCRAM-SHA-256"} {
		_, _ = io.WriteString(conn, "a "+command+"\r\n")
		if answer, _ := lines.ReadString('\n'); !strings.HasPrefix(answer, "a NO [PRIVACYREQUIRED] ") {
			t.Errorf("%s in clear: %s", command, answer)
		}
	}
}

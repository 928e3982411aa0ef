package acceptance

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // what offlineimap calls a fingerprint
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"postroad/internal/sim"
)

// reader is an instance whose mail is read by IMAP.
type reader struct {
	*instance
	imap, imaps string
}

// annsPassword is that of ann@here.example.
const annsPassword = "correct horse"

func newReader(t *testing.T) *reader {
	t.Helper()
	r := &reader{instance: prepareInstance(t, t.TempDir(), ""), imap: sim.FreeAddress(t), imaps: sim.FreeAddress(t)}
	r.env = []string{"POSTROAD_LISTEN_IMAP=" + r.imap, "POSTROAD_LISTEN_IMAPS=" + r.imaps}
	r.start()
	r.run("domain", "add", "here.example", "--proved")
	r.addMailbox("ann@here.example", annsPassword)
	return r
}

// mail sends ann a message by SMTP and waits until it is in her mailbox.
func (r *reader) mail(subject string) {
	r.t.Helper()
	before := len(ask[[]message](r.instance, "mailbox", "messages", "ann@here.example"))
	r.send(subject, "Message-ID: <"+subject+"@y.example>\r\nFrom: x@y.example\r\n\r\nText of "+subject+".")
	r.await("ann@here.example", before+1)
}

// client runs another program with some input and gives its output; it must succeed.
func (r *reader) client(input, name string, args ...string) string {
	r.t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		missing(r.t, "this needs the programs of scripts/install-test-deps: "+name)
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "HOME="+r.dir, "TERM=dumb")
	cmd.Stdin = strings.NewReader(input)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		r.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out.String())
	}
	return out.String()
}

// file writes a file for a client.
func (r *reader) file(name, content string) string {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// flags gives the flags of ann's messages by subject.
func (r *reader) flags() map[string][]string {
	r.t.Helper()
	all := map[string][]string{}
	for _, m := range ask[[]message](r.instance, "mailbox", "messages", "ann@here.example") {
		slices.Sort(m.Flags)
		all[m.Subject] = m.Flags
	}
	return all
}

// Python's client reads, searches, changes and removes mail, over TLS and by STARTTLS, and never in clear.
func TestP1_1PythonReadsMailByIMAP(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	r.mail("one")
	r.mail("two")
	out := r.client(`
import imaplib, ssl, sys
imaplib.Debug = 0
context = ssl._create_unverified_context()
secure, clear, password = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
m = imaplib.IMAP4_SSL("127.0.0.1", secure, ssl_context=context)
try:
    m.login("ann@here.example", "wrong")
    print("a wrong password was taken")
except imaplib.IMAP4.error as e:
    print("refused", "AUTHENTICATIONFAILED" in str(e))
m.login("ann@here.example", password)
m.enable("UTF8=ACCEPT")
print(m.select("INBOX"))
print(m.search(None, "SUBJECT", '"two"'))
kind, data = m.fetch("1:2", "(UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
print(kind, [d[1] for d in data if isinstance(d, tuple)])
kind, data = m.fetch("1", "(BODY[TEXT])")
print(kind, data[0][1])
print(m.store("2", "+FLAGS", "(\\Flagged)"))
print(m.append("Sent", "(\\Seen)", imaplib.Time2Internaldate(1000000000), b"Subject: sent\r\n\r\nsent\r\n"))
print(m.copy("1", "Archive"))
print(m.store("1", "+FLAGS.SILENT", "(\\Deleted)"))
print(m.expunge())
print(m.create("Work/2026"), m.rename("Work", "Job"), m.list('""', "Job*"))
print(m.status("Archive", "(MESSAGES UNSEEN)"))
print(m.getquotaroot("INBOX")[0])
m.logout()
m = imaplib.IMAP4("127.0.0.1", clear)
try:
    m.login("ann@here.example", password)
    print("a login in clear was taken")
except imaplib.IMAP4.error as e:
    print("refused", "PRIVACYREQUIRED" in str(e))
m.starttls(context)
m.authenticate("PLAIN", lambda _: ("\0ann@here.example\0" + password).encode())
print(m.select("INBOX", readonly=True), m.fetch("1", "(FLAGS)"))
m.logout()
`, "/usr/bin/python3", "-", port(t, r.imaps), port(t, r.imap), annsPassword)
	want := `refused True
('OK', [b'2'])
('OK', [b'2'])
OK [b'Subject: one\r\n\r\n', b'Subject: two\r\n\r\n']
OK b'Text of one.\r\n'
('OK', [b'2 (FLAGS (\\Flagged))'])
('OK', [b'[APPENDUID V 1] APPEND completed.'])
('OK', [b'[COPYUID V 1 1] COPY completed.'])
('OK', [None])
('OK', [b'1'])
('OK', [b'CREATE completed.']) ('OK', [b'RENAME completed.']) ('OK', [b'(\\HasChildren) "/" "Job"', b'(\\HasNoChildren) "/" "Job/2026"'])
('OK', [b'"Archive" (MESSAGES 1 UNSEEN 0)'])
OK
refused True
('OK', [b'1']) ('OK', [b'1 (FLAGS (\\Flagged))'])
`
	if got := withoutValidity(out); got != want {
		t.Errorf("python says\n%s\nwant\n%s", got, want)
	}
	if got := r.flags(); len(got) != 1 || !slices.Equal(got["two"], []string{`\Flagged`}) {
		t.Errorf("the mailbox holds %v", got)
	}
}

// withoutValidity puts V in place of values of UIDVALIDITY.
func withoutValidity(s string) string {
	words := strings.Split(s, " ")
	for i := range words {
		if i > 0 && (strings.HasSuffix(words[i-1], "[APPENDUID") || strings.HasSuffix(words[i-1], "[COPYUID")) {
			words[i] = "V"
		}
	}
	return strings.Join(words, " ")
}

// mbsync keeps a folder of files and the mailbox equal: new mail, flags and removals in both directions. It logs in as it
// likes to, and by SCRAM alone.
func TestP1_1MbsyncKeepsBothSidesEqual(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	local := filepath.Join(r.dir, "mail")
	const config = `IMAPAccount here
Host 127.0.0.1
Port %s
User ann@here.example
Pass "%s"
SSLType IMAPS
CertificateFile %s
AuthMechs %s

IMAPStore far
Account here

MaildirStore near
Path %s/
Inbox %s/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
`
	sync := func(mechanism string) {
		t.Helper()
		rc := r.file("mbsyncrc", fmt.Sprintf(config, port(t, r.imaps), annsPassword, filepath.Join(r.data, "self-signed.crt"), mechanism, local, local))
		r.client("", "mbsync", "-c", rc, "-a")
	}
	r.mail("one")
	r.mail("two")
	if err := os.MkdirAll(local, 0o700); err != nil {
		t.Fatal(err)
	}
	sync("*") // whatever it chooses
	files := func(folder, part string) []string {
		list, err := filepath.Glob(filepath.Join(local, folder, part, "*"))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	fresh := files("INBOX", "new")
	if len(fresh) != 2 {
		t.Fatalf("%d files of 2 messages", len(fresh))
	}
	// One is read and removed here, one written here; the server gets another.
	var one string
	for _, f := range fresh {
		content, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(f)
		if at := strings.Index(name, ":2,"); at >= 0 {
			name = name[:at]
		}
		suffix := ":2,FS"
		if bytes.Contains(content, []byte("Subject: two")) {
			suffix = ":2,ST"
		} else {
			one = name
		}
		if err := os.Rename(f, filepath.Join(local, "INBOX", "cur", name+suffix)); err != nil {
			t.Fatal(err)
		}
	}
	r.file("mail/Sent/new/1.local", "Subject: written here\n\nText.\n")
	r.mail("three")
	sync("SCRAM-SHA-256")
	if got := r.flags(); len(got) != 2 || !slices.Equal(got["one"], []string{`\Flagged`, `\Seen`}) || got["three"] == nil {
		t.Errorf("after the second run the server has %v", got)
	}
	if got := files("INBOX", "*"); len(got) != 2 || one == "" {
		t.Errorf("after the second run there are %v", got)
	}
	out := r.client("", "curl", "-sk", "--url", "imaps://"+r.imaps+"/Sent;MAILINDEX=1", "-u", "ann@here.example:"+annsPassword)
	if !strings.Contains(out, "Subject: written here\r\n") {
		t.Errorf("curl reads %q", out)
	}
	sync("SCRAM-SHA-256")
	if got := r.flags(); len(got) != 2 {
		t.Errorf("a run without changes changed %v", got)
	}
	const by = "login=ann@here.example mechanism="
	eventually(t, "the logins in the log", func() bool { return strings.Count(r.log.String(), by+"SCRAM-SHA-256") >= 2 })
}

// fingerprint is that of the server's certificate.
func (r *reader) fingerprint() string {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.data, "self-signed.crt"))
	if err != nil {
		r.t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		r.t.Fatal(err)
	}
	sum := sha1.Sum(block.Bytes) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}

// offlineimap keeps a copy, and takes flags back to the server.
func TestP1_1OfflineIMAPKeepsACopy(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	r.mail("one")
	local := filepath.Join(r.dir, "mail")
	rc := r.file("offlineimaprc", fmt.Sprintf(`[general]
accounts = here
metadata = %s/meta
ui = basic
[Account here]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = %s
[Repository far]
type = IMAP
remotehost = 127.0.0.1
remoteport = %s
remoteuser = ann@here.example
remotepass = %s
ssl = yes
cert_fingerprint = %s
`, r.dir, local, port(t, r.imaps), annsPassword, r.fingerprint()))
	r.client("", "offlineimap", "-c", rc, "-o", "-1")
	fresh, err := filepath.Glob(filepath.Join(local, "INBOX", "*", "*"))
	if err != nil || len(fresh) != 1 {
		t.Fatalf("%v, %v", fresh, err)
	}
	name := filepath.Base(fresh[0])
	name, _, _ = strings.Cut(name, ":2,")
	if err := os.Rename(fresh[0], filepath.Join(local, "INBOX", "cur", name+":2,RS")); err != nil {
		t.Fatal(err)
	}
	r.client("", "offlineimap", "-c", rc, "-o", "-1")
	if got := r.flags()["one"]; !slices.Equal(got, []string{`\Answered`, `\Seen`}) {
		t.Errorf("flags on the server are %v", got)
	}
}

// fetchmail takes mail away, each message once.
func TestP1_1FetchmailTakesMailAway(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	r.mail("one")
	r.mail("two")
	taken := filepath.Join(r.dir, "taken")
	rc := r.file("fetchmailrc", fmt.Sprintf("set no bouncemail\npoll 127.0.0.1 protocol IMAP port %s auth password\n user \"ann@here.example\" password \"%s\" ssl no sslcertck\n mda \"cat >> %s\"\n no rewrite no keep\n",
		port(t, r.imaps), annsPassword, taken))
	r.client("", "fetchmail", "-f", rc, "--pidfile", filepath.Join(r.dir, "fetchmail.pid"), "--idfile", filepath.Join(r.dir, "ids"))
	content, err := os.ReadFile(taken)
	if err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{"one", "two"} {
		if n := bytes.Count(content, []byte("Subject: "+subject)); n != 1 {
			t.Errorf("%d messages %s", n, subject)
		}
	}
	if got := r.flags(); len(got) != 0 {
		t.Errorf("%v is left", got)
	}
}

// mutt shows a message and deletes it, after a login that shows nobody its password.
func TestP1_1MuttReadsAMailbox(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	r.mail("one")
	r.mail("two")
	saved := filepath.Join(r.dir, "saved")
	rc := r.file("muttrc", fmt.Sprintf(`set folder="imaps://127.0.0.1:%s/"
set imap_user="ann@here.example"
set imap_pass="%s"
set imap_authenticators="scram-sha-256"
set certificate_file="%s"
set ssl_verify_host=no ssl_verify_dates=no ssl_usesystemcerts=no
set header_cache="%s/cache"
set sleep_time=0 delete=yes mark_old=no quit=yes confirmappend=no wait_key=no imap_check_subscribed=no
push "<first-entry><pipe-message>cat >%s<enter><delete-message><sync-mailbox><quit>"
`, port(t, r.imaps), annsPassword, filepath.Join(r.data, "self-signed.crt"), r.dir, saved))
	r.client("", "script", "-qec", fmt.Sprintf("TERM=xterm mutt -n -F %s -f imaps://127.0.0.1:%s/INBOX", rc, port(t, r.imaps)), "/dev/null")
	content, err := os.ReadFile(saved)
	if err != nil || !bytes.Contains(content, []byte("Text of one.")) {
		t.Errorf("mutt saved %q, %v", content, err)
	}
	if got := r.flags(); len(got) != 1 || got["two"] == nil {
		t.Errorf("%v is left", got)
	}
	eventually(t, "the login in the log", func() bool { return strings.Contains(r.log.String(), "login=ann@here.example mechanism=SCRAM-SHA-256") })
}

// A client that waits hears of new mail at once, and of the server's end.
func TestP1_2IdleHearsOfMailAndOfTheEnd(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	c := r.session()
	c.ok("SELECT INBOX")
	c.write("w IDLE\r\n")
	c.until("+ ")
	r.send("now", "\r\nText.")
	c.until("* 1 EXISTS")
	if err := r.kill(syscall.SIGTERM); err != nil {
		t.Errorf("end: %v", err)
	}
	c.until("* BYE ")
}

// Another password ends the sessions that the old one began.
func TestP1_2AChangedPasswordEndsSessions(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	c := r.session()
	c.write("w IDLE\r\n")
	c.until("+ ")
	cmd := exec.Command(r.path(), "--data", r.data, "mailbox", "set", "ann@here.example", "--password-stdin", "--yes")
	cmd.Stdin = strings.NewReader("another password\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c.until("* BYE ")
}

// imapTalk is a session of ann's.
type imapTalk struct {
	t    *testing.T
	conn *tls.Conn
	r    *bufio.Reader
}

// session connects and logs in as ann.
func (r *reader) session() *imapTalk {
	r.t.Helper()
	c, err := r.dial()
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

func (r *reader) dial() (*imapTalk, error) {
	conn, err := tls.Dial("tcp", r.imaps, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // its own server
	if err != nil {
		return nil, err
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	c := &imapTalk{t: r.t, conn: conn, r: bufio.NewReader(conn)}
	if _, err := c.r.ReadString('\n'); err != nil {
		return nil, err
	}
	_, err = c.do(`LOGIN ann@here.example "` + annsPassword + `"`)
	return c, err
}

func (c *imapTalk) write(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.t.Fatal(err)
	}
}

// do gives what is said to a command before its tagged response; an error when that is not OK.
func (c *imapTalk) do(command string) ([]string, error) {
	if _, err := io.WriteString(c.conn, "d "+command+"\r\n"); err != nil {
		return nil, err
	}
	var lines []string
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return lines, err
		}
		line = strings.TrimRight(line, "\r\n")
		if tagged, ok := strings.CutPrefix(line, "d "); ok {
			if !strings.HasPrefix(tagged, "OK ") {
				return lines, errors.New(tagged)
			}
			return append(lines, tagged), nil
		}
		lines = append(lines, line)
	}
}

func (c *imapTalk) ok(command string) []string {
	c.t.Helper()
	lines, err := c.do(command)
	if err != nil {
		c.t.Fatalf("%s: %v", command, err)
	}
	return lines
}

// until reads up to a line that begins with something.
func (c *imapTalk) until(begins string) string {
	c.t.Helper()
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatalf("no %q: %v", begins, err)
		}
		if strings.HasPrefix(line, begins) {
			return line
		}
	}
}

// send hands a message over by SMTP.
func (r *reader) send(subject, content string) {
	r.t.Helper()
	c := dialSMTP(r.t, r.smtp)
	c.say("EHLO far.example", "250")
	c.say("MAIL FROM:<x@y.example>", "250")
	c.say("RCPT TO:<ann@here.example>", "250")
	c.say("DATA", "354")
	c.say("Subject: "+subject+"\r\n"+content+"\r\n.", "250")
	_ = c.Close()
}

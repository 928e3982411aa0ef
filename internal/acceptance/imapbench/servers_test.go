package imapbench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/core/mailbox"
	"postroad/internal/proto/message"
	"postroad/internal/sim"
	store "postroad/internal/store/mail"
	"postroad/internal/store/sqldb"
)

const (
	messages = 100_000 // in the mailbox that is opened
	boxes    = 20      // mailboxes whose users are in IDLE
	password = "correct-horse"
)

// letter is the n-th message: of several sizes, with a header as mail has it; every tenth has two parts.
func letter(n int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Received: from out%d.example.org (out%d.example.org [192.0.2.%d])\r\n\tby mx.test.example with ESMTPS id %016x;\r\n\tMon, 2 Feb 2026 03:%02d:%02d +0000\r\n", n%7, n%7, n%250, n, n/60%60, n%60)
	fmt.Fprintf(&b, "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=s1;\r\n\th=from:to:subject:date; bh=%s=;\r\n\tb=%s\r\n", strings.Repeat("Ab1/", 10), strings.Repeat("xYz0", 86))
	fmt.Fprintf(&b, "From: \"Correspondent Number %d\" <person%d@example.org>\r\nTo: Anna <anna@a.example>, Ben <ben@a.example>\r\nCc: list-%d@lists.example.org\r\n", n%500, n%500, n%20)
	fmt.Fprintf(&b, "Subject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe?= number %d about the matter of the week\r\nMessage-ID: <%d.%d@example.org>\r\nIn-Reply-To: <%d.%d@example.org>\r\nDate: Mon, 2 Feb 2026 03:%02d:%02d +0000\r\nMIME-Version: 1.0\r\n", n, n, n*7, n-1, n*7-7, n/60%60, n%60)
	line := strings.Repeat("All the words of this letter are the same. ", 1) + "\r\n"
	text := strings.Repeat(line, 10+n*37%150)
	if n%10 == 0 {
		b.WriteString("Content-Type: multipart/alternative; boundary=\"b1\"\r\n\r\n--b1\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + text + "--b1\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<p>" + text + "</p>\r\n--b1--\r\n")
	} else {
		b.WriteString("Content-Type: text/plain; charset=utf-8\r\n\r\n" + text)
	}
	return b.Bytes()
}

// server is a mail server that is measured.
type server interface {
	// imaps is where it takes IMAP over TLS.
	imaps() string
	// user is the login and address of one of the users.
	user(n int) string
	// restart ends the program and starts it again.
	restart(tb testing.TB)
	// deliver hands it a message for a user and tells when it was taken.
	deliver(tb testing.TB, user string, message []byte) time.Time
	// memory is what its processes have, in octets.
	memory(tb testing.TB) int64
	stop()
}

// daemon is a program that runs.
type daemon struct {
	cmd   *exec.Cmd
	out   bytes.Buffer
	ended chan error
}

func launch(tb testing.TB, name string, args ...string) *daemon {
	tb.Helper()
	d := &daemon{cmd: exec.Command(name, args...), ended: make(chan error, 1)}
	d.cmd.Env = append(os.Environ(), "POSTROAD_RESOLVER_ROOTS=127.0.0.1:1", "POSTROAD_RESOLVER_SERVERS=127.0.0.1:1")
	d.cmd.Stdout, d.cmd.Stderr = &d.out, &d.out
	if err := d.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() { d.ended <- d.cmd.Wait() }()
	return d
}

// await waits until an address is listened at; one that begins with a slash is a socket's.
func (d *daemon) await(tb testing.TB, address string) {
	tb.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	for range 3000 {
		conn, err := net.Dial(network, address)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case err := <-d.ended:
			tb.Fatalf("the server ended: %v\n%s", err, d.out.String())
		case <-tick.C:
		}
	}
	tb.Fatalf("nobody listens at %s", address)
}

func (d *daemon) end() {
	_ = d.cmd.Process.Signal(os.Interrupt)
	<-d.ended
}

// postroad is the program of this repository.
type postroad struct {
	*daemon
	dir, binary, smtp, imap string
}

func startPostroad(tb testing.TB, dir string) *postroad {
	tb.Helper()
	p := &postroad{dir: dir, binary: filepath.Join(dir, "postroad"), smtp: sim.FreeAddress(tb), imap: sim.FreeAddress(tb)}
	build := exec.Command("go", "build", "-o", p.binary, "postroad/cmd/postroad")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		tb.Fatalf("build: %v\n%s", err, out)
	}
	text := fmt.Sprintf("data_dir = %q\nhostname = \"mx.test.example\"\n[listen]\nsmtp = [%q]\nsubmission = []\nsubmissions = []\nhttp = [%q]\nimap = []\nimaps = [%q]\ndns = []\n"+
		"[resolver]\nservers = [\"127.0.0.1:9\"]\nroots = [\"127.0.0.1:9\"]\n[limits]\nimap_sessions_per_address = 20000\nimap_sessions_per_mailbox = 20000\n",
		filepath.Join(dir, "data"), p.smtp, sim.FreeAddress(tb), p.imap)
	if err := os.WriteFile(filepath.Join(dir, "postroad.toml"), []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	p.start(tb)
	p.run(tb, "", "domain", "add", "a.example", "--proved")
	add := func(n int) {
		p.run(tb, password+"\n", "mailbox", "add", fmt.Sprintf("user%d@a.example", n), "--password-stdin")
	}
	add(0)
	first := dial(tb, p.imap, p.user(0), password)
	first.do("APPEND INBOX {1+}\r\nx") // by it the mailbox is known from the postmaster's
	first.close()
	p.end()
	p.fill(tb)
	p.start(tb)
	for n := 1; n < boxes; n++ {
		add(n)
	}
	return p
}

func (p *postroad) start(tb testing.TB) {
	tb.Helper()
	p.daemon = launch(tb, p.binary, "serve", "--config", filepath.Join(p.dir, "postroad.toml"))
	p.await(tb, p.imap)
	p.await(tb, filepath.Join(p.dir, "data", "postroad.sock"))
}

// run runs a command.
func (p *postroad) run(tb testing.TB, input string, args ...string) {
	tb.Helper()
	cmd := exec.Command(p.binary, append([]string{"--data", filepath.Join(p.dir, "data")}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%v: %v\n%s", args, err, out)
	}
}

// fill puts the messages into the only mailbox that has one, as deliveries would.
func (p *postroad) fill(tb testing.TB) {
	tb.Helper()
	ctx, data := context.Background(), filepath.Join(p.dir, "data")
	blobs, err := sqldb.OpenBlobs(filepath.Join(data, "blobs"))
	if err != nil {
		tb.Fatal(err)
	}
	s, err := store.Open(ctx, store.Config{Dir: data}, blobs)
	if err != nil {
		tb.Fatal(err)
	}
	all, err := s.Usage(ctx, account.System(), nil)
	if err != nil {
		tb.Fatal(err)
	}
	box := ""
	for id, usage := range all {
		if usage.Messages == 1 {
			box = id
		}
	}
	for n := 0; n < messages; n += 500 {
		items := make([]mailbox.Item, 500)
		for i := range items {
			content := letter(n + i)
			header, _, _ := message.SplitHeader(content)
			summary := message.Summarize(header)
			items[i] = mailbox.Item{
				Mailbox: box, QueueID: mail.NewID(time.Now(), 0, 1, rand.Uint64()), At: time.Now(), Size: int64(len(content)), Hash: sqldb.Sum(content),
				Content: mail.Content{Inline: content}, From: summary.From, Subject: summary.Subject, Date: summary.Date,
			}
		}
		if err := errors.Join(s.Deliver(ctx, account.System(), items)...); err != nil {
			tb.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		tb.Fatal(err)
	}
}

func (p *postroad) imaps() string { return p.imap }

func (p *postroad) user(n int) string { return fmt.Sprintf("user%d@a.example", n) }

func (p *postroad) restart(tb testing.TB) {
	tb.Helper()
	p.end()
	p.start(tb)
}

func (p *postroad) deliver(tb testing.TB, user string, message []byte) time.Time {
	tb.Helper()
	return deliver(tb, p.smtp, "EHLO", user, message)
}

func (p *postroad) memory(tb testing.TB) int64 {
	tb.Helper()
	return shareOf(tb, p.cmd.Process.Pid)
}

func (p *postroad) stop() { p.end() }

// shareOf is the memory of a process, shared pages by their share, in octets.
func shareOf(tb testing.TB, pid int) int64 {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0 // it has ended
	}
	for line := range strings.Lines(string(text)) {
		if rest, is := strings.CutPrefix(line, "Pss:"); is {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				tb.Fatal(err)
			}
			return kib << 10
		}
	}
	return 0
}

// dovecot is Dovecot 2.3 with a Maildir for each user.
type dovecot struct {
	*daemon
	dir, imap, socket string
}

func startDovecot(tb testing.TB, dir string) *dovecot {
	tb.Helper()
	d := &dovecot{dir: dir, imap: sim.FreeAddress(tb), socket: filepath.Join(dir, "run", "lmtp")}
	owner, err := user.Lookup("nobody")
	if err != nil {
		tb.Fatal(err)
	}
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(owner.Gid)
	inbox := filepath.Join(dir, "mail", "user0", "cur")
	if err := os.MkdirAll(inbox, 0o755); err != nil { //nolint:gosec // Dovecot's processes are other users
		tb.Fatal(err)
	}
	for n := range messages {
		if err := os.WriteFile(filepath.Join(inbox, fmt.Sprintf("%d.M%dP1.mx,S=%d:2,", 1_770_000_000+n, n, len(letter(n)))), letter(n), 0o644); err != nil { //nolint:gosec // as above
			tb.Fatal(err)
		}
	}
	if out, err := exec.Command("chown", "-R", fmt.Sprintf("%d:%d", uid, gid), filepath.Join(dir, "mail")).CombinedOutput(); err != nil {
		tb.Fatalf("%v: %s", err, out)
	}
	if out, err := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", filepath.Join(dir, "key.pem"), //nolint:gosec // our own words
		"-out", filepath.Join(dir, "cert.pem"), "-subj", "/CN=mx.test.example", "-days", "10").CombinedOutput(); err != nil {
		tb.Fatalf("%v: %s", err, out)
	}
	host, port, _ := net.SplitHostPort(d.imap)
	text := fmt.Sprintf(`base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
protocols = imap lmtp
listen = %[2]s
ssl = required
ssl_cert = <%[1]s/cert.pem
ssl_key = <%[1]s/key.pem
ssl_min_protocol = TLSv1.2
mail_location = maildir:%[1]s/mail/%%u
mail_uid = %[4]d
mail_gid = %[5]d
first_valid_uid = 1
first_valid_gid = 1
default_internal_user = nobody
default_internal_group = nogroup
default_login_user = nobody
default_process_limit = 1200
default_client_limit = 4000
mail_max_userip_connections = 4000
passdb {
  driver = static
  args = password=%[6]s
}
userdb {
  driver = static
  args = uid=%[4]d gid=%[5]d home=%[1]s/mail/%%u allow_all_users=yes
}
service anvil {
  chroot =
}
service imap-login {
  chroot =
  inet_listener imap {
    port = 0
  }
  inet_listener imaps {
    port = %[3]s
    ssl = yes
  }
}
service lmtp {
  unix_listener lmtp {
    mode = 0666
  }
}
`, dir, host, port, uid, gid, password)
	if err := os.WriteFile(filepath.Join(dir, "dovecot.conf"), []byte(text), 0o644); err != nil { //nolint:gosec // as above
		tb.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // as above
		tb.Fatal(err)
	}
	d.start(tb)
	return d
}

func (d *dovecot) start(tb testing.TB) {
	tb.Helper()
	d.daemon = launch(tb, "/usr/sbin/dovecot", "-F", "-c", filepath.Join(d.dir, "dovecot.conf"))
	d.await(tb, d.imap)
}

func (d *dovecot) imaps() string     { return d.imap }
func (d *dovecot) user(n int) string { return fmt.Sprintf("user%d", n) }

func (d *dovecot) restart(tb testing.TB) {
	tb.Helper()
	d.end()
	d.start(tb)
}

func (d *dovecot) deliver(tb testing.TB, user string, message []byte) time.Time {
	tb.Helper()
	return deliver(tb, d.socket, "LHLO", user, message)
}

// memory is that of the master and of all processes below it.
func (d *dovecot) memory(tb testing.TB) int64 {
	tb.Helper()
	sum, parents := int64(0), map[int]bool{d.cmd.Process.Pid: true}
	for grew := true; grew; {
		grew = false
		stats, err := filepath.Glob("/proc/[0-9]*/stat")
		if err != nil {
			tb.Fatal(err)
		}
		for _, path := range stats {
			text, _ := os.ReadFile(path) // empty when it has ended
			at := bytes.LastIndexByte(text, ')')
			fields := strings.Fields(string(text[at+1:]))
			if len(fields) < 2 {
				continue
			}
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			parent, _ := strconv.Atoi(fields[1])
			if parents[parent] && !parents[pid] {
				parents[pid], grew = true, true
			}
		}
	}
	for pid := range parents {
		sum += shareOf(tb, pid)
	}
	return sum
}

func (d *dovecot) stop() { d.end() }

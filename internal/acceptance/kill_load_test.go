package acceptance

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postroad/internal/sim"
)

// sent is what a load knows of one of its messages.
type sent struct {
	id     string // its subject
	rcpts  []string
	size   int    // of the filling below the header, in octets
	dot    bool   // the end of its content was written, perhaps
	queued string // the queue id of its 250; "" without
}

// content is the message itself; its filling follows from its subject.
func (m *sent) content() string {
	if m.size == 0 {
		return text(m.id)
	}
	sum := sha256.Sum256([]byte(m.id))
	line := hex.EncodeToString(sum[:]) + "\r\n"
	return text(m.id) + strings.Repeat(line, m.size/len(line)+1)
}

// ledger is what a load has sent, by subject.
type ledger struct {
	mu   sync.Mutex
	sent map[string]*sent
}

func newLedger() *ledger { return &ledger{sent: map[string]*sent{}} }

// begun notes a message that is about to be sent.
func (l *ledger) begun(m *sent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent[m.id] = m
}

// ends notes that the end of a message's content is about to be written.
func (l *ledger) ends(m *sent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m.dot = true
}

// acknowledged notes a 250.
func (l *ledger) acknowledged(m *sent, reply string) {
	_, id, _ := strings.Cut(reply, "queued as ")
	l.mu.Lock()
	defer l.mu.Unlock()
	m.queued = id
}

// load is the mail of one run of the server.
type load struct {
	addr     string
	sessions int
	messages int    // of each session
	seed     uint64 // of sizes, recipients and cuts
	name     string // begins the subjects
	locals   []string
	relayed  []string
}

// run sends everything over parallel sessions; a session ends early when its connection breaks.
func (w *load) run(l *ledger) {
	var wg sync.WaitGroup
	for n := range w.sessions {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(w.seed, uint64(n))) //nolint:gosec // a test's chance
			for k := 0; k < w.messages; {
				next, err := w.session(l, n, k, random)
				if err != nil {
					return
				}
				k = next
			}
		})
	}
	wg.Wait()
}

// errCut ends a session whose message was cut on purpose.
var errCut = errors.New("cut")

// session sends the messages from the k-th on over one connection and tells which is next: a message that is cut
// ends the connection, another kind of end is an error.
func (w *load) session(l *ledger, n, k int, random *rand.Rand) (next int, err error) {
	conn, err := net.DialTimeout("tcp", w.addr, 5*time.Second)
	if err != nil {
		return k, err
	}
	defer conn.Close() //nolint:errcheck // the test is about what was answered
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	c := &talk{Conn: conn, r: bufio.NewReader(conn)}
	if err := c.step("", "220"); err != nil {
		return k, err
	}
	if err := c.step("EHLO load.example\r\n", "250"); err != nil {
		return k, err
	}
	for ; k < w.messages; k++ {
		m := &sent{id: fmt.Sprintf("%s-w%d-%d", w.name, n, k), size: size(random), rcpts: w.recipients(random)}
		err := c.transact(l, m, random)
		if errors.Is(err, errCut) {
			return k + 1, nil
		}
		if err != nil {
			return k, err
		}
	}
	return k, nil
}

// size chooses among contents that lie in a row, near its limit, and in a file.
func size(random *rand.Rand) int {
	switch random.IntN(10) {
	case 0, 1:
		return 8<<10 + random.IntN(32<<10)
	case 2:
		return 63<<10 + random.IntN(3<<10)
	case 3, 4:
		return 66<<10 + random.IntN(120<<10)
	}
	return random.IntN(500)
}

// recipients chooses who gets a message: one mailbox, one address elsewhere, or some of both.
func (w *load) recipients(random *rand.Rand) []string {
	local := func() string { return w.locals[random.IntN(len(w.locals))] }
	switch random.IntN(5) {
	case 0, 1:
		return []string{local()}
	case 2, 3:
		return []string{w.relayed[random.IntN(len(w.relayed))]}
	}
	list := []string{local(), local(), w.relayed[random.IntN(len(w.relayed))], w.relayed[random.IntN(len(w.relayed))]}
	slices.Sort(list)
	return slices.Compact(list)
}

// step writes a line, if any, and reads a reply that must begin so.
func (c *talk) step(line, want string) error {
	if line != "" {
		if _, err := io.WriteString(c.Conn, line); err != nil {
			return err
		}
	}
	if got := c.read(); !strings.HasPrefix(got, want) {
		return fmt.Errorf("%q", got)
	}
	return nil
}

// transact sends one message by DATA or BDAT, or cuts it before its end.
func (c *talk) transact(l *ledger, m *sent, random *rand.Rand) error {
	l.begun(m)
	if err := c.step("MAIL FROM:<load@far.example>\r\n", "250"); err != nil {
		return err
	}
	for _, r := range m.rcpts {
		if err := c.step("RCPT TO:<"+r+">\r\n", "250"); err != nil {
			return err
		}
	}
	whole := m.content()
	cut := random.IntN(12)
	if random.IntN(4) == 0 {
		half := whole[:random.IntN(len(whole))]
		if err := c.step(fmt.Sprintf("BDAT %d\r\n%s", len(half), half), "250"); err != nil {
			return err
		}
		if cut == 0 { // everything but the LAST
			_ = c.step(fmt.Sprintf("BDAT %d\r\n%s", len(whole)-len(half), whole[len(half):]), "250")
			return errCut
		}
		l.ends(m)
		return c.finish(l, m, fmt.Sprintf("BDAT %d LAST\r\n%s", len(whole)-len(half), whole[len(half):]))
	}
	if err := c.step("DATA\r\n", "354"); err != nil {
		return err
	}
	switch cut {
	case 0:
		_, _ = io.WriteString(c.Conn, whole[:random.IntN(len(whole))])
		return errCut
	case 1: // a dot, and no end of its line
		_, _ = io.WriteString(c.Conn, whole+".")
		return errCut
	}
	l.ends(m)
	return c.finish(l, m, whole+".\r\n")
}

// finish writes the rest of a message and notes its reply.
func (c *talk) finish(l *ledger, m *sent, rest string) error {
	if _, err := io.WriteString(c.Conn, rest); err != nil {
		return err
	}
	got := c.read()
	if !strings.HasPrefix(got, "250") {
		return fmt.Errorf("%q", got)
	}
	l.acknowledged(m, got)
	return nil
}

// arrived is one copy of a message that reached a mailbox or the next hop.
type arrived struct {
	rcpt    string
	content string
	at      time.Time // at the next hop
}

// trail is what a check compares a ledger with.
type trail struct {
	copies map[string][]arrived // by subject
	queued map[string]bool      // queue ids that still wait
	kills  []time.Time
}

// check compares what was sent with what is in the mailboxes, at the next hop, or, where that hop is nobody, in the
// queue: nothing acknowledged is lost, nothing incomplete is delivered, no message is twice in a mailbox or more
// often at the next hop than kills explain, and every copy has the bytes that were sent.
func (i *instance) check(l *ledger, boxes []string, hop *sim.Peer, kills []time.Time) {
	i.t.Helper()
	for _, domain := range []string{"local.example", "relay.example"} {
		if domain == "local.example" || hop != nil {
			eventually(i.t, "mail for "+domain+" to be delivered", func() bool {
				return ask[counts](i, "queue", "count", "--domain", domain).Messages == 0
			})
		}
	}
	tr := i.trail(boxes, hop)
	tr.kills = kills
	acked, lost, copies := 0, 0, 0
	for id := range tr.copies {
		if l.sent[id] == nil {
			i.t.Errorf("a message %q was delivered that nobody sent", id)
		}
	}
	for id, m := range l.sent {
		if m.queued != "" {
			acked++
		}
		copies += len(tr.copies[id])
		if len(tr.copies[id]) > 0 && !m.dot {
			i.t.Errorf("%s was delivered without its end", id)
		}
		for _, rcpt := range m.rcpts {
			if !tr.judge(i.t, m, rcpt, hop != nil) {
				lost++
			}
		}
	}
	i.t.Logf("%d messages begun, %d acknowledged, %d copies delivered, %d queued, %d lost", len(l.sent), acked, copies, len(tr.queued), lost)
	if acked == 0 {
		i.t.Error("the load sent nothing")
	}
}

// judge looks at one recipient's copies of a message, and tells whether what was acknowledged is there.
func (tr *trail) judge(t *testing.T, m *sent, rcpt string, hop bool) bool {
	t.Helper()
	var mine []arrived
	for _, a := range tr.copies[m.id] {
		if a.rcpt == rcpt {
			mine = append(mine, a)
		}
	}
	for _, a := range mine {
		trace, whole := strings.CutSuffix(a.content, m.content())
		if !whole || !onlyTrace(trace) {
			t.Errorf("%s at %s has other bytes than were sent: %.600q", m.id, rcpt, a.content)
		} else if m.queued != "" && !strings.Contains(trace, m.queued) {
			t.Errorf("%s at %s does not bear the queue id %s: %q", m.id, rcpt, m.queued, trace)
		}
	}
	if len(mine) > 1 && strings.HasSuffix(rcpt, "@local.example") {
		t.Errorf("%s is %d times in the mailbox %s", m.id, len(mine), rcpt)
	}
	if n := len(mine); n > 1 {
		explained := 0
		for _, k := range tr.kills { // a reply that was never read, or an outcome that was not recorded yet
			if k.After(mine[0].at.Add(-time.Second)) && k.Before(mine[n-1].at.Add(time.Second)) {
				explained++
			}
		}
		if n-1 > explained {
			t.Errorf("%s came %d times to %s, with %d kills between", m.id, n, rcpt, explained)
		}
	}
	waits := !hop && strings.HasSuffix(rcpt, "@relay.example") && tr.queued[m.queued]
	if m.queued != "" && len(mine) == 0 && !waits {
		t.Errorf("%s was acknowledged as %s and is nowhere for %s", m.id, m.queued, rcpt)
		return false
	}
	return true
}

// onlyTrace tells whether a text is nothing but the fields that a server puts on top.
func onlyTrace(text string) bool {
	ours := []string{"Return-Path: ", "Delivered-To: ", "Postroad-Trace: ", "Authentication-Results: mx.test.example;", "Received: ", "\t", " "}
	for line := range strings.Lines(text) {
		if !slices.ContainsFunc(ours, func(begin string) bool { return strings.HasPrefix(line, begin) }) {
			return false
		}
	}
	return text != ""
}

// trail reads all mailboxes, the queue, and what the next hop got.
func (i *instance) trail(boxes []string, hop *sim.Peer) trail {
	i.t.Helper()
	tr := trail{copies: map[string][]arrived{}, queued: map[string]bool{}}
	socket := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(i.data, "postroad.sock"))
	}}}
	defer socket.CloseIdleConnections()
	for _, box := range boxes {
		for _, m := range ask[[]message](i, "mailbox", "messages", box) {
			answer, err := socket.Get(fmt.Sprintf("http://postroad/api/v1/mailboxes/%s/messages/%d", box, m.UID))
			if err != nil {
				i.t.Fatal(err)
			}
			content, err := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			if err != nil || answer.StatusCode != http.StatusOK {
				i.t.Errorf("message %d of %s cannot be read: %s %v %.300s", m.UID, box, answer.Status, err, content)
			}
			tr.copies[m.Subject] = append(tr.copies[m.Subject], arrived{rcpt: box, content: string(content)})
		}
	}
	if hop != nil {
		for _, m := range hop.Messages() {
			_, rest, _ := strings.Cut(string(m.Body), "\r\nSubject: ")
			id, _, _ := strings.Cut(rest, "\r\n")
			for _, r := range m.Accepted() {
				tr.copies[id] = append(tr.copies[id], arrived{rcpt: r, content: string(m.Body), at: m.At})
			}
		}
	}
	for _, m := range ask[[]struct {
		ID string `json:"id"`
	}](i, "queue", "list") {
		tr.queued[m.ID] = true
	}
	return tr
}

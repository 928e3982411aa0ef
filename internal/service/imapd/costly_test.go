package imapd

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cespare/xxhash/v2"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/core/mailbox"
	"postroad/internal/service/mailstore"
	"postroad/internal/service/mailstore/mailtest"
	"postroad/internal/sim"
)

// laborious is a store that takes a while for each set of bodies, and counts the sets by mailbox.
type laborious struct {
	Store
	sets map[string]*atomic.Int64
}

const aSetTakes = 100 * time.Millisecond

func (l laborious) Bodies(ctx context.Context, scope account.Scope, box string, folder int64, uids []uint32, each func(uint32, mailbox.Body, error) error) error {
	l.sets[box].Add(1)
	<-time.After(aSetTakes)
	return l.Store.Bodies(ctx, scope, box, folder, uids, each)
}

// bubble is a service in a bubble, where time is not what is waited for.
type bubble struct {
	*testing.T
	service *Service
	store   *mailstore.Service
	sets    map[string]*atomic.Int64
	ids     int
}

func inBubbleWith(t *testing.T, f func(b *bubble)) {
	t.Helper()
	cert := sim.NewCA(t).TLS("localhost")
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{T: t, store: mailtest.New(), sets: map[string]*atomic.Int64{}}
		for _, who := range users {
			b.sets[who.Mailbox] = &atomic.Int64{}
			if err := b.store.Create(t.Context(), account.System(), mailbox.Mailbox{ID: who.Mailbox, Account: who.Account}); err != nil {
				t.Fatal(err)
			}
		}
		b.service = New(Config{TLS: cert}, laborious{boxes{b.store}, b.sets}, &fakeLogins{ended: map[string]bool{}}, nil, slog.New(slog.DiscardHandler))
		b.service.searches = newTurns(1)
		f(b)
		b.service.Stop(t.Context())
	})
}

// fill puts equal messages into a user's INBOX.
func (b *bubble) fill(user string, n int, text string) {
	b.Helper()
	items := make([]mailbox.Item, n)
	for i := range items {
		b.ids++
		items[i] = mailbox.Item{Mailbox: users[user].Mailbox, QueueID: mail.ID(fmt.Sprint(b.ids)), At: time.Now(), Size: int64(len(text)), Hash: xxhash.Sum64String(text), Content: mail.Content{Inline: []byte(text)}}
	}
	for _, err := range b.store.Deliver(b.Context(), account.System(), items) {
		if err != nil {
			b.Fatal(err)
		}
	}
}

func (b *bubble) login(user string) *client {
	b.Helper()
	ours, theirs := net.Pipe()
	b.service.sessions.Admit(theirs, &b.service.kinds[IMAPS])
	conn := tls.Client(ours, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // its own server
	c := &client{t: b.T, conn: conn, in: bufio.NewReader(conn), patient: true}
	b.Cleanup(func() { _ = ours.Close() })
	c.line()
	c.ok(`LOGIN ` + user + ` "` + secret + `"`)
	c.ok("SELECT INBOX")
	return c
}

const letter = "Subject: x\r\n\r\nnothing of interest\r\n"

func TestASearchEndsWithItsClient(t *testing.T) {
	inBubbleWith(t, func(b *bubble) {
		b.fill("ann@a.example", 100_000, letter)
		c := b.login("ann@a.example")
		c.send("s SEARCH BODY interesting\r\n")
		<-time.After(10 * aSetTakes)
		_ = c.conn.Close()
		<-time.After(2*stillEvery + aSetTakes)
		if left := len(b.service.sessions.All()); left > 0 {
			t.Errorf("%d sessions search for nobody", left)
		}
		read := b.sets["box-ann"].Load()
		if read < 5 || read > 2+int64((10*aSetTakes+2*stillEvery)/aSetTakes) {
			t.Errorf("%d sets were read", read)
		}
	})
}

func TestASearchEndsWithTheService(t *testing.T) {
	inBubbleWith(t, func(b *bubble) {
		b.fill("ann@a.example", 100_000, letter)
		c := b.login("ann@a.example")
		c.send("s SEARCH TEXT interesting\r\n")
		<-time.After(10 * aSetTakes)
		go func() { _ = readAllOf(c) }()
		ctx, cancel := context.WithTimeout(b.Context(), 10*aSetTakes)
		defer cancel()
		b.service.Stop(ctx)
		if ctx.Err() != nil {
			t.Error("the search went on")
		}
	})
}

// Ann searches in all her sessions; Bob's search takes turns with all of hers together.
func TestManySearchesOfOneUserDoNotHoldUpAnother(t *testing.T) {
	inBubbleWith(t, func(b *bubble) {
		b.fill("ann@a.example", 20_000, letter)
		b.fill("bob@b.example", 20*bodiesAtATime, letter)
		for range 20 {
			c := b.login("ann@a.example")
			c.send("s SEARCH BODY interesting\r\n")
			go func() { _ = readAllOf(c) }()
		}
		bob := b.login("bob@b.example")
		<-time.After(5 * aSetTakes)
		began := time.Now()
		if lines := bob.ok("SEARCH BODY interesting"); lines[len(lines)-1] != "* SEARCH" {
			t.Error(lines)
		}
		if took := time.Since(began); took < 20*aSetTakes || took > 42*aSetTakes {
			t.Errorf("bob waited %v for 20 sets of %v", took, aSetTakes)
		}
		if n := b.sets["box-ann"].Load(); n < 20 {
			t.Errorf("%d sets were read for ann", n)
		}
	})
}

// A turn ends after so many octets, and the search goes on with the message after.
func TestATurnOfASearchIsBounded(t *testing.T) {
	inBubbleWith(t, func(b *bubble) {
		b.fill("ann@a.example", 9, "Subject: x\r\n\r\n"+strings.Repeat("nothing of interest\r\n", 50_000))
		b.fill("ann@a.example", 1, "Subject: x\r\n\r\ninteresting\r\n")
		c := b.login("ann@a.example")
		if got := strings.Join(c.ok("SEARCH BODY interesting"), ""); got != "* SEARCH 10" {
			t.Error(got)
		}
		if got := strings.Join(c.ok("SEARCH NOT BODY interesting"), ""); got != "* SEARCH 1 2 3 4 5 6 7 8 9" {
			t.Error(got)
		}
		if n := b.sets["box-ann"].Load(); n != 2*3 {
			t.Errorf("%d turns for two searches in 9 MB", n)
		}
	})
}

func TestASlowReaderIsEnded(t *testing.T) {
	inBubbleWith(t, func(b *bubble) {
		b.fill("ann@a.example", 1, "Subject: x\r\n\r\n"+strings.Repeat("0123456789abcdef\r\n", 20_000))
		slow, none := b.login("ann@a.example"), b.login("ann@a.example")
		for _, c := range []*client{slow, none} {
			c.send("f FETCH 1 BODY.PEEK[]\r\n")
		}
		done := make(chan string)
		go func() {
			var all strings.Builder
			p := make([]byte, 1<<10)
			for !strings.Contains(all.String(), "\r\nf OK ") {
				n, err := slow.in.Read(p)
				if err != nil {
					break
				}
				all.Write(p[:n])
				<-time.After(time.Second)
			}
			done <- all.String()
		}()
		<-time.After(writeTimeout + 10*time.Second)
		if n := len(b.service.sessions.All()); n != 1 {
			t.Errorf("%d sessions are left, one client reads and one does not", n)
		}
		if got := <-done; !strings.HasSuffix(got, "\r\nf OK FETCH completed.\r\n") || len(got) < 360_000 {
			t.Errorf("a client that reads 1 KiB a second got %d octets", len(got))
		}
		if used := b.service.held.Used(); used != 0 {
			t.Errorf("%d octets are held for nobody", used)
		}
	})
}

// What clients that do not read hold is bounded: a batch each while there is room, and one message each beyond.
func TestSlowReadersHoldLittle(t *testing.T) {
	inBubbleWith(t, func(b *bubble) {
		text := "Subject: x\r\n\r\n" + strings.Repeat("0123456789abcdef\r\n", 2000)
		b.fill("ann@a.example", 400, text)
		for range 40 {
			b.login("ann@a.example").send("f FETCH 1:* BODY.PEEK[]\r\n")
		}
		<-time.After(3 * time.Second)
		if used := b.service.held.Used(); used < 40*octetsAtATime || used > 40*(octetsAtATime+inPieces) {
			t.Errorf("40 clients hold %d octets", used)
		}
		<-time.After(writeTimeout)
		b.service.held.Force(octetsOfAll) // others do
		for range 40 {
			b.login("ann@a.example").send("f FETCH 1:* BODY.PEEK[]\r\n")
		}
		<-time.After(10 * time.Second)
		if used := b.service.held.Used() - octetsOfAll; used != int64(40*len(text)) {
			t.Errorf("40 clients hold %d octets where there is no room", used)
		}
		<-time.After(writeTimeout)
		read := b.sets["box-ann"].Load()
		if n := len(b.service.sessions.All()); n != 0 || read > 160 || b.service.held.Used() != octetsOfAll {
			t.Errorf("%d sessions are left, %d octets are held, %d sets were read", n, b.service.held.Used()-octetsOfAll, read)
		}
	})
}

package imapd

import (
	"crypto/tls"
	"io"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// An independent client selects, appends, fetches, searches, changes, moves and hears of new mail.
func TestAnIndependentClient(t *testing.T) {
	h := start(t, Config{})
	told := make(chan uint32, 8)
	conn, err := tls.Dial("tcp", h.tls.Addr().String(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // its own server
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	c := imapclient.New(conn, &imapclient.Options{UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: func(data *imapclient.UnilateralDataMailbox) {
			if data.NumMessages != nil {
				told <- *data.NumMessages
			}
		},
	}})
	defer c.Close() //nolint:errcheck // the connection is the test's
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	must("login", c.Login("ann@a.example", secret).Wait())
	h.deliver("ann@a.example", "Subject: one\nFrom: Bob <bob@b.example>\n\nText.\n")
	box, err := c.Select("INBOX", nil).Wait()
	must("select", err)
	if box.NumMessages != 1 {
		t.Errorf("%d messages", box.NumMessages)
	}
	text := "Subject: two\r\n\r\nMore.\r\n"
	appending := c.Append("INBOX", int64(len(text)), &imap.AppendOptions{Flags: []imap.Flag{imap.FlagSeen}})
	_, err = io.WriteString(appending, text)
	must("append", err)
	must("append", appending.Close())
	at, err := appending.Wait()
	must("append", err)
	if at.UID != 2 || at.UIDValidity != box.UIDValidity {
		t.Errorf("appended as %d, %d", at.UID, at.UIDValidity)
	}
	messages, err := c.Fetch(imap.SeqSetNum(1, 2), &imap.FetchOptions{
		Envelope: true, Flags: true, UID: true, RFC822Size: true, BodyStructure: &imap.FetchItemBodyStructure{Extended: true},
		BodySection: []*imap.FetchItemBodySection{{Peek: true}},
	}).Collect()
	must("fetch", err)
	if len(messages) != 2 || messages[0].Envelope.Subject != "one" || messages[0].Envelope.From[0].Addr() != "bob@b.example" ||
		messages[0].BodyStructure.MediaType() != "text/plain" || string(messages[1].FindBodySection(&imap.FetchItemBodySection{Peek: true})) != text {
		t.Errorf("fetched %+v", messages)
	}
	found, err := c.UIDSearch(&imap.SearchCriteria{Header: []imap.SearchCriteriaHeaderField{{Key: "Subject", Value: "TWO"}}}, nil).Wait()
	must("search", err)
	if uids := found.AllUIDs(); len(uids) != 1 || uids[0] != 2 {
		t.Errorf("found %v", uids)
	}
	must("store", c.Store(imap.SeqSetNum(1), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagFlagged}}, nil).Close())
	moved, err := c.Move(imap.UIDSetNum(2), "Archive").Wait()
	must("move", err)
	if moved.DestUIDs.String() != "1" {
		t.Errorf("moved to %v", moved.DestUIDs)
	}
	for len(told) > 0 {
		<-told
	}
	idle, err := c.Idle()
	must("idle", err)
	h.deliver("ann@a.example", "Subject: three\n\nText.\n")
	select {
	case n := <-told:
		if n != 2 {
			t.Errorf("told of %d messages", n)
		}
	case <-time.After(patience):
		t.Error("not told of new mail")
	}
	must("done", idle.Close())
	must("done", idle.Wait())
	folders, err := c.List("", "*", &imap.ListOptions{ReturnStatus: &imap.StatusOptions{NumMessages: true}}).Collect()
	must("list", err)
	for _, f := range folders {
		want := map[string]uint32{"INBOX": 2, "Archive": 1}[f.Mailbox]
		if f.Status == nil || f.Status.NumMessages == nil || *f.Status.NumMessages != want {
			t.Errorf("%s: %+v, want %d messages", f.Mailbox, f.Status, want)
		}
	}
	must("logout", c.Logout().Wait())
}

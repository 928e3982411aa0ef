package imap

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	client "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/google/go-cmp/cmp"

	"postroad/internal/proto/mime"
)

// peer joins an independent client to a server that answers every command by respond and notes it.
func peer(t *testing.T, respond func(*Writer, *Request)) (*imapclient.Client, <-chan Command) {
	t.Helper()
	near, far := net.Pipe()
	seen := make(chan Command, 1)
	go func() {
		defer close(seen)
		defer near.Close()
		w := NewWriter(near)
		w.Status(OK, CodeCapability([]string{
			"IMAP4rev1", "IMAP4rev2", "LITERAL+", "UIDPLUS", "ESEARCH", "SEARCHRES", "CONDSTORE", "SPECIAL-USE", "LIST-EXTENDED", "LIST-STATUS",
			"QUOTA", "BINARY", "MOVE", "CREATE-SPECIAL-USE", "ENABLE", "UNSELECT", "NAMESPACE", "ID",
		}), "Ready.")
		r := NewReader(near, AfterLogin(1000), func() error {
			w.Continue("Go on.")
			return w.Flush()
		})
		for w.Flush() == nil {
			request, err := r.Next()
			if err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrClosedPipe) {
					t.Errorf("server: %v", err)
				}
				return
			}
			if request.Command == (Capability{}) {
				w.Tagged(request.Tag, OK, "", "")
				continue
			}
			if respond != nil {
				respond(w, request)
			}
			seen <- request.Command
			w.Tagged(request.Tag, OK, "", "")
		}
	}()
	c := imapclient.New(far, nil)
	t.Cleanup(func() {
		c.Close()
		for range seen { // until the server is gone
		}
	})
	return c, seen
}

// Commands as somebody else's client writes them.
func TestCommandsOfAClient(t *testing.T) {
	uids := client.UIDSetNum(5, 7, 8)
	for name, c := range map[string]struct {
		send func(*imapclient.Client)
		want Command
	}{
		"login": {func(c *imapclient.Client) { c.Login("us\"er", "ä\\") }, Login{User: "us\"er", Password: "ä\\"}},
		"create": {func(c *imapclient.Client) {
			c.Create("Gesendet & mehr", &client.CreateOptions{SpecialUse: []client.MailboxAttr{client.MailboxAttrSent}})
		}, Create{Mailbox: "Gesendet & mehr", Use: `\Sent`}},
		"rename": {func(c *imapclient.Client) { c.Rename("Entwürfe", "日本語", nil) }, Rename{From: "Entwürfe", To: "日本語"}},
		"select": {func(c *imapclient.Client) { c.Select("inbox", &client.SelectOptions{CondStore: true}) }, Select{Mailbox: "INBOX", CondStore: true}},
		"list": {func(c *imapclient.Client) {
			c.List("", "%", &client.ListOptions{SelectSubscribed: true, SelectRecursiveMatch: true, ReturnChildren: true, ReturnStatus: &client.StatusOptions{NumMessages: true}})
		}, List{Extended: true, Subscribed: true, RecursiveMatch: true, Patterns: []string{"%"}, ReturnChildren: true, ReturnStatus: []StatusItem{StatusMessages}}},
		"uid copy":    {func(c *imapclient.Client) { c.Copy(uids, "a b") }, Copy{UID: true, Messages: SetOf(5, 7, 8), Mailbox: "a b"}},
		"move":        {func(c *imapclient.Client) { c.Move(client.SeqSetNum(1), "x") }, Move{Messages: SetOf(1), Mailbox: "x"}},
		"uid expunge": {func(c *imapclient.Client) { c.UIDExpunge(uids) }, Expunge{UID: true, Messages: SetOf(5, 7, 8)}},
		"store": {func(c *imapclient.Client) {
			c.Store(uids, &client.StoreFlags{Op: client.StoreFlagsAdd, Silent: true, Flags: []client.Flag{client.FlagSeen, "$x"}}, &client.StoreOptions{UnchangedSince: 9})
		}, Store{UID: true, Messages: SetOf(5, 7, 8), Mode: AddFlags, Silent: true, Flags: []string{Seen, "$x"}, HasUnchanged: true, UnchangedSince: 9}},
		"fetch": {func(c *imapclient.Client) {
			c.Fetch(client.UIDSet{{Start: 3}}, &client.FetchOptions{ChangedSince: 7, BodySection: []*client.FetchItemBodySection{{
				Part: []int{1, 2}, Specifier: client.PartSpecifierHeader, HeaderFieldsNot: []string{"Date", "X-A"}, Peek: true, Partial: &client.SectionPartial{Offset: 2, Size: 3},
			}}, BinarySectionSize: []*client.FetchItemBinarySectionSize{{Part: []int{4}}}})
		}, Fetch{UID: true, Messages: NewSet(Range{From: 3}), HasChanged: true, ChangedSince: 7, Items: []Item{
			{Kind: ItemUID},
			{Kind: ItemSection, Section: mime.Section{Part: []int{1, 2}, Text: mime.HeaderFieldsNot, Fields: []string{"DATE", "X-A"}}, Peek: true, Partial: true, Offset: 2, Count: 3},
			{Kind: ItemBinarySize, Section: mime.Section{Part: []int{4}}, Peek: true},
			{Kind: ItemModSeq},
		}}},
		"search": {func(c *imapclient.Client) {
			c.UIDSearch(&client.SearchCriteria{
				UID: []client.UIDSet{uids}, SentSince: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), Header: []client.SearchCriteriaHeaderField{{Key: "Subject", Value: "für"}},
				NotFlag: []client.Flag{client.FlagSeen}, Or: [][2]client.SearchCriteria{{{Larger: 5}, {Text: []string{"a b"}}}},
			}, &client.SearchOptions{ReturnMin: true})
		}, Search{UID: true, Extended: true, Min: true, Key: Key{Op: KeyAnd, Keys: []Key{
			{Op: KeyUIDs, Set: SetOf(5, 7, 8)},
			{Op: KeySentSince, Date: Date{2026, 2, 1}},
			{Op: KeyHeader, Field: "SUBJECT", Text: "für"},
			not(flagKey(Seen)),
			{Op: KeyOr, Keys: []Key{{Op: KeyLarger, Number: 5}, {Op: KeyText, Text: "a b"}}},
		}}}},
		"set quota": {func(c *imapclient.Client) {
			c.SetQuota("r", map[client.QuotaResourceType]int64{client.QuotaResourceStorage: 5})
		}, SetQuota{Root: "r", Limits: []QuotaLimit{{"STORAGE", 5}}}},
	} {
		t.Run(name, func(t *testing.T) {
			p, seen := peer(t, nil)
			if err := p.WaitGreeting(); err != nil {
				t.Fatal(err)
			}
			go c.send(p)
			if diff := cmp.Diff(c.want, <-seen, whole); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Responses as somebody else's client reads them.
func TestResponsesToAClient(t *testing.T) {
	const message = "From: =?utf-8?q?J=C3=BCrgen?= <j@x.example>\r\nSubject: \"quoted\" \\ \xff\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
		"--b\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ntwo\r\n--b--\r\n"
	p, seen := peer(t, func(w *Writer, r *Request) {
		switch c := r.Command.(type) {
		case Fetch:
			root := mime.Parse([]byte(message))
			envelope := mime.ReadEnvelope([]byte(message))
			f := w.Fetch(4)
			f.UID(9)
			f.Flags([]string{Seen, "$x"})
			f.InternalDate(time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC))
			f.Size(int64(len(message)))
			f.Envelope(&envelope)
			f.Structure(Item{Kind: ItemStructure}, root)
			f.Content(c.Items[len(c.Items)-1], []byte(message))
			f.End()
		case List:
			w.List(Listed{Name: "Entwürfe/\"x\"", Attributes: []string{`\Drafts`}, ChildInfo: []string{"SUBSCRIBED"}})
			w.MailboxStatus("Entwürfe/\"x\"", []StatusValue{{Item: StatusMessages, Value: 7}})
		case Search:
			w.ESearch(r.Tag, Found{UID: true, HasCount: true, Count: 4, All: SetOf(2, 3, 4, 9)})
		}
	})
	if err := p.WaitGreeting(); err != nil {
		t.Fatal(err)
	}
	type result struct {
		fetched []*imapclient.FetchMessageBuffer
		listed  []*client.ListData
		found   *client.SearchData
		err     error
	}
	results := make(chan result)
	go func() {
		var r result
		var errs [3]error
		r.fetched, errs[0] = p.Fetch(client.UIDSetNum(9), &client.FetchOptions{
			Flags: true, Envelope: true, BodyStructure: &client.FetchItemBodyStructure{Extended: true}, BodySection: []*client.FetchItemBodySection{{Peek: true}},
		}).Collect()
		r.listed, errs[1] = p.List("", "*", &client.ListOptions{ReturnStatus: &client.StatusOptions{NumMessages: true}}).Collect()
		r.found, errs[2] = p.UIDSearch(&client.SearchCriteria{}, &client.SearchOptions{ReturnAll: true, ReturnCount: true}).Wait()
		r.err = errors.Join(errs[:]...)
		results <- r
	}()
	for range 3 {
		<-seen
	}
	got := <-results
	if got.err != nil || len(got.fetched) != 1 || len(got.listed) != 1 {
		t.Fatalf("got %+v", got)
	}
	f := got.fetched[0]
	if f.SeqNum != 4 || f.UID != 9 || len(f.Flags) != 2 || f.RFC822Size != int64(len(message)) || string(f.BodySection[0].Bytes) != message ||
		f.Envelope.From[0].Name != "Jürgen" || f.Envelope.From[0].Addr() != "j@x.example" || !strings.HasPrefix(f.Envelope.Subject, `"quoted" \ `) {
		t.Errorf("fetched %+v, envelope %+v", f, f.Envelope)
	}
	var types []string
	f.BodyStructure.Walk(func(_ []int, part client.BodyStructure) bool {
		types = append(types, part.MediaType())
		return true
	})
	if strings.Join(types, " ") != "multipart/mixed text/plain message/rfc822" {
		t.Errorf("structure %v", types)
	}
	l := got.listed[0]
	if l.Mailbox != "Entwürfe/\"x\"" || l.Delim != '/' || l.ChildInfo == nil || l.Status == nil || *l.Status.NumMessages != 7 {
		t.Errorf("listed %+v", l)
	}
	if got.found.Count != 4 || got.found.All.String() != "2:4,9" {
		t.Errorf("found %+v", got.found)
	}
}

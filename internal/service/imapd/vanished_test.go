package imapd

import (
	"context"
	"strings"
	"testing"

	"postroad/internal/core/account"
	"postroad/internal/core/mailbox"
)

// forgetful is a store that has forgotten what was removed up to a MODSEQ.
type forgetful struct {
	Store
	upTo int64
}

func (f forgetful) Vanished(ctx context.Context, scope account.Scope, box string, folder, since int64) (mailbox.Vanished, error) {
	gone, err := f.Store.Vanished(ctx, scope, box, folder, max(since, f.upTo))
	gone.Forgotten = since < f.upTo
	return gone, err
}

// RFC 7162 §3.2.5.2, with what is remembered and with what is not.
func TestResynchronisationByMessageNumbers(t *testing.T) {
	// The folder has UIDs 1 to 10 at MODSEQ 11, then 2, 6 and 7 are removed: MODSEQ 12 is a flag, 13 the removal.
	begin := func(t *testing.T, upTo int64) *client {
		t.Helper()
		h := startWith(t, Config{}, func(s Store) Store { return forgetful{s, upTo} })
		for range 10 {
			h.deliver("ann@a.example", "Subject: x\n\nx\n")
		}
		c := h.login("ann@a.example")
		c.ok("ENABLE QRESYNC")
		c.ok("SELECT INBOX")
		c.ok(`STORE 2,6:7 +FLAGS.SILENT (\Deleted)`)
		c.ok("EXPUNGE")
		c.ok("UNSELECT")
		return c
	}
	for name, tt := range map[string]struct {
		upTo       int64
		parameters string
		want       string // UIDs of VANISHED
	}{
		"all is remembered":                        {0, "11", "2,6:7"},
		"by known UIDs":                            {0, "11 1:5,7", "2,7"},
		"by numbers that are right":                {0, "11 1:10 (1 1)", "2,6:7"},
		"by numbers that are right to the end":     {0, "11 1:10 (1,7 1,10)", ""},
		"by numbers that are beyond the end":       {0, "11 1:10 (1,100:4000000000 1,100:4000000000)", "2,6:7"},
		"nothing has changed":                      {0, "13 1:10", ""},
		"forgotten":                                {20, "11", "2,6:7"},
		"forgotten, by known UIDs":                 {20, "11 1:5,7,8:4000000000", "2,7"},
		"forgotten, by numbers":                    {20, "11 1:10 (1,3,4 1,4,5)", "6:7"},
		"forgotten, by numbers of old":             {20, "11 1:10 (1,2,3 1,2,3)", "2,6:7"},
		"forgotten, by numbers of which some hold": {20, "11 1:10 (1,3,6,7 1,4,6,10)", "6:7"},
		"forgotten, by numbers alone":              {20, "11 (2,4 3,5)", "6:7"},
		"forgotten, but not so recently":           {12, "12 1:10", "2,6:7"},
	} {
		t.Run(name, func(t *testing.T) {
			c := begin(t, tt.upTo)
			uidValidity := ""
			for _, line := range c.ok("SELECT INBOX") {
				if _, after, ok := strings.Cut(line, "UIDVALIDITY "); ok {
					uidValidity, _, _ = strings.Cut(after, "]")
				}
			}
			c.ok("UNSELECT")
			var got strings.Builder
			for _, line := range c.ok("SELECT INBOX (QRESYNC (" + uidValidity + " " + tt.parameters + "))") {
				if after, ok := strings.CutPrefix(line, "* VANISHED (EARLIER) "); ok {
					got.WriteString(after)
				}
			}
			if got.String() != tt.want {
				t.Errorf("VANISHED %q, want %q", got.String(), tt.want)
			}
		})
	}
}

func TestVanishedOfUIDFETCHIsAllThatIsNotThereWhenItIsForgotten(t *testing.T) {
	h := startWith(t, Config{}, func(s Store) Store { return forgetful{s, 100} })
	for range 5 {
		h.deliver("ann@a.example", "Subject: x\n\nx\n")
	}
	c := h.login("ann@a.example")
	c.ok("ENABLE QRESYNC")
	c.ok("SELECT INBOX")
	c.ok(`STORE 1,3,5 +FLAGS.SILENT (\Deleted)`)
	c.ok("EXPUNGE")
	for set, answer := range map[string]string{"1:*": "1,3,5", "2:4": "3", "2": "", "5:4000000000": "5", "9:99": ""} {
		var got strings.Builder
		for _, line := range c.ok("UID FETCH " + set + " FLAGS (CHANGEDSINCE 1 VANISHED)") {
			if after, ok := strings.CutPrefix(line, "* VANISHED (EARLIER) "); ok {
				got.WriteString(after)
			}
		}
		if got.String() != answer {
			t.Errorf("%s: VANISHED %q, want %q", set, got.String(), answer)
		}
	}
}

// Where nobody knows what was removed before the first look, the session cannot go on.
func TestASessionEndsWhenItCannotTellWhatWasRemoved(t *testing.T) {
	h := startWith(t, Config{}, func(s Store) Store { return forgetful{s, 100} })
	for range 3 {
		h.deliver("ann@a.example", "Subject: x\n\nx\n")
	}
	for _, command := range []string{"FETCH 1 UID", "NOOP", "IDLE"} {
		c, other := h.login("ann@a.example"), h.login("ann@a.example")
		other.ok("SELECT INBOX") // what is recent is its
		c.ok("SELECT INBOX")
		other.ok(`STORE 1 +FLAGS.SILENT (\Deleted)`)
		other.ok("EXPUNGE")
		c.send("z " + command + "\r\n")
		want(t, c.closed(), "* BYE [UNAVAILABLE] "+tooMuch)
		h.deliver("ann@a.example", "Subject: x\n\nx\n")
	}
}

// A keyword that gave way to another one does not become that on a message that is gone and not told of yet.
func TestAKeywordThatGaveWayIsNotAnotherOne(t *testing.T) {
	h := start(t, Config{})
	h.deliver("ann@a.example", "Subject: x\n\nx\n")
	h.deliver("ann@a.example", "Subject: x\n\nx\n")
	all := make([]string, mailbox.MaxKeywords)
	for i := range all {
		all[i] = "k" + itoa(uint32(i)) //nolint:gosec // small
	}
	c, other := h.login("ann@a.example"), h.login("ann@a.example")
	c.ok("SELECT INBOX")
	c.ok("STORE 1 FLAGS (" + strings.Join(all, " ") + ")")
	other.ok("SELECT INBOX")
	want(t, other.do("STORE 2 +FLAGS (new)")[0], "NO [LIMIT]")
	other.ok(`STORE 1 FLAGS.SILENT (\Deleted k5)`)
	other.ok("EXPUNGE")
	want(t, strings.Join(other.ok("STORE 1 +FLAGS (new)"), " "), `* FLAGS (\Answered \Flagged \Deleted \Seen \Draft new) * 1 FETCH (FLAGS (new))`)
	lines := strings.Join(c.ok("FETCH 1:2 FLAGS"), " ")
	want(t, lines, `* FLAGS (\Answered \Flagged \Deleted \Seen \Draft new) * 2 FETCH (FLAGS (new))`)
	if strings.Contains(lines, "* 1 FETCH (FLAGS (new") || strings.Count(lines, "new") != 3 {
		t.Errorf("the message that is gone has the new keyword: %s", lines)
	}
}

package mailstore_test

import (
	"sync"
	"testing"

	"postroad/internal/core/account"
	"postroad/internal/core/mailbox"
	"postroad/internal/service/mailstore/mailtest"
)

func TestSessionsShareAnIndex(t *testing.T) {
	s := mailtest.New()
	create(t, s, "a")
	ctx := t.Context()
	must(t, s.Deliver(ctx, system, []mailbox.Item{item("a")})[0])
	got := make([]*mailbox.Index, 20)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			x, err := s.Index(ctx, system, "a", mailbox.Inbox, nil)
			if err != nil {
				t.Error(err)
			}
			got[i] = x
		})
	}
	wg.Wait()
	for _, x := range got {
		if x != got[0] || x.Len() != 1 {
			t.Fatal("a session has an index of its own")
		}
	}
	again, err := s.Index(ctx, system, "a", mailbox.Inbox, got[0])
	if must(t, err); again != got[0] {
		t.Error("nothing changed, and yet there is another index")
	}
	_, err = s.SetFlags(ctx, system, "a", mailbox.Inbox, mailbox.FlagChange{UIDs: []uint32{1}, Mode: mailbox.FlagsAdd, Flags: []string{`\Seen`}, UnchangedSince: -1})
	must(t, err)
	next, err := s.Index(ctx, system, "a", mailbox.Inbox, got[0])
	if must(t, err); len(next.Since(got[0]).Changed) != 1 {
		t.Errorf("%+v", next.Since(got[0]))
	}
	if other, err := s.Index(ctx, system, "a", mailbox.Inbox, nil); err != nil || other != next {
		t.Error("a session has an index of its own", err)
	}
	if x, err := s.Index(ctx, account.Of("acc-b"), "a", mailbox.Inbox, nil); err == nil {
		t.Errorf("another account has %v", x)
	}
	must(t, s.Remove(ctx, system, "a"))
	if x, err := s.Index(ctx, system, "a", mailbox.Inbox, next); err == nil {
		t.Errorf("there is no mailbox and yet %v", x)
	}
}

package mail_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"postroad/internal/core/mailbox"
	"postroad/internal/store/mail"
)

// TestTwoNodesChangeTheSameMailboxes has two programs on one PostgreSQL deliver into, mark, move and expunge in the same
// mailboxes at once.
func TestTwoNodesChangeTheSameMailboxes(t *testing.T) {
	t.Parallel()
	w := &world{t: t, dir: t.TempDir(), config: mail.Config{DSN: cluster.Database(t)}}
	w.open(t)
	t.Cleanup(func() { _ = w.Close() })
	other := &world{t: t, dir: w.dir, config: w.config}
	other.open(t)
	t.Cleanup(func() { _ = other.Close() })
	boxes := []string{"a", "b", "c"}
	w.create(t, boxes...)
	const rounds = 60
	var wg sync.WaitGroup
	for n, node := range []*world{w, other} {
		for k := range boxes {
			wg.Go(func() {
				s := &shelf{Store: node.Store, t: t, scope: system}
				for i := range rounds {
					box := boxes[(k+i)%len(boxes)]
					// Other nodes name the mailboxes in another order.
					items := []mailbox.Item{item(box, "x"), item(boxes[(k+i+1+n)%len(boxes)], "y")}
					for _, err := range node.Deliver(t.Context(), system, items) {
						if err != nil {
							t.Errorf("deliver: %v", err)
						}
					}
					uid := []uint32{uint32(i + 1)} //nolint:gosec // small
					if _, err := s.SetFlags(t.Context(), system, box, mailbox.Inbox, mailbox.FlagChange{UIDs: uid, Mode: mailbox.FlagsAdd, Flags: []string{`\Seen`, fmt.Sprintf("k%d", i%9)}, UnchangedSince: -1}); err != nil {
						t.Errorf("flags: %v", err)
					}
					if _, err := s.Move(t.Context(), system, box, mailbox.Inbox, uid, 2); err != nil {
						t.Errorf("move: %v", err)
					}
				}
			})
		}
	}
	wg.Wait()
	total := 0
	for _, box := range boxes {
		folders, err := w.Folders(t.Context(), system, box)
		must(t, err)
		for _, f := range folders {
			x, err := other.Index(t.Context(), system, box, f.Number, nil)
			must(t, err)
			if int64(x.Len()) != f.Messages || f.UIDNext <= uint32(x.Len()) && x.Len() > 0 { //nolint:gosec // small
				t.Errorf("%s, %+v: %d messages", box, f, x.Len())
			}
			total += x.Len()
		}
		list, err := w.Messages(t.Context(), system, box, "INBOX", 0, 1000)
		must(t, err)
		if got := uids(list); !slices.IsSorted(got) {
			t.Errorf("%s: %v", box, got)
		}
	}
	if want := 2 * len(boxes) * rounds * 2; total != want {
		t.Errorf("%d messages instead of %d", total, want)
	}
}

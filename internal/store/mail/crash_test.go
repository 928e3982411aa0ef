package mail_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"postroad/internal/core/account"
	"postroad/internal/core/mailbox"
	"postroad/internal/store/mail"
	"postroad/internal/store/sqldb"
	"postroad/internal/store/sqldb/sqltest"
)

// child works in a data folder until it is killed, and prints what was acknowledged.
func child(dir string) {
	if strings.HasSuffix(filepath.Base(dir), "reader") {
		readers(dir)
		return
	}
	deliverTwice(dir)
}

// deliverTwice delivers in several mailboxes, twice each.
func deliverTwice(dir string) {
	ctx := context.Background()
	blobs, err := sqldb.OpenBlobs(filepath.Join(dir, "blobs"))
	if err != nil {
		panic(err)
	}
	store, err := mail.Open(ctx, mail.Config{Dir: dir, Shards: 2}, blobs)
	if err != nil {
		panic(err)
	}
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			box := fmt.Sprintf("box-%d", n)
			if err := store.Create(ctx, account.System(), mailbox.Mailbox{ID: box, Account: "acc-a"}); err != nil {
				panic(err)
			}
			for {
				m := item(box, "content")
				m.Subject = string(m.QueueID)
				for range 2 {
					if err := store.Deliver(ctx, account.System(), []mailbox.Item{m})[0]; err != nil {
						panic(err)
					}
				}
				if _, err := os.Stdout.WriteString(box + " " + string(m.QueueID) + "\n"); err != nil {
					panic(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestKillLosesNoDeliveryAndRepeatsNone(t *testing.T) {
	t.Parallel()
	rounds := 8
	dir := t.TempDir()
	acked := map[string]bool{}
	for range rounds {
		sqltest.KillInTheMiddle(t, dir, 200, func(line string) {
			if len(line) == len("box-0 ")+26 {
				acked[line] = true
			}
		})
	}
	w := &world{dir: dir, config: mail.Config{Dir: dir}}
	w.open(t)
	defer func() { _ = w.Close() }()
	there := map[string]int{}
	for n := range 4 {
		box := fmt.Sprintf("box-%d", n)
		last := uint32(0)
		for {
			page, err := w.Messages(t.Context(), account.System(), box, "INBOX", last, 1000)
			must(t, err)
			if len(page) == 0 {
				break
			}
			for _, m := range page {
				if m.UID <= last {
					t.Fatalf("UID %d after %d", m.UID, last)
				}
				last = m.UID
				there[box+" "+m.Subject]++
			}
		}
	}
	for line, n := range there {
		if n != 1 {
			t.Errorf("%s is there %d times", line, n)
		}
	}
	lost := 0
	for line := range acked {
		if there[line] == 0 {
			lost++
		}
	}
	if lost > 0 || len(acked) < rounds {
		t.Errorf("%d of %d acknowledged deliveries are lost", lost, len(acked))
	}
	t.Logf("%d rounds, %d acknowledged, %d stored", rounds, len(acked), len(there))
}

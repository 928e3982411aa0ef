package queue_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/store/queue"
	"postroad/internal/store/sqldb"
	"postroad/internal/store/sqldb/sqltest"
)

// child accepts messages from several goroutines and prints each id that Accept has acknowledged.
func child(dir string) {
	db, err := queue.Open(context.Background(), queue.Config{Path: filepath.Join(dir, "queue.db")})
	if err != nil {
		panic(err)
	}
	store := queue.New(db, nil)
	content := make([]byte, 4096)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				m := message(content, mail.StateWaiting, time.Now(), lane)
				if err := store.Accept(context.Background(), account.System(), []mail.Stored{m}); err != nil {
					panic(err)
				}
				if _, err := os.Stdout.WriteString(string(m.Message.ID) + "\n"); err != nil {
					panic(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestNoAcknowledgedMessageIsLostByKill(t *testing.T) {
	t.Parallel()
	rounds := 20
	if testing.Short() {
		rounds = 4
	}
	dir := t.TempDir()
	acked := map[mail.ID]bool{}
	for range rounds {
		sqltest.KillInTheMiddle(t, dir, 400, func(line string) {
			if len(line) == mail.IDLength {
				acked[mail.ID(line)] = true
			}
		})
	}
	w := &world{dir: dir, config: queue.Config{Path: filepath.Join(dir, "queue.db")}}
	w.open(t)
	defer func() { _ = w.db.Close() }()
	if err := w.db.Read(t.Context(), account.System(), func(tx *sqldb.Tx) error {
		var verdict string
		_, err := tx.Row([]any{&verdict}, "PRAGMA integrity_check")
		if err == nil && verdict != "ok" {
			err = fmt.Errorf("integrity check: %s", verdict)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	there := map[mail.ID]bool{}
	var after mail.ID
	for {
		page, err := w.List(t.Context(), account.System(), mail.Filter{}, after, 1000)
		must(t, err)
		if len(page) == 0 {
			break
		}
		for _, l := range page {
			there[l.Message.ID] = true
			after = l.Message.ID
		}
	}
	lost := 0
	for id := range acked {
		if !there[id] {
			lost++
		}
	}
	if lost > 0 || len(acked) < rounds {
		t.Errorf("%d of %d acknowledged messages are lost", lost, len(acked))
	}
	t.Logf("%d rounds, %d acknowledged, %d in the queue", rounds, len(acked), len(there))
}

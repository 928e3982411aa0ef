package mailstore_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/core/mailbox"
	"postroad/internal/service/mailstore"
	"postroad/internal/service/mailstore/mailtest"
)

var system = account.System()

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func item(box string) mailbox.Item {
	return mailbox.Item{Mailbox: box, QueueID: mail.NewID(time.Now(), 0, 1, 2), Size: 1, Content: mail.Content{Inline: []byte("x")}}
}

func create(t *testing.T, s *mailstore.Service, boxes ...string) {
	t.Helper()
	for _, box := range boxes {
		must(t, s.Create(t.Context(), system, mailbox.Mailbox{ID: box, Account: "acc-a"}))
	}
}

func TestWhoWatchesIsWokenByEveryChange(t *testing.T) {
	s := mailtest.New()
	create(t, s, "a", "b")
	var woken, other atomic.Int64
	stop := s.Watch("a", func() { woken.Add(1) })
	second := s.Watch("a", func() { woken.Add(100) })
	defer s.Watch("b", func() { other.Add(1) })()
	ctx := t.Context()
	for what, change := range []func() error{
		func() error { return s.Deliver(ctx, system, []mailbox.Item{item("a")})[0] },
		func() error {
			up := s.Upload(10)
			_, err := io.WriteString(up, "x")
			must(t, err)
			m, err := up.Done()
			must(t, err)
			_, err = s.Append(ctx, system, "a", 1, []mailbox.Appended{m})
			return err
		},
		func() error {
			_, err := s.SetFlags(ctx, system, "a", 1, mailbox.FlagChange{UIDs: []uint32{1}, Mode: mailbox.FlagsAdd, Flags: []string{`\Deleted`}, UnchangedSince: -1})
			return err
		},
		func() error { _, err := s.Expunge(ctx, system, "a", 1, nil); return err },
		func() error { _, err := s.Copy(ctx, system, "a", 1, []uint32{2}, 2); return err },
		func() error { _, err := s.Move(ctx, system, "a", 1, []uint32{2}, 2); return err },
		func() error { _, err := s.CreateFolder(ctx, system, "a", "x", ""); return err },
		func() error { return s.RenameFolder(ctx, system, "a", "x", "y") },
		func() error { return s.Subscribe(ctx, system, "a", "y", true) },
		func() error { return s.DeleteFolder(ctx, system, "a", "y") },
		func() error { return s.Remove(ctx, system, "a") },
	} {
		woken.Store(0)
		if must(t, change()); woken.Load() != 101 {
			t.Errorf("change %d woke %d", what, woken.Load())
		}
	}
	second()
	create(t, s, "a")
	woken.Store(0)
	must(t, s.Deliver(ctx, system, []mailbox.Item{item("a")})[0])
	stop()
	stop()
	must(t, s.Deliver(ctx, system, []mailbox.Item{item("a")})[0])
	if woken.Load() != 1 || other.Load() != 0 {
		t.Errorf("woken %d times, another mailbox's watcher %d", woken.Load(), other.Load())
	}
}

func TestChangesOfOtherNodesAreSeenWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := mailtest.NewStore()
		here, there := mailstore.New(store, mailstore.Config{}), mailstore.New(store, mailstore.Config{})
		create(t, here, "a", "b")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { here.Poll(ctx, slog.New(slog.DiscardHandler)); close(ended) }()
		wakes := make(chan time.Time, 10)
		defer here.Watch("a", func() { wakes <- time.Now() })()
		time.Sleep(2 * time.Second)
		for len(wakes) > 0 {
			<-wakes // the first look
		}
		for range 3 {
			began := time.Now()
			must(t, there.Deliver(ctx, system, []mailbox.Item{item("b")})[0])
			must(t, there.Deliver(ctx, system, []mailbox.Item{item("a")})[0])
			if waited := (<-wakes).Sub(began); waited > time.Second {
				t.Errorf("told after %v", waited)
			}
			time.Sleep(5 * time.Second)
			if len(wakes) > 0 {
				t.Error("told twice of one change")
			}
		}
		must(t, there.Remove(ctx, system, "a"))
		<-wakes
		cancel()
		<-ended
	})
}

func TestTenThousandWatchersAreCheap(t *testing.T) {
	s := mailtest.New()
	before := runtime.NumGoroutine()
	var memory [2]runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory[0])
	var woken atomic.Int64
	wake := func() { woken.Add(1) }
	stops := make([]func(), 10000)
	for i := range stops {
		stops[i] = s.Watch(fmt.Sprintf("box-%d", i), wake)
	}
	runtime.GC()
	runtime.ReadMemStats(&memory[1])
	if each := (memory[1].HeapAlloc - memory[0].HeapAlloc) / 10000; each > 500 || runtime.NumGoroutine() > before {
		t.Errorf("%d octets and %d goroutines", each, runtime.NumGoroutine()-before)
	}
	create(t, s, "box-7")
	must(t, s.Deliver(t.Context(), system, []mailbox.Item{item("box-7")})[0])
	for _, stop := range stops {
		stop()
	}
	if woken.Load() != 1 {
		t.Errorf("%d were woken", woken.Load())
	}
}

func TestLargeSetsAreChangedInSteps(t *testing.T) {
	s := mailtest.New()
	create(t, s, "a")
	ctx := t.Context()
	const n = 2*mailbox.MaxAtATime + 500
	var uids []uint32
	for i := range uint32(n) {
		must(t, s.Deliver(ctx, system, []mailbox.Item{{Mailbox: "a", QueueID: mail.ID(fmt.Sprint(i)), Size: 1, Content: mail.Content{Inline: []byte("x")}}})[0])
		uids = append(uids, n-i, n-i) // backwards, and each twice
	}
	result, err := s.SetFlags(ctx, system, "a", 1, mailbox.FlagChange{UIDs: uids, Mode: mailbox.FlagsAdd, Flags: []string{`\Deleted`}, UnchangedSince: -1})
	if must(t, err); len(result.Changed) != n || result.Changed[0] != 1 || result.Changed[n-1] != n {
		t.Errorf("%d flags changed", len(result.Changed))
	}
	placed, err := s.Copy(ctx, system, "a", 1, uids, 2)
	if must(t, err); len(placed.UIDs) != n || placed.From[n-1] != n || placed.UIDs[n-1] != n {
		t.Errorf("%d copied", len(placed.UIDs))
	}
	facts, err := s.Facts(ctx, system, "a", 2, uids)
	if must(t, err); len(facts) != n || facts[n-1].UID != n {
		t.Errorf("%d facts", len(facts))
	}
	if placed, err = s.Move(ctx, system, "a", 2, uids, 3); err != nil || len(placed.From) != n {
		t.Errorf("%d moved, %v", len(placed.UIDs), err)
	}
	gone, err := s.Expunge(ctx, system, "a", 3, nil)
	if must(t, err); len(gone) != n {
		t.Errorf("%d expunged", len(gone))
	}
}

func TestACopyThatFailsInTheMiddleLeavesNothing(t *testing.T) {
	s := mailtest.New()
	ctx := t.Context()
	const n = mailbox.MaxAtATime + 500
	must(t, s.Create(ctx, system, mailbox.Mailbox{ID: "a", Account: "acc-a", Quota: 2*n - 10}))
	var uids []uint32
	for i := range uint32(n) {
		must(t, s.Deliver(ctx, system, []mailbox.Item{{Mailbox: "a", QueueID: mail.ID(fmt.Sprint(i)), Size: 1, Content: mail.Content{Inline: []byte("x")}}})[0])
		uids = append(uids, i+1)
	}
	placed, err := s.Copy(ctx, system, "a", 1, uids, 2)
	if err == nil || len(placed.UIDs) > 0 || !s.Full(err) {
		t.Errorf("%d copied, %v", len(placed.UIDs), err)
	}
	usage, err := s.Usage(ctx, system, nil)
	if must(t, err); usage["a"].Messages != n {
		t.Errorf("%+v", usage)
	}
}

func TestUploads(t *testing.T) {
	s := mailtest.New()
	create(t, s, "a")
	for _, size := range []int{0, 1, mail.InlineLimit, mail.InlineLimit + 1, 300000} {
		text := strings.Repeat("x", size)
		up := s.Upload(300000)
		for part := text; part != ""; {
			n := min(len(part), 7000)
			_, err := io.WriteString(up, part[:n])
			must(t, err)
			part = part[n:]
		}
		m, err := up.Done()
		if must(t, err); (m.Content.Blob == "") != (size <= mail.InlineLimit) || m.Size != int64(size) {
			t.Errorf("%d octets: %+v", size, m.Content.Blob)
		}
		placed, err := s.Append(t.Context(), system, "a", 1, []mailbox.Appended{m})
		must(t, err)
		f, err := s.Body(t.Context(), system, "a", "inbox", placed.UIDs[0])
		must(t, err)
		if got, err := io.ReadAll(f); err != nil || string(got) != text {
			t.Errorf("%d octets: %d came back, %v", size, len(got), err)
		}
		must(t, f.Close())
	}
	up := s.Upload(10)
	defer up.Abort()
	if _, err := io.WriteString(up, "0123456789a"); err == nil {
		t.Error("took more than the limit")
	}
}

// small is a disk.
type small struct{ free uint64 }

func (d *small) Free() (uint64, error) { return d.free, nil }

func TestTheReserveOfTheDiskIsForRemoving(t *testing.T) {
	store, disk := mailtest.NewStore(), &small{1000}
	s := mailstore.New(store, mailstore.Config{Blobs: store.Blobs(), Disk: disk, Reserve: 500})
	create(t, s, "a")
	ctx := t.Context()
	must(t, s.Deliver(ctx, system, []mailbox.Item{item("a")})[0])
	must(t, s.Room())
	disk.free = 499
	if err := s.Room(); err == nil {
		t.Error("there is room")
	}
	if _, err := s.Copy(ctx, system, "a", 1, []uint32{1}, 2); err == nil {
		t.Error("copied")
	}
	_, err := s.SetFlags(ctx, system, "a", 1, mailbox.FlagChange{UIDs: []uint32{1}, Mode: mailbox.FlagsAdd, Flags: []string{`\Deleted`}, UnchangedSince: -1})
	must(t, err)
	if gone, err := s.Expunge(ctx, system, "a", 1, nil); err != nil || len(gone) != 1 {
		t.Error(gone, err)
	}
}

package mail_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	coremail "postroad/internal/core/mail"
	"postroad/internal/core/mailbox"
	"postroad/internal/store/mail"
	"postroad/internal/store/sqldb"
	"postroad/internal/store/sqldb/sqltest"
)

// readerBoxes is how many mailboxes the readers work in, each in one of its own.
const readerBoxes = 3

// reader is somebody who appends, marks, copies, moves and expunges in one mailbox, as a mail client does.
type reader struct {
	store *mail.Store
	blobs *sqldb.Blobs
	box   string
	n     int
}

// readers works in all mailboxes at once, with deliveries into the same ones.
func readers(dir string) {
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
	for n := range readerBoxes {
		r := &reader{store: store, blobs: blobs, box: fmt.Sprintf("box-%d", n)}
		if err := store.Create(ctx, system, mailbox.Mailbox{ID: r.box, Account: "acc-a"}); err != nil {
			panic(err)
		}
		wg.Go(func() {
			for {
				r.step(ctx)
			}
		})
		wg.Go(func() {
			for {
				m := item(r.box, token())
				if err := store.Deliver(ctx, system, []mailbox.Item{m})[0]; err != nil {
					panic(err)
				}
				r.say("has", string(m.Content.Inline))
			}
		})
	}
	wg.Wait()
}

// token is a content that no other message has.
func token() string { return string(newID()) }

// say prints one word of what is about to be done or was done, with the message that it is about.
func (r *reader) say(word, token string) {
	if _, err := os.Stdout.WriteString(r.box + " " + word + " " + token + "\n"); err != nil {
		panic(err)
	}
}

// pick chooses a folder and one of its messages, with its content's token.
func (r *reader) pick(ctx context.Context) (folder int64, uid uint32, content string) {
	folder = 1 + rand.Int64N(3)
	x, err := r.store.Index(ctx, system, r.box, folder, nil)
	if err != nil {
		panic(err)
	}
	if x.Len() == 0 {
		return folder, 0, ""
	}
	uid = x.At(rand.IntN(x.Len())).UID
	body, err := r.store.Open(ctx, system, r.box, folder, uid)
	if err != nil {
		panic(err)
	}
	b, err := io.ReadAll(body.Whole())
	if err != nil {
		panic(err)
	}
	_ = body.Close()
	return folder, uid, string(b[:26])
}

func (r *reader) step(ctx context.Context) {
	r.n++
	if r.n%3 == 0 {
		r.append(ctx)
		return
	}
	folder, uid, content := r.pick(ctx)
	if uid == 0 {
		return
	}
	to := 1 + rand.Int64N(3)
	one := []uint32{uid}
	var err error
	switch rand.IntN(4) {
	case 0:
		_, err = r.store.SetFlags(ctx, system, r.box, folder, mailbox.FlagChange{UIDs: one, Mode: mailbox.FlagsAdd, Flags: []string{`\Flagged`, "word"}, UnchangedSince: -1})
		r.say("flagged", content)
	case 1:
		r.say("copies", content)
		_, err = r.store.Copy(ctx, system, r.box, folder, one, to)
	case 2:
		_, err = r.store.Move(ctx, system, r.box, folder, one, to)
	case 3:
		r.say("removes", content)
		if _, err = r.store.SetFlags(ctx, system, r.box, folder, mailbox.FlagChange{UIDs: one, Mode: mailbox.FlagsAdd, Flags: []string{`\Deleted`}, UnchangedSince: -1}); err == nil {
			_, err = r.store.Expunge(ctx, system, r.box, folder, one)
		}
		r.say("removed", content)
	}
	if err != nil {
		panic(err)
	}
}

// append puts two messages into a folder, one of them in a file.
func (r *reader) append(ctx context.Context) {
	small, large := token(), token()+strings.Repeat("0123456789abcdef", 5000)
	blob, err := r.blobs.Create()
	if err != nil {
		panic(err)
	}
	if _, err := io.WriteString(blob, large); err != nil {
		panic(err)
	}
	if err := blob.Commit(); err != nil {
		panic(err)
	}
	list := []mailbox.Appended{
		{Size: int64(len(small)), Hash: sqldb.Sum([]byte(small)), Content: coremail.Content{Inline: []byte(small)}},
		{Size: int64(len(large)), Hash: sqldb.Sum([]byte(large)), Content: coremail.Content{Blob: blob.Name()}},
	}
	if _, err := r.store.Append(ctx, system, r.box, 1+rand.Int64N(3), list); err != nil {
		panic(err)
	}
	r.say("has", small)
	r.say("has", large[:26])
}

// ledger is what the readers said, and what was seen of their mailboxes between two lives.
type ledger struct {
	t    *testing.T
	said map[string]map[string]int // by mailbox and token, the last word of each kind in its order
	n    int
	uids map[string]string // the token of each box/UIDVALIDITY/UID ever seen
	high map[string]int64  // the highest MODSEQ of each box/UIDVALIDITY ever seen
}

func (l *ledger) hear(line string) {
	box, rest, _ := strings.Cut(line, " ")
	word, token, _ := strings.Cut(rest, " ")
	if len(token) != 26 {
		return // cut by the kill
	}
	l.n++
	key := box + " " + token
	if l.said[key] == nil {
		l.said[key] = map[string]int{}
	}
	l.said[key][word]++
}

// check opens the mailboxes as they were left and holds them against the ledger.
func (l *ledger) check(dir string) {
	t := l.t
	w := &world{dir: dir, config: mail.Config{Dir: dir}}
	w.open(t)
	defer func() { must(t, w.Close()) }()
	files := 0
	for n := range readerBoxes {
		box := fmt.Sprintf("box-%d", n)
		usage, err := w.Usage(t.Context(), system, []string{box})
		must(t, err)
		if _, there := usage[box]; !there {
			continue // killed before it was made
		}
		copies, total := map[string]int{}, mailbox.Usage{}
		folders, err := w.Folders(t.Context(), system, box)
		must(t, err)
		for _, f := range folders {
			files += l.folder(w, box, f, copies, &total)
		}
		if total != usage[box] {
			t.Errorf("%s: %+v is told, %+v is there", box, usage[box], total)
		}
		l.tokens(box, copies)
	}
	for _, db := range w.Databases() {
		var strays int
		must(t, db.Read(t.Context(), system, func(tx *sqldb.Tx) error {
			_, err := tx.Row([]any{&strays}, "SELECT (SELECT count(*) FROM body WHERE id NOT IN (SELECT body FROM message)) + (SELECT count(*) FROM message WHERE body NOT IN (SELECT id FROM body))")
			return err
		}))
		if strays > 0 {
			t.Errorf("%d bodies without messages, or messages without bodies", strays)
		}
	}
	_, err := w.blobs.Sweep(time.Now().Add(48*time.Hour), func(names []string) (map[string]bool, error) { return w.Owns(t.Context(), names) })
	must(t, err)
	entries, err := os.ReadDir(w.blobs.Dir())
	if must(t, err); len(entries) != files {
		t.Errorf("%d content files for %d messages after the sweep", len(entries), files)
	}
}

// folder holds one folder against what was seen of it before, and gives the number of messages in files.
func (l *ledger) folder(w *world, box string, f mailbox.Folder, copies map[string]int, total *mailbox.Usage) (files int) {
	t := l.t
	at := fmt.Sprintf("%s/%d", box, f.UIDValidity)
	if f.HighestModSeq < l.high[at] {
		t.Errorf("%s: HIGHESTMODSEQ fell from %d to %d", at, l.high[at], f.HighestModSeq)
	}
	l.high[at] = f.HighestModSeq
	x, err := w.Index(t.Context(), system, box, f.Number, nil)
	must(t, err)
	seen, now := mailbox.Folder{}, map[string]bool{}
	var uids []uint32
	for _, e := range x.All() {
		uids = append(uids, e.UID)
		if seen.Messages++; !e.Flags.Has(mailbox.Seen) {
			seen.Unseen++
		}
		if e.Flags.Has(mailbox.Deleted) {
			seen.Deleted++
		}
		if e.UID >= f.UIDNext || e.ModSeq > f.HighestModSeq {
			t.Errorf("%s: UID %d of %d, MODSEQ %d of %d", at, e.UID, f.UIDNext, e.ModSeq, f.HighestModSeq)
		}
	}
	must(t, w.Bodies(t.Context(), system, box, f.Number, uids, func(uid uint32, body mailbox.Body, err error) error {
		must(t, err)
		b, err := io.ReadAll(body.Whole())
		must(t, err)
		if seen.Bytes += int64(len(b)); len(b) > coremail.InlineLimit {
			files++
		}
		token, key := string(b[:26]), fmt.Sprintf("%s/%d", at, uid)
		if old, known := l.uids[key]; known && old != token {
			t.Errorf("%s is %s and was %s", key, token, old)
		}
		l.uids[key] = token
		now[key] = true
		copies[token]++
		place, _ := x.Find(uid)
		if flags := x.At(place).Flags; l.said[box+" "+token]["flagged"] > 0 && l.said[box+" "+token]["copies"] == 0 && !flags.Has(mailbox.Flagged|mailbox.Keyword(0)) {
			t.Errorf("%s has lost its flags: %b", key, flags)
		}
		return nil
	}))
	for key := range l.uids {
		var uid uint32
		if strings.HasPrefix(key, at+"/") && !now[key] {
			_, err := fmt.Sscan(key[len(at)+1:], &uid)
			must(t, err)
			if uid >= f.UIDNext {
				t.Errorf("%s was there, and UIDNEXT is %d", key, f.UIDNext)
			}
		}
	}
	if seen.Messages != f.Messages || seen.Unseen != f.Unseen || seen.Deleted != f.Deleted || seen.Bytes != f.Bytes {
		t.Errorf("%s: %+v is told, %+v is there", at, f, seen)
	}
	total.Messages += seen.Messages
	total.Bytes += seen.Bytes
	return files
}

// tokens holds the messages of a mailbox against what was said of them.
func (l *ledger) tokens(box string, copies map[string]int) {
	for _, key := range slices.Sorted(maps.Keys(l.said)) {
		token, ours := strings.CutPrefix(key, box+" ")
		if !ours {
			continue
		}
		said, n := l.said[key], copies[token]
		switch {
		case n > 1+said["copies"]:
			l.t.Errorf("%s is there %d times, copied %d times", key, n, said["copies"])
		case said["has"] > 0 && n == 0 && said["removes"] == 0:
			l.t.Errorf("%s is lost", key)
		case n > 0 && said["removed"] > said["copies"]:
			l.t.Errorf("%s was removed %d times, copied %d times, and is there", key, said["removed"], said["copies"])
		}
	}
}

// TestKillLeavesMailboxesWhole kills readers at chosen system calls and at any moment. Their mailboxes have all that was
// acknowledged, nothing twice, no UID a second time, and counts that are right.
func TestKillLeavesMailboxesWhole(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "reader")
	must(t, os.Mkdir(dir, 0o700))
	l := &ledger{t: t, said: map[string]map[string]int{}, uids: map[string]string{}, high: map[string]int64{}}
	points, hit := 0, 0
	for _, call := range []string{"fsync", "pwrite64", "linkat", "unlinkat", "openat", "fsync", "pwrite64"} {
		n := 1 + rand.IntN(map[string]int{"fsync": 60, "pwrite64": 300, "openat": 60}[call]+20)
		t.Logf("kill at %s number %d", call, n)
		points++
		if sqltest.KillAt(t, dir, call, n, 1500, l.hear) {
			hit++
		}
		l.check(dir)
	}
	for range 4 {
		sqltest.KillInTheMiddle(t, dir, 800, l.hear)
		l.check(dir)
	}
	if l.n == 0 || hit == 0 {
		t.Errorf("%d words were said, %d of %d kills came before a system call", l.n, hit, points)
	}
	t.Logf("%d of %d kills came before a system call; %d words about %d messages", hit, points, l.n, len(l.said))
}

package acceptance

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// fate is what is known of one of ann's messages.
type fate struct {
	acked   bool   // it was answered for
	keyword string // set with OK; "" for none
	mayGo   bool   // its removal was asked for
	gone    bool   // and answered with OK
}

// history is what was answered in all runs of the server.
type history struct {
	mu    sync.Mutex
	fates map[string]*fate             // by subject
	uids  map[string]map[uint32]string // by folder: the subject that a UID was seen with
	next  map[string]uint32            // by folder: UIDNEXT as last seen
}

func (h *history) acknowledged(subject string) {
	h.change(subject, func(f *fate) { f.acked = true })
}

// change notes something of a message.
func (h *history) change(subject string, f func(*fate)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fates[subject] == nil {
		h.fates[subject] = &fate{}
	}
	f(h.fates[subject])
}

// stored is a message as FETCH tells it.
type stored struct {
	uid     uint32
	subject string
	flags   string
}

// listing reads a folder and holds its UIDs against those seen before.
func (h *history) listing(c *imapTalk, folder string) ([]stored, error) {
	lines, err := c.do("SELECT " + folder)
	if err != nil {
		return nil, err
	}
	next := uint32(0)
	for _, line := range lines {
		if _, after, ok := strings.Cut(line, "[UIDNEXT "); ok {
			digits, _, _ := strings.Cut(after, "]")
			n, _ := strconv.ParseUint(digits, 10, 32)
			next = uint32(n)
		}
	}
	if lines, err = c.do("UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])"); err != nil {
		return nil, err
	}
	var list []stored
	for i, line := range lines {
		if !strings.Contains(line, " FETCH (UID ") || i+1 == len(lines) {
			continue
		}
		var m stored
		_, rest, _ := strings.Cut(line, "(UID ")
		digits, rest, _ := strings.Cut(rest, " ")
		n, _ := strconv.ParseUint(digits, 10, 32)
		m.uid = uint32(n)
		_, rest, _ = strings.Cut(rest, "FLAGS (")
		m.flags, _, _ = strings.Cut(rest, ")")
		m.subject = strings.TrimPrefix(lines[i+1], "Subject: ")
		list = append(list, m)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.uids[folder] == nil {
		h.uids[folder] = map[uint32]string{}
	}
	if next < h.next[folder] {
		return nil, fmt.Errorf("%s: UIDNEXT went from %d back to %d", folder, h.next[folder], next)
	}
	h.next[folder] = next
	for _, m := range list {
		if was, ok := h.uids[folder][m.uid]; ok && was != m.subject {
			return nil, fmt.Errorf("%s: UID %d is %s, was %s", folder, m.uid, m.subject, was)
		}
		h.uids[folder][m.uid] = m.subject
		h.next[folder] = max(h.next[folder], m.uid+1)
	}
	return list, nil
}

// work appends messages and, if it is to make changes, changes ann's mailbox at random, until the connection breaks. One
// alone changes: of what two do to one message nobody could tell what comes out.
func (h *history) work(r *reader, name string, changes bool, random *rand.Rand) {
	c, err := r.dial()
	if err != nil {
		return
	}
	for n := 0; ; n++ {
		subject := name + "-" + strconv.Itoa(n)
		content := "Subject: " + subject + "\r\n\r\n" + strings.Repeat("text\r\n", random.IntN(40))
		if random.IntN(8) == 0 {
			content += strings.Repeat("0123456789abcdef\r\n", 5000)
		}
		if _, err := c.do(fmt.Sprintf("APPEND Work {%d+}\r\n%s", len(content), content)); err != nil {
			return
		}
		h.acknowledged(subject)
		if !changes {
			continue
		}
		for _, folder := range []string{"INBOX", "Work"} {
			list, err := h.listing(c, folder)
			if err != nil {
				if strings.Contains(err.Error(), "UID") {
					r.t.Error(err)
				}
				return
			}
			if len(list) == 0 {
				continue
			}
			if err := h.changeOne(c, folder, list[random.IntN(len(list))], random); err != nil {
				return
			}
		}
	}
}

// changeOne changes one message of the selected folder.
func (h *history) changeOne(c *imapTalk, folder string, m stored, random *rand.Rand) error {
	uid := strconv.FormatUint(uint64(m.uid), 10)
	switch random.IntN(3) {
	case 0:
		keyword := "k" + strconv.Itoa(random.IntN(10))
		h.change(m.subject, func(f *fate) { f.keyword = "" })
		if _, err := c.do("UID STORE " + uid + " +FLAGS.SILENT (" + keyword + ")"); err != nil {
			return err
		}
		h.change(m.subject, func(f *fate) { f.keyword = keyword })
	case 1:
		if folder == "INBOX" {
			_, err := c.do("UID MOVE " + uid + " Work")
			return err
		}
		fallthrough
	case 2:
		h.change(m.subject, func(f *fate) { f.mayGo = true })
		if _, err := c.do("UID STORE " + uid + " +FLAGS.SILENT (\\Deleted)"); err != nil {
			return err
		}
		_, err := c.do("UID EXPUNGE " + uid)
		return err
	}
	return nil
}

// send delivers mail until the connection breaks.
func (h *history) send(r *reader, name string) {
	l := newLedger()
	w := &load{addr: r.smtp, sessions: 2, messages: 100_000, seed: 1, name: name, locals: []string{"ann@here.example"}, relayed: []string{"ann@here.example"}}
	done := make(chan struct{})
	go func() { w.run(l); close(done) }()
	<-done
	for _, m := range l.sent {
		if m.queued != "" {
			h.acknowledged(m.id)
		}
	}
}

// check holds both folders against what was answered.
func (h *history) check(r *reader) {
	r.t.Helper()
	eventually(r.t, "an empty queue", func() bool { return ask[counts](r.instance, "queue", "count").Messages == 0 })
	c := r.session()
	found := map[string][]stored{}
	for _, folder := range []string{"INBOX", "Work"} {
		list, err := h.listing(c, folder)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, m := range list {
			found[m.subject] = append(found[m.subject], m)
		}
	}
	for _, subject := range slices.Sorted(maps.Keys(h.fates)) {
		f, there := h.fates[subject], found[subject]
		switch {
		case len(there) > 1:
			r.t.Errorf("%s is there %d times", subject, len(there))
		case len(there) == 0 && f.acked && !f.mayGo:
			r.t.Errorf("%s is lost", subject)
		case len(there) == 1 && f.gone:
			r.t.Errorf("%s is back", subject)
		case len(there) == 0:
			f.gone = true
		case f.keyword != "" && !slices.Contains(strings.Fields(there[0].flags), f.keyword):
			r.t.Errorf("%s has lost the keyword %s: %s", subject, f.keyword, there[0].flags)
		}
	}
}

// The server is killed while mail is delivered, appended, flagged, moved and removed: nothing that was acknowledged is
// lost or doubled, and no UID is ever another message's.
func TestP1_3Kill9LosesNothingThatIMAPHasAnswered(t *testing.T) {
	t.Parallel()
	rounds := 3
	if n, err := strconv.Atoi(os.Getenv("POSTROAD_IMAP_ROUNDS")); err == nil {
		rounds = n
	}
	seed := uint64(time.Now().UnixNano())
	if n, err := strconv.ParseUint(os.Getenv("POSTROAD_IMAP_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test's chance
	r := newReader(t)
	r.session().ok("CREATE Work")
	h := &history{fates: map[string]*fate{}, uids: map[string]map[uint32]string{}, next: map[string]uint32{}}
	for round := range rounds {
		var wait sync.WaitGroup
		name := fmt.Sprintf("r%d", round)
		wait.Go(func() { h.send(r, name+"s") })
		for n := range 2 {
			worker := rand.New(rand.NewPCG(seed, uint64(10*round+n+1))) //nolint:gosec // as above
			wait.Go(func() { h.work(r, fmt.Sprintf("%sw%d", name, n), n == 0, worker) })
		}
		<-time.After(time.Duration(50+random.IntN(400)) * time.Millisecond)
		_ = r.kill(syscall.SIGKILL)
		wait.Wait()
		r.start()
		h.check(r)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d messages", len(h.fates))
}

package imapd

import (
	"errors"
	"slices"
	"time"

	"postroad/internal/core/mailbox"
	"postroad/internal/proto/imap"
	"postroad/internal/proto/imap/search"
)

const (
	// stillEvery is how often a client hears of a search that takes long: one that is gone is found so.
	stillEvery = 2 * time.Second
	// turnOctets is how much one search reads before others have their turn.
	turnOctets = 4 << 20
)

// search answers SEARCH and UID SEARCH (RFC 9051 §6.4.4, RFC 4731, RFC 5182, RFC 7162 §3.1.5).
func (s *session) search(r *imap.Request, c imap.Search) error {
	s.refresh(false)
	if s.sel == nil || s.ended() {
		return nil
	}
	if s.enabled.utf8 && c.Charset != "" {
		return refusal(r, imap.BAD, "", "Nobody who has enabled UTF8=ACCEPT names a charset.") // RFC 6855 §3
	}
	q := s.newSearch(c.Key) // it may use what was saved before
	if c.Save {
		s.saved = savedResult{} // what a search that fails saves (RFC 5182 §2.1)
	}
	if c.BadCharset {
		return refusal(r, imap.NO, imap.CodeBadCharset, "SEARCH takes US-ASCII and UTF-8.")
	}
	withModSeq := c.Key.Uses(imap.KeyModSeq)
	if withModSeq {
		s.enabled.condStore = true
	}
	found, err := q.all()
	if err != nil {
		if errors.Is(err, errQuit) {
			return err
		}
		if ferr := s.out.Flush(); ferr != nil {
			return ferr
		}
		return s.failed(r, err)
	}
	s.result(r, c, found, withModSeq)
	return s.doneSelected(r, "", c.UID)
}

// result tells what was found, and saves it.
func (s *session) result(r *imap.Request, c imap.Search, found []place, withModSeq bool) {
	number := func(p place) uint32 {
		if c.UID {
			return p.UID
		}
		return uint32(p.at) + 1
	}
	told := found // those that the answer names
	if c.Extended && !c.All && !c.Count {
		told = ends(found, c)
	}
	var highest uint64
	if withModSeq {
		for _, p := range told {
			highest = max(highest, uint64(p.ModSeq))
		}
	}
	if c.Save {
		s.saved.set = setOf(told, func(p place) uint32 { return p.UID })
	}
	switch {
	case c.Extended && !c.All && !c.Count && !c.Min && !c.Max: // SAVE alone
	case c.Extended || s.enabled.rev2:
		e := imap.Found{UID: c.UID, ModSeq: highest}
		if len(found) > 0 {
			if c.Min {
				e.Min = number(found[0])
			}
			if c.Max {
				e.Max = number(found[len(found)-1])
			}
			if c.All || !c.Extended {
				e.All = setOf(found, number)
			}
		}
		e.Count, e.HasCount = uint64(len(found)), c.Count
		s.out.ESearch(r.Tag, e)
	default:
		list := make([]uint32, len(found))
		for i, p := range found {
			list[i] = number(p)
		}
		s.out.Search(list, highest)
	}
}

// ends gives of what was found the first and the last, as far as they are asked for.
func ends(found []place, c imap.Search) []place {
	var list []place
	switch {
	case len(found) == 0 || !c.Min && !c.Max:
		return found
	case c.Min:
		list = append(list, found[0])
	}
	if last := found[len(found)-1]; c.Max && (len(list) == 0 || list[0].UID != last.UID) {
		list = append(list, last)
	}
	return list
}

func setOf(list []place, number func(place) uint32) imap.Set {
	var set imap.Set
	for _, p := range list {
		set.Append(number(p))
	}
	return set
}

// searching is one search.
type searching struct {
	*session
	query *search.Query
	facts bool      // sizes or dates are asked for
	still time.Time // when the client is to hear of it next
}

func (s *session) newSearch(k imap.Key) *searching {
	view := s.sel.view
	box := search.Mailbox{LargestNumber: uint32(view.Len()), Saved: s.saved.set}
	if view.Len() > 0 {
		box.LargestUID = view.At(view.Len() - 1).UID
	}
	q := &searching{session: s, query: search.New(k, box), still: time.Now().Add(stillEvery)}
	q.facts = slices.ContainsFunc([]imap.Op{imap.KeyBefore, imap.KeyOn, imap.KeySince, imap.KeyLarger, imap.KeySmaller}, k.Uses)
	return q
}

// all gives the messages that fit, in their order. What the index and the facts leave open is read.
func (q *searching) all() ([]place, error) {
	var found []place
	batch := make([]place, 0, min(factsAtATime, q.sel.view.Len()))
	for at, e := range q.sel.view.All() {
		if lost(e) {
			continue
		}
		if batch = append(batch, place{at, e}); len(batch) == factsAtATime {
			var err error
			if found, err = q.batch(found, batch); err != nil {
				return nil, err
			}
			batch = batch[:0]
		}
	}
	return q.batch(found, batch)
}

// errUnread says that a message has to be read.
var errUnread = errors.New("message not read yet")

// unread is a message that was not read yet.
type unread struct{}

func (unread) Header() ([]byte, error) { return nil, errUnread }
func (unread) Whole() ([]byte, error)  { return nil, errUnread }

// batch appends to found the messages of a batch that fit.
func (q *searching) batch(found, batch []place) ([]place, error) {
	if err := q.goOn(); err != nil {
		return nil, err
	}
	facts := map[uint32]mailbox.Fact{}
	if q.facts && len(batch) > 0 {
		list, err := q.service.store.Facts(q.context(), q.scope, q.box(), q.sel.folder, uidsOf(batch))
		if err != nil {
			return nil, err
		}
		for _, fact := range list {
			facts[fact.UID] = fact
		}
	}
	known := func(p place) search.Facts {
		fact := facts[p.UID]
		return search.Facts{
			Number: uint32(p.at) + 1, UID: p.UID, Flags: q.sel.view.Names(p.Flags), Recent: q.sel.isRecent(p.UID),
			At: fact.At.UTC(), Size: fact.Size, ModSeq: uint64(p.ModSeq),
		}
	}
	fits := make([]bool, len(batch))
	var open []place
	for i, p := range batch {
		if _, there := facts[p.UID]; q.facts && !there {
			continue // it is gone
		}
		var err error
		switch fits[i], err = q.query.Matches(known(p), unread{}); {
		case errors.Is(err, errUnread):
			open = append(open, p)
		case err != nil:
			return nil, err
		}
	}
	if len(open) > 0 {
		matched, err := q.read(open, known)
		if err != nil {
			return nil, err
		}
		for i, p := range batch {
			fits[i] = fits[i] || matched[p.UID]
		}
	}
	for i, p := range batch {
		if fits[i] {
			found = append(found, p)
		}
	}
	return found, nil
}

// read gives which of some messages fit by what they say.
func (q *searching) read(list []place, known func(place) search.Facts) (map[uint32]bool, error) {
	matched := map[uint32]bool{}
	for len(list) > 0 {
		if err := q.goOn(); err != nil {
			return nil, err
		}
		n, err := q.readSome(list[:min(len(list), bodiesAtATime)], known, matched)
		if err != nil {
			return nil, err
		}
		list = list[n:]
	}
	return matched, nil
}

// errTurn says that others have their turn.
var errTurn = errors.New("enough was read for one turn")

// readSome judges some messages by what they say, and tells how many it has come to. Few searches read at a time, one of a
// mailbox, and they take turns, so that whoever has many costs others no more than whoever has one. Nothing is written to
// the client meanwhile, who may be slow.
func (q *searching) readSome(part []place, known func(place) search.Facts, matched map[uint32]bool) (int, error) {
	release, err := q.service.searches.take(q.context(), q.box())
	if err != nil {
		return 0, err
	}
	defer release()
	rest, octets := part, int64(0)
	err = q.service.store.Bodies(q.context(), q.scope, q.box(), q.sel.folder, uidsOf(part), func(uid uint32, body mailbox.Body, err error) error {
		for len(rest) > 0 && rest[0].UID < uid {
			rest = rest[1:]
		}
		if len(rest) == 0 || rest[0].UID != uid {
			return nil
		}
		if err == nil {
			octets += body.Size()
			matched[uid], err = q.query.Matches(known(rest[0]), reading{&content{body: body, size: body.Size()}})
		}
		if errors.Is(err, mailbox.ErrCorrupt) {
			q.damaged(uid, err) // and fits nothing
			err = nil
		}
		rest = rest[1:]
		switch {
		case err != nil:
			return err
		case q.ended():
			return errQuit
		case octets > turnOctets:
			return errTurn
		}
		return q.context().Err()
	})
	if errors.Is(err, errTurn) {
		return len(part) - len(rest), nil
	}
	return len(part), err
}

// reading is a message that is read as far as a search wants.
type reading struct{ *content }

// Header implements search.Content.
func (r reading) Header() ([]byte, error) { return r.header() }

// Whole implements search.Content.
func (r reading) Whole() ([]byte, error) { return r.slice(0, r.size) }

// uidsOf gives the UIDs of messages.
func uidsOf(list []place) []uint32 {
	uids := make([]uint32, len(list))
	for i, p := range list {
		uids[i] = p.UID
	}
	return uids
}

// goOn tells the client from time to time that the search goes on, and gives an error when the client is gone.
func (q *searching) goOn() error {
	if q.ended() {
		return errQuit
	}
	if now := time.Now(); now.After(q.still) {
		q.still = now.Add(stillEvery)
		q.out.Status(imap.OK, "", "Still searching.")
		return q.out.Flush()
	}
	return nil
}

package imapd

import (
	"errors"
	"slices"

	"postroad/internal/core/mailbox"
	"postroad/internal/proto/imap"
	"postroad/internal/proto/mime"
)

// Messages are fetched a batch at a time, so that nothing of the store is held while the client reads slowly.
const (
	factsAtATime  = 1000      // messages of a batch that no contents are read of
	bodiesAtATime = 200       // messages of one that contents are read of
	octetsAtATime = 512 << 10 // of their contents
	octetsOfAll   = 32 << 20  // of the contents of all sessions' batches; when they are short, messages are read one by one
)

// fetching is one FETCH.
type fetching struct {
	*session
	items []imap.Item
	needs needs
	seen  []uint32 // UIDs of messages whose \Seen is to be set
	notes []mailbox.Note
	gone  bool // some messages are no longer there
	bad   bool // some messages are damaged
	cte   bool // some content is in an encoding that is not known
}

// needs says what has to be known of a message.
type needs struct {
	facts    bool // its size, date or note
	envelope bool // its envelope, or a note of it
	tree     bool // its structure, or a note of it
	body     bool // its octets
	seen     bool // \Seen is set
}

func needsOf(items []imap.Item) needs {
	var n needs
	for _, i := range items {
		switch i.Kind {
		case imap.ItemUID, imap.ItemFlags, imap.ItemModSeq:
		case imap.ItemInternalDate, imap.ItemSize:
			n.facts = true
		case imap.ItemEnvelope:
			n.facts, n.envelope = true, true
		case imap.ItemStructure, imap.ItemBody:
			n.facts, n.tree = true, true
		case imap.ItemSection, imap.ItemBinary, imap.ItemBinarySize, imap.ItemRFC822, imap.ItemRFC822Header, imap.ItemRFC822Text:
			n.facts, n.body = true, true
			n.seen = n.seen || !i.Peek
		}
	}
	return n
}

// fetch answers FETCH and UID FETCH (RFC 9051 §6.4.5, RFC 7162 §3.1.4, §3.2.6).
func (s *session) fetch(r *imap.Request, c imap.Fetch) error {
	if c.Vanished && !s.enabled.qresync {
		return refusal(r, imap.BAD, "", "QRESYNC has to be enabled first.")
	}
	s.refresh(false)
	if s.sel == nil || s.ended() {
		return nil
	}
	list, err := s.spans(r, c.Messages, c.UID)
	if err != nil {
		return err
	}
	f := fetching{session: s, items: c.Items, needs: needsOf(c.Items)}
	f.needs.seen = f.needs.seen && !s.sel.readOnly
	if c.UID && !slices.ContainsFunc(f.items, func(i imap.Item) bool { return i.Kind == imap.ItemUID }) {
		f.items = append([]imap.Item{{Kind: imap.ItemUID}}, f.items...)
	}
	if c.HasChanged || slices.ContainsFunc(f.items, func(i imap.Item) bool { return i.Kind == imap.ItemModSeq }) {
		s.enabled.condStore = true
	}
	if c.Vanished {
		if err := s.tellVanished(c); err != nil {
			return s.failed(r, err)
		}
	}
	if err := f.all(list, c); err != nil {
		return f.broken(r, err)
	}
	if err := f.markSeen(); err != nil {
		return s.failed(r, err)
	}
	s.sel.withUID = c.UID
	s.refresh(c.UID)
	if s.sel != nil {
		s.sel.withUID = false
	}
	switch {
	case f.cte:
		return refusal(r, imap.NO, imap.CodeUnknownCTE, "Some content is in an encoding that is not known here.")
	case f.bad:
		return refusal(r, imap.NO, imap.CodeCorruption, "Some messages are damaged.")
	case f.gone:
		return refusal(r, imap.NO, imap.CodeExpungeIssued, "Some messages are no longer there.")
	}
	return s.done(r, "")
}

// broken is how a FETCH ends that cannot go on: with the connection where a response was begun.
func (f *fetching) broken(r *imap.Request, err error) error {
	if ferr := f.out.Flush(); ferr != nil {
		return ferr
	}
	if errors.Is(err, errQuit) {
		return err
	}
	return f.failed(r, err)
}

// tellVanished tells which messages were removed since the client looked last.
func (s *session) tellVanished(c imap.Fetch) error {
	set := c.Messages
	if set.Saved {
		set = s.saved.set
	}
	if set.Empty() {
		return nil
	}
	gone, err := s.removed(c.ChangedSince, set, 0)
	if err != nil {
		return err
	}
	s.out.Vanished(true, gone)
	return nil
}

// damaged tells the operator of a message that is not what was stored.
func (s *session) damaged(uid uint32, err error) {
	s.service.log.Error("message is damaged", "mailbox", s.box(), "folder", s.sel.folder, "uid", uid, "error", err)
}

// place is a message that is fetched.
type place struct {
	at int // in the view
	mailbox.Entry
}

// all fetches the messages of spans.
func (f *fetching) all(list []span, c imap.Fetch) error {
	most := factsAtATime
	if f.needs.body || f.needs.tree || f.needs.envelope {
		most = bodiesAtATime
	}
	batch := make([]place, 0, min(most, 64))
	for _, part := range list {
		for at, e := range f.sel.view.Range(part.from, part.to) {
			if c.HasChanged && uint64(e.ModSeq) <= c.ChangedSince {
				continue
			}
			if lost(e) {
				f.gone = true
				continue
			}
			if !f.needs.facts {
				f.write(place{at, e}, nil, nil)
				continue
			}
			if batch = append(batch, place{at, e}); len(batch) == most {
				if err := f.batch(batch); err != nil {
					return err
				}
				batch = batch[:0]
			}
		}
	}
	return f.batch(batch)
}

// batch fetches some messages, in their order.
func (f *fetching) batch(batch []place) error {
	if len(batch) == 0 {
		return nil
	}
	if f.ended() {
		return errQuit
	}
	ctx, store, sel := f.context(), f.service.store, f.sel
	uids := make([]uint32, len(batch))
	for i, p := range batch {
		uids[i] = p.UID
	}
	facts, err := store.Facts(ctx, f.scope, f.box(), sel.folder, uids)
	if err != nil {
		return err
	}
	f.gone = f.gone || len(facts) < len(batch)
	var small []known // messages that are read together, and those before them that need no reading
	octets, most := int64(0), int64(octetsAtATime)
	if f.service.held.Short() {
		most = 0 // each for itself
	}
	for _, p := range batch {
		i, ok := slices.BinarySearchFunc(facts, p.UID, func(fact mailbox.Fact, uid uint32) int { return int(int64(fact.UID) - int64(uid)) })
		if !ok {
			continue
		}
		k := known{place: p, fact: facts[i]}
		k.note = readNote(k.fact.Notes)
		k.reads = f.needs.body || f.needs.envelope && k.note.envelope == nil || f.needs.tree && k.note.tree == nil
		if k.reads && k.fact.Size > inPieces {
			if err := f.together(small); err != nil {
				return err
			}
			small, octets = small[:0], 0
			if err := f.single(k); err != nil {
				return err
			}
			continue
		}
		if small = append(small, k); k.reads {
			octets += k.fact.Size
		}
		if octets > most {
			if err := f.together(small); err != nil {
				return err
			}
			small, octets = small[:0], 0
		}
	}
	if err := f.together(small); err != nil {
		return err
	}
	return f.keepNotes()
}

// known is a message with what is known of it.
type known struct {
	place
	fact  mailbox.Fact
	note  note
	reads bool // its octets have to be read
}

// together fetches messages that are small, with one look at the store.
func (f *fetching) together(list []known) error {
	var uids []uint32
	octets := int64(0)
	for _, k := range list {
		if k.reads {
			uids, octets = append(uids, k.UID), octets+k.fact.Size
		}
	}
	// A client that reads slowly holds them for as long.
	f.service.held.Force(octets)
	defer f.service.held.Give(octets)
	contents := make(map[uint32]*content, len(uids))
	if len(uids) > 0 {
		err := f.service.store.Bodies(f.context(), f.scope, f.box(), f.sel.folder, uids, func(uid uint32, body mailbox.Body, err error) error {
			var octets []byte
			if err == nil {
				octets, err = readAll(body)
			}
			switch {
			case err == nil:
				contents[uid] = &content{octets: octets}
			case errors.Is(err, mailbox.ErrCorrupt):
				f.bad = true
				f.damaged(uid, err)
				contents[uid] = nil
			default:
				return err
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for i := range list {
		k := &list[i]
		c, there := contents[k.UID]
		if k.reads && c == nil {
			f.gone = f.gone || !there
			continue
		}
		if err := f.answer(k, c); err != nil {
			return err
		}
		delete(contents, k.UID)
	}
	return nil
}

// single fetches one message that is large: it stays where it is, and is read in pieces.
func (f *fetching) single(k known) error {
	body, err := f.service.store.Open(f.context(), f.scope, f.box(), f.sel.folder, k.UID)
	if err == nil {
		defer func() { _ = body.Close() }()
		err = f.answer(&k, &content{body: body, size: body.Size()})
	}
	switch {
	case errors.Is(err, mailbox.ErrNoMessage):
		f.gone = true
		return nil
	case errors.Is(err, mailbox.ErrCorrupt):
		f.bad = true
		f.damaged(k.UID, err)
		return nil
	}
	return err
}

// answer writes one message's response, and notes what was found out about it.
func (f *fetching) answer(k *known, c *content) error {
	if c != nil {
		if err := f.prepare(k, c); err != nil {
			return err
		}
	}
	f.write(k.place, k, c)
	if f.needs.seen && !k.Flags.Has(mailbox.Seen) {
		f.seen = append(f.seen, k.UID)
	}
	if c != nil && c.err != nil {
		// The response is broken off, or would be a lie: the connection cannot go on.
		f.service.log.Error("message cannot be read", "mailbox", f.box(), "uid", k.UID, "error", c.err)
		f.out.Status(imap.BYE, imap.CodeUnavailable, "A message cannot be read.")
		return errQuit
	}
	return f.out.Err() // for a client that is gone nothing more is read
}

// prepare finds out what the items want to know.
func (f *fetching) prepare(k *known, c *content) error {
	fresh := false
	if f.needs.envelope && k.note.envelope == nil {
		header, err := c.header()
		if err != nil {
			return err
		}
		e := mime.ReadEnvelope(header)
		k.note.envelope, fresh = &e, true
	}
	if k.note.tree == nil && (f.needs.tree || f.needs.body && needsTree(f.items)) {
		tree, err := f.parse(c)
		if err != nil {
			return err
		}
		k.note.tree, fresh = tree, true
	}
	if fresh {
		if text := k.note.append(nil); len(text) <= mailbox.MaxNote {
			f.notes = append(f.notes, mailbox.Note{UID: k.UID, Text: text})
		}
	}
	return nil
}

// keepNotes hands over what was found out. Nobody is the worse for it when that fails.
func (f *fetching) keepNotes() error {
	if len(f.notes) == 0 {
		return nil
	}
	err := f.service.store.Note(f.context(), f.scope, f.box(), f.sel.folder, f.notes)
	f.notes = f.notes[:0]
	if err != nil && f.context().Err() == nil && !errors.Is(err, mailbox.ErrNoFolder) {
		f.service.log.Warn("notes of messages not kept", "mailbox", f.box(), "error", err)
	}
	return nil
}

// write writes the response for one message.
func (f *fetching) write(p place, k *known, c *content) {
	out := f.out.Fetch(uint32(p.at) + 1)
	defer out.End()
	for _, i := range f.items {
		switch i.Kind {
		case imap.ItemUID:
			out.UID(p.UID)
		case imap.ItemFlags:
			out.Flags(f.flagNames(p.Entry))
		case imap.ItemModSeq:
			out.ModSeq(uint64(p.ModSeq))
		case imap.ItemInternalDate:
			out.InternalDate(k.fact.At.UTC())
		case imap.ItemSize:
			out.Size(k.fact.Size)
		case imap.ItemEnvelope:
			out.Envelope(k.note.envelope)
		case imap.ItemStructure, imap.ItemBody:
			out.Structure(i, k.note.tree)
		case imap.ItemBinary:
			f.binary(out, i, k, c)
		case imap.ItemBinarySize:
			f.binarySize(out, i, k, c)
		case imap.ItemSection, imap.ItemRFC822, imap.ItemRFC822Header, imap.ItemRFC822Text:
			f.section(out, i, k, c)
		}
	}
}

// markSeen sets \Seen of the messages whose content was fetched.
func (f *fetching) markSeen() error {
	if len(f.seen) == 0 {
		return nil
	}
	change := mailbox.FlagChange{UIDs: f.seen, Mode: mailbox.FlagsAdd, Flags: []string{`\Seen`}, UnchangedSince: -1}
	_, err := f.service.store.SetFlags(f.changing(), f.scope, f.box(), f.sel.folder, change)
	return err
}

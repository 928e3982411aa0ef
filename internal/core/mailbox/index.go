package mailbox

import (
	"cmp"
	"iter"
	"slices"
	"sort"
)

// chunkSize is how many messages lie together in an Index.
const chunkSize = 512

// Entry is what an Index tells of one message.
type Entry struct {
	UID    uint32
	Flags  Flags
	ModSeq int64
}

// Index is the messages of a folder at one moment, by UID. It never changes; the next one shares with it what has not
// changed since, so that many sessions of one mailbox cost little more than one.
type Index struct {
	folder   Folder
	keywords []string
	chunks   []*chunk
	starts   []int // how many messages lie before each chunk
	length   int
}

// chunk is some messages that follow one another; it never changes.
type chunk struct {
	uids    []uint32
	flags   []Flags
	modseqs []int64
}

func newChunk(room int) *chunk {
	return &chunk{uids: make([]uint32, 0, room), flags: make([]Flags, 0, room), modseqs: make([]int64, 0, room)}
}

func (c *chunk) add(e Entry) {
	c.uids, c.flags, c.modseqs = append(c.uids, e.UID), append(c.flags, e.Flags), append(c.modseqs, e.ModSeq)
}

func (c *chunk) at(i int) Entry {
	return Entry{UID: c.uids[i], Flags: c.flags[i], ModSeq: c.modseqs[i]}
}

func (c *chunk) last() uint32 { return c.uids[len(c.uids)-1] }

// NewIndex makes the index of a folder from its messages by growing UID. keywords are the mailbox's by their numbers,
// empty where a number is free.
func NewIndex(folder Folder, keywords []string, entries []Entry) *Index {
	x := &Index{folder: folder, keywords: keywords}
	x.grow(entries)
	return x.count()
}

// grow appends messages in chunks of their own.
func (x *Index) grow(entries []Entry) {
	for part := range slices.Chunk(entries, chunkSize) {
		c := newChunk(len(part))
		for _, e := range part {
			c.add(e)
		}
		x.chunks = append(x.chunks, c)
	}
}

func (x *Index) count() *Index {
	x.starts, x.length = make([]int, len(x.chunks)), 0
	for i, c := range x.chunks {
		x.starts[i] = x.length
		x.length += len(c.uids)
	}
	return x
}

// Apply gives the index after a change: changed are messages that are new or have changed, gone the UIDs of those that
// are there no more; both by growing UID. A UID in both is gone.
func (x *Index) Apply(folder Folder, keywords []string, changed []Entry, gone []uint32) *Index {
	next := &Index{folder: folder, keywords: keywords, chunks: make([]*chunk, 0, len(x.chunks)+1)}
	small := 0
	for i, c := range x.chunks {
		last := c.last()
		inChanged := sort.Search(len(changed), func(k int) bool { return changed[k].UID > last })
		inGone := sort.Search(len(gone), func(k int) bool { return gone[k] > last })
		if i == len(x.chunks)-1 && len(c.uids) < chunkSize { // what is new joins the last chunk
			inChanged = min(len(changed), inChanged+chunkSize-len(c.uids))
			if inChanged > 0 {
				inGone = sort.Search(len(gone), func(k int) bool { return gone[k] > changed[inChanged-1].UID && gone[k] > last })
			}
		}
		if inChanged > 0 || inGone > 0 {
			c = c.merge(changed[:inChanged], gone[:inGone])
			changed, gone = changed[inChanged:], gone[inGone:]
		}
		if len(c.uids) > 0 {
			next.chunks = append(next.chunks, c)
		}
		if len(c.uids) < chunkSize/4 {
			small++
		}
	}
	next.grow(without(changed, gone))
	if small > 8 && small > len(next.chunks)/2 {
		whole := next.count()
		entries := make([]Entry, 0, whole.length)
		for _, e := range whole.All() {
			entries = append(entries, e)
		}
		return NewIndex(folder, keywords, entries)
	}
	return next.count()
}

// without gives entries but those that are gone.
func without(entries []Entry, gone []uint32) []Entry {
	if len(gone) == 0 {
		return entries
	}
	kept := make([]Entry, 0, len(entries))
	for _, e := range entries {
		if _, is := slices.BinarySearch(gone, e.UID); !is {
			kept = append(kept, e)
		}
	}
	return kept
}

// merge gives the chunk after a change.
func (c *chunk) merge(changed []Entry, gone []uint32) *chunk {
	fresh := 0
	for _, e := range changed {
		if len(c.uids) == 0 || e.UID > c.last() {
			fresh++
		}
	}
	out := newChunk(len(c.uids) + fresh)
	add := func(e Entry) {
		if _, is := slices.BinarySearch(gone, e.UID); !is {
			out.add(e)
		}
	}
	for i := range c.uids {
		for len(changed) > 0 && changed[0].UID < c.uids[i] {
			add(changed[0])
			changed = changed[1:]
		}
		if len(changed) > 0 && changed[0].UID == c.uids[i] {
			add(changed[0])
			changed = changed[1:]
			continue
		}
		add(c.at(i))
	}
	for _, e := range changed {
		add(e)
	}
	return out
}

// Before gives the index of the folder as it was at an earlier moment, from what is there now and the UIDs that were
// removed since. Messages that have changed since, or are gone, have no flags and MODSEQ 0 in it: Since tells of them
// all. ok is false when that is not how it was, because something that was removed is not among the UIDs.
func (x *Index) Before(folder Folder, keywords []string, gone []uint32) (old *Index, ok bool) {
	var changed []Entry
	var later []uint32
	for _, e := range x.All() {
		switch {
		case e.UID >= folder.UIDNext:
			later = append(later, e.UID)
		case e.ModSeq > folder.HighestModSeq:
			changed = append(changed, Entry{UID: e.UID})
		}
	}
	for _, uid := range gone {
		if _, there := x.Find(uid); !there && uid < folder.UIDNext {
			changed = append(changed, Entry{UID: uid})
		}
	}
	slices.SortFunc(changed, func(a, b Entry) int { return cmp.Compare(a.UID, b.UID) })
	old = x.Apply(folder, keywords, changed, later)
	return old, int64(old.Len()) == folder.Messages
}

// Folder is the folder as it was at the moment of the index.
func (x *Index) Folder() Folder { return x.folder }

// Keywords are the mailbox's keywords by their numbers, empty where a number is free. The caller does not change them.
func (x *Index) Keywords() []string { return x.keywords }

// Names gives the names of a message's flags.
func (x *Index) Names(f Flags) []string { return f.Append(make([]string, 0, 4), x.keywords) }

// Len is the number of messages.
func (x *Index) Len() int { return x.length }

// At gives the message at a place, from 0 up to Len()-1: the one with the message sequence number i+1.
func (x *Index) At(i int) Entry {
	k := sort.Search(len(x.starts), func(k int) bool { return x.starts[k] > i }) - 1
	return x.chunks[k].at(i - x.starts[k])
}

// Find gives the place of a UID; when there is no such message, the place of the next one after it.
func (x *Index) Find(uid uint32) (int, bool) {
	k := sort.Search(len(x.chunks), func(k int) bool { return x.chunks[k].last() >= uid })
	if k == len(x.chunks) {
		return x.length, false
	}
	i, found := slices.BinarySearch(x.chunks[k].uids, uid)
	return x.starts[k] + i, found
}

// All goes through the messages with their places.
func (x *Index) All() iter.Seq2[int, Entry] { return x.Range(0, x.length) }

// Range goes through the messages from one place up to before another one.
func (x *Index) Range(from, to int) iter.Seq2[int, Entry] {
	return func(yield func(int, Entry) bool) {
		to := min(to, x.length)
		if from >= to {
			return
		}
		k := sort.Search(len(x.starts), func(k int) bool { return x.starts[k] > from }) - 1
		for i := from; i < to; k++ {
			c := x.chunks[k]
			for j := i - x.starts[k]; j < len(c.uids) && i < to; j++ {
				if !yield(i, c.at(j)) {
					return
				}
				i++
			}
		}
	}
}

// Octets is about how much memory the messages take.
func (x *Index) Octets() int { return 20*x.length + 120*len(x.chunks) + 200 }

// Difference is what a session that knew an earlier index has to be told.
type Difference struct {
	Gone    []uint32 // UIDs that are there no more, growing
	Changed []Entry  // messages that were there and have other flags or another MODSEQ
	New     []Entry  // messages that were not there
}

// Since compares an index with an earlier one of the same folder. Parts that both share cost nothing.
func (x *Index) Since(old *Index) Difference {
	var d Difference
	a, b := cursorOf(old), cursorOf(x)
	for {
		a.settle()
		b.settle()
		if a.k < len(a.x.chunks) && b.k < len(b.x.chunks) && a.i == 0 && b.i == 0 && a.x.chunks[a.k] == b.x.chunks[b.k] {
			a.k++
			b.k++
			continue
		}
		before, was := a.entry()
		now, is := b.entry()
		switch {
		case !was && !is:
			return d
		case !is || was && before.UID < now.UID:
			d.Gone = append(d.Gone, before.UID)
			a.i++
		case !was || now.UID < before.UID:
			d.New = append(d.New, now)
			b.i++
		default:
			if before != now {
				d.Changed = append(d.Changed, now)
			}
			a.i++
			b.i++
		}
	}
}

// cursor walks through an index.
type cursor struct {
	x    *Index
	k, i int
}

func cursorOf(x *Index) *cursor { return &cursor{x: x} }

// settle moves on to the next chunk when this one is through.
func (c *cursor) settle() {
	if c.k < len(c.x.chunks) && c.i == len(c.x.chunks[c.k].uids) {
		c.k, c.i = c.k+1, 0
	}
}

func (c *cursor) entry() (Entry, bool) {
	if c.k == len(c.x.chunks) {
		return Entry{}, false
	}
	return c.x.chunks[c.k].at(c.i), true
}

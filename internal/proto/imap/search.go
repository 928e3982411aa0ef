package imap

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// What each message is held against is bounded.
const (
	maxKeys  = 1000 // of one SEARCH
	maxTexts = 50   // of them BODY and TEXT, which go through whole messages
)

// Op is the kind of a search key.
type Op uint8

// The kinds of keys (RFC 9051 §6.4.4, RFC 3501 §6.4.4).
const (
	KeyAll        Op = iota // every message
	KeyAnd                  // all of Keys
	KeyOr                   // one of the two Keys
	KeyNot                  // not Keys[0]
	KeyNumbers              // message numbers in Set
	KeyUIDs                 // UIDs in Set
	KeyFlag                 // has the flag or keyword Text
	KeyRecent               // \Recent: RECENT, and in NEW and OLD
	KeyHeader               // the field Field contains Text; where Text is empty: there is the field
	KeyBody                 // the body contains Text
	KeyText                 // header or body contain Text
	KeyBefore               // internal date before Date
	KeyOn                   // internal date is Date
	KeySince                // internal date is Date or later
	KeySentBefore           // Date field, likewise
	KeySentOn
	KeySentSince
	KeyLarger  // than Number octets
	KeySmaller // than Number octets
	KeyModSeq  // mod-sequence is Number or more (RFC 7162 §3.1.5)
)

// Key is a search key, with those below it. Of its other fields it has what its Op names.
type Key struct {
	Op     Op
	Keys   []Key
	Set    Set
	Field  string // of a header field, in capitals
	Text   string // UTF-8
	Date   Date
	Number uint64
}

// Uses says whether a key of that kind is k or below it.
func (k *Key) Uses(op Op) bool {
	if k.Op == op {
		return true
	}
	for i := range k.Keys {
		if k.Keys[i].Uses(op) {
			return true
		}
	}
	return false
}

// searchParser reads the keys of one SEARCH.
type searchParser struct {
	*parser
	keys, texts int
	badText     bool // one is not in UTF-8
}

func (p *parser) search(uid bool) Command {
	c := Search{UID: uid}
	p.space()
	if p.next("RETURN") {
		p.space()
		c.Extended = true
		p.list(func() { p.searchReturn(&c) })
		if !c.Min && !c.Max && !c.Count && !c.Save {
			c.All = true
		}
		p.space()
	}
	if p.next("CHARSET") {
		p.space()
		c.Charset = strings.ToUpper(p.astring())
		p.space()
	}
	s := searchParser{parser: p}
	c.Key = s.and(func() bool { return p.pos < len(p.text) })
	c.BadCharset = s.badText || c.Charset != "" && c.Charset != "UTF-8" && c.Charset != "US-ASCII"
	return c
}

func (p *parser) searchReturn(c *Search) {
	switch string(p.keyword()) {
	case "MIN":
		c.Min = true
	case "MAX":
		c.Max = true
	case "ALL":
		c.All = true
	case "COUNT":
		c.Count = true
	case "SAVE":
		c.Save = true
	default:
		p.fail("There is no such return option of SEARCH.")
	}
}

// and takes keys while there are more of them; a single one stands for itself.
func (p *searchParser) and(more func() bool) Key {
	first := p.key()
	if p.err != nil || !more() {
		return first
	}
	all := Key{Op: KeyAnd, Keys: []Key{first}}
	for p.err == nil && more() {
		p.space()
		all.Keys = append(all.Keys, p.key())
	}
	return all
}

// key takes search-key.
func (p *searchParser) key() Key {
	if p.keys++; p.keys > maxKeys {
		p.fail("SEARCH has more than " + strconv.Itoa(maxKeys) + " keys.")
	}
	if p.depth++; p.depth > maxDepth {
		p.fail("SEARCH is nested too deeply.")
	}
	defer func() { p.depth-- }()
	switch c := p.peek(); {
	case p.err != nil:
		return Key{}
	case c == '(':
		p.pos++
		k := p.and(func() bool { return p.peek() != ')' })
		p.expect(')')
		return k
	case c == '*' || c == '$' || '0' <= c && c <= '9':
		return Key{Op: KeyNumbers, Set: p.set()}
	}
	return p.named()
}

func (p *searchParser) named() Key {
	switch word := p.keyword(); string(word) {
	case "ALL":
		return Key{Op: KeyAll}
	case "ANSWERED":
		return flagKey(Answered)
	case "DELETED":
		return flagKey(Deleted)
	case "DRAFT":
		return flagKey(Draft)
	case "FLAGGED":
		return flagKey(Flagged)
	case "SEEN":
		return flagKey(Seen)
	case "UNANSWERED":
		return not(flagKey(Answered))
	case "UNDELETED":
		return not(flagKey(Deleted))
	case "UNDRAFT":
		return not(flagKey(Draft))
	case "UNFLAGGED":
		return not(flagKey(Flagged))
	case "UNSEEN":
		return not(flagKey(Seen))
	case "NEW":
		return Key{Op: KeyAnd, Keys: []Key{{Op: KeyRecent}, not(flagKey(Seen))}}
	case "OLD":
		return not(Key{Op: KeyRecent})
	case "RECENT":
		return Key{Op: KeyRecent}
	case "KEYWORD":
		p.space()
		return flagKey(p.atom())
	case "UNKEYWORD":
		p.space()
		return not(flagKey(p.atom()))
	case "BCC", "CC", "FROM", "SUBJECT", "TO":
		field := string(word)
		p.space()
		return Key{Op: KeyHeader, Field: field, Text: p.searched()}
	case "HEADER":
		p.space()
		k := Key{Op: KeyHeader, Field: p.fieldName()}
		p.space()
		k.Text = p.searched()
		return k
	case "BODY":
		return p.textKey(KeyBody)
	case "TEXT":
		return p.textKey(KeyText)
	case "BEFORE":
		return p.dateKey(KeyBefore)
	case "ON":
		return p.dateKey(KeyOn)
	case "SINCE":
		return p.dateKey(KeySince)
	case "SENTBEFORE":
		return p.dateKey(KeySentBefore)
	case "SENTON":
		return p.dateKey(KeySentOn)
	case "SENTSINCE":
		return p.dateKey(KeySentSince)
	case "LARGER":
		p.space()
		return Key{Op: KeyLarger, Number: p.number63()}
	case "SMALLER":
		p.space()
		return Key{Op: KeySmaller, Number: p.number63()}
	case "MODSEQ":
		return p.modSeqKey()
	case "UID":
		p.space()
		return Key{Op: KeyUIDs, Set: p.set()}
	case "NOT":
		p.space()
		return not(p.key())
	case "OR":
		p.space()
		first := p.key()
		p.space()
		return Key{Op: KeyOr, Keys: []Key{first, p.key()}}
	}
	p.fail("There is no such key of SEARCH.")
	return Key{}
}

func flagKey(flag string) Key { return Key{Op: KeyFlag, Text: flag} }

func not(k Key) Key { return Key{Op: KeyNot, Keys: []Key{k}} }

func (p *searchParser) textKey(op Op) Key {
	if p.texts++; p.texts > maxTexts {
		p.fail("SEARCH has BODY and TEXT more than " + strconv.Itoa(maxTexts) + " times.")
	}
	p.space()
	return Key{Op: op, Text: p.searched()}
}

func (p *searchParser) dateKey(op Op) Key {
	p.space()
	return Key{Op: op, Date: p.date()}
}

// searched takes a text that is looked for.
func (p *searchParser) searched() string {
	text := p.astring()
	p.badText = p.badText || !utf8.ValidString(text)
	return text
}

// modSeqKey takes what follows MODSEQ: a number, and before it the name and type of a flag's own entry, which count
// for nothing here: a message has one mod-sequence for all that is known of it.
func (p *searchParser) modSeqKey() Key {
	p.space()
	if p.accept('"') {
		p.quoted()
		p.space()
		switch string(p.keyword()) {
		case "PRIV", "SHARED", "ALL":
		default:
			p.fail("The type of an entry is priv, shared or all.")
		}
		p.space()
	}
	return Key{Op: KeyModSeq, Number: p.number63()}
}

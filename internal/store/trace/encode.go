package trace

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/mail"
	"postroad/internal/core/policy"
	"postroad/internal/core/routing"
	"postroad/internal/core/trace"
)

// form is the first octet of a row's steps.
const form = 1

// The fields of a step; each that is not zero is written as its number and its value, a zero ends the step.
const (
	fieldPartial = iota + 1
	fieldRecipient
	fieldVia
	fieldAddr
	fieldHelo
	fieldTLS
	fieldLogin
	fieldAsker
	fieldUTF8
	fieldSize
	fieldReply
	fieldContent
	fieldReason
	fieldTarget
	fieldDestination
	fieldLane
	fieldHost
	fieldAttempts
	fieldUntil
	fieldReport
	fieldWord
	fieldBy
	fieldAs
	fieldCheck
	fieldNote
)

// errForm says that a row's octets are not what this program writes.
var errForm = errors.New("a trace cannot be read")

// words are texts that need not be written. What stands here is stored by its place: new ones go to the end.
var words = [...]string{
	"TLS1.3 TLS_AES_128_GCM_SHA256", "TLS1.3 TLS_AES_256_GCM_SHA384", "TLS1.3 TLS_CHACHA20_POLY1305_SHA256",
	"hold", "release", "drop", "retry", "failed", "delayed", "delivered", "relayed", "operator", "local/0",
	"domain-ours", "domain-foreign", "mode-local", "mode-relay", "mode-remote", "mode-split", "mode-backup", "auto-mode",
	"mailbox", "alias", "forward", "plus-address", "catch-all", "next-hop", "by-mx", "outbound", "own-user",
	"unknown-recipient", "relay-denied",
}

// places are the places of words.
var places = func() map[string]int {
	at := make(map[string]int, len(words))
	for i, w := range words {
		at[w] = i
	}
	return at
}()

// book numbers texts: even numbers are a row's own, sender, recipient and their domains, and then each text when it
// first comes; odd ones are words, so that neither list is in the other's way.
type book struct {
	list []string
	at   map[string]int // the places of texts in list, once there are many
}

// few is how many texts are looked through one by one.
const few = 24

// open makes it the book of a row.
func (b *book) open(r *trace.Row) {
	clear(b.list)
	b.list, b.at = b.list[:0], nil
	b.add(r.Sender)
	b.add(r.Recipient)
	for _, a := range [...]string{r.Sender, r.Recipient} {
		b.add(a[strings.LastIndexByte(a, '@')+1:])
	}
}

// add gives a row's own text the next number. The first number of a text counts.
func (b *book) add(s string) {
	b.list = append(b.list, s)
	switch {
	case len(b.list) == few+1:
		b.at = make(map[string]int, 2*few)
		for i, s := range b.list {
			b.note(s, i)
		}
	case len(b.list) > few:
		b.note(s, len(b.list)-1)
	}
}

func (b *book) note(s string, place int) {
	if _, there := b.at[s]; !there {
		b.at[s] = place
	}
}

// number finds a text's number.
func (b *book) number(s string) (int, bool) {
	if b.at == nil {
		if i := slices.Index(b.list, s); i >= 0 {
			return 2 * i, true
		}
	} else if i, ok := b.at[s]; ok {
		return 2 * i, true
	}
	i, ok := places[s]
	return 2*i + 1, ok
}

// text finds the text of a number.
func (b *book) text(n uint64) (string, bool) {
	list := b.list
	if n%2 == 1 {
		list = words[:]
	}
	if n/2 >= uint64(len(list)) {
		return "", false
	}
	return list[n/2], true
}

// maxText bounds a text of a step in octets: what strangers said is kept no longer.
const maxText = 1024

// writer writes rows, one after the other.
type writer struct {
	out  []byte
	book book
}

// row writes a row's steps.
func (w *writer) row(r *trace.Row) []byte {
	w.book.open(r)
	w.out = append(w.out[:0], form)
	var last int64
	for i := range r.Steps {
		s := &r.Steps[i]
		at := s.At.UnixMicro()
		w.out = append(w.out, byte(s.Kind))
		w.out = binary.AppendVarint(w.out, at-last)
		w.number(uint64(max(0, s.N))) //nolint:gosec // not negative
		last = at
		w.step(s)
		w.out = append(w.out, 0)
	}
	return slices.Clone(w.out)
}

func (w *writer) number(n uint64) { w.out = binary.AppendUvarint(w.out, n) }

// value writes a text by its number, or in full the first time.
func (w *writer) value(s string) {
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	if n, there := w.book.number(s); there {
		w.number(uint64(n) + 1) //nolint:gosec // not negative
		return
	}
	w.book.add(s)
	w.out = append(w.out, 0)
	w.number(uint64(len(s)))
	w.out = append(w.out, s...)
}

func (w *writer) text(field byte, s string) {
	if s != "" {
		w.out = append(w.out, field)
		w.value(s)
	}
}

func (w *writer) flag(field byte, v bool) {
	if v {
		w.out = append(w.out, field)
	}
}

func (w *writer) count(field byte, n int64) {
	if n > 0 {
		w.out = append(w.out, field)
		w.number(uint64(n))
	}
}

func (w *writer) step(s *trace.Step) {
	w.flag(fieldPartial, s.Partial)
	w.flag(fieldVia, s.Via)
	w.flag(fieldUTF8, s.UTF8)
	w.flag(fieldContent, s.Content)
	w.text(fieldRecipient, s.Recipient)
	if s.Client.Addr.IsValid() {
		b := s.Client.Addr.AsSlice()
		w.out = append(w.out, fieldAddr, byte(len(b)))
		w.out = append(w.out, b...)
	}
	w.text(fieldHelo, s.Client.Helo)
	w.text(fieldTLS, s.Client.TLS)
	w.text(fieldLogin, s.Client.Login)
	w.count(fieldAsker, int64(s.Asker))
	w.count(fieldSize, s.Size)
	w.text(fieldReply, s.Reply)
	for _, r := range s.Reasons {
		w.out = append(w.out, fieldReason)
		w.value(r.Rule.String())
		w.value(r.Fact)
		w.number(uint64(max(0, r.Age/time.Second))) //nolint:gosec // not negative
	}
	for _, t := range s.Targets {
		w.out = append(w.out, fieldTarget)
		w.value(t.Address)
		w.value(string(t.Lane))
	}
	w.text(fieldDestination, s.Destination)
	w.text(fieldLane, string(s.Lane))
	w.text(fieldHost, s.Host)
	w.count(fieldAttempts, int64(s.Attempts))
	if !s.Until.IsZero() {
		w.count(fieldUntil, s.Until.UnixMicro())
	}
	w.text(fieldReport, string(s.Report))
	w.text(fieldWord, s.Word)
	w.text(fieldBy, s.By)
	w.text(fieldAs, s.As)
	for _, c := range s.Checks {
		w.out = append(w.out, fieldCheck)
		w.value(c.Method)
		w.value(c.Result)
		w.value(c.Sentence)
	}
	w.text(fieldNote, s.Note)
}

// decode reads a row's steps.
func decode(r *trace.Row, in []byte) ([]trace.Step, error) {
	if len(in) == 0 || in[0] != form {
		return nil, errForm
	}
	p := &parser{in: in[1:]}
	p.book.open(r)
	var out []trace.Step
	var last int64
	for len(p.in) > 0 && !p.bad {
		var s trace.Step
		s.Kind = trace.Kind(p.octet())
		last += p.signed()
		s.At = time.UnixMicro(last).UTC()
		s.N = int(p.number()) //nolint:gosec // what was written
		for field := p.octet(); field != 0 && !p.bad; field = p.octet() {
			p.field(field, &s)
		}
		out = append(out, s)
	}
	if p.bad {
		return nil, errForm
	}
	return out, nil
}

type parser struct {
	in   []byte
	book book
	bad  bool
}

func (p *parser) take(n uint64) []byte {
	if n > uint64(len(p.in)) {
		p.bad = true
		return nil
	}
	b := p.in[:n]
	p.in = p.in[n:]
	return b
}

func (p *parser) octet() byte {
	if b := p.take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (p *parser) number() uint64 {
	n, used := binary.Uvarint(p.in)
	if used <= 0 {
		p.bad = true
		return 0
	}
	p.in = p.in[used:]
	return n
}

func (p *parser) signed() int64 {
	n, used := binary.Varint(p.in)
	if used <= 0 {
		p.bad = true
		return 0
	}
	p.in = p.in[used:]
	return n
}

func (p *parser) value() string {
	n := p.number()
	if n > 0 {
		s, ok := p.book.text(n - 1)
		p.bad = p.bad || !ok
		return s
	}
	s := string(p.take(p.number()))
	p.book.add(s)
	return s
}

func (p *parser) field(field byte, s *trace.Step) {
	switch field {
	case fieldPartial:
		s.Partial = true
	case fieldVia:
		s.Via = true
	case fieldUTF8:
		s.UTF8 = true
	case fieldContent:
		s.Content = true
	case fieldRecipient:
		s.Recipient = p.value()
	case fieldAddr:
		s.Client.Addr, _ = netip.AddrFromSlice(p.take(uint64(p.octet())))
	case fieldHelo:
		s.Client.Helo = p.value()
	case fieldTLS:
		s.Client.TLS = p.value()
	case fieldLogin:
		s.Client.Login = p.value()
	case fieldAsker:
		s.Asker = routing.SessionKind(p.number()) //nolint:gosec // what was written
	case fieldSize:
		s.Size = int64(p.number()) //nolint:gosec // what was written
	case fieldReply:
		s.Reply = p.value()
	case fieldReason:
		rule, _ := routing.ParseRule(p.value()) // one that is no more has its fact for a sentence
		r := routing.Reason{Rule: rule, Fact: p.value()}
		r.Age = time.Duration(p.number()) * time.Second //nolint:gosec // what was written
		s.Reasons = append(s.Reasons, r)
	case fieldTarget:
		s.Targets = append(s.Targets, trace.Target{Address: p.value(), Lane: mail.Lane(p.value())})
	case fieldDestination:
		s.Destination = p.value()
	case fieldLane:
		s.Lane = mail.Lane(p.value())
	case fieldHost:
		s.Host = p.value()
	case fieldAttempts:
		s.Attempts = int(p.number()) //nolint:gosec // what was written
	case fieldUntil:
		s.Until = time.UnixMicro(int64(p.number())).UTC() //nolint:gosec // what was written
	case fieldReport:
		s.Report = mail.ID(p.value())
	case fieldWord:
		s.Word = p.value()
	case fieldBy:
		s.By = p.value()
	case fieldAs:
		s.As = p.value()
	case fieldCheck:
		s.Checks = append(s.Checks, policy.Check{Method: p.value(), Result: p.value(), Sentence: p.value()})
	case fieldNote:
		s.Note = p.value()
	default:
		p.bad = true
	}
}

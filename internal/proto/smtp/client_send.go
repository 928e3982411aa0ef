package smtp

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"postroad/internal/proto/idna"
)

const (
	// commandWindow is how many octets of commands are on their way at most: the
	// replies to them must fit the buffers between the two ends, else both would
	// wait for the other to read (RFC 2920 §3.1).
	commandWindow = 32 << 10

	// lastWordsTimeout is how long a peer that stopped reading is given to say
	// why.
	lastWordsTimeout = 5 * time.Second
)

// Recipient is one RCPT of a Transaction.
type Recipient struct {
	To     string // address as Address.String gives it
	Notify Notify // sent when the peer offers DSN; 0 for none
	ORcpt  string // as RcptCommand.ORcpt has it; sent when the peer offers DSN; "" for none
}

// Transaction is one message to be sent.
type Transaction struct {
	From  string   // address as Address.String gives it, "" for the null reverse-path
	Size  int64    // of the content in octets, 0 when unknown
	Body  BodyType // sent when the peer offers 8BITMIME; the content is not changed otherwise
	UTF8  bool     // the envelope or the header needs SMTPUTF8
	Ret   Ret      // sent when the peer offers DSN
	EnvID string   // decoded; sent when the peer offers DSN; "" for none
	To    []Recipient

	// Content is the message in pieces, which are not kept.
	Content [][]byte
	// Open gives the rest of the content, behind the pieces; nil when there is
	// none. It is called once, before the peer hears of the transaction, and what
	// it gives is closed.
	Open func() (io.ReadCloser, error)
}

// Phase is how far a transaction came.
type Phase uint8

// The phases, by the command whose reply decided or did not come.
const (
	PhaseNone Phase = iota // not begun
	PhaseMail
	PhaseRcpt
	PhaseData // the content may have been begun, its final dot was not sent
	PhaseDot  // the content, as a whole
)

// String names the phase by its command.
func (p Phase) String() string {
	switch p {
	case PhaseNone:
		return "none"
	case PhaseMail:
		return "MAIL"
	case PhaseRcpt:
		return "RCPT"
	case PhaseData:
		return "DATA"
	case PhaseDot:
		return "dot"
	}
	return "none"
}

// Result is what became of a Transaction.
type Result struct {
	Phase Phase
	// Recipients has the final reply for each recipient, in the order of
	// Transaction.To: 2xx means that the peer has taken responsibility. Code 0
	// means that there is none, and Err says why. Replies made here, without
	// asking the peer, come with PhaseNone or, for some of the recipients, beside
	// the peer's: 550 5.6.7 (SMTPUTF8 is not offered), 552 5.3.4 (over the peer's
	// SIZE), 452 4.5.3 (over its RCPTMAX), 553 5.1.3 and 5.1.7 (can't be written
	// in a command).
	Recipients []Reply
	// Err is what happened to the connection, or ErrContent; nil when every
	// recipient has its reply.
	Err error
	// AfterDot says that the final dot may have reached the peer and no reply
	// came for those with Code 0: they may have been delivered, so they are
	// tried again later and not at another exchanger.
	AfterDot bool
}

// Send sends the transactions in order and calls done for each of them, once
// and in order, with its index in tx.
//
// With PIPELINING the MAIL, RCPT and DATA of a transaction leave in one write,
// and behind a content follow its final dot and the next transaction's commands
// (RFC 2920 §3.1), so that each message costs one round trip. Otherwise every
// reply is waited for.
//
// The error is the first one of the connection; the transactions that were not
// decided then have it in their Result. ErrMailMax leaves the connection open
// for Quit only.
func (c *Client) Send(tx []Transaction, done func(i int, r Result)) error {
	total := 0
	for i := range tx {
		total += len(tx[i].To)
	}
	b := batch{c: c, tx: tx, done: done, slab: make([]Reply, total)}
	if c.gone() {
		err := c.closedError()
		b.abandon(0, err)
		return err
	}
	cur := b.prepare(0, c.dirty)
	b.reportSkipped()
	for cur.index < len(tx) {
		next, err := b.transact(&cur)
		cur.close()
		b.report(&cur, err)
		b.reportSkipped()
		if c.gone() {
			next.close()
			if b.full {
				next.index = min(next.index, b.rest)
			}
			b.abandon(next.index, c.closedError())
			if err == nil {
				err = c.closedError()
			}
			return err
		}
		cur = next
	}
	if b.full {
		b.abandon(b.rest, ErrMailMax)
		return ErrMailMax
	}
	return nil
}

// batch is one call of Send.
type batch struct {
	c       *Client
	tx      []Transaction
	done    func(int, Result)
	slab    []Reply // room for the replies of the transactions not begun yet
	skipped []skip
	full    bool // MAILMAX is reached
	rest    int  // the first transaction that MAILMAX left over
}

// skip is a transaction that was decided without the peer, to be reported in
// its turn.
type skip struct {
	index  int
	result Result
}

// envelope is a transaction under way. Its steps are RSET, MAIL, each RCPT,
// DATA; those written and not yet read are outstanding.
type envelope struct {
	index    int
	tx       *Transaction
	replies  []Reply // final ones; until the dot also the 2xx to RCPT
	body     io.ReadCloser
	written  int // steps written or passed over
	read     int // steps whose reply is read
	mail     Reply
	data     Reply
	accepted int
	final    int  // recipients before this one are final in spite of a 2xx
	dot      bool // the final dot may have been sent
	phase    Phase
}

const (
	stepReset = iota
	stepMail
	stepRcpt // the first of them
)

func (e *envelope) stepData() int { return stepRcpt + len(e.tx.To) }

func (e *envelope) close() {
	if e.body != nil {
		// It was only read.
		_ = e.body.Close()
		e.body = nil
	}
}

// over reports that no command is left to be sent.
func (e *envelope) over() bool {
	switch {
	case e.written > e.stepData():
		return true
	case e.written != e.read:
		return false
	case e.read > stepMail && e.mail.Code/100 != 2:
		return true
	}
	return e.written == e.stepData() && e.accepted == 0
}

// settle gives r to every recipient that has no final reply.
func (e *envelope) settle(r Reply) {
	for i := e.final; i < len(e.replies); i++ {
		if code := e.replies[i].Code; code == 0 || code/100 == 2 {
			e.replies[i] = r
		}
	}
	e.final = len(e.replies)
}

func (b *batch) report(e *envelope, err error) {
	if err != nil {
		e.settle(Reply{})
	}
	b.done(e.index, Result{Phase: e.phase, Recipients: e.replies, Err: err, AfterDot: err != nil && e.dot})
}

func (b *batch) reportSkipped() {
	for _, s := range b.skipped {
		b.done(s.index, s.result)
	}
	b.skipped = b.skipped[:0]
}

// abandon reports every transaction from the given one on as not begun.
func (b *batch) abandon(from int, err error) {
	for i := from; i < len(b.tx); i++ {
		b.done(i, Result{Recipients: make([]Reply, len(b.tx[i].To)), Err: err})
	}
}

// prepare finds the next transaction that can be sent and decides those before
// it that can't. An index of len(tx) means that there is none.
func (b *batch) prepare(from int, reset bool) envelope {
	for i := from; i < len(b.tx); i++ {
		tx := &b.tx[i]
		if limit := b.c.ext.MailMax; limit > 0 && b.c.mails >= limit {
			b.full, b.rest = true, i
			break
		}
		e := envelope{index: i, tx: tx, replies: b.slab[:len(tx.To):len(tx.To)]}
		b.slab = b.slab[len(tx.To):]
		if !reset {
			e.written, e.read = stepMail, stepMail
		}
		var err error
		if b.judge(&e) {
			if tx.Open == nil {
				b.c.mails++
				return e
			}
			if e.body, err = tx.Open(); err == nil {
				b.c.mails++
				return e
			}
			err = fmt.Errorf("%w: %w", ErrContent, err)
		}
		b.skipped = append(b.skipped, skip{i, Result{Recipients: e.replies, Err: err}})
	}
	return envelope{index: len(b.tx)}
}

// judge gives replies to recipients that need not be sent, and reports whether
// any is left.
func (b *batch) judge(e *envelope) bool {
	tx, ext := e.tx, &b.c.ext
	utf8 := tx.UTF8 || !idna.IsASCII(tx.From)
	for i := range tx.To {
		utf8 = utf8 || !idna.IsASCII(tx.To[i].To)
	}
	var all Reply
	switch {
	case !sendablePath(tx.From):
		all = Reply{553, Enhanced{5, 1, 7}, "sender address can't be sent"}
	case utf8 && !ext.SMTPUTF8:
		all = Reply{550, Enhanced{5, 6, 7}, "the next hop does not offer SMTPUTF8"}
	case ext.Size > 0 && tx.Size > ext.Size:
		all = Reply{552, Enhanced{5, 3, 4}, "message of " + strconv.FormatInt(tx.Size, 10) +
			" octets is over the next hop's limit of " + strconv.FormatInt(ext.Size, 10)}
	}
	if all.Code != 0 {
		e.settle(all)
		return false
	}
	sent := 0
	for i := range tx.To {
		switch {
		case tx.To[i].To == "" || !sendablePath(tx.To[i].To):
			e.replies[i] = Reply{553, Enhanced{5, 1, 3}, "recipient address can't be sent"}
		case ext.RcptMax > 0 && sent >= ext.RcptMax:
			e.replies[i] = Reply{452, Enhanced{4, 5, 3}, "more recipients than the next hop takes at once"}
		default:
			sent++
		}
	}
	return sent > 0
}

// transact carries e through and gives the envelope to go on with, parts of
// which may be under way. With an error the connection is closed.
func (b *batch) transact(e *envelope) (next envelope, err error) {
	c := b.c
	next = envelope{index: e.index + 1}
	if err := b.exchange(e); err != nil {
		return next, c.fail(err)
	}
	c.dirty = e.mail.Code/100 == 2
	switch {
	case c.gone():
		return next, nil // 421: every recipient has it
	case e.mail.Code/100 != 2:
		e.settle(e.mail)
		if e.data.Code == 354 {
			// A peer that refuses the sender and still wants content: nothing good
			// comes of sending any.
			_ = c.fail(ErrOutOfStep)
			return next, nil
		}
	case e.data.Code != 354:
		// Refused, or no recipient was taken; those that were have DATA's reply.
		e.settle(e.data)
	case e.accepted == 0:
		return b.emptyContent(e)
	default:
		return b.content(e)
	}
	return b.prepare(e.index+1, c.dirty), nil
}

// exchange sends e's commands, as far as they have not been sent, and reads
// their replies. After a 421 every recipient has it and c.broken is set.
func (b *batch) exchange(e *envelope) error {
	c := b.c
	for {
		if e.read == e.written {
			b.appendCommands(e)
			if err := c.flush(c.t.Command); err != nil {
				return b.lastWords(e, err)
			}
		}
		for e.read < e.written {
			if err := b.readStep(e); err != nil || c.gone() {
				return err
			}
		}
		if e.over() {
			return nil
		}
	}
}

// lastWords looks for the 421 of a peer that closed while commands were being
// written.
func (b *batch) lastWords(e *envelope, cause error) error {
	reply, err := b.c.read(min(lastWordsTimeout, b.c.t.Command))
	if err != nil || reply.Code != 421 {
		return cause
	}
	e.settle(reply)
	return nil
}

// readStep reads the reply to the next outstanding command.
func (b *batch) readStep(e *envelope) error {
	c, step := b.c, e.read
	i := step - stepRcpt
	if 0 <= i && i < len(e.replies) && e.replies[i].Code != 0 {
		e.read++ // was not sent
		return nil
	}
	timeout := c.t.Command
	switch {
	case step == e.stepData():
		timeout, e.phase = c.t.DataInit, PhaseData
	case step >= stepRcpt:
		e.phase = PhaseRcpt
	default:
		e.phase = PhaseMail
	}
	reply, err := c.read(timeout)
	if err != nil {
		return err
	}
	e.read++
	if reply.Code == 421 {
		if e.mail.Code >= 400 {
			reply, e.phase = e.mail, PhaseMail
		}
		e.settle(reply)
		return nil
	}
	if reply.Code/100 == 3 && (reply.Code != 354 || step != e.stepData()) || reply.Code/100 == 2 && step == e.stepData() {
		return fmt.Errorf("%w: %s in answer to %s", ErrOutOfStep, reply, e.phase)
	}
	switch {
	case step == stepReset:
		// What follows will show whether it helped.
	case step == stepMail:
		e.mail = reply
	case step == e.stepData():
		e.data = reply
	case e.mail.Code/100 != 2:
		// Its reply is only that MAIL failed.
	default:
		e.replies[i] = reply
		if reply.Code/100 == 2 {
			e.accepted++
		}
	}
	if e.over() && e.mail.Code/100 != 2 {
		e.phase = PhaseMail
	} else if e.over() && e.accepted == 0 {
		e.phase = PhaseRcpt
	}
	return nil
}

// emptyContent answers a 354 that came though no recipient was taken: only the
// dot line may follow (RFC 2920 §3.1).
func (b *batch) emptyContent(e *envelope) (next envelope, err error) {
	c := b.c
	next = envelope{index: e.index + 1}
	if c.lmtp {
		// RFC 2033 §4.2 forbids this 354; how many replies follow is unknown.
		_ = c.fail(ErrOutOfStep)
		return next, nil
	}
	c.out = append(c.out[:0], ".\r\n"...)
	next = b.follow(e)
	if err := c.flush(c.t.DataBlock); err != nil {
		// Every recipient has its reply; only the rest suffers.
		_ = c.fail(err)
		return next, nil
	}
	if _, err := c.read(c.t.DataEnd); err == nil {
		c.dirty = false
	}
	return b.orPrepare(e, next), nil
}

// follow gathers the next transaction's commands behind a final dot.
func (b *batch) follow(e *envelope) envelope {
	if !b.c.ext.Pipelining {
		return envelope{index: e.index + 1}
	}
	next := b.prepare(e.index+1, false)
	if next.index < len(b.tx) {
		b.appendCommands(&next)
	}
	return next
}

// orPrepare gives next, or without PIPELINING makes it now.
func (b *batch) orPrepare(e *envelope, next envelope) envelope {
	if b.c.ext.Pipelining || b.c.gone() {
		return next
	}
	return b.prepare(e.index+1, false)
}

// content sends e's content and reads what the peer says to it.
func (b *batch) content(e *envelope) (next envelope, err error) {
	c := b.c
	next = envelope{index: e.index + 1}
	if err := c.writeContent(e); err != nil {
		if !errors.Is(err, ErrContent) && b.reason(e) {
			_ = c.fail(err)
			return next, nil
		}
		return next, c.fail(err)
	}
	if !c.dot.CompareAndSwap(dotNone, dotSent) {
		return next, c.fail(ErrInterrupted)
	}
	defer c.dot.Store(dotNone)
	c.out = AppendDataEnd(c.out, &c.stuff)
	e.dot, e.phase = true, PhaseDot
	next = b.follow(e)
	timeout := c.t.DataEnd
	broken := c.flush(c.t.DataBlock)
	if broken != nil {
		timeout = min(lastWordsTimeout, timeout)
	}
	if err := b.readDot(e, timeout); err != nil {
		if broken != nil {
			err = broken
		}
		return next, c.fail(err)
	}
	if broken != nil {
		_ = c.fail(broken)
	}
	c.dirty = false
	return b.orPrepare(e, next), nil
}

// reason looks for the refusal of a peer that closed before it had the whole
// content. It must be one: nothing can have been taken.
func (b *batch) reason(e *envelope) bool {
	reply, err := b.c.read(min(lastWordsTimeout, b.c.t.DataEnd))
	if err != nil || reply.Code < 400 {
		return false
	}
	e.settle(reply)
	e.phase = PhaseDot
	return true
}

// readDot reads the reply to the final dot: one, or one for each accepted
// recipient in LMTP (RFC 2033 §4.2).
func (b *batch) readDot(e *envelope, timeout time.Duration) error {
	for i := range e.replies {
		if e.replies[i].Code/100 != 2 {
			continue
		}
		e.final = i
		reply, err := b.c.read(timeout)
		if err != nil {
			return err
		}
		if reply.Code/100 == 3 {
			return fmt.Errorf("%w: %s in answer to the final dot", ErrOutOfStep, reply)
		}
		if !b.c.lmtp || reply.Code == 421 {
			e.settle(reply)
			return nil
		}
		e.replies[i] = reply
	}
	e.final = len(e.replies)
	return nil
}

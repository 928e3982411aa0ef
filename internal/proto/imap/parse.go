package imap

import (
	"encoding/base64"
	"slices"
	"strings"
)

const maxTag = 64 // octets

// leadingTag is the tag that a command's text begins with, empty where it is none that can be sent back.
func leadingTag(text []byte) string {
	n := 0
	for n < len(text) && classes[text[n]]&isTag != 0 {
		n++
	}
	if n > maxTag || n < len(text) && text[n] != ' ' {
		return ""
	}
	return string(text[:n])
}

// parse reads the collected command.
func (r *Reader) parse() (*Request, error) {
	r.tag = leadingTag(r.text)
	p := r.parser()
	p.pos = len(r.tag)
	if r.tag == "" {
		p.fail("A command begins with a tag of at most 64 octets.")
	}
	p.space()
	command := p.command(r.message)
	if p.err == nil && r.message == nil {
		p.end()
	}
	if err := p.failure(r.tag); err != nil {
		return nil, err
	}
	return &Request{Tag: r.tag, Command: command}, nil
}

// command reads a command without its tag.
func (p *parser) command(message *Message) Command {
	switch string(p.keyword()) {
	case "CAPABILITY":
		return Capability{}
	case "NOOP":
		return Noop{}
	case "LOGOUT":
		return Logout{}
	case "STARTTLS":
		return StartTLS{}
	case "NAMESPACE":
		return Namespace{}
	case "IDLE":
		return Idle{}
	case "CHECK":
		return Check{}
	case "CLOSE":
		return Close{}
	case "UNSELECT":
		return Unselect{}
	case "AUTHENTICATE":
		return p.authenticate()
	case "LOGIN":
		return p.login()
	case "ID":
		return p.id()
	case "ENABLE":
		return p.enable()
	case "SELECT":
		return p.selectMailbox(false)
	case "EXAMINE":
		return p.selectMailbox(true)
	case "CREATE":
		return p.create()
	case "DELETE":
		p.space()
		return Delete{Mailbox: p.mailbox()}
	case "RENAME":
		return p.rename()
	case "SUBSCRIBE":
		p.space()
		return Subscribe{Mailbox: p.mailbox()}
	case "UNSUBSCRIBE":
		p.space()
		return Unsubscribe{Mailbox: p.mailbox()}
	case "LIST":
		return p.listMailboxes()
	case "LSUB":
		return p.lsub()
	case "STATUS":
		return p.statusOf()
	case "APPEND":
		return p.appendTo(message)
	case "EXPUNGE":
		return Expunge{}
	case "SEARCH":
		return p.search(false)
	case "FETCH":
		return p.fetch(false)
	case "STORE":
		return p.store(false)
	case "COPY":
		return p.copyTo(false)
	case "MOVE":
		return p.moveTo(false)
	case "UID":
		p.space()
		return p.uidCommand()
	case "GETQUOTA":
		p.space()
		return GetQuota{Root: p.text8()}
	case "GETQUOTAROOT":
		p.space()
		return GetQuotaRoot{Mailbox: p.mailbox()}
	case "SETQUOTA":
		return p.setQuota()
	}
	p.fail("There is no such command.")
	return nil
}

func (p *parser) uidCommand() Command {
	switch string(p.keyword()) {
	case "SEARCH":
		return p.search(true)
	case "FETCH":
		return p.fetch(true)
	case "STORE":
		return p.store(true)
	case "COPY":
		return p.copyTo(true)
	case "MOVE":
		return p.moveTo(true)
	case "EXPUNGE":
		p.space()
		return Expunge{UID: true, Messages: p.set()}
	}
	p.fail("There is no such command for UIDs.")
	return nil
}

func (p *parser) authenticate() Command {
	p.space()
	c := Authenticate{Mechanism: strings.ToUpper(p.atom())}
	if !p.accept(' ') {
		return c
	}
	c.HasInitial = true
	if p.accept('=') {
		return c
	}
	var err error
	rest := p.text[p.pos:]
	p.pos = len(p.text)
	if c.Initial, err = base64.StdEncoding.Strict().DecodeString(string(rest)); err != nil || len(c.Initial) == 0 {
		p.fail(`An initial response is base64, or "=" where it is empty.`)
	}
	return c
}

func (p *parser) login() Command {
	var c Login
	p.space()
	c.User = p.text8()
	p.space()
	c.Password = p.text8()
	return c
}

func (p *parser) id() Command {
	const fields, name, value = 30, 30, 1024 // RFC 2971 §3.3
	var c ID
	p.space()
	if p.next("NIL") {
		return c
	}
	odd := ""
	named := false
	p.list(func() {
		if named = !named; named {
			odd = p.str()
			return
		}
		v, isNil := p.nstring()
		switch {
		case len(c.Params) == fields || len(odd) > name || len(v) > value:
			p.fail("ID takes at most 30 fields with names of 30 octets and values of 1024.")
		case !isNil:
			c.Params = append(c.Params, Param{Name: odd, Value: v})
		}
	})
	if named {
		p.fail("A field of ID has no value.")
	}
	return c
}

func (p *parser) enable() Command {
	var c Enable
	for p.err == nil && (len(c.Capabilities) == 0 || p.pos < len(p.text)) {
		p.space()
		c.Capabilities = append(c.Capabilities, strings.ToUpper(p.atom()))
		if len(c.Capabilities) > maxList {
			p.fail("There are too many capabilities.")
		}
	}
	return c
}

func (p *parser) selectMailbox(readOnly bool) Command {
	c := Select{ReadOnly: readOnly}
	p.space()
	c.Mailbox = p.mailbox()
	if !p.accept(' ') {
		return c
	}
	p.list(func() {
		switch string(p.keyword()) {
		case "CONDSTORE":
			c.CondStore = true
		case "QRESYNC":
			p.space()
			c.QResync = p.qresync()
		default:
			p.fail("There is no such parameter of SELECT.")
		}
	})
	return c
}

// qresync takes the parameter's value: (uidvalidity modseq [known-uids] [(numbers uids)]).
func (p *parser) qresync() *QResync {
	q := &QResync{}
	p.expect('(')
	q.UIDValidity = p.nzNumber()
	p.space()
	q.ModSeq = p.nzNumber63()
	if p.accept(' ') && p.peek() != '(' {
		q.Known = p.knownSet()
		if !p.accept(' ') {
			p.expect(')')
			return q
		}
	}
	if p.accept('(') {
		q.Numbers = p.knownSet()
		p.space()
		q.UIDs = p.knownSet()
		p.expect(')')
		if q.Numbers.Len() != q.UIDs.Len() {
			p.fail("QRESYNC has not as many message numbers as UIDs.")
		}
	}
	p.expect(')')
	return q
}

// delimiter is what stands between the levels of mailbox names.
const delimiter = "/"

func (p *parser) create() Command {
	var c Create
	p.space()
	name := p.mailbox()
	c.Mailbox, c.Folder = strings.CutSuffix(name, delimiter)
	if c.Mailbox = CleanName(c.Mailbox); c.Mailbox == "" {
		p.refuse(NO, "CANNOT", "A mailbox name must not be empty.")
	}
	if !p.accept(' ') {
		return c
	}
	p.list(func() {
		if !p.next("USE") {
			p.fail("There is no such parameter of CREATE.")
		}
		p.space()
		p.list(func() {
			if c.Use != "" {
				p.refuse(NO, "USEATTR", "A mailbox has one special use here.")
			}
			c.Use = p.specialUse()
		})
	})
	return c
}

// specialUse takes an attribute of RFC 6154 §2 that a client may give.
func (p *parser) specialUse() string {
	p.expect('\\')
	switch string(p.keyword()) {
	case "ARCHIVE":
		return `\Archive`
	case "DRAFTS":
		return `\Drafts`
	case "FLAGGED":
		return `\Flagged`
	case "JUNK":
		return `\Junk`
	case "SENT":
		return `\Sent`
	case "TRASH":
		return `\Trash`
	case "ALL":
		return `\All`
	}
	p.refuse(NO, "USEATTR", "There is no such special use here.")
	return ""
}

func (p *parser) rename() Command {
	var c Rename
	p.space()
	c.From = p.mailbox()
	p.space()
	c.To = p.mailbox()
	return c
}

func (p *parser) lsub() Command {
	var c LSub
	p.space()
	c.Reference = p.decodePattern(p.astring())
	p.space()
	c.Pattern = p.pattern()
	return c
}

// maxPatterns bounds what each mailbox name is held against, in octets of all patterns.
const maxPatterns = 4 << 10

func (p *parser) listMailboxes() Command {
	var c List
	octets := 0
	p.space()
	if p.peek() == '(' {
		c.Extended = true
		p.list(func() { p.selection(&c) })
		p.space()
	}
	if c.RecursiveMatch && !c.Subscribed && !c.SpecialUse {
		p.fail("RECURSIVEMATCH needs another selection option beside it.")
	}
	c.Reference = p.decodePattern(p.astring())
	p.space()
	if p.peek() == '(' {
		c.Extended = true
		p.list(func() {
			c.Patterns = append(c.Patterns, p.pattern())
			if octets += len(c.Patterns[len(c.Patterns)-1]); octets > maxPatterns {
				p.refuse(NO, "LIMIT", "The patterns of LIST are too long together.")
			}
		})
		if p.err == nil && len(c.Patterns) == 0 {
			p.fail("LIST has no pattern.")
		}
	} else {
		c.Patterns = []string{p.pattern()}
	}
	if p.accept(' ') {
		c.Extended = true
		if !p.next("RETURN") {
			p.fail("Only RETURN stands behind the patterns of LIST.")
		}
		p.space()
		p.list(func() { p.returned(&c) })
	}
	return c
}

func (p *parser) selection(c *List) {
	switch string(p.keyword()) {
	case "SUBSCRIBED":
		c.Subscribed = true
	case "REMOTE":
		c.Remote = true
	case "RECURSIVEMATCH":
		c.RecursiveMatch = true
	case "SPECIAL-USE":
		c.SpecialUse = true
	default:
		p.fail("There is no such selection option of LIST.")
	}
}

func (p *parser) returned(c *List) {
	switch string(p.keyword()) {
	case "SUBSCRIBED":
		c.ReturnSubscribed = true
	case "CHILDREN":
		c.ReturnChildren = true
	case "SPECIAL-USE":
		c.ReturnSpecialUse = true
	case "STATUS":
		p.space()
		c.ReturnStatus = p.statusItems()
	default:
		p.fail("There is no such return option of LIST.")
	}
}

func (p *parser) statusOf() Command {
	var c StatusOf
	p.space()
	c.Mailbox = p.mailbox()
	p.space()
	c.Items = p.statusItems()
	return c
}

func (p *parser) statusItems() []StatusItem {
	list := make([]StatusItem, 0, 8)
	p.list(func() {
		item := StatusItem(p.keyword())
		switch item {
		case StatusMessages, StatusUIDNext, StatusUIDValidity, StatusUnseen, StatusDeleted, StatusSize, StatusRecent,
			StatusHighestModSeq, StatusAppendLimit, StatusDeletedStorage:
		default:
			p.fail("There is no such item of STATUS.")
		}
		if slices.Contains(list, item) {
			return
		}
		list = append(list, item)
	})
	if p.err == nil && len(list) == 0 {
		p.fail("STATUS asks for nothing.")
	}
	return list
}

func (p *parser) appendTo(message *Message) Command {
	c := &Append{Message: message}
	p.space()
	c.Mailbox = p.mailbox()
	p.space()
	if message == nil {
		p.fail("APPEND has no message, or may not be used yet.")
		return c
	}
	p.appendMessage(message)
	return c
}

// appendMessage takes what stands before a message's literal.
func (p *parser) appendMessage(m *Message) {
	if p.peek() == '(' {
		m.Flags = p.flags()
		p.space()
	}
	if p.peek() == '"' {
		m.Date = p.dateTime()
		p.space()
	}
	if p.next("UTF8") {
		m.UTF8 = true
		p.space()
		p.expect('(')
		if !m.Binary {
			p.fail("The message behind UTF8 is a literal8.")
		}
	}
	p.end()
}

func (p *parser) setQuota() Command {
	var c SetQuota
	p.space()
	c.Root = p.text8()
	p.space()
	p.list(func() {
		l := QuotaLimit{Resource: strings.ToUpper(p.atom())}
		p.space()
		l.Limit = p.number63()
		c.Limits = append(c.Limits, l)
	})
	return c
}

func (p *parser) copyTo(uid bool) Command {
	c := Copy{UID: uid}
	c.Messages, c.Mailbox = p.destination()
	return c
}

func (p *parser) moveTo(uid bool) Command {
	c := Move{UID: uid}
	c.Messages, c.Mailbox = p.destination()
	return c
}

func (p *parser) destination() (Set, string) {
	p.space()
	messages := p.set()
	p.space()
	return messages, p.mailbox()
}

func (p *parser) store(uid bool) Command {
	c := Store{UID: uid}
	p.space()
	c.Messages = p.set()
	p.space()
	if p.peek() == '(' {
		p.list(func() {
			if !p.next("UNCHANGEDSINCE") {
				p.fail("There is no such modifier of STORE.")
			}
			p.space()
			c.UnchangedSince, c.HasUnchanged = p.number63(), true
		})
		p.space()
	}
	switch {
	case p.accept('+'):
		c.Mode = AddFlags
	case p.accept('-'):
		c.Mode = RemoveFlags
	}
	switch string(p.keyword()) {
	case "FLAGS":
	case "FLAGS.SILENT":
		c.Silent = true
	default:
		p.fail("STORE changes FLAGS or FLAGS.SILENT.")
	}
	p.space()
	if p.peek() == '(' {
		c.Flags = p.flags()
		return c
	}
	for n := 0; p.err == nil; n++ {
		c.Flags = addFlag(c.Flags, p.flag())
		if n == maxList {
			p.fail("There are too many flags.")
		}
		if !p.accept(' ') {
			break
		}
	}
	return c
}

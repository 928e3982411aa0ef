package mime

import (
	"postroad/internal/proto/message"
)

// Envelope is what a mail reader shows of a message in a list (RFC 9051 §7.5.2).
// Texts are unfolded and otherwise as written, with encoded words; a field that is
// absent is empty. Of several fields of one name the first counts, but addresses
// are taken from all.
type Envelope struct {
	Date      string
	Subject   string
	From      []Address
	Sender    []Address // From's where the message has none
	ReplyTo   []Address // From's where the message has none
	To        []Address
	Cc        []Address
	Bcc       []Address
	InReplyTo string
	MessageID string
}

// ReadEnvelope reads an envelope from a header.
func ReadEnvelope(header []byte) Envelope {
	var e Envelope
	first := func(to *string, f message.Field) {
		if *to == "" {
			*to = f.Value()
		}
	}
	all := func(to *[]Address, f message.Field) { *to = appendAddresses(*to, f.Value()) }
	for f := range message.Fields(header) {
		switch {
		case f.Is("Date"):
			first(&e.Date, f)
		case f.Is("Subject"):
			first(&e.Subject, f)
		case f.Is("From"):
			all(&e.From, f)
		case f.Is("Sender"):
			all(&e.Sender, f)
		case f.Is("Reply-To"):
			all(&e.ReplyTo, f)
		case f.Is("To"):
			all(&e.To, f)
		case f.Is("Cc"):
			all(&e.Cc, f)
		case f.Is("Bcc"):
			all(&e.Bcc, f)
		case f.Is("In-Reply-To"):
			first(&e.InReplyTo, f)
		case f.Is("Message-ID"):
			first(&e.MessageID, f)
		}
	}
	if len(e.Sender) == 0 {
		e.Sender = e.From
	}
	if len(e.ReplyTo) == 0 {
		e.ReplyTo = e.From
	}
	return e
}

// size is about how many octets the envelope takes when it is written out.
func (e *Envelope) size() int {
	n := len(e.Date) + len(e.Subject) + len(e.InReplyTo) + len(e.MessageID) + 64
	for _, list := range [][]Address{e.From, e.Sender, e.ReplyTo, e.To, e.Cc, e.Bcc} {
		for _, a := range list {
			n += len(a.Name) + len(a.Route) + len(a.Local) + len(a.Domain) + 64
		}
	}
	return n
}

package smtp

import "strings"

// Notify is the value of NOTIFY: for which events the sender wants a report
// (RFC 3461 §4.1). Zero means that the parameter was absent. NotifyNever stands
// alone.
type Notify uint8

// The bits of Notify.
const (
	NotifyNever Notify = 1 << iota
	NotifySuccess
	NotifyFailure
	NotifyDelay
)

// String gives the value as it is written in RCPT, "" when absent.
func (n Notify) String() string {
	if n&NotifyNever != 0 {
		return "NEVER"
	}
	var b []byte
	for bit := NotifySuccess; bit <= NotifyDelay; bit <<= 1 {
		if n&bit == 0 {
			continue
		}
		if len(b) > 0 {
			b = append(b, ',')
		}
		switch bit {
		case NotifySuccess:
			b = append(b, "SUCCESS"...)
		case NotifyFailure:
			b = append(b, "FAILURE"...)
		case NotifyDelay:
			b = append(b, "DELAY"...)
		case NotifyNever:
		}
	}
	return string(b)
}

// parseNotify reads the value of NOTIFY.
func parseNotify(s string) (Notify, bool) {
	var n Notify
	for {
		word, rest, more := strings.Cut(s, ",")
		switch strings.ToUpper(word) {
		case "NEVER":
			n |= NotifyNever
		case "SUCCESS":
			n |= NotifySuccess
		case "FAILURE":
			n |= NotifyFailure
		case "DELAY":
			n |= NotifyDelay
		default:
			return 0, false
		}
		if !more {
			return n, n&NotifyNever == 0 || n == NotifyNever
		}
		s = rest
	}
}

// RcptCommand is a parsed RCPT (RFC 5321 §4.1.1.3).
type RcptCommand struct {
	To     Path
	Notify Notify // NOTIFY (RFC 3461 §4.1), 0 when absent
	// ORcpt is ORCPT decoded, with its address type in lower case
	// ("rfc822;user@example.org", RFC 3461 §4.2, RFC 6533 §3), "" when absent.
	ORcpt string
}

// ParseRcpt reads the argument of RCPT, "TO:<path>" and parameters; utf8 says
// that the transaction was begun with SMTPUTF8. The error is a *ReplyError: 501
// 5.1.3 for the path, 501 5.5.2 and 5.5.4 for the rest, 555 5.5.4 for a
// parameter that is unknown or comes twice, 553 5.6.7 for an address that needs
// SMTPUTF8 without it.
func ParseRcpt(arg []byte, utf8 bool) (RcptCommand, error) {
	var cmd RcptCommand
	s, ok := cutKeyword(arg, "TO:")
	if !ok {
		return cmd, refuse(501, Enhanced{5, 5, 2}, "RCPT TO:<address>")
	}
	path, rest, err := cutPath(s, forwardPath, utf8)
	if err != nil {
		return cmd, err
	}
	p := params{rest: rest, utf8: utf8}
	for {
		keyword, value, _, more, err := p.next()
		if err != nil {
			return RcptCommand{}, err
		}
		if !more {
			break
		}
		var twice, ok bool
		switch keyword {
		case "NOTIFY":
			twice = cmd.Notify != 0
			cmd.Notify, ok = parseNotify(value)
		case "ORCPT":
			twice = cmd.ORcpt != ""
			cmd.ORcpt, ok = parseORcpt(value)
		default:
			return RcptCommand{}, unknownParameter()
		}
		if twice {
			return RcptCommand{}, repeatedParameter(keyword)
		}
		if !ok {
			return RcptCommand{}, badParameter(keyword)
		}
	}
	cmd.To = path
	return cmd, nil
}

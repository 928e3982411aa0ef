package smtp

import (
	"strings"
	"unicode/utf8"

	"postroad/internal/proto/idna"
)

// BodyType is the value of BODY (RFC 6152). BINARYMIME is not taken.
type BodyType uint8

// The body types.
const (
	Body7Bit     BodyType = iota // BODY=7BIT or no parameter
	Body8BitMIME                 // BODY=8BITMIME
)

// String gives the value as it is written in MAIL.
func (b BodyType) String() string {
	if b == Body8BitMIME {
		return "8BITMIME"
	}
	return "7BIT"
}

// Ret is the value of RET: how much of the message a report returns
// (RFC 3461 §4.3).
type Ret uint8

// The values of RET.
const (
	RetNone Ret = iota // no parameter
	RetFull            // RET=FULL
	RetHdrs            // RET=HDRS
)

// String gives the value as it is written in MAIL, "" for RetNone.
func (r Ret) String() string {
	switch r {
	case RetNone:
		return ""
	case RetFull:
		return "FULL"
	case RetHdrs:
		return "HDRS"
	}
	return ""
}

// maxEnvID is the longest ENVID in octets as sent (RFC 3461 §4.4).
const maxEnvID = 100

// MailCommand is a parsed MAIL (RFC 5321 §4.1.1.2).
type MailCommand struct {
	From    Path
	Size    int64    // SIZE in octets (RFC 1870 §4), -1 when absent; what passes 63 bits is the largest int64
	Body    BodyType // BODY (RFC 6152)
	UTF8    bool     // SMTPUTF8 (RFC 6531 §3.4)
	Ret     Ret      // RET (RFC 3461 §4.3)
	EnvID   string   // ENVID decoded (RFC 3461 §4.4), "" when absent
	Auth    string   // AUTH decoded (RFC 4954 §5), "" for AUTH=<>
	HasAuth bool     // AUTH was given
}

// ParseMail reads the argument of MAIL, "FROM:<path>" and parameters. The error
// is a *ReplyError: 501 5.1.7 for the path, 501 5.5.2 and 5.5.4 for the rest,
// 555 5.5.4 for a parameter that is unknown or comes twice and for BINARYMIME,
// 553 5.6.7 for an address that needs SMTPUTF8 without it.
func ParseMail(arg []byte) (MailCommand, error) {
	cmd := MailCommand{Size: -1}
	s, ok := cutKeyword(arg, "FROM:")
	if !ok {
		return cmd, refuse(501, Enhanced{5, 5, 2}, "MAIL FROM:<address>")
	}
	// SMTPUTF8 comes after the path that it allows.
	path, rest, err := cutPath(s, reversePath, true)
	if err != nil {
		return MailCommand{Size: -1}, err
	}
	cmd.From = path
	if err := cmd.parameters(rest); err != nil {
		return MailCommand{Size: -1}, err
	}
	if !cmd.UTF8 && !idna.IsASCII(s[:len(s)-len(rest)]) {
		return MailCommand{Size: -1}, problemUTF8.reply(Enhanced{})
	}
	return cmd, nil
}

func (cmd *MailCommand) parameters(rest string) error {
	const (
		seenSize = 1 << iota
		seenBody
		seenUTF8
		seenRet
		seenEnvID
		seenAuth
	)
	seen := 0
	p := params{rest: rest, utf8: true}
	ascii := idna.IsASCII(rest)
	for {
		keyword, value, hasValue, ok, err := p.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		var bit int
		switch keyword {
		case "SIZE":
			bit = seenSize
			cmd.Size, _, ok = parseDecimal(value)
		case "BODY":
			bit = seenBody
			switch strings.ToUpper(value) {
			case "7BIT":
				cmd.Body = Body7Bit
			case "8BITMIME":
				cmd.Body = Body8BitMIME
			case "BINARYMIME":
				return refuse(555, Enhanced{5, 5, 4}, "BINARYMIME is not offered")
			default:
				ok = false
			}
		case "SMTPUTF8":
			bit = seenUTF8
			cmd.UTF8, ok = true, !hasValue
		case "RET":
			bit = seenRet
			switch strings.ToUpper(value) {
			case "FULL":
				cmd.Ret = RetFull
			case "HDRS":
				cmd.Ret = RetHdrs
			default:
				ok = false
			}
		case "ENVID":
			bit = seenEnvID
			cmd.EnvID, err = DecodeXText(value)
			ok = err == nil && hasValue && len(value) <= maxEnvID && printableASCII(cmd.EnvID)
		case "AUTH":
			bit = seenAuth
			cmd.HasAuth = true
			cmd.Auth, ok = parseAuthParameter(value, hasValue)
		default:
			return unknownParameter()
		}
		if seen&bit != 0 {
			return repeatedParameter(keyword)
		}
		seen |= bit
		if !ok {
			return badParameter(keyword)
		}
	}
	if !ascii && !cmd.UTF8 {
		return refuse(501, Enhanced{5, 5, 4}, "parameter syntax")
	}
	return nil
}

// parseAuthParameter reads AUTH=<> or an xtext mailbox (RFC 4954 §5).
func parseAuthParameter(value string, hasValue bool) (string, bool) {
	if !hasValue {
		return "", false
	}
	if value == "<>" {
		return "", true
	}
	s, err := DecodeXText(value)
	if err != nil || s == "" || len(s) > MaxPath || !utf8.ValidString(s) || !sendablePath(s) {
		return "", false
	}
	return s, true
}

package smtp

import (
	"slices"
	"strconv"
	"strings"
)

// Extensions is what a server offers after EHLO or LHLO, as far as it is known
// here.
type Extensions struct {
	Pipelining   bool     // RFC 2920
	EightBitMIME bool     // RFC 6152
	SMTPUTF8     bool     // RFC 6531
	Chunking     bool     // RFC 3030
	DSN          bool     // RFC 3461
	StartTLS     bool     // RFC 3207
	Enhanced     bool     // RFC 2034 ENHANCEDSTATUSCODES
	RequireTLS   bool     // RFC 8689
	Size         int64    // RFC 1870, in octets: 0 no limit told, -1 not offered
	Auth         []string // RFC 4954 mechanisms in upper case
	RcptMax      int      // RFC 9422: recipients a transaction, 0 not told
	MailMax      int      // RFC 9422: transactions a connection, 0 not told
}

// noExtensions is what a server has that answers HELO only.
func noExtensions() Extensions { return Extensions{Size: -1} }

// parseExtensions reads the reply to EHLO; its first line is a greeting
// (RFC 5321 §4.1.1.1). Lines that are not understood are passed over.
func parseExtensions(text string) Extensions {
	e := noExtensions()
	_, text, more := strings.Cut(text, "\n")
	for more {
		var line string
		line, text, more = strings.Cut(text, "\n")
		keyword, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch strings.ToUpper(keyword) {
		case "PIPELINING":
			e.Pipelining = true
		case "8BITMIME":
			e.EightBitMIME = true
		case "SMTPUTF8":
			e.SMTPUTF8 = true
		case "CHUNKING":
			e.Chunking = true
		case "DSN":
			e.DSN = true
		case "STARTTLS":
			e.StartTLS = true
		case "ENHANCEDSTATUSCODES":
			e.Enhanced = true
		case "REQUIRETLS":
			e.RequireTLS = true
		case "SIZE":
			e.Size, _, _ = parseDecimal(strings.TrimSpace(value))
		case "AUTH":
			e.addAuth(value)
		case "LIMITS":
			e.addLimits(value)
		default:
			// What servers sent before RFC 2554: "AUTH=LOGIN PLAIN".
			if len(keyword) > 5 && strings.EqualFold(keyword[:5], "AUTH=") {
				e.addAuth(keyword[5:] + " " + value)
			}
		}
	}
	return e
}

func (e *Extensions) addAuth(value string) {
	for mechanism := range strings.FieldsSeq(strings.ToUpper(value)) {
		if !slices.Contains(e.Auth, mechanism) {
			e.Auth = append(e.Auth, mechanism)
		}
	}
}

func (e *Extensions) addLimits(value string) {
	for limit := range strings.FieldsSeq(value) {
		name, number, _ := strings.Cut(limit, "=")
		n, err := strconv.ParseUint(number, 10, 31)
		if err != nil {
			continue
		}
		switch strings.ToUpper(name) {
		case "RCPTMAX":
			e.RcptMax = int(n)
		case "MAILMAX":
			e.MailMax = int(n)
		}
	}
}

package obs

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Log keys. A line uses no others, so that it can be searched.
const (
	KeyAccount   = "account"   // account id
	KeyAction    = "action"    // command words of a change: "domain add"
	KeyActor     = "actor"     // who changed it
	KeyAddress   = "address"   // listener's or next hop's IP address and port
	KeyAttempt   = "attempt"   // number of a delivery attempt, from 1
	KeyBytes     = "bytes"     // octets
	KeyClient    = "client"    // IP address of the client
	KeyCount     = "count"     // how many
	KeyDatabase  = "database"  // control, queue, mail-NN, trace
	KeyDomain    = "domain"    // A-label
	KeyElapsed   = "elapsed"   // duration
	KeyError     = "error"     // an error's text
	KeyFinding   = "finding"   // name of a finding
	KeyHelo      = "helo"      // name given at EHLO, HELO or LHLO
	KeyHost      = "host"      // name of a next hop or server
	KeyLane      = "lane"      // name of a destination
	KeyListener  = "listener"  // smtp, submission, …
	KeyLogin     = "login"     // full address of a login
	KeyMailbox   = "mailbox"   // mailbox id
	KeyNext      = "next"      // time of the next attempt
	KeyOperation = "operation" // API operation id
	KeyQueueID   = "queue_id"  // queue id
	KeyReason    = "reason"    // why, in a few words
	KeyRecipient = "recipient" // address
	KeyReply     = "reply"     // an SMTP reply
	KeySender    = "sender"    // reverse-path
	KeySerial    = "serial"    // of a zone
	KeySession   = "session"   // SMTP session's number since the start
	KeyStatus    = "status"    // HTTP status
	KeySubject   = "subject"   // what was changed
	KeyTLS       = "tls"       // protocol and cipher suite
	KeyTSIG      = "tsig_key"  // name of a TSIG key
	KeyVersion   = "version"   // of the program or of the configuration
)

// NewLogger writes lines of key=value text, each with one Write, from the level on.
func NewLogger(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

// ParseLevel reads "debug", "info", "warn" or "error".
func ParseLevel(s string) (slog.Level, error) {
	switch strings.ToLower(s) {
	case "debug":
		return slog.LevelDebug, nil
	case "info", "":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("%q is none of debug, info, warn, error", s)
}

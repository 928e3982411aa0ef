package sim

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A step is what a Peer does in place of one reply. It is a string: either a reply as it shall be sent, code
// first, lines separated by \n ("250-first\n250 second"; CRLF is put in by the peer), or one of these. The empty
// string is the usual positive reply.
const (
	// Close ends the connection without a reply.
	Close = "!close"
	// CloseWithoutReply is Close, in the words of a Dot script: the message was taken, the reply never comes.
	CloseWithoutReply = Close
	// Reset ends the connection by RST, so that the other side sees an error in place of the end.
	Reset = "!reset"
	// Hang never replies; what the client sends is read and dropped until it goes away.
	Hang = "!hang"
	// Garbage sends octets that are no SMTP reply, with a line end, and goes on.
	Garbage = "!garbage"
	// Alert, as Script.Handshake: the TLS handshake is answered by an alert.
	Alert = "!alert"
)

const (
	stepAfter  = "!after "
	stepSlowly = "!slowly "
	stepThen   = "!then-close|"
	stepRaw    = "!raw|"
	stepTurn   = "!turn "
)

// After waits before it does a step.
func After(wait time.Duration, step string) string { return stepAfter + wait.String() + "|" + step }

// Slowly sends a reply octet by octet, with a pause before each.
func Slowly(each time.Duration, step string) string { return stepSlowly + each.String() + "|" + step }

// ThenClose does a step and then closes the connection.
func ThenClose(step string) string { return stepThen + step }

// Raw sends octets exactly as they are, with no line end added: half replies, bare LF, control characters.
func Raw(octets string) string { return stepRaw + octets }

// InTurn does the first step the first time, the second the second time, and so on; the last one stays. It
// counts over all connections of the peer, for each command and each recipient on its own.
func InTurn(steps ...string) string {
	quoted := make([]string, len(steps))
	for i, step := range steps {
		quoted[i] = strconv.Quote(step)
	}
	return stepTurn + strings.Join(quoted, " ")
}

// LongReply is a valid reply of many lines with at least so many octets.
func LongReply(code, octets int) string {
	line := strings.Repeat("x", 500)
	var reply strings.Builder
	for reply.Len() < octets {
		fmt.Fprintf(&reply, "%d-%s\n", code, line)
	}
	fmt.Fprintf(&reply, "%d end", code)
	return reply.String()
}

// LongLine is one line of a reply, without an end, of so many octets.
func LongLine(code, octets int) string {
	return Raw(strconv.Itoa(code) + " " + strings.Repeat("x", max(0, octets-4)))
}

// splitTimed takes "1s|step" apart.
func splitTimed(text string) (time.Duration, string, error) {
	duration, step, found := strings.Cut(text, "|")
	if !found {
		return 0, "", fmt.Errorf("step %q lacks its |", text)
	}
	wait, err := time.ParseDuration(duration)
	return wait, step, err
}

// splitTurn takes the steps of InTurn apart.
func splitTurn(text string) ([]string, error) {
	var steps []string
	for text != "" {
		quoted, err := strconv.QuotedPrefix(text)
		if err != nil {
			return nil, fmt.Errorf("steps in turn %q: %w", text, err)
		}
		step, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, fmt.Errorf("steps in turn %q: %w", text, err)
		}
		steps = append(steps, step)
		text = strings.TrimPrefix(text[len(quoted):], " ")
	}
	return steps, nil
}

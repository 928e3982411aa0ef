package sheet

import (
	"io"
	"strconv"
	"strings"

	"postroad/internal/service/control"
)

// Queued prints a queued message.
func Queued(w io.Writer, m *control.QueuedMessage) {
	line := func(name, value string) {
		if value != "" {
			say(w, "%-9s %s\n", name, Clean(value))
		}
	}
	line("id", string(m.ID))
	line("sender", "<"+m.Sender+">")
	line("size", strconv.FormatInt(m.Size, 10))
	line("received", When(m.Received))
	line("client", m.Client)
	line("helo", m.Helo)
	line("tls", m.TLS)
	line("login", m.Login)
	line("report on", string(m.Root))
	line("trace", "postroad trace "+string(m.ID))
	for _, r := range m.Recipients {
		say(w, "\n%s\n", Clean(r.Address))
		if r.Original != r.Address {
			line("  given", r.Original)
		}
		line("  state", r.State)
		line("  lane", r.Lane)
		line("  attempts", strconv.Itoa(r.Attempts))
		line("  next", When(r.Next))
		line("  said", r.LastReply)
		line("  by", r.LastHost)
		if r.Sender != nil {
			line("  as from", "<"+*r.Sender+">")
		}
		for field := range strings.Lines(r.Head) {
			line("  above", strings.TrimRight(field, "\r\n"))
		}
	}
}

package sheet

import (
	"io"
	"time"

	"postroad/internal/service/control"
)

// Certificate shows how it stands about the certificate of a name.
func Certificate(out io.Writer, c *control.CertificateInfo) {
	for _, line := range [][2]string{
		{"name", c.Name},
		{"shown as", c.Unicode},
		{"domain", c.Domain},
		{"source", c.Source},
		{"state", c.State},
		{"from", moment(c.From)},
		{"until", moment(c.Until)},
		{"issuer", c.Issuer},
		{"challenge", c.Challenge},
		{"last attempt", moment(c.Tried)},
		{"next attempt", moment(c.Next)},
		{"advised", window(c.AdvisedFrom, c.AdvisedUntil)},
		{"advised for", c.AdvisedPage},
		{"problem", c.Problem},
		{"seen", c.Detail},
		{"to do", c.Remedy},
	} {
		if line[1] != "" {
			say(out, "%-13s %s\n", line[0], Clean(line[1]))
		}
	}
}

// window is from when until when the authority would like a certificate to be renewed; empty where it has said nothing.
func window(from, until *time.Time) string {
	if from == nil || until == nil {
		return ""
	}
	return "renewal from " + moment(from) + " to " + moment(until) + ", by the authority"
}

// moment is a moment; empty for none.
func moment(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

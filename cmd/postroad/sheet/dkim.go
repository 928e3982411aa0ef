package sheet

import (
	"io"
	"strings"

	"postroad/internal/service/control"
)

// DKIM prints the keys by which a domain's mail is signed.
func DKIM(w io.Writer, s *control.DKIMStatus) error {
	rows := make([][]string, len(s.Keys))
	for i, k := range s.Keys {
		until := ""
		if k.Until != nil {
			until = When(*k.Until)
		}
		rows[i] = []string{k.Selector, k.Algorithm, k.State, When(k.Since), until, s.Records[i].World}
	}
	if len(rows) > 0 {
		if err := Table(w, "SELECTOR ALGORITHM STATE SINCE RECORD-UNTIL WORLD", rows); err != nil {
			return err
		}
	}
	for i := range s.Records {
		r := &s.Records[i]
		say(w, "\n%s, a TXT record:\n  %s\n", Clean(r.Name), Clean(r.Text))
		if len(r.Strings) > 1 {
			say(w, "  or, where a field takes no more than 255 characters, in %d strings:\n", len(r.Strings))
			say(w, "    %s\n", strings.Join(r.Strings, "\n    "))
		}
		say(w, "  as a line of a zone file:\n  %s\n", Clean(r.Line))
		say(w, "  the world: %s\n", Clean(r.Says))
	}
	say(w, "\n%s\n", Clean(s.Next))
	return nil
}

package sheet

import (
	"io"
	"strconv"
	"strings"

	"postroad/internal/service/control"
)

// Gateways shows whether a domain's mail comes through its gateways.
func Gateways(out io.Writer, r *control.GatewayReport) error {
	for _, s := range r.Sentences {
		say(out, "%s\n", Clean(s))
	}
	if r.Bypassed != nil {
		say(out, "  since %s: %s\n", When(r.Bypassed.Since), Clean(r.Bypassed.Evidence))
	}
	if len(r.Exchangers) > 0 {
		rows := make([][]string, len(r.Exchangers))
		for i, x := range r.Exchangers {
			rows[i] = []string{x.Host, strconv.Itoa(int(x.Preference)), strings.Join(x.Addresses, " "), YesNo(x.Here), YesNo(x.Gateway)}
		}
		say(out, "\nPublic DNS sends mail to:\n")
		if err := Table(out, "EXCHANGER PREFERENCE ADDRESSES HERE GATEWAY", rows); err != nil {
			return err
		}
	}
	for i, s := range r.Suggestions {
		if i == 0 {
			say(out, "\nIf that is the domain's filter:\n")
		}
		say(out, "  %s\n    %s\n", Clean(s.Reason), Clean(s.Command))
	}
	return nil
}

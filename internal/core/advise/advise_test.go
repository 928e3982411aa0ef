package advise_test

import (
	"strings"
	"testing"

	"postroad/internal/core/advise"
	"postroad/internal/core/directory"
)

// servers reads "us, real, dead": exchangers from the best to the worst; "us" is this installation, "real" answers,
// "dead" does not.
func servers(list string) []advise.Server {
	var out []advise.Server
	for i, name := range strings.Split(list, ", ") {
		if name == "" {
			continue
		}
		out = append(out, advise.Server{Host: name + ".example", Preference: uint16(10 * i), Ours: name == "us", Asked: name != "us", Answers: name == "real"})
	}
	return out
}

// TestTheModeThatIsProposed is the table of what is proposed from what is observed.
func TestTheModeThatIsProposed(t *testing.T) {
	t.Parallel()
	hop := []string{"mail.corp.example:25"}
	for _, c := range []struct {
		dns       advise.DNS
		mx        string
		mailboxes int
		hops      []string
		mode      directory.Mode
		says      string
	}{
		{advise.Names, "us", 0, nil, directory.ModeLocal, "this installation alone"},
		{advise.Names, "us", 3, nil, directory.ModeLocal, "3 mailboxes and addresses"},
		{advise.Names, "us, real", 1, nil, directory.ModeLocal, "as the best exchanger, and others behind it"},
		{advise.Names, "us, real", 0, nil, directory.ModeLocal, "choose relay"},
		{advise.Names, "real, us", 0, nil, directory.ModeBackup, "held here while it is down"},
		{advise.Names, "dead, us", 0, nil, directory.ModeBackup, "dead.example does not answer"},
		{advise.Names, "real, us", 2, nil, directory.ModeSplit, "real.example answers"},
		{advise.Names, "real", 2, nil, directory.ModeSplit, "this installation nowhere"},
		{advise.Names, "real", 0, nil, directory.ModeRemote, "received elsewhere"},
		{advise.Names, "us", 0, hop, directory.ModeRelay, "is given: mail.corp.example:25"},
		{advise.Names, "us", 1, hop, directory.ModeSplit, "handed to the domain's own server"},
		{advise.None, "", 0, nil, directory.ModeLocal, "names no server"},
		{advise.Null, "", 0, nil, directory.ModeLocal, "null MX"},
		{advise.Silent, "", 0, nil, directory.ModeLocal, "does not answer just now"},
		{advise.Silent, "", 0, hop, directory.ModeRelay, "does not answer just now"},
	} {
		p := advise.Choose(advise.Observed{Name: "d.example", DNS: c.dns, Servers: servers(c.mx), Mailboxes: c.mailboxes, NextHops: c.hops})
		said := strings.Join(p.Reasons, " ")
		if p.Mode != c.mode || !strings.Contains(said, c.says) {
			t.Errorf("%q with %d mailboxes, next hops %v: %s because %q, want %s and %q", c.mx, c.mailboxes, c.hops, p.Mode, said, c.mode, c.says)
		}
		command := "postroad domain set d.example --mode " + string(c.mode)
		if len(c.hops) > 0 {
			command += " --next-hop " + c.hops[0]
		}
		if p.Command != command {
			t.Errorf("%q: %s", c.mx, p.Command)
		}
		for _, s := range p.Reasons {
			if !strings.HasSuffix(s, ".") {
				t.Errorf("%q is no sentence", s)
			}
		}
	}
}

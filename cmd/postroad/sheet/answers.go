package sheet

import (
	"io"
	"net"
	"strconv"
	"strings"

	"postroad/internal/service/control"
)

// LookUp prints what DNS says of a domain.
func LookUp(w io.Writer, l *control.LookUpAnswer) error {
	say(w, "Server:   %s\nAddress:  %s\n\n", Clean(l.Server.Name), Clean(l.Server.Address))
	kind := "not authoritative: from its memory, or asked by it for us"
	if l.Authoritative {
		kind = "authoritative: it answers for the zone itself"
	}
	if l.Code == "" {
		kind = "no answer"
	}
	say(w, "%s %s: %s (%s)\n", l.Type, Clean(l.Name), l.Status, kind)
	if l.Status != "found" {
		say(w, "  %s\n", Clean(l.Detail))
	}
	for _, alias := range l.Aliases {
		say(w, "  is an alias of %s\n", Clean(alias))
	}
	if len(l.Exchangers) > 0 {
		rows := make([][]string, len(l.Exchangers))
		for i, e := range l.Exchangers {
			addresses := strings.Join(e.Addresses, " ")
			if addresses == "" {
				addresses = e.Status
			}
			ours := ""
			if e.Ours {
				ours = "this installation"
			}
			rows[i] = []string{strconv.Itoa(int(e.Preference)), e.Host, strconv.FormatInt(e.TTL, 10), addresses, e.Label, ours}
		}
		if err := Table(w, "PREFERENCE EXCHANGER TTL ADDRESSES LABEL OURS", rows); err != nil {
			return err
		}
	} else {
		for _, r := range l.Records {
			say(w, "  %s\n", Clean(r))
		}
		if len(l.Records) > 0 {
			say(w, "  TTL %d\n", l.TTL)
		}
	}
	say(w, "\nDNSSEC: %s\n\nName servers of the zone %s:\n", l.Security, Clean(l.Zone))
	rows := make([][]string, len(l.NameServers))
	for i, n := range l.NameServers {
		says, serial := n.Code, ""
		switch {
		case n.Code == "":
			says = n.Detail
		case !n.Authoritative:
			says += ", not authoritative"
		default:
			says += ", authoritative"
		}
		if n.Serial > 0 {
			serial = strconv.FormatUint(uint64(n.Serial), 10)
		}
		rows[i] = []string{n.Name, n.Address, serial, strconv.FormatInt(n.Milliseconds, 10), says, strings.Join(n.Records, ", ")}
	}
	if err := Table(w, "NAME ADDRESS SERIAL MS SAYS ANSWER", rows); err != nil {
		return err
	}
	for _, d := range l.Differences {
		name := ""
		if d.Finding != "" {
			name = string(d.Finding) + ": "
		}
		say(w, "\n%s%s\n  %s\n", name, d.Sentence, Clean(d.Evidence))
	}
	if v := l.Verdict; v != nil {
		say(w, "\nIs DNS right for mail? %s\n", v.Right)
		for _, s := range v.Steps {
			name := ""
			if s.Finding != "" {
				name = string(s.Finding) + ": "
			}
			say(w, "  %-8s %-8s %s%s\n", s.Step, s.Right, name, Clean(s.Sentence))
		}
		say(w, "%s\n", Clean(v.Sentence))
	}
	say(w, "\nThe same from a machine of your own:\n  Windows:  %s\n", Clean(l.Commands.Windows[0]))
	for _, line := range l.Commands.Windows[1:] {
		say(w, "            %s\n", Clean(line))
	}
	for _, line := range l.Commands.Unix {
		say(w, "  Unix:     %s\n", Clean(line))
	}
	return nil
}

// Explanation prints what would happen to mail for an address.
func Explanation(w io.Writer, e control.Explanation) {
	verdict := "refused"
	if e.Reply.Code == 250 {
		verdict = "accepted"
	}
	say(w, "%s: %s, %d %s %s\n", Clean(e.Address), verdict, e.Reply.Code, e.Reply.Enhanced, Clean(e.Reply.Text))
	if e.EffectiveMode != "" {
		say(w, "  mode       %s\n", e.EffectiveMode)
	}
	if len(e.Mailboxes) > 0 {
		say(w, "  mailboxes  %s\n", Clean(strings.Join(e.Mailboxes, ", ")))
	}
	for i, h := range e.NextHops {
		head := ""
		if i == 0 {
			head = "next hops"
		}
		say(w, "  %-10s %s (%s, preference %d, TLS %s)\n", head, Clean(shownHop(h)), h.Transport, h.Preference, h.TLS)
	}
	say(w, "Why:\n")
	for _, r := range e.Reasons {
		age := ""
		if r.Age > 0 {
			age = " [" + strconv.FormatInt(r.Age, 10) + " s old]"
		}
		say(w, "  %s%s\n", Clean(r.Sentence), age)
	}
	if len(e.Judging) > 0 {
		say(w, "How it would be judged:\n")
	}
	for _, sentence := range e.Judging {
		say(w, "  %s\n", Clean(sentence))
	}
	say(w, "Why not otherwise:\n")
	for _, n := range e.WhyNot {
		say(w, "  %s\n", Clean(n.Sentence))
	}
}

// shownHop is a next hop in one word; a unix socket is its path.
func shownHop(h control.ExplainHop) string {
	if h.Port == 0 {
		return h.Host
	}
	return net.JoinHostPort(h.Host, strconv.Itoa(int(h.Port)))
}

// Exchangers prints the exchangers of a name.
func Exchangers(w io.Writer, l control.ExchangerListing) error {
	if l.Zone == "hosted" {
		say(w, "%s, in the zone %s that is hosted here, serial %d\n", Clean(l.Owner), Clean(l.Domain), l.Serial)
	} else {
		say(w, "%s: its zone is not hosted here\n", Clean(l.Owner))
	}
	if l.Set != "" {
		say(w, "by the exchanger set %s\n", Clean(l.Set))
	}
	if l.Pending {
		say(w, "not answered yet: nothing but SOA and NS is, until the domain's ownership is shown\n")
	}
	rows := make([][]string, 0, len(l.Exchangers))
	for _, x := range l.Exchangers {
		rows = append(rows, []string{strconv.Itoa(int(x.Preference)), x.Host, x.Role})
	}
	if err := Table(w, "PREFERENCE HOST ROLE", rows); err != nil {
		return err
	}
	for _, x := range l.Exchangers {
		if x.Finding != "" {
			say(w, "%s: %s\n", Clean(x.Finding), Clean(x.Sentence))
		}
	}
	enter(w, l.Enter)
	if l.Public != "" {
		say(w, "%s\n", Clean(l.Public))
	}
	if l.Zone != "hosted" && l.Matches {
		say(w, "Public DNS shows these exchangers and no others.\n")
	}
	return nil
}

// enter prints records to enter elsewhere, part by part and whole.
func enter(w io.Writer, list []control.ExchangerEnter) {
	for _, e := range list {
		say(w, "\nEnter where the zone is:\n")
		owner := e.Owner + "   (panels that want the full name: " + e.Name
		if e.Parent != "" {
			owner += "; in the zone " + e.Parent + ": " + e.ParentOwner
		}
		line := func(name, value string) { say(w, "  %-11s %s\n", name, Clean(value)) }
		line("owner", owner+")")
		line("type", e.Type)
		if e.Preference != nil {
			line("preference", strconv.Itoa(*e.Preference)+"   (also called priority)")
			line("target", e.Target+"   (also called destination; some panels want the last dot: "+e.Target+".)")
		} else {
			line("value", e.Value)
		}
		line("whole", e.Line)
	}
	if len(list) > 0 {
		say(w, "\n")
	}
}

// ClientSetup prints how mail programs find their servers.
func ClientSetup(w io.Writer, s control.ClientSetup) error {
	if !s.Served {
		say(w, "Users of %s have no mailboxes here, or its ownership is not shown: no set-up files are given for it.\n", Clean(s.Domain))
	}
	rows := make([][]string, 0, len(s.Servers))
	for _, server := range s.Servers {
		rows = append(rows, []string{server.Use, server.Name, strconv.Itoa(server.Port), server.TLS})
	}
	if err := Table(w, "USE HOST PORT TLS", rows); err != nil {
		return err
	}
	if len(s.Servers) == 0 {
		say(w, "No port at which users read or send is served or told here: the operator sets them in [listen] and [clients].\n")
	}
	say(w, "The name of the login is the whole address.\n\n")
	if s.Zone != "hosted" {
		say(w, "Enter where the zone is:\n")
	}
	rows = rows[:0]
	for _, r := range s.Records {
		rows = append(rows, []string{r.Owner, r.Type, r.Value, r.State})
	}
	return Table(w, "OWNER TYPE VALUE STATE", rows)
}

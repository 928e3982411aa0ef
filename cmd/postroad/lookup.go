package main

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"postroad/internal/service/control"
)

func (a *app) lookUpCommand() *cobra.Command {
	var at, kind string
	c := &cobra.Command{
		Use: "look-up DOMAIN", Short: "Tell what DNS says of a domain, who says it, and whether it is right for mail", Args: cobra.ExactArgs(1),
		Long: `Asks DNS about any domain, as nslookup does after "set type=mx": who was asked, the exchangers with their preferences and
addresses, and the name servers of the zone, each with its own answer. Without --at the configured resolvers are asked,
which is what others see; with it, the server named. The last lines are the same question for a machine of your own.`,
		RunE: work(func(cmd *cobra.Command, args []string) error {
			query := url.Values{}
			for key, value := range map[string]string{"at": at, "type": kind} {
				if value != "" {
					query.Set(key, value)
				}
			}
			l, err := get[control.LookUpAnswer](cmd.Context(), a, "/look-up/"+url.PathEscape(args[0]), query)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(l)
			}
			return a.printLookUp(&l)
		}),
	}
	c.Flags().StringVar(&at, "at", "", "the server to ask, by name or address: one of the zone's own, or a resolver")
	c.Flags().StringVar(&kind, "type", "", "type of record, as A, NS, SOA, TXT (default MX)")
	return c
}

func (a *app) printLookUp(l *control.LookUpAnswer) error {
	a.say("Server:   %s\nAddress:  %s\n\n", clean(l.Server.Name), clean(l.Server.Address))
	kind := "not authoritative: from its memory, or asked by it for us"
	if l.Authoritative {
		kind = "authoritative: it answers for the zone itself"
	}
	if l.Code == "" {
		kind = "no answer"
	}
	a.say("%s %s: %s (%s)\n", l.Type, clean(l.Name), l.Status, kind)
	if l.Status != "found" {
		a.say("  %s\n", clean(l.Detail))
	}
	for _, alias := range l.Aliases {
		a.say("  is an alias of %s\n", clean(alias))
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
		if err := a.table("PREFERENCE EXCHANGER TTL ADDRESSES LABEL OURS", rows); err != nil {
			return err
		}
	} else {
		for _, r := range l.Records {
			a.say("  %s\n", clean(r))
		}
		if len(l.Records) > 0 {
			a.say("  TTL %d\n", l.TTL)
		}
	}
	a.say("\nDNSSEC: %s\n\nName servers of the zone %s:\n", l.Security, clean(l.Zone))
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
	if err := a.table("NAME ADDRESS SERIAL MS SAYS ANSWER", rows); err != nil {
		return err
	}
	for _, d := range l.Differences {
		name := ""
		if d.Finding != "" {
			name = string(d.Finding) + ": "
		}
		a.say("\n%s%s\n  %s\n", name, d.Sentence, clean(d.Evidence))
	}
	if v := l.Verdict; v != nil {
		a.say("\nIs DNS right for mail? %s\n", v.Right)
		for _, s := range v.Steps {
			name := ""
			if s.Finding != "" {
				name = string(s.Finding) + ": "
			}
			a.say("  %-8s %-8s %s%s\n", s.Step, s.Right, name, clean(s.Sentence))
		}
		a.say("%s\n", clean(v.Sentence))
	}
	a.say("\nThe same from a machine of your own:\n  Windows:  %s\n", clean(l.Commands.Windows[0]))
	for _, line := range l.Commands.Windows[1:] {
		a.say("            %s\n", clean(line))
	}
	for _, line := range l.Commands.Unix {
		a.say("  Unix:     %s\n", clean(line))
	}
	return nil
}

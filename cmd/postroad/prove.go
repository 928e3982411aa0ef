package main

import (
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"postroad/internal/service/control"
)

func (a *app) domainProve() *cobra.Command {
	return a.changes(&cobra.Command{
		Use: "prove NAME", Short: "Show what proves the ownership of a domain, look for it, and have the domain count as proved", Args: cobra.ExactArgs(1),
		Long: `Shows the TXT record to publish and, for a zone hosted here, the name servers to enter at the registrar; looks whether
public DNS has them; and if it does, has the domain count as proved. All name servers of the domain are asked, and the
configured resolvers. Say it again once the record is published.`,
		RunE: work(func(cmd *cobra.Command, args []string) error {
			path := "/domains" + segment(args[0])
			p, err := get[control.DomainProof](cmd.Context(), a, path+"/proof", nil)
			if err != nil {
				return err
			}
			if !a.json {
				a.printProof(&p)
			}
			if p.Shown != "" && (!p.Proved || p.LostAt != nil) {
				if !a.json {
					return a.change(cmd.Context(), http.MethodPost, path+"/prove", nil, nil)
				}
				if _, err := a.attempt(cmd.Context(), http.MethodPost, path+"/prove", nil, nil); err != nil {
					return err
				}
				if p, err = get[control.DomainProof](cmd.Context(), a, path+"/proof", nil); err != nil {
					return err
				}
			}
			if a.json {
				return a.printJSON(p)
			}
			return nil
		}),
	})
}

func (a *app) printProof(p *control.DomainProof) {
	a.say("%s\n\n", clean(p.Sentence))
	a.say("TXT record\n  name    %s\n          %s where the form adds the domain by itself\n  value   %s\n", clean(p.TXT.Name), clean(p.TXT.Label), clean(p.TXT.Value))
	if len(p.NameServers) > 0 {
		a.say("Name servers\n  %s\n  %s\n", clean(strings.Join(p.NameServers, "\n  ")), clean(p.Delegation))
	}
	a.say("Public DNS\n")
	for _, f := range p.Found {
		a.say("  %-10s %s: %s\n", f.How, f.State, clean(f.Evidence))
	}
	a.say("\n")
}

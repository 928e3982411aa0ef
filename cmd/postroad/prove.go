package main

import (
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
	"postroad/cmd/postroad/sheet"
	"postroad/internal/service/control"
)

func domainProve(a *cli.App) *cobra.Command {
	return a.Changes(&cobra.Command{
		Use: "prove NAME", Short: "Show what proves the ownership of a domain, look for it, and have the domain count as proved", Args: cobra.ExactArgs(1),
		Long: `Shows the TXT record to publish and, for a zone hosted here, the name servers to enter at the registrar; looks whether
public DNS has them; and if it does, has the domain count as proved. All name servers of the domain are asked, and the
configured resolvers. Say it again once the record is published.`,
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			path := "/domains" + cli.Segment(args[0])
			p, err := cli.Get[control.DomainProof](cmd.Context(), a, path+"/proof", nil)
			if err != nil {
				return err
			}
			if !a.JSON {
				printProof(a, &p)
			}
			if p.Shown != "" && (!p.Proved || p.LostAt != nil) {
				if !a.JSON {
					return a.Change(cmd.Context(), http.MethodPost, path+"/prove", nil, nil)
				}
				if _, err := a.Attempt(cmd.Context(), http.MethodPost, path+"/prove", nil, nil); err != nil {
					return err
				}
				if p, err = cli.Get[control.DomainProof](cmd.Context(), a, path+"/proof", nil); err != nil {
					return err
				}
			}
			if a.JSON {
				return a.PrintJSON(p)
			}
			return nil
		}),
	})
}

func printProof(a *cli.App, p *control.DomainProof) {
	a.Say("%s\n\n", sheet.Clean(p.Sentence))
	a.Say("TXT record\n  name    %s\n          %s where the form adds the domain by itself\n  value   %s\n", sheet.Clean(p.TXT.Name), sheet.Clean(p.TXT.Label), sheet.Clean(p.TXT.Value))
	if len(p.NameServers) > 0 {
		a.Say("Name servers\n  %s\n  %s\n", sheet.Clean(strings.Join(p.NameServers, "\n  ")), sheet.Clean(p.Delegation))
	}
	a.Say("Public DNS\n")
	for _, f := range p.Found {
		a.Say("  %-10s %s: %s\n", f.How, f.State, sheet.Clean(f.Evidence))
	}
	a.Say("\n")
}

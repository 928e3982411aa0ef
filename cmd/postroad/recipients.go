package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
	"postroad/cmd/postroad/sheet"
	"postroad/internal/service/control"
)

// maxRecipients bounds the file of a list, in octets.
const maxRecipients = 16 << 20

func recipientsCommand(a *cli.App) *cobra.Command {
	from, every, token, plain := "", cli.Duration{}, false, false
	sync := a.Changes(&cobra.Command{
		Use: "sync DOMAIN", Short: "Have a domain's list fetched from another Postroad, again and again", Args: cobra.ExactArgs(1),
		RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
			if from == "" || !token {
				return cli.Usagef("--from and --token-stdin are needed")
			}
			secret, err := a.Secret("--token-stdin")
			if err != nil {
				return err
			}
			body := map[string]any{"from": from, "token": secret, "plain": plain}
			if every.Given {
				body["every_seconds"] = every.Seconds
			}
			return a.Change(cmd.Context(), http.MethodPost, "/domains"+cli.Segment(args[0])+"/recipients/sync", nil, body)
		}),
	})
	sync.Flags().StringVar(&from, "from", "", "URL of the Postroad that the domain receives at")
	sync.Flags().Var(&every, "every", "how often it is fetched (default 1m)")
	sync.Flags().BoolVar(&token, "token-stdin", false, "read the token for its API from the first line of stdin")
	sync.Flags().BoolVar(&plain, "plain", false, "operator only: without TLS, from an address that is loopback or private")
	path := func(domain string) string { return "/domains" + cli.Segment(domain) + "/recipients" }
	return cli.Group("recipients", "Lists of the recipients of domains whose mailboxes are elsewhere", sync,
		a.Changes(&cobra.Command{
			Use: "import DOMAIN FILE|-", Short: "Replace a domain's list by a file with an address a line", Args: cobra.ExactArgs(2),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				addresses, err := readRecipients(a, args[1])
				if err != nil {
					return err
				}
				return a.Change(cmd.Context(), http.MethodPut, path(args[0]), nil, map[string]any{"addresses": addresses})
			}),
		}),
		&cobra.Command{
			Use: "list DOMAIN", Short: "Show a domain's list and its age", Args: cobra.ExactArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				l, err := cli.Get[control.RecipientListDetail](cmd.Context(), a, path(args[0]), nil)
				if err != nil {
					return err
				}
				if a.JSON {
					return a.PrintJSON(l)
				}
				for _, address := range l.Addresses {
					a.Say("%s\n", sheet.Clean(address))
				}
				if l.From != "" {
					_, _ = fmt.Fprintf(a.Err, "fetched from %s every %ds %s\n", sheet.Clean(l.From), l.EverySeconds, sheet.Clean(l.Problem))
				}
				_, _ = fmt.Fprintf(a.Err, "%d addresses, by %s at %s%s\n", l.Count, sheet.Clean(l.Source), sheet.When(l.Learned), map[bool]string{true: ", outdated"}[l.Outdated])
				return nil
			}),
		},
		a.Changes(&cobra.Command{
			Use: "remove DOMAIN", Short: "Remove a domain's list", Args: cobra.ExactArgs(1),
			RunE: cli.Work(func(cmd *cobra.Command, args []string) error {
				return a.Change(cmd.Context(), http.MethodDelete, path(args[0]), nil, nil)
			}),
		}),
	)
}

// readRecipients reads an address a line. Empty lines and lines that begin with # are passed over.
func readRecipients(a *cli.App, file string) ([]string, error) {
	in := a.In
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	var out []string
	lines := bufio.NewScanner(io.LimitReader(in, maxRecipients))
	for lines.Scan() {
		line := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if line != "" && line[0] != '#' {
			out = append(out, line)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the list: %w", err)
	}
	if len(out) == 0 {
		return nil, errors.New("there is no address in the file")
	}
	return out, nil
}

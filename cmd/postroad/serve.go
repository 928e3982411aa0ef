package main

import (
	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
	"postroad/cmd/postroad/tuning"
	"postroad/internal/obs"
	"postroad/internal/server"
)

func version() string { return server.Version() }

func serveCommand(a *cli.App) *cobra.Command {
	var file, level string
	var names []string
	var demo bool
	c := &cobra.Command{
		Use: "serve", Short: "Run the server until SIGTERM", Args: cobra.NoArgs,
		Long: `Run the server until SIGTERM.

--roles says which parts of the program this node runs: receive takes mail by SMTP, deliver carries queued mail to its
destinations, dns answers questions for hosted zones, panel is the API on the http listeners, imap is accepted and not
built yet. receive needs deliver beside it, because what a node has received lies in its own data folder. Without deliver queued mail waits; without
panel the http listeners answer for health and metrics alone. The socket in the data folder is always there.`,
		RunE: cli.Work(func(cmd *cobra.Command, _ []string) error {
			l, err := obs.ParseLevel(level)
			if err != nil {
				return cli.Usagef("--log-level: %s", err)
			}
			roles, err := server.ParseRoles(names)
			if err != nil {
				return cli.Usagef("--roles: %s", err)
			}
			cfg, err := loadConfig(a, file)
			if err != nil {
				return err
			}
			tuning.Runtime(cmd.Context())
			log := obs.NewBuffered(a.Err)
			defer log.Close() //nolint:errcheck // it has none
			return server.Run(cmd.Context(), cfg, server.Options{Roles: roles, Demo: demo, Out: a.Out}, obs.NewLogger(log, l))
		}),
	}
	c.Flags().StringVar(&file, "config", "", "configuration file (default none: environment and defaults)")
	c.Flags().StringSliceVar(&names, "roles", roleNames(), "what this node runs")
	c.Flags().BoolVar(&demo, "demo", false, "add a demo account with a proved domain and mailboxes, and send a message through")
	c.Flags().StringVar(&level, "log-level", "info", "debug, info, warn or error")
	return c
}

// roleNames are the names of all roles.
func roleNames() []string {
	var names []string
	for _, role := range server.AllRoles() {
		names = append(names, string(role))
	}
	return names
}

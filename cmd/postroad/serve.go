package main

import (
	"github.com/spf13/cobra"

	"postroad/internal/obs"
	"postroad/internal/server"
)

const socketName = server.SocketName

func version() string { return server.Version() }

func (a *app) serveCommand() *cobra.Command {
	var file, level string
	var demo bool
	c := &cobra.Command{
		Use: "serve", Short: "Run the server until SIGTERM", Args: cobra.NoArgs,
		RunE: work(func(cmd *cobra.Command, _ []string) error {
			l, err := obs.ParseLevel(level)
			if err != nil {
				return usagef("--log-level: %s", err)
			}
			cfg, err := a.loadConfig(file)
			if err != nil {
				return err
			}
			return server.Run(cmd.Context(), cfg, server.Options{Demo: demo, Out: a.out}, obs.NewLogger(a.err, l))
		}),
	}
	c.Flags().StringVar(&file, "config", "", "configuration file (default none: environment and defaults)")
	c.Flags().BoolVar(&demo, "demo", false, "add a demo account with a proved domain and mailboxes, and send a message through")
	c.Flags().StringVar(&level, "log-level", "info", "debug, info, warn or error")
	return c
}

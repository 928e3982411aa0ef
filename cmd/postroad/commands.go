package main

import (
	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
	"postroad/cmd/postroad/primary"
	"postroad/cmd/postroad/trust"
	"postroad/cmd/postroad/zones"
)

// commands makes the command tree.
func commands(a *cli.App) *cobra.Command {
	root := &cobra.Command{
		Use:   "postroad",
		Short: "Host and route mail for many domains",
		Long: "Postroad hosts and routes mail for many domains. \"postroad serve\" is the server; the other commands talk to it.\n" +
			"Exit codes: 0 done, 1 refused with the reason, 2 wrong usage, 3 server not reachable.",
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	a.Flags(root.PersistentFlags())
	root.AddCommand(
		serveCommand(a),
		domainCommand(a), recipientsCommand(a), mxCommand(a), exchangerSetCommand(a), nameServerSetCommand(a), mailboxCommand(a),
		ruleCommand(a, aliasWords), ruleCommand(a, forwardWords), ruleCommand(a, groupWords), catchAllCommand(a),
		dkimCommand(a), identityCommand(a), certCommand(a),
		outboundCommand(a), explainCommand(a), lookUpCommand(a), toolCommand(a), traceCommand(a), noticeCommand(a), queueCommand(a),
		clientSetupCommand(a), sendingCommand(a),
		accountCommand(a), tokenCommand(a), auditCommand(a), undoCommand(a),
		configCommand(a), manCommand(a), versionCommand(a),
	)
	root.AddCommand(primary.Commands(a)...)
	root.AddCommand(zones.Commands(a)...)
	root.AddCommand(trust.Commands(a)...)
	return root
}

// Package trust is the commands for servers in front of us: those of a customer that forward, and filters.
package trust

import (
	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
)

// Commands gives the commands.
func Commands(a *cli.App) []*cobra.Command {
	return []*cobra.Command{forwarderCommand(a), gatewayCommand(a)}
}

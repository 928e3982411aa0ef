package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"postroad/internal/config"
	"postroad/internal/edge/api"
)

// app is one run of the program: where it reads and writes, and what the flags that all commands share say.
type app struct {
	in       io.Reader
	out, err io.Writer

	data   string // --data
	server string // --server
	token  string // --token
	json   bool   // --json
	yes    bool   // --yes
	plan   bool   // --plan

	proposed *api.Proposal // the command is not carried out: what it would change is noted here
}

// root makes the command tree.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "postroad",
		Short: "Host and route mail for many domains",
		Long: "Postroad hosts and routes mail for many domains. \"postroad serve\" is the server; the other commands talk to it.\n" +
			"Exit codes: 0 done, 1 refused with the reason, 2 wrong usage, 3 server not reachable.",
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f := root.PersistentFlags()
	f.StringVar(&a.data, "data", "", "data folder of the server (default $POSTROAD_DATA_DIR, else "+config.DefaultDataDir+")")
	f.StringVar(&a.server, "server", "", "URL of a server elsewhere (default $POSTROAD_SERVER, else the socket in the data folder)")
	f.StringVar(&a.token, "token", "", "token for --server (default $POSTROAD_TOKEN)")
	f.BoolVar(&a.json, "json", false, "answer in JSON")
	root.AddCommand(
		a.serveCommand(),
		a.domainCommand(), a.recipientsCommand(), a.forwarderCommand(), a.mxCommand(), a.exchangerSetCommand(), a.nameServerSetCommand(), a.mailboxCommand(),
		a.ruleCommand(aliasWords), a.ruleCommand(forwardWords), a.ruleCommand(groupWords), a.catchAllCommand(),
		a.zoneCommand(), a.dnssecCommand(), a.recordCommand(), a.keyCommand(), a.transferCommand(), a.secondaryCommand(), a.catalogCommand(), a.providerCommand(), a.publishCommand(), a.dkimCommand(), a.identityCommand(), a.certCommand(),
		a.outboundCommand(), a.explainCommand(), a.lookUpCommand(), a.toolCommand(), a.traceCommand(), a.noticeCommand(), a.queueCommand(),
		a.clientSetupCommand(), a.sendingCommand(),
		a.accountCommand(), a.tokenCommand(), a.auditCommand(), a.undoCommand(),
		a.configCommand(), a.manCommand(), a.versionCommand(),
	)
	return root
}

// group makes a command that only has others below it.
func group(use, short string, below ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short,
		RunE: needsOneOf(below),
	}
	c.AddCommand(below...)
	return c
}

// needsOneOf refuses a command that only has others below it.
func needsOneOf(below []*cobra.Command) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		names := make([]string, 0, len(below))
		for _, b := range below {
			names = append(names, b.Name())
		}
		if len(args) > 0 {
			return fmt.Errorf("unknown command %q for %q (%s)", args[0], cmd.CommandPath(), strings.Join(names, ", "))
		}
		return fmt.Errorf("%q needs one of %s", cmd.CommandPath(), strings.Join(names, ", "))
	}
}

// addCompletion adds the commands that print completions; they write to where the root writes at this moment.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			c.Args, c.RunE = cobra.ArbitraryArgs, needsOneOf(c.Commands())
		}
	}
}

// work makes a command's function: what it returns is not wrong usage unless it says so.
func work(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := f(cmd, args)
		var done *doneError
		var usage *usageError
		if err == nil || errors.As(err, &done) || errors.As(err, &usage) {
			return err
		}
		return refused(err)
	}
}

// usageError is wrong usage that cobra does not notice by itself.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// changes gives a command the flags of those that change something.
func (a *app) changes(c *cobra.Command) *cobra.Command {
	c.Flags().BoolVar(&a.yes, "yes", false, "apply without asking")
	c.Flags().BoolVar(&a.plan, "plan", false, "show what would change and do nothing")
	c.MarkFlagsMutuallyExclusive("yes", "plan")
	return c
}

// dataDir is the folder of the server on this machine.
func (a *app) dataDir() string {
	for _, dir := range []string{a.data, os.Getenv("POSTROAD_DATA_DIR")} {
		if dir != "" {
			return dir
		}
	}
	return config.DefaultDataDir
}

// say writes to where answers go; a reader that is gone is no concern of ours.
func (a *app) say(format string, args ...any) { _, _ = fmt.Fprintf(a.out, format, args...) }

// complain writes to where errors go.
func (a *app) complain(format string, args ...any) {
	_, _ = fmt.Fprintf(a.err, "postroad: "+format+"\n", args...)
}

// printJSON writes a value as JSON for people and programs.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// terminal reports whether somebody can be asked.
func (a *app) terminal() bool {
	f, ok := a.in.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) //nolint:gosec // a descriptor fits
}

// progress reports whether somebody watches.
func (a *app) progress() bool {
	f, ok := a.err.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) //nolint:gosec // a descriptor fits
}

// maxPassword bounds what is read as a password, in octets.
const maxPassword = 4096

// password reads the first line of stdin.
func (a *app) password() (string, error) { return a.secret("--password-stdin") }

// secret reads the first line of stdin for a flag.
func (a *app) secret(flag string) (string, error) {
	text, err := io.ReadAll(io.LimitReader(a.in, maxPassword))
	if err != nil {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	line = strings.TrimSuffix(line, "\r")
	if line == "" {
		return "", fmt.Errorf("%s: the first line of stdin is empty", flag)
	}
	return line, nil
}

// durationFlag is a flag like "5d".
type durationFlag struct {
	seconds int64
	set     bool
}

// String gives the value for help texts.
func (d *durationFlag) String() string { return "" }

// Set reads the value.
func (d *durationFlag) Set(s string) error {
	v, err := config.ParseDuration(s)
	if err != nil {
		return errors.New(`write a duration such as "5d", "4h" or "90s"`)
	}
	d.seconds, d.set = int64(v.Seconds()), true
	return nil
}

// Type names the value in help texts.
func (d *durationFlag) Type() string { return "duration" }

// sizeFlag is a flag like "1GiB".
type sizeFlag struct {
	octets int64
	set    bool
}

// String gives the value for help texts.
func (s *sizeFlag) String() string { return "" }

// Set reads the value.
func (s *sizeFlag) Set(text string) error {
	n, err := config.ParseSize(text)
	if err != nil {
		return errors.New(`write a size such as "1GiB", "500MiB" or a number of octets`)
	}
	s.octets, s.set = n, true
	return nil
}

// Type names the value in help texts.
func (s *sizeFlag) Type() string { return "size" }

package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	diff "github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
)

var update = flag.Bool("update", false, "write the reference page instead of comparing it")

// reference writes the page of all commands as Markdown.
func reference(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString("# Commands\n\n" + root.Long + "\n\n")
	b.WriteString("Commands that change something show their plan. A plan that removes, replaces, alters routes or warns asks on a\n" +
		"terminal; elsewhere it is printed and the command ends with 1 unless `--yes` is given. `postroad completion SHELL`\n" +
		"prints completions for bash, zsh, fish and powershell.\n\nEvery command takes these flags:\n\n```\n" +
		root.PersistentFlags().FlagUsages() + "```\n")
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c != root {
			if c.HasSubCommands() && !c.HasAvailableLocalFlags() {
				fmt.Fprintf(&b, "\n## %s\n\n%s.\n", strings.TrimPrefix(c.CommandPath(), "postroad "), c.Short)
			} else {
				level := "##"
				if c.Parent() != root {
					level = "###"
				}
				use := strings.TrimSuffix(c.UseLine(), " [flags]")
				fmt.Fprintf(&b, "\n%s `%s`\n\n%s\n", level, strings.TrimPrefix(use, "postroad "), cmp.Or(c.Long, c.Short+"."))
				if c.HasAvailableLocalFlags() {
					fmt.Fprintf(&b, "\n```\n%s```\n", c.LocalNonPersistentFlags().FlagUsages())
				}
			}
		}
		for _, below := range c.Commands() {
			if below.Name() != "help" && below.Name() != "completion" {
				walk(below)
			}
		}
	}
	walk(root)
	return b.String()
}

func TestReferencePageIsTheCommandTree(t *testing.T) {
	t.Parallel()
	got := reference(commands(&cli.App{}))
	page := filepath.Join("..", "..", "docs", "reference", "commands.md")
	if *update {
		if err := os.WriteFile(page, []byte(got), 0o644); err != nil { //nolint:gosec // a page for everybody
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if d := diff.Diff(string(want), got); d != "" {
		t.Error("docs/reference/commands.md differs from the command tree; run go test ./cmd/postroad -update:", d)
	}
}

func TestEveryChangingCommandTakesYes(t *testing.T) {
	t.Parallel()
	changing := map[string]bool{"add": true, "set": true, "remove": true, "import": true, "sync": true, "retry": true, "hold": true, "release": true, "drop": true, "undo": true, "edit": true, "replace": true, "prove": true, "allow": true, "deny": true, "notify": true, "on": true, "off": true, "publish": true, "roll": true, "renew": true, "rotate": true, "activate": true, "confirm": true, "pause": true, "resume": true, "probe": true}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if has := c.Flags().Lookup("yes") != nil; has != changing[c.Name()] && !c.HasSubCommands() {
			t.Errorf("%s: --yes is %v", c.CommandPath(), has)
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: short text %q", c.CommandPath(), c.Short)
		}
		for _, below := range c.Commands() {
			walk(below)
		}
	}
	walk(commands(&cli.App{}))
}

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"postroad/cmd/postroad/cli"
)

func TestEveryCommandHasItsManualPage(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "man1")
	if r := execute(t, "", "man", dir); r.code != 0 || r.out != "" {
		t.Fatalf("%+v", r)
	}
	count := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		count++
		b, err := os.ReadFile(filepath.Join(dir, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"))
		if err != nil {
			t.Error(err)
			return
		}
		page := strings.ReplaceAll(string(b), `\-`, "-")
		for _, want := range []string{".TH " + strings.ToUpper(strings.ReplaceAll(c.CommandPath(), " ", "-")) + " 1 ", ".SH NAME\n", c.Short, c.UseLine()} {
			if !strings.Contains(page, want) {
				t.Errorf("%s lacks %q:\n%s", c.CommandPath(), want, page)
			}
		}
		for _, below := range c.Commands() {
			walk(below)
		}
	}
	walk(commands(&cli.App{}))
	if count < 50 {
		t.Errorf("only %d commands", count)
	}
	b, err := os.ReadFile(filepath.Join(dir, "postroad-domain-add.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`\-\-proved`, `\-\-next\-hop`, ".SH OPTIONS OF ALL COMMANDS\n", ".BR postroad\\-domain (1)\n"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the page of domain add lacks %q:\n%s", want, b)
		}
	}
	if r := execute(t, "", "man"); r.code != 2 {
		t.Errorf("without a folder: %+v", r)
	}
	if r := execute(t, "", "man", filepath.Join(dir, "postroad.1")); r.code != 1 || r.err == "" {
		t.Errorf("a file in the folder's place: %+v", r)
	}
}

func TestShellCompletion(t *testing.T) {
	t.Parallel()
	for shell, check := range map[string][]string{"bash": {"bash", "-n"}, "zsh": {"zsh", "-n"}, "fish": {"fish", "--no-execute"}} {
		r := execute(t, "", "completion", shell)
		if r.code != 0 || !strings.Contains(r.out, "__complete") {
			t.Errorf("%s: exit %d\n%s", shell, r.code, r.err)
			continue
		}
		file := filepath.Join(t.TempDir(), shell)
		if err := os.WriteFile(file, []byte(r.out), 0o600); err != nil {
			t.Fatal(err)
		}
		if path, err := exec.LookPath(check[0]); err == nil { // a shell that is installed reads it
			if out, err := exec.CommandContext(t.Context(), path, append(check[1:], file)...).CombinedOutput(); err != nil { //nolint:gosec // a shell's name of this test
				t.Errorf("%s does not take its completion: %v\n%s", shell, err, out)
			}
		}
	}
	for line, want := range map[string]string{"dom": "domain", "mailbox mes": "messages", "serve --ro": "--roles"} {
		if r := execute(t, "", append([]string{"__complete"}, strings.Fields(line)...)...); r.code != 0 || !strings.Contains(r.out, want) {
			t.Errorf("%q is not completed to %s: %+v", line, want, r)
		}
	}
	if r := execute(t, "", "completion", "tcsh"); r.code != 2 {
		t.Errorf("an unknown shell: %+v", r)
	}
}

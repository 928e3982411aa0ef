package config

import (
	"fmt"
	"io"
	"strings"
)

// WriteReference writes the reference page of all keys as Markdown: docs/reference/configuration.md is this text.
func WriteReference(w io.Writer) error {
	var b strings.Builder
	b.WriteString(`# Configuration

Postroad needs no configuration. What differs from the defaults below is written as [TOML](https://toml.io) in a file
named by ` + "`postroad serve --config FILE`" + `, or given as environment variables, which win over the file. Lists are
comma-separated there. ` + "`postroad config check`" + ` tells everything that is wrong with a configuration, with lines and hints.

Durations are written like ` + "`\"90s\"`, `\"4h\"`, `\"5d\"`" + `; sizes like ` + "`\"50MiB\"`" + ` or as a number of octets. Networks are written
like ` + "`\"10.0.0.0/8\"`" + `; a single address is a network too. An absent key has its default; an empty list stays empty.
`)
	table := "\x00"
	for _, k := range keys() {
		t, short := "", k.name
		if before, after, ok := strings.Cut(k.name, "."); ok {
			t, short = before, after
		}
		if t != table {
			table = t
			if t == "" {
				b.WriteString("\n## Before any table\n")
			} else {
				fmt.Fprintf(&b, "\n## [%s]\n", t)
			}
		}
		fmt.Fprintf(&b, "\n### `%s`\n\n%s\n\n", k.name, k.doc)
		fmt.Fprintf(&b, "- kind: %s\n- default: `%s`\n- environment: `%s`\n- example: `%s = %s`\n", k.kind.short(), k.def, Variable(k.name), short, k.example)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

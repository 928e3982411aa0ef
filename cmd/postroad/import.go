package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"postroad/cmd/postroad/boxlist"
	"postroad/cmd/postroad/cli"
	"postroad/internal/edge/api"
)

// importBatch is how many mailboxes are sent at a time: few enough that each answer comes within seconds although
// every password is hashed 65,536 times.
const importBatch = 200

// importMailboxes adds the mailboxes of a CSV file. All of it is checked before any is added.
func importMailboxes(ctx context.Context, a *cli.App, file string) error {
	entries, err := readImport(a, file)
	if err != nil {
		return err
	}
	var batches [][]boxlist.Entry
	for len(entries) > 0 {
		n := min(importBatch, len(entries))
		if a.Proposing() { // as one change
			n = len(entries)
		}
		batches, entries = append(batches, entries[:n]), entries[n:]
	}
	if len(batches) > 1 || a.Plan {
		for _, b := range batches {
			if _, err := sendImport(ctx, a, b, url.Values{"dry_run": {"true"}}); err != nil {
				return fmt.Errorf("%w; %w", err, errNothingImported)
			}
		}
	}
	total, done := 0, 0
	for _, b := range batches {
		total += len(b)
	}
	if a.Plan {
		a.Say("Would add %d mailboxes.\n", total)
		return nil
	}
	var last api.Outcome
	for _, b := range batches {
		if last, err = sendImport(ctx, a, b, url.Values{"confirm": {"true"}}); err != nil {
			return fmt.Errorf("%w; %d of %d mailboxes were added", err, done, total)
		}
		done += len(b)
		if a.Progress() {
			_, _ = fmt.Fprintf(a.Err, "\r%d of %d mailboxes", done, total)
		}
	}
	if a.Progress() {
		_, _ = fmt.Fprintln(a.Err)
	}
	if a.JSON {
		return a.PrintJSON(map[string]any{"added": done, "version": last.Version})
	}
	a.Say("Added %d mailboxes.\n", done)
	return nil
}

// sendImport sends one batch; a refusal names the line of the file.
func sendImport(ctx context.Context, a *cli.App, batch []boxlist.Entry, query url.Values) (api.Outcome, error) {
	out, err := cli.Ask[api.Outcome](ctx, a, http.MethodPost, "/mailboxes/import", query, map[string]any{"mailboxes": batch})
	var p *cli.ProblemError
	if errors.As(err, &p) {
		if i := max(p.Entry, 1); i <= len(batch) && (p.Entry > 0 || len(batch) == 1) {
			p.Detail = fmt.Sprintf("line %d: %s", batch[i-1].Line, strings.TrimPrefix(p.Detail, fmt.Sprintf("entry %d: ", p.Entry)))
		}
	}
	return out, err
}

// readImport reads a list from a file, or from standard input.
func readImport(a *cli.App, file string) ([]boxlist.Entry, error) {
	in := a.In
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	return boxlist.Read(in)
}

package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"postroad/cmd/postroad/client"
	"postroad/internal/edge/api"
)

// importBatch is how many mailboxes are sent at a time: few enough that each answer comes within seconds although
// every password is hashed 600,000 times.
const importBatch = 200

// maxImport bounds the file, in octets.
const maxImport = 256 << 20

// entry is one line of an import.
type entry struct {
	Address  string `json:"address"`
	Password string `json:"password,omitempty"`
	line     int
}

// importMailboxes adds the mailboxes of a CSV file. All of it is checked before any is added.
func (a *app) importMailboxes(ctx context.Context, file string) error {
	entries, err := a.readImport(file)
	if err != nil {
		return err
	}
	var batches [][]entry
	for len(entries) > 0 {
		n := min(importBatch, len(entries))
		if a.proposed != nil { // as one change
			n = len(entries)
		}
		batches, entries = append(batches, entries[:n]), entries[n:]
	}
	if len(batches) > 1 || a.plan {
		for _, b := range batches {
			if _, err := a.sendImport(ctx, b, url.Values{"dry_run": {"true"}}); err != nil {
				return fmt.Errorf("%w; %w", err, errNothingImported)
			}
		}
	}
	total, done := 0, 0
	for _, b := range batches {
		total += len(b)
	}
	if a.plan {
		a.say("Would add %d mailboxes.\n", total)
		return nil
	}
	var last api.Outcome
	for _, b := range batches {
		if last, err = a.sendImport(ctx, b, url.Values{"confirm": {"true"}}); err != nil {
			return fmt.Errorf("%w; %d of %d mailboxes were added", err, done, total)
		}
		done += len(b)
		if a.progress() {
			_, _ = fmt.Fprintf(a.err, "\r%d of %d mailboxes", done, total)
		}
	}
	if a.progress() {
		_, _ = fmt.Fprintln(a.err)
	}
	if a.json {
		return a.printJSON(map[string]any{"added": done, "version": last.Version})
	}
	a.say("Added %d mailboxes.\n", done)
	return nil
}

// sendImport sends one batch; a refusal names the line of the file.
func (a *app) sendImport(ctx context.Context, batch []entry, query url.Values) (api.Outcome, error) {
	out, err := a.once(ctx, http.MethodPost, "/mailboxes/import", query, map[string]any{"mailboxes": batch})
	var p *client.ProblemError
	if errors.As(err, &p) {
		if i := max(p.Entry, 1); i <= len(batch) && (p.Entry > 0 || len(batch) == 1) {
			p.Detail = fmt.Sprintf("line %d: %s", batch[i-1].line, strings.TrimPrefix(p.Detail, fmt.Sprintf("entry %d: ", p.Entry)))
		}
	}
	return out, err
}

// readImport reads lines of address,password. A first line that says so is passed over.
func (a *app) readImport(file string) ([]entry, error) {
	in := a.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	r := csv.NewReader(io.LimitReader(in, maxImport))
	r.FieldsPerRecord = -1
	r.ReuseRecord = true
	var out []entry
	seen := map[string]int{}
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		line, _ := r.FieldPos(0)
		e := entry{Address: strings.TrimSpace(strings.TrimPrefix(fields[0], "\ufeff")), line: line}
		if len(out) == 0 && strings.EqualFold(e.Address, "address") {
			continue
		}
		if len(fields) > 2 {
			return nil, fmt.Errorf("line %d: there are %d fields; write address,password, and quotes around a password with a comma", line, len(fields))
		}
		if len(fields) == 2 {
			e.Password = fields[1]
		}
		if before, twice := seen[strings.ToLower(e.Address)]; twice {
			return nil, fmt.Errorf("line %d: %q stands in line %d already", line, e.Address, before)
		}
		seen[strings.ToLower(e.Address)] = line
		out = append(out, e)
	}
	if len(out) == 0 {
		return nil, errors.New("there is no mailbox in the file")
	}
	return out, nil
}

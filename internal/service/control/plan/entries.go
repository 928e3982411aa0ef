package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Entries are what the audit log says of the plan's changes.
func (p *Plan) Entries(at time.Time) ([]Entry, error) {
	changes := slices.Concat(p.Changes, p.Spread)
	out := make([]Entry, 0, len(changes))
	overridden, err := entryJSON(nothing(p.Warnings))
	if err != nil {
		return nil, err
	}
	for _, c := range changes {
		before, err := entryJSON(c.Before)
		if err != nil {
			return nil, err
		}
		after, err := entryJSON(c.After)
		if err != nil {
			return nil, err
		}
		out = append(out, Entry{
			At: at, Actor: p.Actor, Account: c.Account, Domain: c.Domain, Action: c.Action(), Subject: c.Subject, Before: before, After: after,
			Overridden: overridden,
		})
	}
	return out, nil
}

// nothing makes an empty list no value at all.
func nothing(list []string) any {
	if len(list) == 0 {
		return nil
	}
	return list
}

func entryJSON(v any) (string, error) {
	if v == nil {
		return "", nil
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", fmt.Errorf("audit entry: %w", err)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

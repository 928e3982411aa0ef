package receive_test

import (
	"context"
	"errors"
	"testing"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/mailbox"
	"postroad/internal/service/receive"
)

// filling are mailboxes and what they hold; it counts the questions.
type filling struct {
	usage map[string]mailbox.Usage
	err   error
	asked int
}

func (f *filling) Usage(_ context.Context, _ account.Scope, ids []string) (map[string]mailbox.Usage, error) {
	f.asked++
	out := map[string]mailbox.Usage{}
	for _, id := range ids {
		if u, ok := f.usage[id]; ok {
			out[id] = u
		}
	}
	return out, f.err
}

func TestAFullMailboxIsToldAtRCPT(t *testing.T) {
	t.Parallel()
	boxes := &filling{usage: map[string]mailbox.Usage{"full": {Bytes: 1000, Quota: 1000}, "half": {Bytes: 500, Quota: 1000}}}
	w := newWorld(t, func(c *receive.Config) { c.Boxes = boxes })
	put := func(local, id string) directory.Mailbox {
		return directory.Mailbox{ID: id, Account: "a", Domain: "local.example", Local: local, Quota: 1000}
	}
	w.view.Directory = w.view.Directory.With(directory.Delta{
		PutMailboxes: []directory.Mailbox{put("full", "full"), put("half", "half"), put("young", "not made yet")},
		PutRules: []directory.Rule{{
			ID: "r", Account: "a", Domain: "local.example", Local: "both", Kind: directory.RuleGroup, Targets: []string{"full@local.example", "half@local.example"},
		}, {
			ID: "s", Account: "a", Domain: "local.example", Local: "some", Kind: directory.RuleGroup, Targets: []string{"full@local.example", "ann@local.example"},
		}},
	})
	c := w.dial(t)
	c.play(`
		S: 220
		C: EHLO client.example
		S: 250
		C: MAIL FROM:<x@far.example>
		S: 250
		C: RCPT TO:<ann@local.example>
		S: 250
		C: RCPT TO:<u@relay.example>
		S: 250
		C: RCPT TO:<some@local.example>
		S: 250`)
	if boxes.asked != 0 {
		t.Errorf("the store was asked %d times of what has no quota", boxes.asked)
	}
	c.play(`
		C: RCPT TO:<full@local.example>
		S: 452 4.2.2
		C: RCPT TO:<half@local.example>
		S: 250
		C: RCPT TO:<young@local.example>
		S: 250
		C: RCPT TO:<both@local.example>
		S: 250
		C: RSET
		S: 250
		C: MAIL FROM:<x@far.example> SIZE=500
		S: 250
		C: RCPT TO:<half@local.example>
		S: 250
		C: RSET
		S: 250
		C: MAIL FROM:<x@far.example> SIZE=501
		S: 250
		C: RCPT TO:<half@local.example>
		S: 452 4.2.2
		C: RCPT TO:<both@local.example>
		S: 452 4.2.2`)
	boxes.err = errors.New("the store is away")
	c.play(`
		C: RCPT TO:<full@local.example>
		S: 250`)
}

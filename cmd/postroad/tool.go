package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"postroad/internal/core/facts"
	"postroad/internal/proto/arc"
	"postroad/internal/proto/dkim"
	"postroad/internal/proto/message"
	"postroad/internal/service/control"
	"postroad/internal/service/resolver"
)

func (a *app) toolCommand() *cobra.Command {
	return group("tool", "Look at what others publish, and at messages, as a receiving server does", a.toolDKIM())
}

// maxToolMessage bounds a message that is looked at, in octets.
const maxToolMessage = 256 << 20

func (a *app) toolDKIM() *cobra.Command {
	var server string
	c := &cobra.Command{
		Use: "dkim [DOMAIN SELECTOR]", Short: "Verify the DKIM signatures of a message on stdin, or look at the key of a selector",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 0 && len(args) != 2 {
				return fmt.Errorf("either a domain and a selector, or none and a message on stdin")
			}
			return nil
		},
		Long: `Without a domain a message is read from stdin. The first lines are the results of its signatures, one word each in the order
of the header (pass, fail, policy, neutral, temperror, permerror), none for a message without signatures; indented below
stands why, and what a chain of ARC is worth. The message stays on this machine: only keys are asked for.
With a domain and a selector: the key that is published for them, and what is wrong with it.
A message whose lines end in LF alone, as files do, is taken for one whose lines end in CRLF.`,
		RunE: work(func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return a.showDKIMKey(cmd.Context(), args[0], args[1], server)
			}
			lookup := a.keysOfServer
			if server != "" {
				cfg := resolver.Config{Servers: []string{server}}
				if err := cfg.Validate(); err != nil {
					return usagef("--resolver %q: %v", server, err)
				}
				lookup = keysOf(resolver.New(cfg, slog.New(slog.DiscardHandler)))
			}
			return a.verifyDKIM(cmd.Context(), lookup)
		}),
	}
	c.Flags().StringVar(&server, "resolver", "", "the DNS server to ask, as address or address:port; without it the server's own resolvers are asked")
	return c
}

// keysOfServer looks keys up through the server.
func (a *app) keysOfServer(ctx context.Context, name string) ([]string, error) {
	selector, domain, _ := strings.Cut(name, "._domainkey.")
	k, err := a.dkimKey(ctx, domain, selector, "")
	switch {
	case err != nil:
		return nil, err
	case k.Status == facts.Temporary.String():
		return nil, fmt.Errorf("%w: %s", dkim.ErrTemporary, k.Detail)
	case len(k.Records) == 0:
		return nil, dkim.ErrNoRecord
	}
	var texts []string
	for _, r := range k.Records {
		texts = append(texts, r.Text)
	}
	return texts, nil
}

// keysOf looks keys up at a resolver.
func keysOf(r *resolver.Service) dkim.Lookup {
	return func(ctx context.Context, name string) ([]string, error) {
		answer := r.TXT(ctx, name)
		switch answer.Status {
		case facts.Found:
			return answer.Records, nil
		case facts.NoData, facts.NXDomain:
			return nil, dkim.ErrNoRecord
		}
		return nil, fmt.Errorf("%w: %s", dkim.ErrTemporary, answer.Detail)
	}
}

func (a *app) dkimKey(ctx context.Context, domain, selector, at string) (control.FoundDKIMKey, error) {
	query := url.Values{}
	if at != "" {
		query.Set("at", at)
	}
	return get[control.FoundDKIMKey](ctx, a, "/tools/dkim/"+url.PathEscape(domain)+"/"+url.PathEscape(selector), query)
}

// verifiedMessage is what verifyDKIM answers in JSON.
type verifiedMessage struct {
	Signatures []verifiedSignature `json:"signatures"`
	Chain      string              `json:"arc"`
	ChainWhy   string              `json:"arc_reason"`
}

type verifiedSignature struct {
	Result    string `json:"result"`
	Domain    string `json:"domain"`
	Selector  string `json:"selector"`
	Identity  string `json:"identity"`
	Algorithm string `json:"algorithm"`
	Bits      int    `json:"bits"`
	Testing   bool   `json:"testing"`
	Reason    string `json:"reason"`
}

// verifyDKIM judges a message on stdin.
func (a *app) verifyDKIM(ctx context.Context, lookup dkim.Lookup) error {
	text, err := io.ReadAll(io.LimitReader(a.in, maxToolMessage+1))
	if err != nil {
		return err
	}
	if len(text) > maxToolMessage {
		return errors.New("the message is too large")
	}
	if !bytes.Contains(text, []byte("\r\n")) {
		text = bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
	}
	header, content, ok := message.SplitHeader(text)
	if !ok {
		return fmt.Errorf("the header is larger than %d octets", message.MaxHeader)
	}
	signatures, chain := dkim.Read(header), arc.Read(header)
	body := dkim.NewBody(append(signatures.Canonicalizations(), chain.Canonicalizations()...)...)
	if _, err := body.Write(content); err != nil {
		return err
	}
	results := signatures.Verify(ctx, body, lookup, time.Now())
	judged := chain.Validate(ctx, body, lookup)
	if a.json {
		out := verifiedMessage{Signatures: []verifiedSignature{}, Chain: string(judged.State), ChainWhy: judged.Reason}
		for _, r := range results {
			out.Signatures = append(out.Signatures, verifiedSignature{
				string(r.Word), r.Domain, r.Selector, r.Identity, string(r.Algorithm), r.Bits, r.Testing, r.Reason,
			})
		}
		return a.printJSON(out)
	}
	for _, r := range results {
		a.say("%s\n", r.Word)
	}
	for _, r := range results {
		key := string(r.Algorithm)
		if r.Bits > 0 {
			key += fmt.Sprintf(", %d bits", r.Bits)
		}
		if r.Testing {
			key += ", testing"
		}
		a.say("  %s d=%s s=%s (%s): %s\n", r.Word, clean(r.Domain), clean(r.Selector), clean(key), clean(r.Reason))
	}
	if len(results) == 0 {
		a.say("  the message has no DKIM signature\n")
	}
	if chain.Len() > 0 || judged.State != arc.None {
		a.say("  ARC %s: %s\n", judged.State, clean(judged.Reason))
	}
	return nil
}

// showDKIMKey shows the key of a selector.
func (a *app) showDKIMKey(ctx context.Context, domain, selector, at string) error {
	k, err := a.dkimKey(ctx, domain, selector, at)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(k)
	}
	a.say("%s: %s, asked %s\n", k.Name, k.Status, clean(k.Server.Address))
	for _, r := range k.Records {
		if r.Bits > 0 {
			a.say("\nA key of type %s with %d bits, kept %d s:\n", clean(r.Type), r.Bits, k.TTL)
		} else {
			a.say("\nA record, kept %d s:\n", k.TTL)
		}
		a.say("  %s\n", clean(dkim.Quote(dkim.SplitText(r.Text))))
	}
	if len(k.Problems) == 0 {
		a.say("\nReceivers can use it.\n")
		return nil
	}
	a.say("\nWhat is wrong:\n")
	for _, p := range k.Problems {
		a.say("  %s\n", clean(p))
	}
	return nil
}

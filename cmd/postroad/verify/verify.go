// Package verify judges a message on this machine as a receiving server does: nothing of it goes elsewhere, only keys are
// asked for.
package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"postroad/internal/core/facts"
	"postroad/internal/proto/arc"
	"postroad/internal/proto/dkim"
	"postroad/internal/proto/message"
	"postroad/internal/service/resolver"
)

// maxMessage bounds a message that is looked at, in octets.
const maxMessage = 256 << 20

// Keys looks keys up at one DNS server, an address or address:port.
func Keys(server string) (dkim.Lookup, error) {
	cfg := resolver.Config{Servers: []string{server}}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	r := resolver.New(cfg, slog.New(slog.DiscardHandler))
	return func(ctx context.Context, name string) ([]string, error) {
		answer := r.TXT(ctx, name)
		switch answer.Status {
		case facts.Found:
			return answer.Records, nil
		case facts.NoData, facts.NXDomain:
			return nil, dkim.ErrNoRecord
		}
		return nil, fmt.Errorf("%w: %s", dkim.ErrTemporary, answer.Detail)
	}, nil
}

// Message is what a message's signatures are worth.
type Message struct {
	Signatures []Signature `json:"signatures"`
	Chain      string      `json:"arc"`
	ChainWhy   string      `json:"arc_reason"`
}

// Signature is one of them.
type Signature struct {
	Result    string `json:"result"`
	Domain    string `json:"domain"`
	Selector  string `json:"selector"`
	Identity  string `json:"identity"`
	Algorithm string `json:"algorithm"`
	Bits      int    `json:"bits"`
	Testing   bool   `json:"testing"`
	Reason    string `json:"reason"`
}

// DKIM reads a message to its end and verifies its signatures and its chain of ARC. Lines that end in LF alone, as in
// files, are taken for those of a message, which end in CRLF; with a single CRLF nothing is changed.
func DKIM(ctx context.Context, in io.Reader, lookup dkim.Lookup) (Message, error) {
	text, err := io.ReadAll(io.LimitReader(in, maxMessage+1))
	if err != nil {
		return Message{}, err
	}
	if len(text) > maxMessage {
		return Message{}, errors.New("the message is too large")
	}
	if !bytes.Contains(text, []byte("\r\n")) {
		text = bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
	}
	header, content, ok := message.SplitHeader(text)
	if !ok {
		return Message{}, fmt.Errorf("the header is larger than %d octets", message.MaxHeader)
	}
	signatures, chain := dkim.Read(header), arc.Read(header)
	body := dkim.NewBody(append(signatures.Canonicalizations(), chain.Canonicalizations()...)...)
	if _, err := body.Write(content); err != nil {
		return Message{}, err
	}
	out := Message{Signatures: []Signature{}}
	for _, r := range signatures.Verify(ctx, body, lookup, time.Now()) {
		out.Signatures = append(out.Signatures, Signature{
			string(r.Word), r.Domain, r.Selector, r.Identity, string(r.Algorithm), r.Bits, r.Testing, r.Reason,
		})
	}
	judged := chain.Validate(ctx, body, lookup)
	out.Chain, out.ChainWhy = string(judged.State), judged.Reason
	return out, nil
}

// Lines are the results, one word each in the order of the header, and below them, indented, the reasons.
func (m *Message) Lines() []string {
	var words, reasons []string
	for _, s := range m.Signatures {
		words = append(words, s.Result)
		key := s.Algorithm
		if s.Bits > 0 {
			key += fmt.Sprintf(", %d bits", s.Bits)
		}
		if s.Testing {
			key += ", testing"
		}
		reasons = append(reasons, fmt.Sprintf("  %s d=%s s=%s (%s): %s", s.Result, s.Domain, s.Selector, key, s.Reason))
	}
	if len(words) == 0 {
		reasons = append(reasons, "  the message has no DKIM signature")
	}
	if m.Chain != string(arc.None) {
		reasons = append(reasons, "  ARC "+m.Chain+": "+m.ChainWhy)
	}
	return append(words, reasons...)
}

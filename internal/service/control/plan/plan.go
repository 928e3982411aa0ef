// Package plan is a proposed change as every subject of control makes it: typed changes for the audit log, sentences and
// warnings for people, and what is written when the plan is applied. Only control itself applies plans.
//
// # Failure
//
// A plan is a value. One that is thrown away has changed nothing.
package plan

import (
	"fmt"
	"strings"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/core/mail"
	"postroad/internal/core/primary"
	"postroad/internal/core/publish"
	"postroad/internal/core/zone"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// New begins an actor's plan for a version of the configuration.
func New(version int64, actor rights.Actor) Plan {
	return Plan{Version: version, Changes: []Change{}, Sentences: []string{}, Actor: actor.Name}
}

// Verb is what happens to a thing.
type Verb string

// The verbs.
const (
	VerbAdd    Verb = "add"
	VerbSet    Verb = "set"
	VerbRemove Verb = "remove"

	VerbRetry   Verb = "retry"   // queue: due now
	VerbHold    Verb = "hold"    // queue: kept until released
	VerbRelease Verb = "release" // queue: held rows back to waiting
	VerbDrop    Verb = "drop"    // queue: removed without a report
	VerbProbe   Verb = "probe"   // forwards at a primary: tried
)

// Change is one typed change of a plan. Before and After are what listings show of the thing; no secret is in them.
type Change struct {
	Kind    Kind       `json:"kind" doc:"Kind of the thing, in command words"`
	Verb    Verb       `json:"verb" enum:"add,set,remove,retry,hold,release,drop,probe"`
	Subject string     `json:"subject" doc:"Name or address of the thing"`
	Domain  string     `json:"domain,omitempty" doc:"Domain that the change concerns"`
	Account account.ID `json:"account" doc:"Account that the thing belongs to"`
	Before  any        `json:"before,omitempty" doc:"The thing before; absent when it is made"`
	After   any        `json:"after,omitempty" doc:"The thing after; absent when it is removed"`
}

// Action is the change in command words: "domain add".
func (c Change) Action() string { return string(c.Kind) + " " + string(c.Verb) }

// Plan is a proposed change: shown, then applied. What is in its JSON is for people; what Apply does lies in
// the other fields.
type Plan struct {
	Version   int64      `json:"version" doc:"Version of the configuration that the plan was made for"`
	Changes   []Change   `json:"changes"`
	Sentences []string   `json:"sentences" doc:"What happens, in plain words"`
	Warnings  []string   `json:"warnings,omitempty" doc:"What could stop mail or lose something"`
	Overrides []Override `json:"overrides,omitempty" doc:"What stands against the plan and is set aside by a yes"`
	Asks      bool       `json:"asks" doc:"The plan removes, replaces, alters routes or warns: it wants a yes"`

	Refused []Refusal `json:"refused,omitempty" doc:"Of many, what is refused and left out of the plan"`

	AlteredRoutes *AlteredRoutes `json:"altered_routes,omitempty" doc:"Every address whose route is altered, as far as the caller may know; absent when none is"`

	// Foreseen are domains of mode auto as public DNS will have them once it shows what the plan writes. The plan does not
	// write them.
	Foreseen []directory.Domain `json:"-"`

	// Moves are the domains whose zones come here, leave, or get other name servers.
	Moves []string `json:"-"`

	// Spread are changes that follow from one of Changes in many domains. They are recorded like it, and not shown one by one.
	Spread []Change `json:"-"`

	Actor     string                   `json:"-"` // who made it; nobody else may apply it
	Tx        Tx                       `json:"-"` // what is written
	Delta     directory.Delta          `json:"-"` // what the directory becomes
	Passwords map[string]*words.Secret `json:"-"` // of new mailboxes and of those whose password changes, by mailbox id
	Unboxed   []string                 `json:"-"` // ids of mailboxes to remove with their messages
	Secret    string                   `json:"-"` // of a new token; told once, when the plan is applied
	// Upkeep: the program keeps in order what was decided before, and nothing changes for people. It is applied without
	// an audit entry of its own.
	Upkeep bool         `json:"-"`
	Queue  *QueueAction `json:"-"` // what is done to the queue; then nothing is configured
	// Letters are sent once the plan is applied.
	Letters []Letter `json:"-"`
	// Publish is what is written into a zone that others answer for; then nothing is configured.
	Publish *Publication `json:"-"`
	// Probes are sent to the primary of one domain; then nothing is configured.
	Probes []primary.Probe `json:"-"`
}

// Publication is a change of a zone at its provider.
type Publication struct {
	Provider   publish.Provider
	Difference zone.Difference
}

// Empty reports whether the plan changes nothing.
func (p *Plan) Empty() bool { return len(p.Changes) == 0 && !p.Upkeep }

// Override is a finding that stands against a plan. The operator may set it aside; it is recorded and stays until it is
// mended.
type Override struct {
	Finding  finding.Name `json:"finding"`
	Domain   string       `json:"domain"`
	Evidence string       `json:"evidence"`
}

// Refusal tells of one of many that is left out of a plan.
type Refusal struct {
	Entry    int          `json:"entry" doc:"Which one, from 1"`
	Subject  string       `json:"subject"`
	Line     int          `json:"line,omitempty" doc:"In its text, from 1"`
	Sentence string       `json:"sentence"`
	Hint     string       `json:"hint,omitempty"`
	Finding  finding.Name `json:"finding,omitempty"`
}

// Against sets a finding against the plan: for the operator to override, for all others to be refused. What is overridden
// becomes a finding of the domain.
func (p *Plan) Against(actor rights.Actor, f finding.Finding, sentence, hint string) error {
	if err := p.Despite(actor, f, sentence, hint); err != nil {
		return err
	}
	p.Tx.PutFindings = append(p.Tx.PutFindings, f)
	return nil
}

// Despite is Against for what others look for all the time: they make a finding of it, and forget it when it is mended.
func (p *Plan) Despite(actor rights.Actor, f finding.Finding, sentence, hint string) error {
	if !actor.Operator {
		return &words.RefusedError{Err: words.ErrInvalid, Finding: f.Name, Sentence: sentence, Hint: hint + ", or ask the operator"}
	}
	p.Overrides = append(p.Overrides, Override{Finding: f.Name, Domain: f.Domain, Evidence: f.Evidence})
	p.Warn("%s: %s (%s; --yes overrides it).", f.Name, strings.TrimSuffix(sentence, "."), hint)
	return nil
}

// Say adds a sentence.
func (p *Plan) Say(format string, args ...any) {
	p.Sentences = append(p.Sentences, fmt.Sprintf(format, args...))
}

// Warn adds a warning; a plan that warns asks.
func (p *Plan) Warn(format string, args ...any) {
	p.Warnings = append(p.Warnings, fmt.Sprintf(format, args...))
	p.Asks = true
}

// Record adds a change. One that removes something asks.
func (p *Plan) Record(c Change) {
	p.Changes = append(p.Changes, c)
	if c.Verb == VerbRemove {
		p.Asks = true
	}
}

// Remove has a thing removed when the plan is applied.
func (p *Plan) Remove(kind Kind, id string) {
	p.Tx.Remove = append(p.Tx.Remove, Removal{Kind: kind, ID: id})
}

// Letter is a message to one address, in plain text with lines that end in LF.
type Letter struct {
	Account           account.ID // that it is sent for
	To, Subject, Text string
}

// QueueAction is what is done to queued mail.
type QueueAction struct {
	Filter mail.Filter
	Action mail.Action
}

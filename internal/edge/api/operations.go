package api

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"postroad/internal/core/directory"
	"postroad/internal/obs"
	"postroad/internal/service/control"
)

// register adds every operation. Their ids are command words.
func (a *api) register() {
	a.registerAccounts()
	a.registerDomains()
	a.registerRecipients()
	a.registerJudging()
	a.registerExchangers()
	a.registerSets()
	a.registerTransfers()
	a.registerMailboxes()
	for _, r := range []struct {
		kind  directory.RuleKind
		path  string
		words string
	}{
		{directory.RuleAlias, "/aliases", "an alias"},
		{directory.RuleForward, "/forwards", "a forward"},
		{directory.RuleGroup, "/groups", "a group"},
	} {
		a.registerRules(r.kind, r.path, r.words)
	}
	a.registerCatchAll()
	a.registerZones()
	a.registerDNSSEC()
	a.registerOutbound()
	a.registerTokens()
	a.registerQueue()
	a.registerTraces()
	a.registerNotices()
	a.registerSending()
	a.registerPublishing()
	a.registerDKIM()
	a.registerIdentities()
	a.registerPrimaries()
	a.registerClients()
	a.registerCertificates()
	a.registerForwardShow()
	a.registerLookUp()
	a.registerReading()
}

type nameBody struct {
	Name string `json:"name" doc:"1 to 100 characters"`
}

type accountAdd struct {
	How
	Body nameBody
}

type accountSet struct {
	How
	Account string `path:"account" doc:"Id or name"`
	Body    struct {
		Name    *string   `json:"name,omitempty" doc:"1 to 100 characters; the operator alone renames"`
		Notices *[]string `json:"notices,omitempty" doc:"Addresses that are told of what happens to its domains' mail; an empty list for none"`
	}
}

type accountRemove struct {
	How
	Account string `path:"account" doc:"Id or name"`
}

func (a *api) registerAccounts() {
	listing(a, "account-list", "/accounts", "List accounts", func(_ context.Context, actor control.Actor, _ *struct{}) ([]control.AccountInfo, error) {
		return a.control.Accounts(actor), nil
	})
	changing(a, "account-add", http.MethodPost, "/accounts", "Add an account", func(_ context.Context, actor control.Actor, in *accountAdd) (control.Plan, error) {
		return a.control.PlanAccountAdd(actor, in.Body.Name)
	})
	changing(a, "account-set", http.MethodPatch, "/accounts/{account}", "Rename an account, or set who is told of its mail", func(_ context.Context, actor control.Actor, in *accountSet) (control.Plan, error) {
		return a.control.PlanAccountSet(actor, in.Account, control.AccountSettings(in.Body))
	})
	changing(a, "account-remove", http.MethodDelete, "/accounts/{account}", "Remove an account and its tokens", func(ctx context.Context, actor control.Actor, in *accountRemove) (control.Plan, error) {
		return a.control.PlanAccountRemove(ctx, actor, in.Account)
	})
}

// DomainSettings are what can be chosen for a domain; absent fields are left as they are.
type DomainSettings struct {
	Mode              *string   `json:"mode,omitempty" doc:"auto, local, split, backup, relay or remote"`
	Zone              *string   `json:"zone,omitempty" doc:"hosted or external"`
	NextHops          *[]string `json:"next_hops,omitempty" doc:"host:port, or lmtp://host:port and lmtp:///socket, in the order in which they are tried"`
	Recipients        *string   `json:"recipients,omitempty" doc:"How recipients unknown here are judged in the modes split, backup and relay: probe, list or accept"`
	Unreachable       *string   `json:"unreachable,omitempty" doc:"What becomes of them while the domain's own server cannot be asked: queue or 450; empty for the mode's default"`
	Dual              *bool     `json:"dual,omitempty" doc:"Mode local: a copy of each message goes to better exchangers or to the next hops"`
	Gateways          *[]string `json:"gateways,omitempty" doc:"Networks that alone may deliver from outside; none of them: anybody"`
	Judge             *string   `json:"judge,omitempty" doc:"What is done with what is found out about strangers' mail: enforce, note or off"`
	SPFFail           *string   `json:"spf_fail,omitempty" doc:"What is done with mail that fails SPF and that DMARC does not stand for: accept, quarantine or reject"`
	Unchecked         *string   `json:"unchecked,omitempty" doc:"What is done with mail that cannot be checked while DNS does not answer: accept or 450"`
	Forwarders        *[]string `json:"forwarders,omitempty" doc:"Trusted forwarders: names, addresses or networks of the customer's own servers that forward to us"`
	Primary           *string   `json:"primary,omitempty" doc:"Domain at which its users have their mail: one above it, one of the same account, or any by the operator's word; empty for what follows from its name"`
	OnboardingSeconds *int64    `json:"onboarding_seconds,omitempty" minimum:"0" maximum:"2592000" doc:"How long from now on unknown recipients are refused for now only; 0 ends it"`
	HoldSeconds       *int64    `json:"hold_seconds,omitempty" minimum:"0" maximum:"2592000" doc:"How long its mail is kept in the queue; 0 for the installation's time"`
	ExchangerSet      *string   `json:"exchanger_set,omitempty" doc:"Exchanger set to follow, by name or id; none for none. It says MX, SPF and gateways."`
	NameServerSet     *string   `json:"nameserver_set,omitempty" doc:"Name-server set that the zone follows, by name or id; none for none"`
	Proved            *bool     `json:"proved,omitempty" doc:"The operator's word that its ownership is shown"`
}

func (s *DomainSettings) settings() control.DomainSettings {
	return control.DomainSettings{
		Mode: s.Mode, Zone: s.Zone, NextHops: s.NextHops, Recipients: s.Recipients, Unreachable: s.Unreachable, Dual: s.Dual, Gateways: s.Gateways,
		Onboarding: seconds(s.OnboardingSeconds), Hold: seconds(s.HoldSeconds), Proved: s.Proved,
		ExchangerSet: s.ExchangerSet, NameServerSet: s.NameServerSet,
		Judge: s.Judge, SPFFail: s.SPFFail, Unchecked: s.Unchecked, Forwarders: s.Forwarders, Primary: s.Primary,
	}
}

func seconds(n *int64) *time.Duration {
	if n == nil {
		return nil
	}
	return new(time.Duration(*n) * time.Second)
}

type domainAddBody struct {
	Name    string `json:"name"`
	Account string `json:"account,omitempty" doc:"Id or name; the caller's own when absent"`
	DomainSettings
}

type domainAdd struct {
	How
	Body domainAddBody
}

// DomainPath is a domain in a path, as people write it.
type DomainPath struct {
	Domain string `path:"domain"`
}

type domainSet struct {
	How
	DomainPath
	Body DomainSettings
}

type domainRemove struct {
	How
	DomainPath
}

type domainProve struct {
	How
	DomainPath
}

// DomainFilter narrows a listing.
type DomainFilter struct {
	Domain string `query:"domain" doc:"Only of this domain"`
}

type domainChoose struct {
	DomainPath
	NextHops []string `query:"next_hop,explode" doc:"The domain's own server, where that is known; may be repeated"`
}

type domainList struct {
	Arrangement string `query:"arrangement" doc:"Only those of this arrangement: FULL, EMAIL, PARTIAL or none"`
	Leaving     bool   `query:"leaving" doc:"Only those in their leaving window, and with them those that were removed (mode removed)"`
}

func (a *api) registerDomains() {
	listing(a, "domain-list", "/domains", "List domains", func(_ context.Context, actor control.Actor, in *domainList) ([]control.DomainInfo, error) {
		return a.control.Domains(actor, control.DomainFilter(*in))
	})
	showing(a, "domain-show", "/domains/{domain}", "Show a domain with its findings", func(ctx context.Context, actor control.Actor, in *DomainPath) (control.DomainDetail, error) {
		return a.control.Domain(ctx, actor, in.Domain)
	})
	showing(a, "domain-choose", "/domains/{domain}/choose", "Propose a routing mode, with the reasons", func(ctx context.Context, actor control.Actor, in *domainChoose) (control.Advice, error) {
		return a.control.Choose(ctx, actor, in.Domain, in.NextHops)
	})
	showing(a, "domain-proof", "/domains/{domain}/proof", "Tell what shows the ownership of a domain, and whether it is there", func(ctx context.Context, actor control.Actor, in *DomainPath) (control.DomainProof, error) {
		return a.control.Proof(ctx, actor, in.Domain)
	})
	changing(a, "domain-prove", http.MethodPost, "/domains/{domain}/prove", "Have a domain count as proved, if public DNS shows its ownership", func(ctx context.Context, actor control.Actor, in *domainProve) (control.Plan, error) {
		return a.control.PlanDomainProve(ctx, actor, in.Domain)
	})
	changing(a, "domain-add", http.MethodPost, "/domains", "Add a domain", func(ctx context.Context, actor control.Actor, in *domainAdd) (control.Plan, error) {
		return a.control.PlanDomainAdd(ctx, actor, control.DomainSpec{Name: in.Body.Name, Account: in.Body.Account, DomainSettings: in.Body.settings()})
	})
	changing(a, "domain-set", http.MethodPatch, "/domains/{domain}", "Change a domain's settings", func(ctx context.Context, actor control.Actor, in *domainSet) (control.Plan, error) {
		return a.control.PlanDomainSet(ctx, actor, in.Domain, in.Body.settings())
	})
	changing(a, "domain-remove", http.MethodDelete, "/domains/{domain}", "Remove a domain with everything in it", func(ctx context.Context, actor control.Actor, in *domainRemove) (control.Plan, error) {
		return a.control.PlanDomainRemove(ctx, actor, in.Domain)
	})
}

type mailboxBody struct {
	Address  string `json:"address"`
	Password string `json:"password,omitempty" doc:"Without one nobody can log in"`
	Quota    int64  `json:"quota,omitempty" doc:"Octets; 0 without limit"`
}

func (b *mailboxBody) spec() control.MailboxSpec {
	out := control.MailboxSpec{Address: b.Address, Quota: b.Quota}
	if b.Password != "" {
		out.Password = control.NewSecret(b.Password)
	}
	return out
}

type mailboxAdd struct {
	How
	Body mailboxBody
}

type mailboxImport struct {
	How
	Body struct {
		Mailboxes []mailboxBody `json:"mailboxes" minItems:"1" maxItems:"5000" nullable:"false"`
	}
}

type mailboxSet struct {
	How
	AddressPath
	Body struct {
		Password *string `json:"password,omitempty"`
		Quota    *int64  `json:"quota,omitempty" doc:"Octets; 0 without limit"`
	}
}

type mailboxPause struct {
	How
	AddressPath
	Body pauseBody
}

type mailboxResume struct {
	How
	AddressPath
}

type mailboxRemove struct {
	How
	AddressPath
}

// AddressPath is the address of a thing in a path.
type AddressPath struct {
	Address string `path:"address"`
}

// FolderQuery is the folder that is meant.
type FolderQuery struct {
	Folder string `query:"folder" default:"INBOX" doc:"Name of the folder, levels parted by /"`
}

type mailboxMessages struct {
	AddressPath
	FolderQuery
	After uint32 `query:"after" doc:"UIDs above this one"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"1000"`
}

type mailboxMessage struct {
	AddressPath
	FolderQuery
	UID uint32 `path:"uid"`
}

func (a *api) registerMailboxes() {
	listing(a, "mailbox-list", "/mailboxes", "List mailboxes with what they hold", func(ctx context.Context, actor control.Actor, in *DomainFilter) ([]control.MailboxUsage, error) {
		return a.control.Mailboxes(ctx, actor, in.Domain)
	})
	showing(a, "mailbox-show", "/mailboxes/{address}", "Show a mailbox with its routing address and its folders", func(ctx context.Context, actor control.Actor, in *AddressPath) (control.MailboxDetail, error) {
		return a.control.Mailbox(ctx, actor, in.Address)
	})
	listing(a, "mailbox-messages", "/mailboxes/{address}/messages", "List the messages of a folder", func(ctx context.Context, actor control.Actor, in *mailboxMessages) ([]control.MessageInfo, error) {
		return a.control.Messages(ctx, actor, in.Address, in.Folder, in.After, in.Limit)
	})
	huma.Register(a.huma, a.streaming("mailbox-message", "/mailboxes/{address}/messages/{uid}", "One message's exact bytes"),
		func(ctx context.Context, in *mailboxMessage) (*huma.StreamResponse, error) {
			body, err := a.control.Message(ctx, actorOf(ctx), in.Address, in.Folder, in.UID)
			if err != nil {
				return nil, a.refuse("mailbox-message", err)
			}
			return a.stream("mailbox-message", body), nil
		})
	replanning(a, "mailbox-add", http.MethodPost, "/mailboxes", "Add a mailbox", func(_ context.Context, in *mailboxAdd) func(control.Actor) (control.Plan, error) {
		spec := in.Body.spec()
		return func(actor control.Actor) (control.Plan, error) { return a.control.PlanMailboxAdd(actor, spec) }
	})
	replanning(a, "mailbox-import", http.MethodPost, "/mailboxes/import", "Add many mailboxes; one that is refused refuses all", func(_ context.Context, in *mailboxImport) func(control.Actor) (control.Plan, error) {
		specs := make([]control.MailboxSpec, len(in.Body.Mailboxes))
		for i := range specs {
			specs[i] = in.Body.Mailboxes[i].spec()
		}
		return func(actor control.Actor) (control.Plan, error) { return a.control.PlanMailboxImport(actor, specs) }
	})
	replanning(a, "mailbox-set", http.MethodPatch, "/mailboxes/{address}", "Change a mailbox's password or quota", func(_ context.Context, in *mailboxSet) func(control.Actor) (control.Plan, error) {
		set := control.MailboxSettings{Quota: in.Body.Quota}
		if in.Body.Password != nil {
			set.Password = control.NewSecret(*in.Body.Password)
		}
		return func(actor control.Actor) (control.Plan, error) {
			return a.control.PlanMailboxSet(actor, in.Address, set)
		}
	})
	changing(a, "mailbox-pause", http.MethodPost, "/mailboxes/{address}/pause", "Have a mailbox's user send nothing for now, and hold what is queued of it", func(_ context.Context, actor control.Actor, in *mailboxPause) (control.Plan, error) {
		return a.control.PlanMailboxPause(actor, in.Address, in.Body.Reason)
	})
	changing(a, "mailbox-resume", http.MethodPost, "/mailboxes/{address}/resume", "Let a mailbox's user send again, and what was held of it go", func(_ context.Context, actor control.Actor, in *mailboxResume) (control.Plan, error) {
		return a.control.PlanMailboxResume(actor, in.Address)
	})
	changing(a, "mailbox-remove", http.MethodDelete, "/mailboxes/{address}", "Remove a mailbox with its messages", func(ctx context.Context, actor control.Actor, in *mailboxRemove) (control.Plan, error) {
		return a.control.PlanMailboxRemove(ctx, actor, in.Address)
	})
}

// streaming is an operation that answers with a message.
func (a *api) streaming(id, path, summary string) huma.Operation {
	op := a.operation(id, http.MethodGet, path, summary)
	op.Responses = map[string]*huma.Response{
		"200": {Description: "The message, byte for byte", Content: map[string]*huma.MediaType{"message/rfc822": {Schema: &huma.Schema{Type: "string", Format: "binary"}}}},
	}
	return op
}

// stream answers with a body and closes it. Nothing in it is meant for a browser to show.
func (a *api) stream(id string, body io.ReadCloser) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		defer func() { _ = body.Close() }()
		ctx.SetHeader("Content-Type", "message/rfc822")
		ctx.SetHeader("Content-Disposition", "attachment")
		ctx.SetHeader("Content-Security-Policy", "sandbox")
		if _, err := io.Copy(ctx.BodyWriter(), body); err != nil {
			// A cut answer must not look whole.
			a.log.ErrorContext(ctx.Context(), "a message could not be sent whole", slog.String(obs.KeyOperation, id), slog.Any(obs.KeyError, err))
			panic(http.ErrAbortHandler)
		}
	}}
}

// RuleTargets are what an alias, forward or group leads to.
type RuleTargets struct {
	Targets []string `json:"targets" minItems:"1" nullable:"false" doc:"Full addresses"`
	Keep    bool     `json:"keep,omitempty" doc:"Forward only: the mailbox of the same address gets a copy too"`
	Archive bool     `json:"archive,omitempty" doc:"Forward only: what is sent on is an archive copy, of which its sender is told nothing"`
}

type ruleAdd struct {
	How
	Body struct {
		Address string `json:"address"`
		RuleTargets
	}
}

type ruleSet struct {
	How
	AddressPath
	Body RuleTargets
}

type ruleRemove struct {
	How
	AddressPath
}

func (a *api) registerRules(kind directory.RuleKind, path, words string) {
	k := string(kind)
	a.registerRuleList(kind, path)
	changing(a, k+"-add", http.MethodPost, path, "Add "+words, func(_ context.Context, actor control.Actor, in *ruleAdd) (control.Plan, error) {
		return a.control.PlanRuleAdd(actor, control.RuleSpec{Kind: kind, Address: in.Body.Address, Targets: in.Body.Targets, Keep: in.Body.Keep, Archive: in.Body.Archive})
	})
	changing(a, k+"-set", http.MethodPatch, path+"/{address}", "Change the targets of "+words, func(_ context.Context, actor control.Actor, in *ruleSet) (control.Plan, error) {
		return a.control.PlanRuleSet(actor, control.RuleSpec{Kind: kind, Address: in.Address, Targets: in.Body.Targets, Keep: in.Body.Keep, Archive: in.Body.Archive})
	})
	changing(a, k+"-remove", http.MethodDelete, path+"/{address}", "Remove "+words, func(_ context.Context, actor control.Actor, in *ruleRemove) (control.Plan, error) {
		return a.control.PlanRuleRemove(actor, kind, in.Address)
	})
}

func (a *api) registerForwardShow() {
	showing(a, "forward-show", "/forwards/{address}", "Show a forward, and how its mail fares at other servers", func(ctx context.Context, actor control.Actor, in *AddressPath) (control.ForwardHealth, error) {
		return a.control.Forward(ctx, actor, in.Address)
	})
}

func (a *api) registerRuleList(kind directory.RuleKind, path string) {
	listing(a, string(kind)+"-list", path, "List by address", func(_ context.Context, actor control.Actor, in *DomainFilter) ([]control.RuleInfo, error) {
		return a.control.Rules(actor, kind, in.Domain)
	})
}

type catchAllSet struct {
	How
	DomainPath
	Body struct {
		Targets []string `json:"targets" minItems:"1" nullable:"false" doc:"Full addresses"`
	}
}

func (a *api) registerCatchAll() {
	const path = "/catch-alls"
	a.registerRuleList(directory.RuleCatchAll, path)
	changing(a, "catch-all-set", http.MethodPut, path+"/{domain}", "Set where mail for addresses that are nothing else goes", func(_ context.Context, actor control.Actor, in *catchAllSet) (control.Plan, error) {
		return a.control.PlanRuleSet(actor, control.RuleSpec{Kind: directory.RuleCatchAll, Address: in.Domain, Targets: in.Body.Targets})
	})
	changing(a, "catch-all-remove", http.MethodDelete, path+"/{domain}", "Remove a catch-all", func(_ context.Context, actor control.Actor, in *domainRemove) (control.Plan, error) {
		return a.control.PlanRuleRemove(actor, directory.RuleCatchAll, in.Domain)
	})
}

type outboundSet struct {
	How
	Body struct {
		Hop      string  `json:"hop,omitempty" doc:"Smart host, host:port; as it is when absent"`
		Source   *string `json:"source,omitempty" doc:"Address of this machine from which mail leaves, or an IPv4 and an IPv6 address with a comma between, each with =NAME for another name in EHLO; empty: none is chosen; as it is when absent. The operator's alone"`
		Domain   string  `json:"domain,omitempty" doc:"Sender's domain; the whole installation when absent, unless an identity is given"`
		Identity string  `json:"identity,omitempty" doc:"Address elsewhere as which logins send, or the domain of such addresses: the smart host is for what they send as it"`
		Account  string  `json:"account,omitempty" doc:"Id or name, for an identity: whose logins; the only account that has shown it when absent"`
		TLS      string  `json:"tls,omitempty" doc:"opportunistic or verified; verified with a user, else opportunistic when absent"`
		User     string  `json:"user,omitempty" doc:"AUTH user"`
		Password string  `json:"password,omitempty" doc:"AUTH password, sent over verified TLS only"`
	}
}

type outboundRemove struct {
	How
	DomainFilter
	Identity   string `query:"identity" doc:"Address elsewhere as which logins send, or the domain of such addresses: the route for it"`
	Account    string `query:"account" doc:"Id or name, for an identity: whose route; the only one when absent"`
	KeepSource bool   `query:"keep_source" doc:"Remove the smart host alone: addresses from which mail leaves stay"`
}

func (a *api) registerOutbound() {
	listing(a, "outbound-list", "/outbound", "List smart hosts and addresses from which mail leaves", func(_ context.Context, actor control.Actor, _ *struct{}) ([]control.OutboundInfo, error) {
		return a.control.Outbounds(actor), nil
	})
	changing(a, "outbound-set", http.MethodPut, "/outbound", "Set the smart host of a sender's domain, of the installation or of what is sent as an identity, or the addresses from which its mail leaves", func(ctx context.Context, actor control.Actor, in *outboundSet) (control.Plan, error) {
		spec := control.OutboundSpec{Hop: in.Body.Hop, Source: in.Body.Source, Domain: in.Body.Domain, Identity: in.Body.Identity, Account: in.Body.Account, TLS: in.Body.TLS, User: in.Body.User}
		if in.Body.Password != "" {
			spec.Password = control.NewSecret(in.Body.Password)
		}
		return a.control.PlanOutboundSet(ctx, actor, spec)
	})
	changing(a, "outbound-remove", http.MethodDelete, "/outbound", "Remove a smart host", func(_ context.Context, actor control.Actor, in *outboundRemove) (control.Plan, error) {
		if in.Identity != "" {
			return a.control.PlanRelayRemove(actor, in.Identity, in.Account)
		}
		return a.control.PlanOutboundRemove(actor, in.Domain, in.KeepSource)
	})
}

type tokenAdd struct {
	How
	Body struct {
		Name    string `json:"name" doc:"1 to 100 characters"`
		Account string `json:"account,omitempty" doc:"Id or name; the caller's own when absent. A token of the operator's may do everything."`
	}
}

type tokenRemove struct {
	How
	ID string `path:"id"`
}

func (a *api) registerTokens() {
	listing(a, "token-list", "/tokens", "List tokens", func(ctx context.Context, actor control.Actor, _ *struct{}) ([]control.TokenInfo, error) {
		return a.control.Tokens(ctx, actor)
	})
	changing(a, "token-add", http.MethodPost, "/tokens", "Add a token; its secret is in the answer, this once", func(_ context.Context, actor control.Actor, in *tokenAdd) (control.Plan, error) {
		return a.control.PlanTokenAdd(actor, in.Body.Name, in.Body.Account)
	})
	changing(a, "token-remove", http.MethodDelete, "/tokens/{id}", "Revoke a token", func(ctx context.Context, actor control.Actor, in *tokenRemove) (control.Plan, error) {
		return a.control.PlanTokenRemove(ctx, actor, in.ID)
	})
}

type auditList struct {
	DomainFilter
	Before int64 `query:"before" minimum:"0" doc:"Entries with an id below this one"`
	Limit  int   `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type undo struct {
	How
	ID int64 `path:"id" minimum:"1" doc:"Of the change, as in the audit log"`
}

type explain struct {
	Address string `query:"address" required:"true"`
	Sender  string `query:"sender" doc:"Reverse-path"`
	Client  string `query:"client" doc:"IP address"`
	As      string `query:"as" doc:"stranger, local, or a login's full address"`
}

func (a *api) registerReading() {
	listing(a, "audit", "/audit", "List changes, newest first", func(ctx context.Context, actor control.Actor, in *auditList) ([]control.EntryInfo, error) {
		return a.control.Audit(ctx, actor, in.Domain, in.Before, in.Limit)
	})
	changing(a, "undo", http.MethodPost, "/audit/{id}/undo", "Restore what was before a change", func(ctx context.Context, actor control.Actor, in *undo) (control.Plan, error) {
		return a.control.PlanUndo(ctx, actor, in.ID)
	})
	a.registerExplainChange()
	showing(a, "explain", "/explain", "Tell what would happen to mail for an address, and why", func(ctx context.Context, actor control.Actor, in *explain) (control.Explanation, error) {
		return a.control.Explain(ctx, actor, control.ExplainRequest(*in))
	})
}

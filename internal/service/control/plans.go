package control

import "postroad/internal/service/control/plan"

// Plans in the words of package plan.
type (
	// Plan is a proposed change: shown, then applied.
	Plan = plan.Plan
	// Change is one typed change of a plan.
	Change = plan.Change
	// AlteredRoutes are the routes that a change alters.
	AlteredRoutes = plan.AlteredRoutes
	// AlteredRoute is one of them.
	AlteredRoute = plan.AlteredRoute
	// PlanRefusal tells of one of many that is left out of a plan.
	PlanRefusal = plan.Refusal
	// Override is a finding that stands against a plan.
	Override = plan.Override
	// Verb is what happens to a thing.
	Verb = plan.Verb
	// Kind is a kind of configured thing, in the words of commands and audit entries.
	Kind = plan.Kind
	// Tx is one change as the store writes it.
	Tx = plan.Tx
	// Removal names something to remove by kind and id.
	Removal = plan.Removal
	// RecipientList names the recipients of a domain whose mailboxes are elsewhere.
	RecipientList = plan.RecipientList
	// Token is the right to use the API from afar.
	Token = plan.Token
	// Entry is one line of the audit log.
	Entry = plan.Entry
)

// The verbs.
const (
	VerbAdd     = plan.VerbAdd
	VerbSet     = plan.VerbSet
	VerbRemove  = plan.VerbRemove
	VerbRetry   = plan.VerbRetry
	VerbHold    = plan.VerbHold
	VerbRelease = plan.VerbRelease
	VerbDrop    = plan.VerbDrop
	VerbProbe   = plan.VerbProbe
)

// The kinds.
const (
	KindAccount     = plan.KindAccount
	KindDomain      = plan.KindDomain
	KindMailbox     = plan.KindMailbox
	KindRule        = plan.KindRule
	KindOutbound    = plan.KindOutbound
	KindToken       = plan.KindToken
	KindRecipients  = plan.KindRecipients
	KindSet         = plan.KindSet
	KindServers     = plan.KindServers
	KindTSIGKey     = plan.KindTSIGKey
	KindTransfer    = plan.KindTransfer
	KindSecondary   = plan.KindSecondary
	KindCatalog     = plan.KindCatalog
	KindDeparted    = plan.KindDeparted
	KindZone        = plan.KindZone
	KindRecord      = plan.KindRecord
	KindMX          = plan.KindMX
	KindDNSSEC      = plan.KindDNSSEC
	KindZoneKeys    = plan.KindZoneKeys
	KindProvider    = plan.KindProvider
	KindIdentity    = plan.KindIdentity
	KindSending     = plan.KindSending
	KindDKIM        = plan.KindDKIM
	KindPublish     = plan.KindPublish
	KindPrimary     = plan.KindPrimary
	KindQueue       = plan.KindQueue
	KindCertificate = plan.KindCertificate
)

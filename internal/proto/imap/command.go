package imap

import "postroad/internal/proto/mime"

// Request is one command as a client sent it.
type Request struct {
	Tag     string
	Command Command
}

// Command is one of the types of this file, by value, with a pointer for Append.
type Command interface {
	// Name is the command's name in capitals, such as "UID FETCH".
	Name() string
}

// Commands without arguments.
type (
	// Capability is CAPABILITY (RFC 9051 §6.1.1).
	Capability struct{}
	// Noop is NOOP (RFC 9051 §6.1.2).
	Noop struct{}
	// Logout is LOGOUT (RFC 9051 §6.1.3).
	Logout struct{}
	// StartTLS is STARTTLS (RFC 9051 §6.2.1).
	StartTLS struct{}
	// Namespace is NAMESPACE (RFC 9051 §6.3.10, RFC 2342).
	Namespace struct{}
	// Idle is IDLE; Reader.Done waits for its end (RFC 9051 §6.3.13, RFC 2177).
	Idle struct{}
	// Check is CHECK (RFC 3501 §6.4.1).
	Check struct{}
	// Close is CLOSE (RFC 9051 §6.4.1).
	Close struct{}
	// Unselect is UNSELECT (RFC 9051 §6.4.2, RFC 3691).
	Unselect struct{}
)

// Authenticate is AUTHENTICATE (RFC 9051 §6.2.2). Reader.Answer reads what answers a challenge.
type Authenticate struct {
	Mechanism  string // in capitals
	HasInitial bool   // an initial response was given (RFC 4959)
	Initial    []byte // may be empty
}

// Login is LOGIN (RFC 9051 §6.2.3).
type Login struct{ User, Password string }

// ID is ID (RFC 2971).
type ID struct{ Params []Param }

// Param is a field of ID; values that were NIL are left out.
type Param = mime.Param

// Enable is ENABLE (RFC 9051 §6.3.1, RFC 5161), its capabilities in capitals.
type Enable struct{ Capabilities []string }

// Select is SELECT or, ReadOnly, EXAMINE (RFC 9051 §6.3.2, §6.3.3).
type Select struct {
	Mailbox   string
	ReadOnly  bool
	CondStore bool     // RFC 7162 §3.1.8
	QResync   *QResync // RFC 7162 §3.2.5; nil without
}

// QResync is what a client knows of a mailbox that it selects (RFC 7162 §3.2.5).
type QResync struct {
	UIDValidity uint32
	ModSeq      uint64
	Known       Set // UIDs; empty: all of them

	// Numbers and UIDs of some messages, as long as one another, by which expunges that are forgotten can be found.
	Numbers, UIDs Set
}

// Create is CREATE (RFC 9051 §6.3.4).
type Create struct {
	Mailbox string // without a delimiter at its end
	Folder  bool   // a delimiter stood at its end: there will be mailboxes below it
	Use     string // special use such as "\Sent" (RFC 6154 §3), empty for none
}

// Delete is DELETE (RFC 9051 §6.3.5).
type Delete struct{ Mailbox string }

// Rename is RENAME (RFC 9051 §6.3.6).
type Rename struct{ From, To string }

// Subscribe is SUBSCRIBE (RFC 9051 §6.3.7).
type Subscribe struct{ Mailbox string }

// Unsubscribe is UNSUBSCRIBE (RFC 9051 §6.3.8).
type Unsubscribe struct{ Mailbox string }

// List is LIST with its selection and return options (RFC 9051 §6.3.9, RFC 5258).
type List struct {
	Reference string
	Patterns  []string // to be put behind Reference; one empty pattern asks for the delimiter
	Extended  bool     // has options or several patterns

	// Selection options.
	Subscribed, Remote, RecursiveMatch, SpecialUse bool

	// Return options. ReturnStatus is empty where no STATUS is wanted (RFC 5819).
	ReturnSubscribed, ReturnChildren, ReturnSpecialUse bool

	ReturnStatus []StatusItem
}

// LSub is LSUB (RFC 3501 §6.3.9).
type LSub struct{ Reference, Pattern string }

// StatusItem is what STATUS tells of a mailbox, as it is sent.
type StatusItem string

// The items (RFC 9051 §6.3.11).
const (
	StatusMessages       StatusItem = "MESSAGES"
	StatusUIDNext        StatusItem = "UIDNEXT"
	StatusUIDValidity    StatusItem = "UIDVALIDITY"
	StatusUnseen         StatusItem = "UNSEEN"
	StatusDeleted        StatusItem = "DELETED"
	StatusSize           StatusItem = "SIZE"
	StatusRecent         StatusItem = "RECENT"          // RFC 3501 §6.3.10
	StatusHighestModSeq  StatusItem = "HIGHESTMODSEQ"   // RFC 7162 §3.1.7
	StatusAppendLimit    StatusItem = "APPENDLIMIT"     // RFC 7889 §2
	StatusDeletedStorage StatusItem = "DELETED-STORAGE" // RFC 9208 §4.1.4
)

// StatusOf is STATUS (RFC 9051 §6.3.11).
type StatusOf struct {
	Mailbox string
	Items   []StatusItem
}

// Append is APPEND (RFC 9051 §6.3.12). Reader.More gives the messages after the first (RFC 3502). What is not read of
// them is dropped by Reader.Next.
type Append struct {
	Mailbox string
	Message *Message
}

// Search is SEARCH or UID SEARCH (RFC 9051 §6.4.4).
type Search struct {
	UID      bool
	Extended bool // RETURN was given: the response is ESEARCH (RFC 4731)

	// What RETURN asks for. Save is SAVE (RFC 5182).
	Min, Max, All, Count, Save bool

	// Charset is the one that is named, in capitals; empty when none is. BadCharset: it is neither US-ASCII nor UTF-8, or
	// a text that is looked for is not.
	Charset    string
	BadCharset bool

	Key Key
}

// Fetch is FETCH or UID FETCH (RFC 9051 §6.4.5).
type Fetch struct {
	UID          bool
	Messages     Set
	Items        []Item
	ChangedSince uint64 // RFC 7162 §3.1.4.1; valid with HasChanged
	HasChanged   bool
	Vanished     bool // RFC 7162 §3.2.6
}

// StoreMode is how STORE changes flags.
type StoreMode uint8

// The modes of STORE.
const (
	SetFlags    StoreMode = iota // FLAGS
	AddFlags                     // +FLAGS
	RemoveFlags                  // -FLAGS
)

// Store is STORE or UID STORE (RFC 9051 §6.4.6).
type Store struct {
	UID      bool
	Messages Set
	Mode     StoreMode
	Silent   bool
	Flags    []string

	UnchangedSince uint64 // RFC 7162 §3.1.3; valid with HasUnchanged
	HasUnchanged   bool
}

// Copy is COPY or UID COPY (RFC 9051 §6.4.7).
type Copy struct {
	UID      bool
	Messages Set
	Mailbox  string
}

// Move is MOVE or UID MOVE (RFC 9051 §6.4.8, RFC 6851).
type Move struct {
	UID      bool
	Messages Set
	Mailbox  string
}

// Expunge is EXPUNGE (RFC 9051 §6.4.3) or UID EXPUNGE (§6.4.9, RFC 4315), which has Messages.
type Expunge struct {
	UID      bool
	Messages Set
}

// GetQuota is GETQUOTA (RFC 9208 §4.1.1).
type GetQuota struct{ Root string }

// GetQuotaRoot is GETQUOTAROOT (RFC 9208 §4.1.2).
type GetQuotaRoot struct{ Mailbox string }

// SetQuota is SETQUOTA (RFC 9208 §4.1.3).
type SetQuota struct {
	Root   string
	Limits []QuotaLimit
}

// QuotaLimit is what a client wants of a resource.
type QuotaLimit struct {
	Resource string // in capitals, such as "STORAGE", which is in units of 1,024 octets
	Limit    uint64
}

// Name is CAPABILITY.
func (Capability) Name() string { return "CAPABILITY" }

// Name is NOOP.
func (Noop) Name() string { return "NOOP" }

// Name is LOGOUT.
func (Logout) Name() string { return "LOGOUT" }

// Name is STARTTLS.
func (StartTLS) Name() string { return "STARTTLS" }

// Name is NAMESPACE.
func (Namespace) Name() string { return "NAMESPACE" }

// Name is IDLE.
func (Idle) Name() string { return "IDLE" }

// Name is CHECK.
func (Check) Name() string { return "CHECK" }

// Name is CLOSE.
func (Close) Name() string { return "CLOSE" }

// Name is UNSELECT.
func (Unselect) Name() string { return "UNSELECT" }

// Name is AUTHENTICATE.
func (Authenticate) Name() string { return "AUTHENTICATE" }

// Name is LOGIN.
func (Login) Name() string { return "LOGIN" }

// Name is ID.
func (ID) Name() string { return "ID" }

// Name is ENABLE.
func (Enable) Name() string { return "ENABLE" }

// Name is SELECT or EXAMINE.
func (c Select) Name() string {
	if c.ReadOnly {
		return "EXAMINE"
	}
	return "SELECT"
}

// Name is CREATE.
func (Create) Name() string { return "CREATE" }

// Name is DELETE.
func (Delete) Name() string { return "DELETE" }

// Name is RENAME.
func (Rename) Name() string { return "RENAME" }

// Name is SUBSCRIBE.
func (Subscribe) Name() string { return "SUBSCRIBE" }

// Name is UNSUBSCRIBE.
func (Unsubscribe) Name() string { return "UNSUBSCRIBE" }

// Name is LIST.
func (List) Name() string { return "LIST" }

// Name is LSUB.
func (LSub) Name() string { return "LSUB" }

// Name is STATUS.
func (StatusOf) Name() string { return "STATUS" }

// Name is APPEND.
func (*Append) Name() string { return "APPEND" }

// Name is SEARCH or UID SEARCH.
func (c Search) Name() string { return uidName(c.UID, "SEARCH", "UID SEARCH") }

// Name is FETCH or UID FETCH.
func (c Fetch) Name() string { return uidName(c.UID, "FETCH", "UID FETCH") }

// Name is STORE or UID STORE.
func (c Store) Name() string { return uidName(c.UID, "STORE", "UID STORE") }

// Name is COPY or UID COPY.
func (c Copy) Name() string { return uidName(c.UID, "COPY", "UID COPY") }

// Name is MOVE or UID MOVE.
func (c Move) Name() string { return uidName(c.UID, "MOVE", "UID MOVE") }

// Name is EXPUNGE or UID EXPUNGE.
func (c Expunge) Name() string { return uidName(c.UID, "EXPUNGE", "UID EXPUNGE") }

// Name is GETQUOTA.
func (GetQuota) Name() string { return "GETQUOTA" }

// Name is GETQUOTAROOT.
func (GetQuotaRoot) Name() string { return "GETQUOTAROOT" }

// Name is SETQUOTA.
func (SetQuota) Name() string { return "SETQUOTA" }

func uidName(uid bool, without, with string) string {
	if uid {
		return with
	}
	return without
}

// Package finding names what is wrong with a domain, with the evidence for it.
package finding

import "time"

// Name is a diagnosis by name, the same in panel, API, command line and documentation.
type Name string

// The findings of the main job.
const (
	RouteLoopSelf    Name = "ROUTE_LOOP_SELF"    // the way to the domain's server leads back to ourselves
	AliasLoop        Name = "ALIAS_LOOP"         // aliases, forwards or groups lead back to where they started
	PrimaryMXMissing Name = "PRIMARY_MX_MISSING" // no exchanger in public DNS takes the domain's mail
	AutoUnresolved   Name = "AUTO_UNRESOLVED"    // public DNS does not say what mode a domain of mode auto has
	ModeConflictsDNS Name = "MODE_CONFLICTS_DNS" // the chosen mode is not what public DNS says
	QueuedMailHeld   Name = "QUEUED_MAIL_HELD"   // mail taken before a change of the route has no place to go now
	SplitLoop        Name = "SPLIT_LOOP"         // what a split domain hands on comes back to this installation
	// StrandedMailboxes: the domain's mail goes elsewhere, and there are mailboxes here.
	StrandedMailboxes Name = "STRANDED_MAILBOXES"
	// ZoneNotServed: the zone is hosted here and cannot be read or answered for.
	ZoneNotServed Name = "ZONE_NOT_SERVED"
	// SecondaryStale: the zone has its home at another server, which does not give a version that can be taken.
	SecondaryStale Name = "SECONDARY_STALE"
)

// The findings about exchangers.
const (
	MXNone                 Name = "MX_NONE"                   // there are no MX records: the implicit rule holds (RFC 5321 §5.1)
	NullMX                 Name = "NULL_MX"                   // the domain says that it takes no mail (RFC 7505)
	MXTargetIsIP           Name = "MX_TARGET_IS_IP"           // an IP address in place of an exchanger's name
	MXTargetNXDomain       Name = "MX_TARGET_NXDOMAIN"        // an exchanger's name does not exist
	MXTargetNoAddress      Name = "MX_TARGET_NO_ADDRESS"      // an exchanger has no address
	MXTargetCNAME          Name = "MX_TARGET_CNAME"           // an exchanger's name is an alias (RFC 2181 §10.3)
	MXTargetAppendedOrigin Name = "MX_TARGET_APPENDED_ORIGIN" // an exchanger's name with that of the zone added
	MXWrongOwner           Name = "MX_WRONG_OWNER"            // MX records at a name that senders do not ask for
	// ForwarderNotTrusted: a client brings mail that fails for having come through it, and would pass one hop before.
	ForwarderNotTrusted Name = "FORWARDER_NOT_TRUSTED"
	GatewayBypassed     Name = "GATEWAY_BYPASSED" // somebody who is none of the domain's gateways tries to deliver
)

// ForwardFuse: a forward sends more to other servers than is good for anybody: what is over waits.
const ForwardFuse Name = "FORWARD_FUSE"

// The findings about forwards that a domain's primary has to make.
const (
	ForwardMissing      Name = "FORWARD_MISSING"       // mail for an address at the primary does not come here
	ForwardRewritesBody Name = "FORWARD_REWRITES_BODY" // it comes, and the primary has changed it
)

// OwnershipLost: the proof of the domain's ownership is gone.
const OwnershipLost Name = "OWNERSHIP_LOST"

// The findings about name servers.
const (
	NSNotDelegated Name = "NS_NOT_DELEGATED" // the zone is hosted here, and the zone above hands it to none of our name servers
	NSPartial      Name = "NS_PARTIAL"       // the zone above names some of ours only, or others beside ours
	NSLame         Name = "NS_LAME"          // a name server of the zone does not answer for it
	NSSameNetwork  Name = "NS_SAME_NETWORK"  // all name servers of the zone are in one network
	NSInconsistent Name = "NS_INCONSISTENT"  // the zone above and the name servers, or these among themselves, say different things
	ZoneShadowed   Name = "ZONE_SHADOWED"    // the zone is hosted here, and the world asks elsewhere and hears something else
)

// The findings about signed zones.
const (
	DNSSECDSStale     Name = "DNSSEC_DS_STALE"     // the zone above has DS records, and none is of a key of the zone
	DNSSECBogus       Name = "DNSSEC_BOGUS"        // the zone as it is published does not validate
	DNSSECSigExpiring Name = "DNSSEC_SIG_EXPIRING" // signatures run out in less than seven days and were not renewed
	DNSSECKeyUnusable Name = "DNSSEC_KEY_UNUSABLE" // the private part of a key is missing or damaged: nothing can be signed
)

// Between stands between the parts of evidence that tells of several things, each of which is told by itself.
const Between = "; "

// SendingPaused: a login of the domain tried to send more than it may, again and again, and sends nothing now.
const SendingPaused Name = "SENDING_PAUSED"

// CertExpiring: the certificate of a name runs out soon and was not renewed.
const CertExpiring Name = "CERT_EXPIRING"

// The findings about the keys by which a domain's mail is signed.
const (
	DKIMNotPublished Name = "DKIM_NOT_PUBLISHED"    // the record of a key is not there
	DKIMTruncated    Name = "DKIM_RECORD_TRUNCATED" // the record has a beginning of the key only (255 octets are a frequent end)
	DKIMWrong        Name = "DKIM_RECORD_WRONG"     // another key, or more than one record, stands in the place of a key's record
)

// IdentityNotAuthorised: mail that is sent from here as another domain's address is not authorised by that domain.
const IdentityNotAuthorised Name = "IDENTITY_NOT_AUTHORISED"

// SourceNotAuthorised: the SPF record of a domain does not cover an address of this machine from which its mail leaves.
const SourceNotAuthorised Name = "SOURCE_NOT_AUTHORISED"

// IdentityRelayRefused: the host through which mail is to leave that is sent as another domain's address does not take it.
const IdentityRelayRefused Name = "IDENTITY_RELAY_REFUSED"

// Finding is one diagnosis of one domain.
type Finding struct {
	Name     Name
	Domain   string
	Evidence string    // who answered what, one line
	Since    time.Time // first seen without a break
}

// Sentence says in plain words what the diagnosis means.
func (n Name) Sentence() string {
	switch n {
	case RouteLoopSelf:
		return "The way to this domain's mail server leads back to this installation."
	case AliasLoop:
		return "Aliases, forwards or groups of this domain lead in a circle."
	case PrimaryMXMissing:
		return "Public DNS shows no server that takes this domain's mail."
	case AutoUnresolved:
		return "Public DNS does not say where this domain's mail goes: it goes as before."
	case ModeConflictsDNS:
		return "Public DNS sends this domain's mail elsewhere than its mode does."
	case QueuedMailHeld:
		return "Mail that was taken before this domain's route changed has no place to go now and is held."
	case SplitLoop:
		return "What this domain hands on to its own server comes back to this installation."
	case StrandedMailboxes:
		return "This domain's mail goes elsewhere; its mailboxes here get none."
	case SecondaryStale:
		return "The primary of this zone gives no version that can be taken: the last good one is answered for until it expires."
	case ZoneNotServed:
		return "This domain's zone is hosted here, and our name servers cannot answer for it as it is stored."
	case MXNone:
		return "This domain has no MX records: senders go to the address of its own name, if it has one."
	case NullMX:
		return "This domain says that it takes no mail."
	case MXTargetIsIP:
		return "An MX record of this domain has an IP address where the name of a host belongs."
	case MXTargetNXDomain:
		return "An MX record of this domain names a host that does not exist."
	case MXTargetNoAddress:
		return "An MX record of this domain names a host that has no address."
	case MXTargetCNAME:
		return "An MX record of this domain names an alias, which not all senders follow."
	case MXTargetAppendedOrigin:
		return "An MX record of this domain names a host of elsewhere with this domain's name added."
	case MXWrongOwner:
		return "An MX record stands at a name under this domain that senders do not ask for."
	case ForwarderNotTrusted:
		return "A server brings mail for this domain that fails its checks only for having come through that server: if it is yours, trust it as a forwarder."
	case GatewayBypassed:
		return "Mail for this domain comes here around its filter, and is refused for now."
	case ForwardFuse:
		return "A forward of this domain gets more mail than it may send to other servers: what is over waits and leaves slowly."
	case ForwardMissing:
		return "Mail for an address at this domain's primary is not forwarded here: whoever looks after the primary sets up the forward (postroad primary export), then it is probed again."
	case ForwardRewritesBody:
		return "The primary changes what it forwards to this domain, so that the signatures of its senders break and it may be taken for forged: it is to leave subject and text alone (no disclaimer, no mark for outside mail, no rewritten links) for what it forwards."
	case OwnershipLost:
		return "What showed the ownership of this domain is gone from DNS: unless it comes back, the domain's mail is no longer taken here after a while."
	case DKIMNotPublished:
		return "The record of a key by which this domain's mail is signed is not in DNS: receivers cannot check the signatures."
	case DKIMTruncated:
		return "The record of a key by which this domain's mail is signed was cut when it was entered: signatures fail."
	case DKIMWrong:
		return "In the place of the record of a key by which this domain's mail is signed stands something else: signatures fail."
	case IdentityNotAuthorised:
		return "Mail is sent from here as an address of another domain, and that domain authorises neither our address by SPF nor a key of ours by DKIM, nor does it leave through that domain's own server: receivers may refuse it."
	case SourceNotAuthorised:
		return "An address of this server was chosen from which this domain's mail leaves, and the domain's SPF record does not cover it: receivers may take that mail for forged."
	case IdentityRelayRefused:
		return "Mail that is sent from here as an address of another domain is to leave through that domain's own server, and that server does not take it from us."
	case NSNotDelegated:
		return "This domain's zone is hosted here, but the world is not led to our name servers: what stands in it here is not live."
	case NSPartial:
		return "Only a part of the name servers that the world asks for this domain are ours."
	case NSLame:
		return "A name server that the world is led to for this domain does not answer for it."
	case NSSameNetwork:
		return "All name servers of this domain are in one network: when that is down, nobody finds the domain."
	case NSInconsistent:
		return "The name servers of this domain, or the zone above it, say different things."
	case ZoneShadowed:
		return "This domain's zone is hosted here, but the world asks other name servers, which say something else: changes here have no effect."
	case SendingPaused:
		return "A login of this domain has tried again and again to send more than it may: it is paused, and what it has sent is held."
	case CertExpiring:
		return "The certificate of a name of this domain runs out soon and could not be renewed: programs that read and send mail by it will warn, or refuse."
	case DNSSECDSStale:
		return "The zone above says that this domain is signed with a key that it does not have: whoever checks signatures cannot reach the domain."
	case DNSSECBogus:
		return "The signatures of this domain's zone are not right: whoever checks them cannot reach the domain."
	case DNSSECSigExpiring:
		return "Signatures of this domain's zone run out soon and were not renewed."
	case DNSSECKeyUnusable:
		return "This domain's zone cannot be signed any more: a private key is missing or damaged. What was signed last is answered until it runs out."
	}
	return string(n)
}

// Passing reports whether the diagnosis tells of something that happened, and not of something that stands: it is
// forgotten when it has not happened again for a while.
func (n Name) Passing() bool {
	return n == GatewayBypassed || n == SplitLoop || n == ForwardFuse || n == ForwarderNotTrusted
}

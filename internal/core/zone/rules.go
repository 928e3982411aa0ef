package zone

import (
	"slices"

	"postroad/internal/core/finding"
	"postroad/internal/proto/dns"
)

// Severity is what a problem means for a zone.
type Severity string

// The severities.
const (
	// Refuse: a zone with the problem is not published.
	Refuse Severity = "refuse"
	// Warn: the zone works, and something in it will not do what was meant.
	Warn Severity = "warn"
)

// Problem is one thing in a zone that is not as a rule wants it.
type Problem struct {
	Rule     finding.Name
	Severity Severity
	// Sentence says what is wrong, and why that matters.
	Sentence string
	// Hint says what to do, without a capital and a full stop.
	Hint string
	// Records are those in which it shows, at most ten; none where something is missing.
	Records []dns.Record
}

// Rule is one rule that zones keep.
type Rule struct {
	Name     finding.Name
	Severity Severity
	// Why is what the rule wants and why, a sentence.
	Why string
}

// The rules by name, as far as they are no findings of the main job (core/finding).
const (
	TooManyRecords   finding.Name = "TOO_MANY_RECORDS"
	TooLarge         finding.Name = "TOO_LARGE"
	NameInvalid      finding.Name = "NAME_INVALID"
	NameOutsideZone  finding.Name = "NAME_OUTSIDE_ZONE"
	NameAppended     finding.Name = "NAME_APPENDED_ORIGIN"
	TypeNotForZones  finding.Name = "TYPE_NOT_FOR_ZONES"
	DataInvalid      finding.Name = "DATA_INVALID"
	DuplicateRecord  finding.Name = "DUPLICATE_RECORD"
	TTLsDiffer       finding.Name = "TTLS_DIFFER"
	TTLTooShort      finding.Name = "TTL_TOO_SHORT"
	TTLTooLong       finding.Name = "TTL_TOO_LONG"
	SOAMissing       finding.Name = "SOA_MISSING"
	SOAMoreThanOne   finding.Name = "SOA_MORE_THAN_ONE"
	SOANotAtApex     finding.Name = "SOA_NOT_AT_APEX"
	SOATimes         finding.Name = "SOA_TIMES"
	NSMissing        finding.Name = "NS_MISSING"
	NSSingle         finding.Name = "NS_SINGLE"
	NSTooMany        finding.Name = "NS_TOO_MANY"
	GlueMissing      finding.Name = "GLUE_MISSING"
	Occluded         finding.Name = "OCCLUDED"
	DSWithoutNS      finding.Name = "DS_WITHOUT_NS"
	CNAMEAtApex      finding.Name = "CNAME_AT_APEX"
	CNAMENotAlone    finding.Name = "CNAME_NOT_ALONE"
	CNAMELoop        finding.Name = "CNAME_LOOP"
	DNAMEMoreThanOne finding.Name = "DNAME_MORE_THAN_ONE"
	DNAMEWithNS      finding.Name = "DNAME_WITH_NS"
	DNAMENamesBelow  finding.Name = "DNAME_NAMES_BELOW"
	WildcardNS       finding.Name = "WILDCARD_NS"
	WildcardDNAME    finding.Name = "WILDCARD_DNAME"
	WildcardInside   finding.Name = "WILDCARD_INSIDE"
	WildcardPartial  finding.Name = "WILDCARD_PARTIAL"
	WildcardSkips    finding.Name = "WILDCARD_SKIPS"
	NullMXNotAlone   finding.Name = "NULL_MX_NOT_ALONE"
	TargetNoHostName finding.Name = "TARGET_NO_HOST_NAME"

	NSTargetIsIP           finding.Name = "NS_TARGET_IS_IP"
	NSTargetCNAME          finding.Name = "NS_TARGET_CNAME"
	NSTargetNXDOMAIN       finding.Name = "NS_TARGET_NXDOMAIN"
	NSTargetNoAddress      finding.Name = "NS_TARGET_NO_ADDRESS"
	NSTargetAppended       finding.Name = "NS_TARGET_APPENDED_ORIGIN"
	SRVTargetIsIP          finding.Name = "SRV_TARGET_IS_IP"
	SRVTargetCNAME         finding.Name = "SRV_TARGET_CNAME"
	SRVTargetNXDOMAIN      finding.Name = "SRV_TARGET_NXDOMAIN"
	SRVTargetNoAddress     finding.Name = "SRV_TARGET_NO_ADDRESS"
	SRVTargetAppended      finding.Name = "SRV_TARGET_APPENDED_ORIGIN"
	CNAMETargetIsIP        finding.Name = "CNAME_TARGET_IS_IP"
	CNAMETargetNXDOMAIN    finding.Name = "CNAME_TARGET_NXDOMAIN"
	CNAMETargetAppended    finding.Name = "CNAME_TARGET_APPENDED_ORIGIN"
	SPFMoreThanOne         finding.Name = "SPF_MORE_THAN_ONE"
	CAATag                 finding.Name = "CAA_TAG"
	CAAValue               finding.Name = "CAA_VALUE"
	CAACritical            finding.Name = "CAA_CRITICAL"
	SVCBAliasParameters    finding.Name = "SVCB_ALIAS_PARAMETERS"
	SVCBAliasNotAlone      finding.Name = "SVCB_ALIAS_NOT_ALONE"
	SVCBAliasToItself      finding.Name = "SVCB_ALIAS_TO_ITSELF"
	SVCBMandatoryParameter finding.Name = "SVCB_MANDATORY_PARAMETER"
)

// rules are all rules, in the order in which problems are told.
var rules = []Rule{
	{TooManyRecords, Refuse, "A zone has at most 10,000 records unless the operator allows more: it is held in memory by every name server."},
	{TooLarge, Refuse, "The names and the data of a zone take at most 16 MiB unless the operator allows more, each name between an owner and the zone's counted: all of it is held in memory by every name server."},
	{NameInvalid, Refuse, "Every record has an owner that is a name in lower case of at most 255 octets."},
	{NameOutsideZone, Refuse, "All names of a zone end in the zone's name: for others this zone is not asked."},
	{NameAppended, Warn, "A name that ends in the zone's name twice was written without its last dot."},
	{TypeNotForZones, Refuse, "Types that belong to questions, to messages or to signing are not written into a zone."},
	{DataInvalid, Refuse, "The data of a record has the form of its type: otherwise a resolver discards it, and perhaps the whole answer."},
	{DuplicateRecord, Refuse, "Every record is there once."},
	{TTLsDiffer, Refuse, "Records of one name and type have one TTL: resolvers keep them together."},
	{TTLTooShort, Refuse, "A TTL is at least 30 s: with less, every look-up comes to the name servers."},
	{TTLTooLong, Refuse, "A TTL is at most 2147483647 s: resolvers take more for 0."},
	{SOAMissing, Refuse, "A zone has a SOA record at its own name: without it no answer says what does not exist, and secondaries cannot follow."},
	{SOAMoreThanOne, Refuse, "A zone has one SOA record."},
	{SOANotAtApex, Refuse, "A SOA record stands at the zone's own name alone: elsewhere it would begin another zone."},
	{SOATimes, Warn, "Secondaries ask again before what they hold expires."},
	{NSMissing, Refuse, "A zone has NS records at its own name: they say who answers for it."},
	{NSSingle, Warn, "A zone has two name servers or more: while a single one is down the domain is gone."},
	{NSTooMany, Refuse, "A name has at most 13 name servers: more do not fit into a referral, and make resolvers ask for nothing."},
	{GlueMissing, Warn, "A delegation to name servers below itself needs their addresses here: nobody could find them otherwise."},
	{Occluded, Warn, "What lies at or below a delegation is answered by the servers that it is delegated to, never from here."},
	{DSWithoutNS, Refuse, "A DS record belongs to a delegation: it stands beside NS records, and never at the zone's own name."},
	{CNAMEAtApex, Refuse, "The zone's own name is no alias: it has SOA and NS records, and an alias stands alone."},
	{CNAMENotAlone, Refuse, "An alias is the only record of its name: a resolver that has seen it finds nothing else there."},
	{CNAMELoop, Refuse, "An alias leads to a name that is no alias in the end, not in a circle."},
	{DNAMEMoreThanOne, Refuse, "A name has one DNAME record."},
	{DNAMEWithNS, Refuse, "A DNAME record does not stand at a delegation: the servers of that zone would answer for what is below."},
	{DNAMENamesBelow, Refuse, "Nothing lies below a DNAME record: all names there are led elsewhere."},
	{WildcardNS, Refuse, "A wildcard has no NS records: what they would mean is not defined."},
	{WildcardDNAME, Refuse, "A wildcard has no DNAME record: servers and resolvers do not agree about it."},
	{WildcardInside, Warn, "An asterisk stands for other names only as the first label."},
	{WildcardPartial, Warn, "An asterisk stands for other names only as a whole label."},
	{WildcardSkips, Warn, "A wildcard says nothing of names that exist: whatever other record they have, they get none of its records."},
	{finding.MXTargetIsIP, Refuse, "An exchanger is a host name: other servers do not deliver to an address that stands there."},
	{finding.MXTargetCNAME, Warn, "An exchanger is no alias: some servers do not deliver to one, and a server behind it may not know itself."},
	{finding.MXTargetAppendedOrigin, Warn, "An exchanger outside the zone is written with a last dot: without it the zone's name is appended."},
	{finding.MXTargetNXDomain, Warn, "An exchanger of this zone exists: otherwise mail waits for it and is returned in the end."},
	{finding.MXTargetNoAddress, Warn, "An exchanger has an address: otherwise mail waits for it and is returned in the end."},
	{finding.MXWrongOwner, Warn, "MX records stand at the name that follows the @ of mail addresses."},
	{NullMXNotAlone, Refuse, "The MX record that says that a domain takes no mail stands alone."},
	{TargetNoHostName, Warn, "Exchangers, name servers and servers of SRV records have host names: letters, digits and hyphens."},
	{NSTargetIsIP, Refuse, "A name server is a host name: resolvers do not ask an address that stands there."},
	{NSTargetCNAME, Warn, "A name server is no alias: many resolvers do not follow it."},
	{NSTargetAppended, Warn, "A name server outside the zone is written with a last dot: without it the zone's name is appended."},
	{NSTargetNXDOMAIN, Warn, "A name server of this zone exists: otherwise it is never asked."},
	{NSTargetNoAddress, Warn, "A name server has an address: otherwise it is never asked."},
	{SRVTargetIsIP, Refuse, "The server of an SRV record is a host name: programs do not connect to an address that stands there."},
	{SRVTargetCNAME, Warn, "The server of an SRV record is no alias: programs need not follow it."},
	{SRVTargetAppended, Warn, "A server outside the zone is written with a last dot: without it the zone's name is appended."},
	{SRVTargetNXDOMAIN, Warn, "The server of an SRV record exists: otherwise programs find no service."},
	{SRVTargetNoAddress, Warn, "The server of an SRV record has an address: otherwise programs find no service."},
	{CNAMETargetIsIP, Refuse, "An alias leads to a name; an address stands in an A or AAAA record."},
	{CNAMETargetAppended, Warn, "A name outside the zone is written with a last dot: without it the zone's name is appended."},
	{CNAMETargetNXDOMAIN, Warn, "An alias leads to a name that exists."},
	{SPFMoreThanOne, Warn, "A name has one SPF record: with two, receivers take neither and may refuse the domain's mail."},
	{CAATag, Refuse, "The tag of a CAA record is made of letters and digits."},
	{CAAValue, Warn, "The value of a CAA record is what its tag wants: otherwise no authority may issue a certificate."},
	{CAACritical, Warn, "A CAA record is critical only with a tag that authorities know: otherwise none may issue a certificate."},
	{SVCBAliasParameters, Warn, "SVCB and HTTPS records of priority 0 are aliases: parameters in them mean nothing."},
	{SVCBAliasNotAlone, Warn, "An SVCB or HTTPS alias stands alone: programs leave out what is beside it."},
	{SVCBAliasToItself, Refuse, "An SVCB or HTTPS alias leads to another name."},
	{SVCBMandatoryParameter, Warn, "Parameters that an SVCB or HTTPS record calls mandatory are in it: programs discard it otherwise."},
}

// Rules gives all rules, in the order in which Check tells problems.
func Rules() []Rule { return slices.Clone(rules) }

// Refused gives the problems for which a zone is not published.
func Refused(problems []Problem) []Problem {
	return slices.DeleteFunc(slices.Clone(problems), func(p Problem) bool { return p.Severity != Refuse })
}

// structural are the rules without which name servers cannot answer by a zone, or would answer differently.
var structural = map[finding.Name]bool{
	TooManyRecords: true, TooLarge: true, NameInvalid: true, NameOutsideZone: true, TypeNotForZones: true, DataInvalid: true, DuplicateRecord: true, TTLsDiffer: true, TTLTooLong: true,
	SOAMissing: true, SOAMoreThanOne: true, SOANotAtApex: true, NSMissing: true, DSWithoutNS: true, CNAMEAtApex: true, CNAMENotAlone: true,
	DNAMEMoreThanOne: true, DNAMEWithNS: true, DNAMENamesBelow: true, WildcardNS: true, WildcardDNAME: true,
}

// Structural gives the problems for which not even a copy of somebody else's zone is answered from, all others being its
// owner's to mend: such as an exchanger that is an address.
func Structural(problems []Problem) []Problem {
	return slices.DeleteFunc(slices.Clone(problems), func(p Problem) bool { return p.Severity != Refuse || !structural[p.Rule] })
}

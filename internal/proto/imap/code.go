package imap

import "strconv"

// Code is a response code without its brackets (RFC 9051 §7.1).
type Code string

// Codes without arguments.
const (
	CodeAlert                Code = "ALERT"
	CodeAlreadyExists        Code = "ALREADYEXISTS"
	CodeAuthenticationFailed Code = "AUTHENTICATIONFAILED"
	CodeAuthorizationFailed  Code = "AUTHORIZATIONFAILED"
	CodeBadCharset           Code = "BADCHARSET (US-ASCII UTF-8)" // with those that SEARCH takes
	CodeCannot               Code = "CANNOT"
	CodeClientBug            Code = "CLIENTBUG"
	CodeClosed               Code = "CLOSED"
	CodeContactAdmin         Code = "CONTACTADMIN"
	CodeCorruption           Code = "CORRUPTION"
	CodeExpired              Code = "EXPIRED"
	CodeExpungeIssued        Code = "EXPUNGEISSUED"
	CodeHasChildren          Code = "HASCHILDREN"
	CodeInUse                Code = "INUSE"
	CodeLimit                Code = "LIMIT"
	CodeNoModSeq             Code = "NOMODSEQ" // RFC 7162 §3.1.2.2
	CodeNonExistent          Code = "NONEXISTENT"
	CodeNoPerm               Code = "NOPERM"
	CodeNotSaved             Code = "NOTSAVED"
	CodeOverQuota            Code = "OVERQUOTA"
	CodePrivacyRequired      Code = "PRIVACYREQUIRED"
	CodeReadOnly             Code = "READ-ONLY"
	CodeReadWrite            Code = "READ-WRITE"
	CodeServerBug            Code = "SERVERBUG"
	CodeTooBig               Code = "TOOBIG"
	CodeTryCreate            Code = "TRYCREATE"
	CodeUIDNotSticky         Code = "UIDNOTSTICKY"
	CodeUnavailable          Code = "UNAVAILABLE"
	CodeUnknownCTE           Code = "UNKNOWN-CTE" // RFC 3516 §4.3
	CodeUseAttr              Code = "USEATTR"     // RFC 6154 §3
)

// CodeCapability tells capabilities.
func CodeCapability(list []string) Code {
	b := []byte("CAPABILITY")
	for _, c := range list {
		b = append(append(b, ' '), c...)
	}
	return Code(b)
}

// CodePermanentFlags tells which flags can be changed for good.
func CodePermanentFlags(flags []string) Code {
	b := []byte("PERMANENTFLAGS (")
	for i, flag := range flags {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, flag...)
	}
	return Code(append(b, ')'))
}

// CodeUIDNext tells the least UID that the next message may get.
func CodeUIDNext(n uint32) Code { return numbered("UIDNEXT ", uint64(n)) }

// CodeUIDValidity tells which UIDs are valid.
func CodeUIDValidity(n uint32) Code { return numbered("UIDVALIDITY ", uint64(n)) }

// CodeUnseen tells the number of the first message without \Seen (RFC 3501 §7.1).
func CodeUnseen(n uint32) Code { return numbered("UNSEEN ", uint64(n)) }

// CodeHighestModSeq tells the highest mod-sequence of a mailbox (RFC 7162 §3.1.2.1).
func CodeHighestModSeq(n uint64) Code { return numbered("HIGHESTMODSEQ ", n) }

func numbered(name string, n uint64) Code { return Code(name + strconv.FormatUint(n, 10)) }

// CodeModified tells which messages a conditional STORE left as they are (RFC 7162 §3.1.3).
func CodeModified(messages Set) Code { return Code("MODIFIED " + messages.String()) }

// CodeAppendUID tells the UIDs of appended messages (RFC 4315 §3).
func CodeAppendUID(validity uint32, uids Set) Code {
	return numbered("APPENDUID ", uint64(validity)) + Code(" "+uids.String())
}

// CodeCopyUID tells the UIDs of copied messages and those of their copies. The n-th UID of one set belongs to the n-th
// of the other (RFC 4315 §3).
func CodeCopyUID(validity uint32, from, to Set) Code {
	return numbered("COPYUID ", uint64(validity)) + Code(" "+from.String()+" "+to.String())
}

// Package resolver looks names up in foreign DNS, with a cache; it is the only package that does
// (RFC 1034, RFC 1035, RFC 2181, RFC 2308, RFC 6891, RFC 7505, RFC 7766, RFC 9520).
//
// For mail it is a stub: it asks recursive servers, those of its configuration or of /etc/resolv.conf, and understands
// their answers. A validating server on the same machine is what it is best pointed at.
//
// For checks it asks anybody: Delegation follows the way from the root to a zone, Everywhere asks all name servers of
// one, Public each resolver by itself, At any server, Security what a validating resolver on this machine says. These
// answers are kept nowhere. [Service.Known] asks nobody: it tells what is remembered.
//
// # What strangers lead to
//
// Whoever writes a zone chooses where its delegations lead. So no address outside the public Internet is asked unless
// the configuration allows its network; of a referral only addresses of names in the zone that refers are believed
// (RFC 2181 §5.4.1); one look asks 100 questions at most, looks up 5 name servers of a referral at a time and none of
// one with more than 13 of them; a name server that waits for itself leads nowhere.
//
// # Forged answers
//
// Every question has a random id, a source port of its own chosen by the kernel, and letters in random case. A
// datagram counts only if it comes from the server asked and repeats id, name (letter for letter), type and
// class; all others are ignored while the wait goes on, and after a few of them the question is asked again by
// TCP. Of an answer only records of the asked name and of the chain of aliases that starts there are used; the
// additional section never is. There is one question in flight for a name and type, however many ask for it.
//
// # Failure
//
// No method returns an error: the answer says what happened. SERVFAIL, REFUSED, any other refusal, a timeout, a
// referral, a malformed answer or a truncated one that TCP does not complete make the status Temporary, never
// NoData or NXDomain. Failures are remembered for 5 to 30 seconds (RFC 9520 §3.2), so that a broken domain does
// not cost a wait for each message. An entry past its time is never served.
//
// # Known limits
//
// DNSSEC signatures are not checked here; Security believes a resolver on the same machine. Search domains, ndots and the hosts file
// play no part: every name is absolute. Reverse names are not looked up.
package resolver

// Package smtp is the language of RFC 5321: commands, paths, replies, the
// strict line and content reader used on every hop, and a client engine for
// SMTP and LMTP.
//
// Kept here: RFC 5321 and 2033 (LMTP), RFC 1870 (SIZE), RFC 2034 and 3463
// (enhanced codes), RFC 2920 (PIPELINING), RFC 3030 (CHUNKING, without
// BINARYMIME), RFC 3207 (STARTTLS), RFC 3461 (DSN), RFC 4954 (AUTH, the
// exchange only), RFC 6152 (8BITMIME), RFC 6531 and 6533 (SMTPUTF8), RFC 9422
// (LIMITS). Nothing is opened here: connections, TLS and the time come in.
//
// # End of data
//
// There is one Reader. A command line ends at CRLF and nothing else, content
// ends at CRLF.CRLF and nothing else, and a CR or LF that stands alone is an
// error wherever it is met, so that two hops never disagree about where a
// message ends. What is sent is dot-stuffed always and holds no lone CR or LF,
// even when the content given to be sent does.
//
// # Failure
//
// A command that cannot be parsed gives a *ReplyError, which carries the reply
// to be sent. Reading gives the sentinel errors of errors.go. The client engine
// keeps what the peer said (a Reply) apart from what happened to the connection
// (an error).
//
// # Known limits
//
// NUL is an error in command lines and is kept in content, as are lines longer
// than 1,000 octets: whether to take such content is the receiver's policy, and
// this package does not change what it reads. The client does not send BDAT.
package smtp

// Package imap is the language of IMAP as a server speaks it: a strict reader that gives typed commands, and a writer
// that makes every octet sent to a client (RFC 9051, RFC 3501).
//
// Kept here beside the two revisions: RFC 2177 (IDLE), RFC 2342 (NAMESPACE), RFC 2971 (ID), RFC 3502 (MULTIAPPEND),
// RFC 3516 (BINARY), RFC 3691 (UNSELECT), RFC 4315 (UIDPLUS), RFC 4731 (ESEARCH), RFC 4959 (SASL-IR), RFC 5161
// (ENABLE), RFC 5182 (SEARCHRES), RFC 5258 (LIST-EXTENDED), RFC 5819 (LIST-STATUS), RFC 6154 (SPECIAL-USE), RFC 6851
// (MOVE), RFC 6855 (UTF8=ACCEPT), RFC 7162 (CONDSTORE, QRESYNC), RFC 7888 (LITERAL+, LITERAL-), RFC 7889
// (APPENDLIMIT), RFC 8438 (STATUS=SIZE) and RFC 9208 (QUOTA). Nothing is opened here: octets, TLS and the time come in.
//
// # Reading
//
// A Reader gives one Request at a time. Its text, literals included, is collected within Limits and then parsed, so
// that parsing never waits; only the messages of APPEND stay on the connection until they are asked for. A line ends at
// CRLF and nothing else, NUL is refused outside literal8.
//
// # Writing
//
// A Writer knows for each kind of value how it may be written, so that no header, name or keyword of a message or of
// another client can begin a response of its own.
//
// # Failure
//
// What a client got wrong is an *Error with the response to be sent; Fatal ones end the connection, because what
// follows on it cannot be told from commands. Everything else is an error of the connection.
//
// # Known limits
//
// Not here: ACL, CATENATE, COMPRESS, CONTEXT, METADATA, NOTIFY, SORT and THREAD.
package imap

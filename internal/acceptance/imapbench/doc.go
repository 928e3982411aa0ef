// Package imapbench measures how mail is read by IMAP: Postroad's binary and Dovecot, on the same messages in the same
// run, with one client over TLS.
//
// make bench BENCH=IMAP runs it. Each has a mailbox of 100,000 messages, in Postroad's store and in a Maildir; what is
// told is the time that a client waits, and the memory of the server's processes for connections in IDLE.
//
// # Known limits
//
// It runs as root, as Dovecot wants. Dovecot has a process for each connection: its memory is measured with fewer of them.
package imapbench

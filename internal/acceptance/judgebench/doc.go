// Package judgebench measures what judging costs: Postroad's binary relays the same messages for a domain that has them
// judged and for one that does not, with DNS that is known already.
//
// make bench BENCH=JudgedRelay runs it. Messages of 10 KB come by SMTP from a stranger, with an RSA signature, an SPF record that
// includes another one and a DMARC policy; they leave by SMTP. What is told is the processor time of the server's process
// for a message, and what judging adds to it beside the RSA operation itself, which is measured alone in the same run.
//
// # Known limits
//
// What the kernel does for the server outside its process counts for nobody. Only Linux tells the time of another process
// so.
package judgebench

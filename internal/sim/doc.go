// Package sim is the test world: a DNS with zones and scripted faults, foreign SMTP and LMTP peers with scripted
// behaviour (RFC 5321, RFC 2033, RFC 3030, RFC 3207), a network of addresses inside the process, certificates, a
// cutting proxy, and a PostgreSQL of one's own. Only tests import it.
//
// DNS and peers work in two ways with the same scripts: on real loopback ports (StartDNS, StartPeer), for whole
// programs, and inside the process (NewDNS, NewPeer with a Network), where no socket is opened and waiting is
// durable in the sense of testing/synctest, so that a tarpit of four minutes costs nothing.
//
//	peer := sim.NewPeer(t, sim.Script{
//		Rcpt: map[string]string{"u1@example.net": "450 4.2.0 later"},
//		Dot:  sim.InTurn(sim.CloseWithoutReply, "250 2.0.0 taken"),
//	})
//	world := sim.NewNetwork(t)
//	world.Peer("192.0.2.25:25", peer)
//	world.BlackHole("192.0.2.26:25")
//
// # A second opinion
//
// Peer and DNS share no code with the program: the peer reads SMTP by a small loose parser of its own, keeps
// every octet, and reports each bare CR or LF that reaches it as a fault (Peer.Faults).
//
// # Failure
//
// What is wrong with the world itself (a zone that does not parse, a port that is taken) ends the test with
// Fatal. Everything that is started stops at the end of the test it was given.
//
// # Known limits
//
// The DNS answers like a recursive server that knows all zones; it has no cache of its own, makes no
// delegations and signs nothing. AUTH knows PLAIN and LOGIN. In-process connections have no latency but what is
// set per address.
package sim

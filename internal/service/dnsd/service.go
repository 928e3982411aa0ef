// Package dnsd is the authoritative name server: it answers questions for the zones that are published here, over UDP and
// TCP (RFC 1034, RFC 1035, RFC 7766), with a limit for what forged addresses could have sent to others.
//
// # Failure
//
// A zone that cannot be compiled is refused by Prepare before anything is written; the one that is there goes on. A packet
// that makes the program fail is dropped and counted, the next one is answered.
//
// # Known limits
//
// The rate limit counts what one network is answered, not all that it asks. Questions by TCP are read up to 4,094 octets. At
// most 128 connections have answers that they do not take; then those that were waited for for the longest are cut off.
package dnsd

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"postroad/internal/core/zone"
	"postroad/internal/obs"
	"postroad/internal/service/dnsd/answer"
)

// Config is how questions are answered.
type Config struct {
	// RateLimit is how many equal answers a second go to one network (IPv4 /24, IPv6 /56) over UDP: of every two more, one
	// is dropped and one says to come by TCP. 0 or less is no limit. Whoever shows a cookie of ours, or comes by TCP, is not
	// limited.
	RateLimit int
	// Secret is what server cookies are made with (RFC 9018); nodes behind one address share it. Empty: one of this process
	// alone.
	Secret string
	// NSID is told to clients that ask which server they reached (RFC 5001); at most 64 octets are used. Empty: it is not.
	NSID string
	// Transfers answers what belongs to transfers; nil: that is refused.
	Transfers Transfers
}

// Service answers for the zones that were published.
type Service struct {
	cfg     Config
	zones   answer.Set
	options answer.Options
	meter   *meter
	log     *slog.Logger
	places  chan *worker // for those that are answered by TCP; nil for one that was not needed yet
	streams streams
	ctx     context.Context // of what Transfers does, until Stop
	stop    context.CancelFunc
	gate    sync.Mutex // of stopped, and of what is added to running
	stopped bool
	running sync.WaitGroup
	busy    chan struct{} // transfers that answer over UDP
}

const (
	maxNSID      = 64
	maxTransfers = 64 // over UDP at a time; more are dropped
)

// New makes a service without zones.
func New(cfg Config, metrics *obs.Metrics, log *slog.Logger) *Service {
	s := &Service{cfg: cfg, meter: newMeter(metrics), log: log, busy: make(chan struct{}, maxTransfers)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	secret := cfg.Secret
	if secret == "" {
		secret = rand.Text()
	}
	s.options = answer.Options{
		NSID: cfg.NSID[:min(len(cfg.NSID), maxNSID)], Transfers: cfg.Transfers != nil,
		Secret: func(day uint32) [16]byte {
			h := hmac.New(sha256.New, []byte(secret))
			_, _ = h.Write(binary.BigEndian.AppendUint32([]byte("cookie"), day))
			return [16]byte(h.Sum(nil))
		},
	}
	if cfg.RateLimit > 0 {
		var key [16]byte
		_, _ = rand.Read(key[:])
		s.options.Limiter = answer.NewLimiter(cfg.RateLimit, [2]uint64{binary.LittleEndian.Uint64(key[:]), binary.LittleEndian.Uint64(key[8:])})
	}
	s.streams.init()
	s.places = make(chan *worker, maxAnswering)
	for range maxAnswering {
		s.places <- nil
	}
	return s
}

// Prepare compiles a zone. publish puts it, from its return on, into every answer; an error says why the zone cannot be
// answered for, and nothing has changed.
func (s *Service) Prepare(z *zone.Zone) (publish func(), err error) {
	compiled, err := answer.Compile(z)
	if err != nil {
		return nil, err
	}
	return func() {
		s.zones.Put(compiled)
		s.meter.zones.Set(float64(s.zones.Len()))
	}, nil
}

// Withdraw ends answering for a domain's zone, where there is one.
func (s *Service) Withdraw(domain string) {
	s.zones.Remove(domain + ".")
	s.meter.zones.Set(float64(s.zones.Len()))
}

// Expire has everything about a domain's zone answered with SERVFAIL, until it is published or withdrawn.
func (s *Service) Expire(domain string) {
	z, err := answer.Expired(domain)
	if err != nil {
		s.log.Error("a zone could not be made to expire", "domain", domain, "error", err)
		s.Withdraw(domain)
		return
	}
	s.zones.Put(z)
}

// Statistics is what has been answered from a domain's zone since it was first published by this process; false when it is
// not published.
func (s *Service) Statistics(domain string) (zone.Statistics, bool) {
	z := s.zones.Zone(domain + ".")
	if z == nil {
		return zone.Statistics{}, false
	}
	c := z.Counters()
	return zone.Statistics{
		Serial: z.Serial(), Answers: c.Positive.Load(), Referrals: c.Referrals.Load(), NoData: c.NoData.Load(), NXDomain: c.NXDomain.Load(),
	}, true
}

// begin runs f by itself, and has Stop wait for it. It reports false, and runs nothing, once Stop has begun.
func (s *Service) begin(f func()) bool {
	s.gate.Lock()
	defer s.gate.Unlock()
	if s.stopped {
		return false
	}
	s.running.Go(f)
	return true
}

// Stop ends all connections and waits for what is being answered, until ctx ends. The sockets are their owner's to close:
// questions by UDP are answered until then, and nothing more is handed to Transfers.
func (s *Service) Stop(ctx context.Context) {
	s.gate.Lock()
	s.stopped = true
	s.gate.Unlock()
	s.stop()
	s.streams.closeAll()
	ended := make(chan struct{})
	go func() { s.running.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// worker answers packets, one at a time.
type worker struct {
	s         *Service
	responder *answer.Responder
	client    answer.Client
	out       []byte // for TCP
}

func (s *Service) newWorker() *worker {
	return &worker{s: s, responder: answer.NewResponder(&s.zones, s.options)}
}

// answer answers one packet into out and gives the length of the answer, 0 for none. A fault in the program costs the
// packet.
func (w *worker) answer(out, packet []byte) (n int, outcome answer.Outcome) {
	defer func() {
		if fault := recover(); fault != nil {
			n, outcome = 0, answer.Dropped
			w.s.meter.panics.Inc()
			w.s.log.Error("a question could not be answered", "fault", fault)
			w.responder = answer.NewResponder(&w.s.zones, w.s.options)
		}
	}()
	return w.responder.Answer(out, packet, &w.client)
}

// handOver has Transfers answer a packet.
func (s *Service) handOver(packet []byte, client netip.AddrPort, tcp bool, send func([]byte) error) {
	defer func() {
		if fault := recover(); fault != nil {
			s.meter.panics.Inc()
			s.log.Error("a transfer failed", "fault", fault)
		}
	}()
	s.cfg.Transfers.Serve(s.ctx, Packet{
		Data: packet, Client: client, TCP: tcp, Send: send,
		Plain: func(question []byte) []byte { return s.plain(question, client.Addr(), tcp) },
	})
}

// plain answers a question without Transfers and without limit.
func (s *Service) plain(question []byte, client netip.Addr, tcp bool) []byte {
	options := s.options
	options.Transfers, options.Limiter = false, nil
	r := answer.NewResponder(&s.zones, options)
	out := make([]byte, maxMessage)
	n, _ := r.Answer(out, question, &answer.Client{Addr: client.Unmap(), TCP: tcp, Now: time.Now().UnixNano()})
	return out[:n]
}

package sim

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

const (
	readerSize   = 64 << 10
	usualMaximum = "SIZE 52428800"
	chunkMax     = 1 << 30
)

// errOver ends a session by script.
var errOver = errors.New("over")

// tap reads a connection, keeps what it reads and looks for bare CR and LF.
type tap struct {
	net.Conn
	peer       *Peer
	connection int
	at         int
	afterCR    bool
}

func (t *tap) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	t.peer.addOctets(t.connection, b[:n])
	for _, c := range b[:n] {
		if t.afterCR != (c == '\n') {
			if t.afterCR {
				t.peer.addFault(t.connection, "bare CR at octet %d", t.at-1)
			} else {
				t.peer.addFault(t.connection, "bare LF at octet %d", t.at)
			}
		}
		t.afterCR = c == '\r'
		t.at++
	}
	if err != nil && t.afterCR {
		t.peer.addFault(t.connection, "bare CR at octet %d, the last", t.at-1)
		t.afterCR = false
	}
	return n, err
}

// peerSession is one connection of a Peer.
type peerSession struct {
	peer   *Peer
	number int
	script Script
	raw    net.Conn // the socket or pipe
	conn   net.Conn // raw, or TLS over it
	in     *bufio.Reader
	state  *tls.ConnectionState
	hello  string
	user   string

	mailGiven bool
	message   Message
	chunks    []byte
	recorded  int // the number of the message that is being answered, -1 for none
}

// talk answers one client until either has enough.
func (s *peerSession) talk() {
	if s.script.ImplicitTLS {
		if s.handshake() != nil {
			return
		}
	} else {
		s.read(s.conn)
	}
	if _, err := s.do("greeting", s.script.Greeting, "220 "+s.script.Name+" ready"); err != nil {
		return
	}
	for {
		line, err := s.line()
		if err != nil {
			return
		}
		s.peer.addCommand(line)
		if s.command(line) != nil {
			return
		}
	}
}

// read begins to read a connection, in clear or under TLS.
func (s *peerSession) read(conn net.Conn) {
	s.conn = conn
	s.in = bufio.NewReaderSize(&tap{Conn: conn, peer: s.peer, connection: s.number}, readerSize)
}

// line reads to the next LF, whatever stands before it.
func (s *peerSession) line() (string, error) {
	line, err := s.in.ReadString('\n')
	if err != nil {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// command answers one line; an error ends the session.
func (s *peerSession) command(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "EHLO", "LHLO":
		return s.ehlo(rest)
	case "HELO":
		s.hello = rest
		return s.reset("helo", s.script.Helo, "250 "+s.script.Name)
	case "STARTTLS":
		return s.startTLS()
	case "AUTH":
		return s.auth(rest)
	case "MAIL":
		return s.mail(rest)
	case "RCPT":
		return s.rcpt(rest)
	case "DATA":
		return s.data()
	case "BDAT":
		return s.bdat(rest)
	case "RSET":
		return s.reset("rset", s.script.Rset, "250 2.0.0 reset")
	case "NOOP":
		return s.say("noop", s.script.Noop, "250 2.0.0 ok")
	case "VRFY":
		return s.say("vrfy", s.script.Vrfy, "252 2.5.0 perhaps")
	case "QUIT":
		if err := s.say("quit", s.script.Quit, "221 2.0.0 bye"); err != nil {
			return err
		}
		return errOver
	}
	s.fault("unknown command %q", line)
	return s.say("unknown", "", "500 5.5.2 unknown command")
}

func (s *peerSession) ehlo(name string) error {
	s.hello = name
	extensions := s.script.Extensions
	if extensions == nil {
		extensions = []string{"PIPELINING", usualMaximum, "8BITMIME", "SMTPUTF8", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES"}
		if s.script.Users != nil {
			extensions = append(extensions, "AUTH PLAIN LOGIN")
		}
		if s.script.TLS != nil && s.state == nil {
			extensions = append(extensions, "STARTTLS")
		}
	}
	if s.state != nil && s.script.TLSExtensions != nil {
		extensions = s.script.TLSExtensions
	}
	var reply strings.Builder
	reply.WriteString("250-" + s.script.Name)
	for _, extension := range extensions {
		if extension != "STARTTLS" || s.state == nil {
			reply.WriteString("\n250-" + extension)
		}
	}
	last := strings.LastIndex(reply.String(), "250-")
	return s.reset("hello", s.script.Hello, reply.String()[:last]+"250 "+reply.String()[last+4:])
}

func (s *peerSession) startTLS() error {
	if s.script.TLS == nil && s.script.StartTLS == "" {
		return s.say("starttls", "", "502 5.5.1 not here")
	}
	code, err := s.do("starttls", s.script.StartTLS, "220 2.0.0 go ahead")
	if err != nil || code != 220 {
		return err
	}
	if ahead := s.in.Buffered(); ahead > 0 {
		s.fault("%d octets ahead of the handshake", ahead)
	}
	return s.handshake()
}

// handshake turns the connection to TLS, or does what the script wants in its place.
func (s *peerSession) handshake() error {
	config := s.script.TLS
	if s.script.Handshake == Alert {
		config = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return nil, errors.New("no certificate by script")
		}}
	} else if s.script.Handshake != "" {
		return s.spoilHandshake()
	}
	secured := tls.Server(s.raw, config)
	if err := secured.HandshakeContext(context.Background()); err != nil {
		return err
	}
	state := secured.ConnectionState()
	s.state, s.hello, s.user = &state, "", ""
	s.forget()
	s.read(secured)
	return nil
}

// spoilHandshake reads the client's first words and does what the script says; after garbage the client has time
// to read it.
func (s *peerSession) spoilHandshake() error {
	if _, err := s.raw.Read(make([]byte, readerSize)); err != nil {
		return err
	}
	if err := s.say("handshake", s.script.Handshake, ""); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, s.raw) // until the client goes away
	return errOver
}

func (s *peerSession) auth(rest string) error {
	mechanism, initial, _ := strings.Cut(rest, " ")
	var name, password string
	switch strings.ToUpper(mechanism) {
	case "PLAIN":
		text, err := s.ask(initial, "334 ")
		if err != nil {
			return err
		}
		parts := strings.Split(text, "\x00")
		if len(parts) == 3 {
			name, password = parts[1], parts[2]
		}
	case "LOGIN":
		var err error
		if name, err = s.ask(initial, "334 VXNlcm5hbWU6"); err != nil {
			return err
		}
		if password, err = s.ask("", "334 UGFzc3dvcmQ6"); err != nil {
			return err
		}
	default:
		return s.say("auth", "", "504 5.5.4 unknown mechanism")
	}
	usual := "535 5.7.8 no"
	if known, ok := s.script.Users[name]; ok && known == password {
		usual = "235 2.7.0 welcome"
	}
	code, err := s.do("auth", s.script.Auth, usual)
	if code == 235 {
		s.user = name
	}
	return err
}

// ask gives the client's decoded answer to a challenge, or what it said already.
func (s *peerSession) ask(initial, challenge string) (string, error) {
	if initial == "" {
		if _, err := s.do("challenge", "", challenge); err != nil {
			return "", err
		}
		line, err := s.line()
		if err != nil {
			return "", err
		}
		initial = line
	}
	text, err := base64.StdEncoding.DecodeString(initial)
	if err != nil {
		s.fault("AUTH response %q is not base64", initial)
	}
	return string(text), nil
}

// path takes "FROM:<a@b> X=Y" apart.
func path(rest string) (address, parameters string, ok bool) {
	_, after, found := strings.Cut(rest, ":")
	after = strings.TrimLeft(after, " ")
	if !found || !strings.HasPrefix(after, "<") {
		return "", "", false
	}
	quoted := false
	for i := 1; i < len(after); i++ {
		switch c := after[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == '>' && !quoted:
			return after[1:i], strings.TrimLeft(after[i+1:], " "), true
		}
	}
	return "", "", false
}

func (s *peerSession) mail(rest string) error {
	address, parameters, ok := path(rest)
	if !ok {
		s.fault("MAIL %q", rest)
		return s.say("mail-syntax", "", "501 5.5.4 syntax")
	}
	if s.mailGiven {
		s.fault("MAIL within a transaction")
		return s.say("mail-again", "", "503 5.5.1 again")
	}
	code, err := s.do("mail", s.script.Mail, "250 2.1.0 sender ok")
	if code/100 == 2 {
		s.forget()
		s.mailGiven = true
		s.message = Message{From: address, Parameters: parameters}
	}
	return err
}

func (s *peerSession) rcpt(rest string) error {
	address, parameters, ok := path(rest)
	if !ok {
		s.fault("RCPT %q", rest)
		return s.say("rcpt-syntax", "", "501 5.5.4 syntax")
	}
	if !s.mailGiven {
		return s.say("rcpt-early", "", "503 5.5.1 MAIL first") // pipelined behind a refused MAIL
	}
	sent := &reply{}
	err := s.perform(sent, "rcpt "+address, byAddress(s.script.Rcpt, address), "250 2.1.5 recipient ok")
	s.message.Recipients = append(s.message.Recipients, Recipient{Address: address, Parameters: parameters, Reply: sent.text})
	return err
}

func byAddress(steps map[string]string, address string) string {
	at := strings.LastIndexByte(address, '@')
	for _, key := range []string{address, strings.ToLower(address), strings.ToLower(address[max(0, at):]), "*"} {
		if step, ok := steps[key]; ok {
			return step
		}
	}
	return ""
}

func (s *peerSession) data() error {
	if len(s.message.Accepted()) == 0 {
		return s.say("data-early", "", "503 5.5.1 no valid recipients") // pipelined behind refused RCPTs
	}
	code, err := s.do("data", s.script.Data, "354 go on")
	if err != nil || code != 354 {
		return err
	}
	body, err := s.content()
	if err != nil {
		return err
	}
	s.message.Body = body
	return s.complete()
}

// content reads up to CRLF.CRLF, and nothing else ends it, and takes the stuffed dots out.
func (s *peerSession) content() ([]byte, error) {
	var body []byte
	for {
		line, err := s.in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		if len(body) == 0 || bytes.HasSuffix(body, []byte("\r\n")) {
			if string(line) == ".\r\n" {
				return body, nil
			}
			if line[0] == '.' {
				line = line[1:]
			}
		}
		body = append(body, line...)
	}
}

func (s *peerSession) bdat(rest string) error {
	size, last, _ := strings.Cut(rest, " ")
	octets, err := strconv.ParseInt(size, 10, 64)
	if err != nil || octets < 0 || octets > chunkMax {
		s.fault("BDAT %q", rest)
		return s.say("bdat-syntax", "", ThenClose("501 5.5.4 syntax"))
	}
	chunk := make([]byte, octets)
	if _, err := io.ReadFull(s.in, chunk); err != nil {
		return err
	}
	if len(s.message.Accepted()) == 0 {
		return s.say("bdat-early", "", "503 5.5.1 no valid recipients")
	}
	s.chunks = append(s.chunks, chunk...)
	if !strings.EqualFold(last, "LAST") {
		return s.say("bdat", s.script.Bdat, fmt.Sprintf("250 2.0.0 %d octets", octets))
	}
	s.message.Body, s.message.Chunked = s.chunks, true
	return s.complete()
}

// complete records a message and answers it.
func (s *peerSession) complete() error {
	m := s.message
	m.Connection, m.Hello, m.TLS, m.User, m.At = s.number, s.hello, s.state, s.user, time.Now()
	if tcp, ok := s.raw.RemoteAddr().(*net.TCPAddr); ok {
		m.Client = tcp.AddrPort().Addr().Unmap()
	}
	s.recorded = s.peer.addMessage(m)
	defer s.forget()
	const usual = "250 2.0.0 taken"
	if !s.script.LMTP {
		return s.say("dot", s.script.Dot, usual)
	}
	for _, address := range m.Accepted() {
		key, step := "dot", s.script.Dot
		if own := byAddress(s.script.DotRcpt, address); own != "" {
			key, step = "dot "+address, own
		}
		if err := s.say(key, step, usual); err != nil {
			return err
		}
	}
	return nil
}

// note keeps what is about to be sent; the message's record has it before the client can.
func (s *peerSession) note(sent *reply, text string) {
	sent.text, sent.code = text, codeOf(text)
	if s.recorded >= 0 {
		s.peer.addReply(s.recorded, text)
	}
}

func (s *peerSession) forget() {
	s.mailGiven, s.message, s.chunks, s.recorded = false, Message{}, nil, -1
}

func (s *peerSession) reset(key, step, usual string) error {
	s.forget()
	return s.say(key, step, usual)
}

func (s *peerSession) fault(format string, args ...any) {
	s.peer.addFault(s.number, format, args...)
}

// reply is what was sent in the end.
type reply struct {
	text string
	code int
}

func (s *peerSession) say(key, step, usual string) error {
	_, err := s.do(key, step, usual)
	return err
}

// do performs a step and gives the code that was sent, 0 for none. An error ends the session.
func (s *peerSession) do(key, step, usual string) (int, error) {
	sent := &reply{}
	err := s.perform(sent, key, step, usual)
	return sent.code, err
}

func (s *peerSession) perform(sent *reply, key, step, usual string) error {
	switch step {
	case "":
		return s.send(sent, usual, 0)
	case Close:
		return errOver
	case Reset:
		s.breakOff()
		return errOver
	case Hang:
		_, _ = io.Copy(io.Discard, s.conn) // until the client goes away
		return errOver
	case Garbage:
		_, err := s.conn.Write([]byte("\x00\xff\x1b[31m 999 garbage\r\n"))
		return err
	}
	if rest, ok := strings.CutPrefix(step, stepThen); ok {
		if err := s.perform(sent, key, rest, usual); err != nil {
			return err
		}
		return errOver
	}
	if rest, ok := strings.CutPrefix(step, stepRaw); ok {
		s.note(sent, rest)
		_, err := s.conn.Write([]byte(rest))
		return err
	}
	return s.performTimed(sent, key, step, usual)
}

func (s *peerSession) performTimed(sent *reply, key, step, usual string) error {
	if rest, ok := strings.CutPrefix(step, stepTurn); ok {
		steps, err := splitTurn(rest)
		if err != nil {
			return s.bad(err)
		}
		return s.perform(sent, key, s.peer.turn(key, steps), usual)
	}
	if rest, ok := strings.CutPrefix(step, stepAfter); ok {
		wait, inner, err := splitTimed(rest)
		if err != nil {
			return s.bad(err)
		}
		if !s.pause(wait) {
			return errOver
		}
		return s.perform(sent, key, inner, usual)
	}
	if rest, ok := strings.CutPrefix(step, stepSlowly); ok {
		each, inner, err := splitTimed(rest)
		if err != nil {
			return s.bad(err)
		}
		if inner == "" {
			inner = usual
		}
		return s.send(sent, strings.TrimPrefix(inner, stepRaw), each)
	}
	return s.send(sent, step, 0)
}

// bad reports a script that cannot be read.
func (s *peerSession) bad(err error) error {
	s.peer.tb.Errorf("peer script: %v", err)
	return err
}

// send writes a reply with its line ends, at once or octet by octet.
func (s *peerSession) send(sent *reply, text string, each time.Duration) error {
	s.note(sent, text)
	octets := []byte(strings.ReplaceAll(text, "\n", "\r\n") + "\r\n")
	if each == 0 {
		_, err := s.conn.Write(octets)
		return err
	}
	for i := range octets {
		if !s.pause(each) {
			return errOver
		}
		if _, err := s.conn.Write(octets[i : i+1]); err != nil {
			return err
		}
	}
	return nil
}

// codeOf is the code of a reply's last line.
func codeOf(text string) int {
	text = text[strings.LastIndexByte(strings.TrimRight(text, "\r\n"), '\n')+1:]
	if len(text) < 3 {
		return 0
	}
	code, err := strconv.Atoi(text[:3])
	if err != nil {
		return 0
	}
	return code
}

// pause waits, false when the peer is stopped meanwhile.
func (s *peerSession) pause(wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.peer.done:
		return false
	}
}

// breakOff ends the connection by RST.
func (s *peerSession) breakOff() {
	switch conn := s.raw.(type) {
	case *PipeEnd:
		conn.Reset()
	case *net.TCPConn:
		_ = conn.SetLinger(0) // RST in place of FIN
	}
}

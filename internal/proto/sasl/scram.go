package sasl

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"
)

const maxNonce = 256

// The steps of an exchange, named after what is awaited.
type scramStep int

const (
	awaitFirst  scramStep = iota // client-first-message
	awaitFinal                   // client-final-message
	awaitEmpty                   // empty response to the server's proof
	exchangeEnd                  // nothing more
)

type scramServer struct {
	lookup   func(user string) (Verifier, error)
	newNonce func() string
	step     scramStep

	user        string
	verifier    Verifier
	gs2Header   string
	nonce       string // both halves
	clientFirst string // client-first-message-bare
	serverFirst string
	identity    string
}

// NewScramServer returns the server side of SCRAM-SHA-256 (RFC 5802, RFC 7677).
// lookup gets the prepared user name; for a user that does not exist it should
// return a [FakeVerifier], so that the exchange fails only at its end. Its error
// ErrAuthFailed ends the exchange, any other one is passed on as ErrUnavailable.
// nonce returns the server's half of the nonce, printable ASCII without comma;
// nil means a random one.
//
// The server's proof is sent as a challenge that the client answers with an
// empty response, as SMTP and IMAP demand.
func NewScramServer(lookup func(user string) (Verifier, error), nonce func() string) Server {
	if nonce == nil {
		nonce = rand.Text
	}
	return &scramServer{lookup: lookup, newNonce: nonce}
}

func (s *scramServer) Identity() string { return s.identity }

func (s *scramServer) Next(response []byte) (challenge []byte, done bool, err error) {
	step := s.step
	if step == awaitFirst && response == nil {
		return []byte{}, false, nil
	}
	s.step = exchangeEnd
	if len(response) > maxMessage || !utf8.Valid(response) || strings.IndexByte(string(response), 0) >= 0 {
		return nil, false, malformed("SCRAM message")
	}
	switch step {
	case awaitFirst:
		challenge, err = s.first(string(response))
		if err == nil {
			s.step = awaitFinal
		}
		return challenge, false, err
	case awaitFinal:
		challenge, err = s.final(string(response))
		if err == nil {
			s.step = awaitEmpty
		}
		return challenge, false, err
	case awaitEmpty:
		if len(response) > 0 {
			return nil, false, malformed("response to the server's proof")
		}
		s.identity = s.user
		return nil, true, nil
	case exchangeEnd:
	}
	return nil, false, malformed("exchange is over")
}

// first takes client-first-message (RFC 5802 §7).
func (s *scramServer) first(message string) ([]byte, error) {
	binding, rest, ok1 := strings.Cut(message, ",")
	authzid, bare, ok2 := strings.Cut(rest, ",")
	switch {
	case !ok1 || !ok2:
		return nil, malformed("client-first-message")
	case strings.HasPrefix(binding, "p="):
		return nil, malformed("channel binding is not offered")
	case binding != "n" && binding != "y":
		return nil, malformed("channel binding flag")
	}
	attributes := strings.Split(bare, ",")
	if len(attributes) < 2 || !strings.HasPrefix(attributes[0], "n=") || !strings.HasPrefix(attributes[1], "r=") || !extensions(attributes[2:]) {
		return nil, malformed("client-first-message")
	}
	name, ok := decodeName(attributes[0][2:])
	clientNonce := attributes[1][2:]
	if !ok || !isNonce(clientNonce) {
		return nil, malformed("user name or nonce")
	}
	user, err := prepareUser(name)
	if err != nil {
		return nil, err
	}
	if authzid != "" {
		as, ok := strings.CutPrefix(authzid, "a=")
		as, valid := decodeName(as)
		if !ok || !valid || as == "" {
			return nil, malformed("authorization identity")
		}
		if as != name {
			return nil, ErrAuthFailed
		}
	}
	if s.verifier, err = s.lookup(user); err != nil {
		return nil, checked(err)
	}
	if err := s.verifier.check(); err != nil {
		return nil, checked(err)
	}
	s.user = user
	s.gs2Header = binding + "," + authzid + ","
	s.clientFirst = bare
	s.nonce = clientNonce + s.newNonce()
	s.serverFirst = "r=" + s.nonce + ",s=" + base64.StdEncoding.EncodeToString(s.verifier.Salt) + ",i=" + strconv.Itoa(s.verifier.Iterations)
	return []byte(s.serverFirst), nil
}

// final takes client-final-message and returns server-final-message.
func (s *scramServer) final(message string) ([]byte, error) {
	i := strings.LastIndex(message, ",p=")
	if i < 0 {
		return nil, malformed("client-final-message")
	}
	withoutProof := message[:i]
	proof, err := decode64(message[i+len(",p="):])
	if err != nil || len(proof) != keySize {
		return nil, malformed("proof")
	}
	attributes := strings.Split(withoutProof, ",")
	if len(attributes) < 2 || !extensions(attributes[2:]) {
		return nil, malformed("client-final-message")
	}
	if attributes[0] != "c="+base64.StdEncoding.EncodeToString([]byte(s.gs2Header)) {
		return nil, malformed("channel binding")
	}
	if subtle.ConstantTimeCompare([]byte(attributes[1]), []byte("r="+s.nonce)) != 1 {
		return nil, malformed("nonce")
	}
	authMessage := s.clientFirst + "," + s.serverFirst + "," + withoutProof
	clientKey := mac(s.verifier.StoredKey, authMessage)
	subtle.XORBytes(clientKey, clientKey, proof)
	stored := sha256.Sum256(clientKey)
	if subtle.ConstantTimeCompare(stored[:], s.verifier.StoredKey) != 1 {
		return nil, ErrAuthFailed
	}
	return []byte("v=" + base64.StdEncoding.EncodeToString(mac(s.verifier.ServerKey, authMessage))), nil
}

// extensions reports whether all attributes are optional extensions: a letter
// that has no meaning yet, "=", a value. "m" marks a mandatory one.
func extensions(attributes []string) bool {
	for _, a := range attributes {
		if len(a) < 3 || a[1] != '=' || a[0]|0x20 < 'a' || a[0]|0x20 > 'z' || strings.IndexByte("anmrcpsive", a[0]) >= 0 {
			return false
		}
	}
	return true
}

// isNonce reports whether s is printable ASCII without comma.
func isNonce(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == ',' {
			return false
		}
	}
	return s != "" && len(s) <= maxNonce
}

// decodeName decodes a saslname: "=2C" is a comma, "=3D" an equals sign, no
// other "=" may occur.
func decodeName(s string) (string, bool) {
	decoded := strings.NewReplacer("=2C", ",", "=3D", "=").Replace(s)
	return decoded, strings.Count(s, "=") == strings.Count(s, "=2C")+strings.Count(s, "=3D")
}

func encodeName(s string) string {
	return strings.NewReplacer("=", "=3D", ",", "=2C").Replace(s)
}

type scramClient struct {
	user, password string
	nonce          string
	step           scramClientStep

	clientFirst     string
	serverSignature []byte
}

type scramClientStep int

const (
	sendFirst scramClientStep = iota
	sendFinal
	awaitProof
	proved
	clientFailed
)

// NewScramClient returns the client side of SCRAM-SHA-256. Done is true only
// after the server has proved that it knows the password too.
func NewScramClient(user, password string) Client {
	return &scramClient{user: user, password: password, nonce: rand.Text()}
}

func (c *scramClient) Start() (mechanism string, initial []byte, err error) {
	user, err := prepareUser(c.user)
	if err != nil {
		return ScramSHA256, nil, err
	}
	if c.password, err = preparePassword(c.password); err != nil {
		return ScramSHA256, nil, err
	}
	c.step = sendFinal
	c.clientFirst = "n=" + encodeName(user) + ",r=" + c.nonce
	return ScramSHA256, []byte("n,," + c.clientFirst), nil
}

func (c *scramClient) Done() bool { return c.step == proved }

func (c *scramClient) Next(challenge []byte) ([]byte, error) {
	step := c.step
	c.step = clientFailed
	if len(challenge) > maxMessage {
		return nil, malformed("long challenge")
	}
	switch step {
	case sendFinal:
		response, err := c.final(string(challenge))
		if err == nil {
			c.step = awaitProof
		}
		return response, err
	case awaitProof:
		if err := c.verify(string(challenge)); err != nil {
			return nil, err
		}
		c.step = proved
		return []byte{}, nil
	case sendFirst, proved, clientFailed:
	}
	return nil, malformed("unexpected challenge")
}

// final takes server-first-message and returns client-final-message.
func (c *scramClient) final(serverFirst string) ([]byte, error) {
	attributes := strings.Split(serverFirst, ",")
	if len(attributes) < 3 || !extensions(attributes[3:]) {
		return nil, malformed("server-first-message")
	}
	nonce, ok1 := strings.CutPrefix(attributes[0], "r=")
	salt64, ok2 := strings.CutPrefix(attributes[1], "s=")
	count, ok3 := strings.CutPrefix(attributes[2], "i=")
	if !ok1 || !ok2 || !ok3 {
		return nil, malformed("server-first-message")
	}
	if len(nonce) > 2*maxNonce || len(nonce) <= len(c.nonce) || !strings.HasPrefix(nonce, c.nonce) || !isNonce(nonce[len(c.nonce):]) {
		return nil, malformed("nonce")
	}
	salt, err := decode64(salt64)
	if err != nil || len(salt) == 0 {
		return nil, malformed("salt")
	}
	iterations, err := strconv.Atoi(count)
	if err != nil || iterations < MinIterations || iterations > MaxIterations {
		return nil, malformed("iteration count")
	}
	keys, clientKey, err := deriveKeys(c.password, salt, iterations)
	if err != nil {
		return nil, err
	}
	withoutProof := "c=biws,r=" + nonce
	authMessage := c.clientFirst + "," + serverFirst + "," + withoutProof
	proof := mac(keys.StoredKey, authMessage)
	subtle.XORBytes(proof, proof, clientKey)
	c.serverSignature = mac(keys.ServerKey, authMessage)
	return []byte(withoutProof + ",p=" + base64.StdEncoding.EncodeToString(proof)), nil
}

// verify takes server-final-message.
func (c *scramClient) verify(serverFinal string) error {
	first, _, _ := strings.Cut(serverFinal, ",")
	if strings.HasPrefix(first, "e=") {
		return ErrAuthFailed
	}
	signature, ok := strings.CutPrefix(first, "v=")
	if !ok {
		return malformed("server-final-message")
	}
	given, err := decode64(signature)
	if err != nil {
		return malformed("server signature")
	}
	if subtle.ConstantTimeCompare(given, c.serverSignature) != 1 {
		return ErrAuthFailed
	}
	return nil
}

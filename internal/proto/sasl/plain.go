package sasl

import (
	"bytes"
	"strings"
)

// plainServer and loginServer end with the same question.
type passwordCheck struct {
	check    func(user, password string) error
	identity string
	over     bool
}

func (c *passwordCheck) Identity() string { return c.identity }

// verify asks for user and password; the user is not prepared yet. A password
// over the limit is wrong without asking.
func (c *passwordCheck) verify(user, password string) (done bool, err error) {
	prepared, err := prepareUser(user)
	if err != nil {
		return false, err
	}
	switch {
	case password == "" || strings.IndexByte(password, 0) >= 0:
		return false, malformed("password")
	case len(password) > MaxPassword:
		return false, ErrAuthFailed
	}
	if err := checked(c.check(prepared, password)); err != nil {
		return false, err
	}
	c.identity = prepared
	return true, nil
}

type plainServer struct{ passwordCheck }

// NewPlainServer returns the server side of PLAIN (RFC 4616). check gets the
// prepared user name and the password as sent, at most [MaxPassword] octets
// without NUL and not empty; it returns nil, ErrAuthFailed, or any other error
// for "cannot tell now", which Next passes on as ErrUnavailable.
func NewPlainServer(check func(user, password string) error) Server {
	return &plainServer{passwordCheck{check: check}}
}

func (s *plainServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if s.over {
		return nil, false, malformed("exchange is over")
	}
	if response == nil {
		return []byte{}, false, nil
	}
	s.over = true
	parts := bytes.Split(response[:min(len(response), maxMessage)], []byte{0})
	if len(response) > maxMessage || len(parts) != 3 {
		return nil, false, malformed("PLAIN message")
	}
	authzid, user := string(parts[0]), string(parts[1])
	if authzid != "" && authzid != user {
		return nil, false, ErrAuthFailed
	}
	done, err = s.verify(user, string(parts[2]))
	return nil, done, err
}

type loginServer struct {
	passwordCheck
	user    string
	hasUser bool
	asked   bool
}

// NewLoginServer returns the server side of LOGIN, which old clients use: the
// user name and then the password are asked for. An initial response is taken
// as the user name. check is as in [NewPlainServer].
func NewLoginServer(check func(user, password string) error) Server {
	return &loginServer{passwordCheck: passwordCheck{check: check}}
}

func (s *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case s.over:
		return nil, false, malformed("exchange is over")
	case response == nil && !s.asked && !s.hasUser:
		s.asked = true
		return []byte("Username:"), false, nil
	case !s.hasUser:
		if len(response) == 0 || len(response) > MaxUser {
			s.over = true
			return nil, false, malformed("user name")
		}
		s.user, s.hasUser = string(response), true
		return []byte("Password:"), false, nil
	}
	s.over = true
	done, err = s.verify(s.user, string(response))
	return nil, done, err
}

type plainClient struct {
	user, password string
	done           bool
}

// NewPlainClient returns the client side of PLAIN. The credentials go out as
// they are, so the connection must be encrypted.
func NewPlainClient(user, password string) Client {
	return &plainClient{user: user, password: password}
}

func (c *plainClient) Start() (mechanism string, initial []byte, err error) {
	if err := sendable(c.user, c.password); err != nil {
		return Plain, nil, err
	}
	c.done = true
	return Plain, []byte("\x00" + c.user + "\x00" + c.password), nil
}

func (c *plainClient) Next([]byte) ([]byte, error) {
	return nil, malformed("challenge in PLAIN")
}

func (c *plainClient) Done() bool { return c.done }

// sendable refuses credentials that PLAIN and LOGIN cannot carry.
func sendable(user, password string) error {
	switch {
	case user == "" || len(user) > MaxUser || strings.IndexByte(user, 0) >= 0:
		return malformed("user name")
	case password == "" || len(password) > MaxPassword || strings.IndexByte(password, 0) >= 0:
		return ErrPassword
	}
	return nil
}

type loginClient struct {
	user, password string
	step           int
}

// NewLoginClient returns the client side of LOGIN. The text of the challenges is
// not looked at: servers differ in it. The connection must be encrypted.
func NewLoginClient(user, password string) Client {
	return &loginClient{user: user, password: password}
}

func (c *loginClient) Start() (mechanism string, initial []byte, err error) {
	return Login, nil, sendable(c.user, c.password)
}

func (c *loginClient) Next([]byte) ([]byte, error) {
	if err := sendable(c.user, c.password); err != nil {
		return nil, err
	}
	c.step++
	switch c.step {
	case 1:
		return []byte(c.user), nil
	case 2:
		return []byte(c.password), nil
	}
	return nil, malformed("third challenge in LOGIN")
}

func (c *loginClient) Done() bool { return c.step == 2 }

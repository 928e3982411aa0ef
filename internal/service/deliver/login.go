package deliver

import (
	"errors"
	"fmt"
	"slices"

	"postroad/internal/core/directory"
	"postroad/internal/proto/sasl"
	"postroad/internal/proto/smtp"
)

var (
	// errNoMechanism says that a smart host offers no mechanism that we speak.
	errNoMechanism = errors.New("the smart host offers no way to log in that we speak")
	// errNoPassword says that the password of a route is there and cannot be read.
	errNoPassword = errors.New("the password for the smart host cannot be read on this machine: set it again")
	// errUnproved says that a smart host was content before it had shown that it knows the password.
	errUnproved = errors.New("the smart host did not prove who it is")
)

// login authenticates to a smart host by the best mechanism that it offers (RFC 4954). The session must be under
// verified TLS.
func login(client *smtp.Client, ext smtp.Extensions, o *directory.Outbound) error {
	if o.Password == "" {
		return &hostError{enhanced: refusedLogin, err: errNoPassword}
	}
	for _, m := range []struct {
		name string
		make func(user, password string) sasl.Client
	}{
		{sasl.ScramSHA256, sasl.NewScramClient},
		{sasl.Plain, sasl.NewPlainClient},
		{sasl.Login, sasl.NewLoginClient},
	} {
		if !slices.Contains(ext.Auth, m.name) {
			continue
		}
		if err := authenticate(client, m.make(o.User, o.Password)); err != nil {
			return &hostError{enhanced: refusedLogin, err: fmt.Errorf("login to the smart host as %s by %s: %w", o.User, m.name, err)}
		}
		return nil
	}
	return &hostError{enhanced: refusedLogin, err: errNoMechanism}
}

func authenticate(client *smtp.Client, exchange sasl.Client) error {
	mechanism, initial, err := exchange.Start()
	if err != nil {
		return err
	}
	reply, err := client.Auth(mechanism, initial, exchange.Next)
	switch {
	case err != nil:
		return err
	case reply.Code != 235:
		return &smtp.ReplyError{Reply: reply}
	case !exchange.Done():
		return errUnproved
	}
	return nil
}

package queue_test

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"postroad/internal/core/mail"
	"postroad/internal/proto/smtp"
	"postroad/internal/store/sqldb"
)

// message makes a message with one row per lane.
func message(content []byte, state mail.State, next time.Time, lanes ...mail.Lane) mail.Stored {
	now := time.Now().UTC().Truncate(time.Microsecond)
	id := mail.NewID(now, 0, 1, rand.Uint64())
	m := &mail.Message{
		ID: id, Root: id, Account: "acc-a", Sender: "ann@example.com", EnvID: "env", Ret: smtp.Ret(1), Size: int64(len(content)),
		Hash: sqldb.Sum(content), Received: now, Rows: len(lanes),
		Client: mail.Client{Addr: netip.MustParseAddr("192.0.2.7"), Helo: "mx.example.com", TLS: "TLS1.3 TLS_AES_128_GCM_SHA256", Login: ""},
	}
	stored := mail.Stored{Message: m, Content: mail.Content{Inline: content}}
	for i, lane := range lanes {
		stored.Rows = append(stored.Rows, mail.Recipient{
			Row: mail.Row{ID: id, N: i}, Account: "acc-a", Original: "bob@example.org", Destination: "bob@example.org",
			ORcpt: "rfc822;bob@example.org", State: state, Next: next.UTC().Truncate(time.Microsecond), Lane: lane,
			CheckAge: 14400, ExpireAge: 432000,
		})
	}
	return stored
}

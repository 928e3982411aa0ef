package control_test

import (
	"fmt"
	"testing"

	"postroad/internal/core/account"
	"postroad/internal/core/routing"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/control"
)

// BenchmarkChangeIsVisible plans and applies a new mailbox at the design size, durably, and asks for its route. The
// bar: at most 10 ms until the next RCPT is decided by it.
func BenchmarkChangeIsVisible(b *testing.B) {
	w := open(b, configs["sqlite"](b))
	fill(b, w, 100_000, 10)
	w.apply(b, control.Tx{PutAccounts: []account.Account{{ID: account.Operator, Name: "operator"}}})
	s := control.New(control.Options{Store: w.Store, Hostname: "mx.host.example", RoutingDomain: "in.mx.host.example"})
	if err := s.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		n++
		to := smtp.Address{Local: fmt.Sprint("new", n), Domain: fmt.Sprintf("customer-%06d.example", n%100_000)}
		plan, err := s.PlanMailboxAdd(control.Operator(), control.MailboxSpec{Address: to.String()})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Apply(b.Context(), control.Operator(), plan); err != nil {
			b.Fatal(err)
		}
		if d := routing.Decide(routing.View{Directory: s.Directory()}, routing.Session{}, to); !d.Accepted() {
			b.Fatal(d.Reply)
		}
	}
}

// BenchmarkDecideAtTheDesignSize is the bar of 0.5 µs for one decision.
func BenchmarkDecideAtTheDesignSize(b *testing.B) {
	w := open(b, configs["sqlite"](b))
	fill(b, w, 100_000, 10)
	s := control.New(control.Options{Store: w.Store, Hostname: "mx.host.example"})
	if err := s.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	view, n := routing.View{Directory: s.Directory()}, 0
	b.ReportAllocs()
	for b.Loop() {
		n = (n + 7919) % 100_000
		to := smtp.Address{Local: "firstname.name3", Domain: names[n%len(names)]}
		if d := routing.Decide(view, routing.Session{}, to); !d.Accepted() {
			b.Fatal(d.Reply)
		}
	}
}

// names are domains of the design size, made once so that making them is not measured.
var names = func() []string {
	out := make([]string, 1000)
	for i := range out {
		out[i] = fmt.Sprintf("customer-%06d.example", i*100)
	}
	return out
}()

package facts

import (
	"encoding/json"
	"testing"
	"time"
)

func TestStatusWords(t *testing.T) {
	for status, want := range map[Status]string{
		Found: "found", NoData: "no data", NXDomain: "no such domain", Temporary: "temporary failure", 0: "status 0", 9: "status 9",
	} {
		if got := status.String(); got != want {
			t.Errorf("Status(%d) reads %q, want %q", uint8(status), got, want)
		}
	}
	if out, err := json.Marshal(NXDomain); err != nil || string(out) != `"no such domain"` {
		t.Errorf("in JSON %s, %v", out, err)
	}
}

func TestZeroAnswerClaimsNothing(t *testing.T) {
	var zero MXAnswer
	for _, named := range []Status{Found, NoData, NXDomain, Temporary} {
		if zero.Status == named {
			t.Errorf("an answer nobody filled in says %v", named)
		}
	}
}

func TestOriginAge(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	o := Origin{At: at, TTL: 5 * time.Minute}
	if got := o.Age(at.Add(time.Minute)); got != time.Minute {
		t.Errorf("age %v", got)
	}
	if got := o.Age(at.Add(-time.Hour)); got != 0 {
		t.Errorf("age before it was learned %v, want 0 (a clock that went back)", got)
	}
	if got := o.Expires(); !got.Equal(at.Add(5 * time.Minute)) {
		t.Errorf("expires %v", got)
	}
}

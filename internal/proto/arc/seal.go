package arc

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"postroad/internal/proto/dkim"
	"postroad/internal/proto/message"
)

// ErrResults says that there are no authentication results to be sealed.
var ErrResults = errors.New("arc: no authentication results")

// Seal makes the three fields of the next set, to be put on top of the header, the seal first (RFC 8617 §5.1). Each
// begins with its instance. chain is
// that of the message and validated what [Chain.Validate] said of it. results is the value of an Authentication-Results
// field ([Results]); its first word, the host, is part of it. The body was hashed in relaxed form.
//
// There is nothing to be made, and no error, when the chain is at its end: when it is full, when a seal already says
// that it failed, or when it fails for now only.
func Seal(chain *Chain, validated Result, body *dkim.Body, results string, key dkim.Key, now time.Time) ([]byte, error) {
	algorithm, bits, err := dkim.KeyAlgorithm(key.Signer.Public())
	if err != nil {
		return nil, err
	}
	if algorithm == dkim.RSA && bits < dkim.MinSignBits {
		return nil, fmt.Errorf("arc: an RSA key of %d bits is too short to seal with: %d at least", bits, dkim.MinSignBits)
	}
	names := dkim.Covered(chain.header)
	for range chain.header.Named("dkim-signature") {
		names = append(names, "dkim-signature")
	}
	if len(names) > maxCovered {
		return nil, dkim.ErrTooMany
	}
	return seal(chain, validated, body, results, key, names, now)
}

// maxCovered bounds the length of h=.
const maxCovered = 150

func seal(chain *Chain, validated Result, body *dkim.Body, results string, key dkim.Key, names []string, now time.Time) ([]byte, error) {
	n := len(chain.sets) + 1
	if n > MaxSets || chain.closed || validated.Temporary || chain.broken != "" && len(chain.sets) == 0 {
		return nil, nil
	}
	results = strings.Trim(results, " \t;")
	if results == "" {
		return nil, ErrResults
	}
	algorithm, _, err := dkim.KeyAlgorithm(key.Signer.Public())
	if err != nil {
		return nil, err
	}
	sum, err := body.Sum(dkim.Relaxed)
	if err != nil {
		return nil, err
	}
	instance, when := "i="+strconv.Itoa(n), "t="+strconv.FormatInt(now.Unix(), 10)
	field, err := message.AppendField(nil, "ARC-Authentication-Results", instance+"; "+results)
	if err != nil {
		return nil, err
	}
	signed, err := dkim.SignField("ARC-Message-Signature", []string{
		instance, "a=" + string(algorithm), "c=relaxed/relaxed", "d=" + key.Domain, "s=" + key.Selector, when,
		"h=" + strings.Join(names, ":"), "bh=" + base64.StdEncoding.EncodeToString(sum), "b=",
	}, chain.header.AppendCovered(nil, names, dkim.Relaxed, -1), dkim.Relaxed, key.Signer)
	if err != nil {
		return nil, err
	}
	sealed, err := dkim.SignField("ARC-Seal", []string{
		instance, "a=" + string(algorithm), "cv=" + string(validated.State), "d=" + key.Domain, "s=" + key.Selector, when, "b=",
	}, chain.sealing(validated, field, signed), dkim.Relaxed, key.Signer)
	if err != nil {
		return nil, err
	}
	return append(append(sealed, signed...), field...), nil
}

// sealing is what the next seal covers besides itself. One that says that the chain failed covers its own set alone
// (RFC 8617 §5.1.2).
func (c *Chain) sealing(validated Result, results, signed []byte) []byte {
	var b []byte
	if n := len(c.sets); n > 0 && validated.State != Fail {
		b = dkim.AppendField(c.sealed(n), c.sets[n-1].seal, dkim.Relaxed)
	}
	b = dkim.AppendField(b, results, dkim.Relaxed)
	return dkim.AppendField(b, signed, dkim.Relaxed)
}

// Results puts the Authentication-Results fields of one host together into one value; those of other hosts, which
// anybody can have written, are left out. It is empty when there are none.
func Results(header []byte, host string) string {
	var parts []string
	for _, value := range message.Values(header, "Authentication-Results") {
		id, rest, _ := strings.Cut(value, ";")
		// A version may follow the host (RFC 8601 §2.2).
		words := strings.Fields(id)
		if len(words) == 0 || !strings.EqualFold(words[0], host) {
			continue
		}
		if rest = strings.Trim(rest, " \t;"); rest != "" {
			parts = append(parts, rest)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return host + "; " + strings.Join(parts, "; ")
}

package dns

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	codec "github.com/miekg/dns"
)

var signedAt = time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)

func testKey(a MAC) TSIGKey {
	return TSIGKey{Name: "ns2.customer.example.", Algorithm: a, Secret: []byte("0123456789abcdef0123456789abcdef")}
}

// The messages of a stream as each side sees them (RFC 8945 §5.3), and the library's opinion of the first two.
func TestAnExchangeIsSignedAndVerified(t *testing.T) {
	for _, a := range []MAC{HMACSHA256, HMACSHA384, HMACSHA512} {
		key := testKey(a)
		ask, answer := key.Begin(), key.Begin()
		request, err := TransferRequest(4711, "example.net.", TypeAXFR, nil)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := ask.Sign(request, signedAt)
		if err != nil {
			t.Fatal(err)
		}
		if room := key.SignatureRoom(); len(signed)-len(request) != room {
			t.Errorf("%s: the record takes %d octets, said to be %d", a, len(signed)-len(request), room)
		}
		if err := libraryVerifies(signed, key, ""); err != nil {
			t.Errorf("%s: the library says of the request: %v", a, err)
		}
		bare, err := answer.Verify(signed, signedAt.Add(200*time.Second))
		if err != nil || !bytes.Equal(bare, request) {
			t.Fatalf("%s: %x, %v; want %x", a, bare, err, request)
		}
		for i := range 5 {
			msg := bytes.Clone(request)
			msg[2], msg[3] = 0x80, byte(i)<<4
			signed, err := answer.Sign(msg, signedAt)
			if err != nil {
				t.Fatal(err)
			}
			if bare, err := ask.Verify(signed, signedAt); err != nil || !bytes.Equal(bare, msg) {
				t.Errorf("%s: answer %d: %x, %v", a, i, bare, err)
			}
		}
		if ask.Open() {
			t.Errorf("%s: every message was signed", a)
		}
	}
}

// libraryVerifies asks the library, whose clock is the machine's, so that the time alone may be wrong.
func libraryVerifies(msg []byte, key TSIGKey, mac string) error {
	err := codec.TsigVerify(bytes.Clone(msg), base64.StdEncoding.EncodeToString(key.Secret), mac, false)
	if errors.Is(err, codec.ErrTime) {
		return nil
	}
	return err
}

func TestWhatTheLibrarySignsIsVerified(t *testing.T) {
	key := testKey(HMACSHA512)
	var m codec.Msg
	m.SetAxfr("example.net.")
	m.SetTsig("NS2.Customer.example.", codec.HmacSHA512, 300, signedAt.Unix())
	msg, _, err := codec.TsigGenerate(&m, base64.StdEncoding.EncodeToString(key.Secret), "", false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := key.Begin().Verify(msg, signedAt); err != nil {
		t.Error(err)
	}
}

func TestSignaturesThatAreNotTakenAndWhatIsAnswered(t *testing.T) {
	key := testKey(HMACSHA256)
	request, err := TransferRequest(1, "example.net.", TypeAXFR, nil)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(k TSIGKey) []byte {
		msg, err := k.Begin().Sign(request, signedAt)
		if err != nil {
			t.Fatal(err)
		}
		return msg
	}
	other := key
	other.Name = "another."
	wrong := key
	wrong.Secret = []byte("wrong")
	longer := key
	longer.Algorithm = HMACSHA384
	short := sign(key)
	// A code that was cut in half, as RFC 8945 §5.2.2.1 allows to some.
	bare, sig, err := SplitTSIG(short)
	if err != nil {
		t.Fatal(err)
	}
	cut, err := key.Begin().attach(bare, sig.Time, sig.MAC[:16], 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	changed := sign(key)
	changed[headerSize+1] ^= 1
	for _, c := range []struct {
		name string
		msg  []byte
		late time.Duration
		want error
	}{
		{"another key", sign(other), 0, ErrBadKey},
		{"the key with another algorithm", sign(longer), 0, ErrBadKey},
		{"another secret", sign(wrong), 0, ErrBadSig},
		{"a changed message", changed, 0, ErrBadSig},
		{"a cut code", cut, 0, ErrBadTrunc},
		{"late", sign(key), 301 * time.Second, ErrBadTime},
		{"early", sign(key), -301 * time.Second, ErrBadTime},
		{"unsigned", request, 0, ErrUnsigned},
	} {
		x := key.Begin()
		if _, err := x.Verify(c.msg, signedAt.Add(c.late)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}

	// The answer to a late request is signed and tells the time, others are not (RFC 8945 §5.3.2).
	x, ask := key.Begin(), key.Begin()
	msg, err := ask.Sign(request, signedAt)
	if err != nil {
		t.Fatal(err)
	}
	bare, sig, err = SplitTSIG(msg)
	if err != nil {
		t.Fatal(err)
	}
	now := signedAt.Add(time.Hour)
	if err := x.Check(bare, sig, now); !errors.Is(err, ErrBadTime) {
		t.Fatal(err)
	}
	refusal := append([]byte{0, 1, 0x80, 9}, request[4:]...)
	told, err := x.Reject(refusal, sig, ErrBadTime, now)
	if err != nil {
		t.Fatal(err)
	}
	_, said, err := SplitTSIG(told)
	if err != nil || said.Error != ErrBadTime || len(said.Other) != 6 || binary.BigEndian.Uint32(said.Other[2:]) != uint32(now.Unix()) {
		t.Errorf("%+v, %v", said, err)
	}
	if _, err := ask.Verify(told, signedAt); !errors.Is(err, ErrBadTime) {
		t.Errorf("who asked hears %v", err)
	}
	if told, err = other.Begin().Reject(refusal, sig, ErrBadKey, now); err != nil {
		t.Fatal(err)
	}
	if _, said, err = SplitTSIG(told); err != nil || said.Error != ErrBadKey || len(said.MAC) != 0 {
		t.Errorf("%+v, %v", said, err)
	}
}

// Of a stream up to 99 messages in a row may be unsigned, never the first or the last (RFC 8945 §5.3.1).
func TestMessagesBetweenSignedOnes(t *testing.T) {
	key := testKey(HMACSHA256)
	request, err := TransferRequest(1, "example.net.", TypeAXFR, nil)
	if err != nil {
		t.Fatal(err)
	}
	begin := func() (ask, answer *Exchange) {
		ask, answer = key.Begin(), key.Begin()
		msg, err := ask.Sign(request, signedAt)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := answer.Verify(msg, signedAt); err != nil {
			t.Fatal(err)
		}
		return ask, answer
	}
	ask, _ := begin()
	if _, err := ask.Verify(request, signedAt); !errors.Is(err, ErrUnsigned) {
		t.Errorf("the first answer unsigned: %v", err)
	}
	ask, answer := begin()
	msg, err := answer.Sign(request, signedAt)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ask.Verify(msg, signedAt); err != nil {
		t.Fatal(err)
	}
	h := answer.start()
	for i := range maxUnsigned {
		h.Write(request)
		if _, err := ask.Verify(request, signedAt); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	if !ask.Open() {
		t.Error("nobody vouches for the last messages")
	}
	if _, err := ask.Verify(request, signedAt); !errors.Is(err, ErrUnsigned) {
		t.Errorf("the hundredth: %v", err)
	}
	answer.between = h
	if msg, err = answer.Sign(request, signedAt); err != nil {
		t.Fatal(err)
	}
	if _, err := ask.Verify(msg, signedAt); err != nil || ask.Open() {
		t.Errorf("signed after 99: %v", err)
	}
}

func TestRecordsOfTSIGInWrongPlaces(t *testing.T) {
	key := testKey(HMACSHA256)
	request, err := TransferRequest(1, "example.net.", TypeAXFR, nil)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := key.Begin().Sign(request, signedAt)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := key.Begin().Sign(msg, signedAt)
	if err != nil {
		t.Fatal(err)
	}
	answer := bytes.Clone(msg)
	answer[7], answer[11] = 1, 0
	for name, msg := range map[string][]byte{"twice": twice, "in the answer section": answer, "with more behind it": append(bytes.Clone(msg), 0), "cut": msg[:len(msg)-1]} {
		if _, sig, err := SplitTSIG(msg); !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: %+v, %v", name, sig, err)
		}
	}
}

func FuzzTSIG(f *testing.F) {
	key := testKey(HMACSHA256)
	request, err := TransferRequest(1, "example.net.", TypeAXFR, nil)
	if err != nil {
		f.Fatal(err)
	}
	msg, err := key.Begin().Sign(request, signedAt)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(msg)
	f.Fuzz(func(t *testing.T, got []byte) {
		bare, err := key.Begin().Verify(got, signedAt)
		// The id is covered as it was when the message was signed (RFC 8945 §4.3.2): those who pass it on give another.
		if err == nil && !bytes.Equal(bare[2:], request[2:]) {
			t.Errorf("taken as signed: %x", got)
		}
	})
}

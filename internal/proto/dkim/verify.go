package dkim

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"postroad/internal/proto/idna"
	"postroad/internal/proto/message"
)

// MaxSignatures is how many signatures of one message are looked at, from the top (RFC 6376 §8.4).
const MaxSignatures = 8

// maxRecords is how many records at one name are tried; there should be one (RFC 6376 §3.6.2.2).
const maxRecords = 3

// Word is a result of RFC 8601 §2.7.1.
type Word string

// The words.
const (
	Pass Word = "pass"
	// Fail: the message is not what was signed.
	Fail Word = "fail"
	// Policy: the signature may hold, and is not accepted all the same.
	Policy Word = "policy"
	// Neutral: the signature cannot be read.
	Neutral Word = "neutral"
	// TempError: DNS did not answer; it may later.
	TempError Word = "temperror"
	// PermError: the key cannot be had, or something that has to be there is not.
	PermError Word = "permerror"
)

// Lookup fetches the texts of the TXT records at a name, each as one string. The error is [ErrNoRecord] when DNS says
// that there are none; everything else counts as [ErrTemporary].
type Lookup func(ctx context.Context, name string) (texts []string, err error)

var (
	// ErrNoRecord is what a [Lookup] says of a name without TXT records.
	ErrNoRecord = errors.New("no such record")
	// ErrTemporary is what a [Lookup] says when it does not know.
	ErrTemporary = errors.New("DNS did not answer")
)

// Result is what became of one signature.
type Result struct {
	Word Word
	// Domain, Selector and Algorithm are those of d=, s= and a=; empty where they cannot be read.
	Domain, Selector string
	Algorithm        Algorithm
	// Identity is the value of i=, or "@" with the domain (RFC 6376 §3.5).
	Identity string
	// Bits is the length of the key; 0 where it was not seen.
	Bits int
	// Testing: the domain only tries DKIM out (t=y): a signature that does not pass is no worse than none.
	Testing bool
	// Reason says in plain words why, without a full stop.
	Reason string
	// Value begins the signature: enough to tell it from others (header.b, RFC 6008).
	Value string
	// Time is when it was made, as it says; may be zero.
	Time time.Time
}

// Signatures are the DKIM signatures of one message.
type Signatures struct {
	// Records remembers what key records say; nil: each is read anew.
	Records *Records

	header *Header
	list   []read
	more   int
}

// read is one signature; result has a word when nothing has to be computed any more.
type read struct {
	*Signature
	Coverage
	place  int
	result Result
	// expires is the value of x=; may be zero.
	expires time.Time
}

// Read finds and reads the signatures of a header.
func Read(header []byte) *Signatures {
	if !message.HasField(header, "DKIM-Signature") {
		return &Signatures{}
	}
	s := &Signatures{header: NewHeader(header)}
	for _, place := range s.header.Named("dkim-signature") {
		if len(s.list) == MaxSignatures {
			s.more++
			continue
		}
		s.list = append(s.list, s.read(place))
	}
	return s
}

func (s *Signatures) read(place int) read {
	r := read{place: place}
	err := r.parse(s)
	value, _ := r.Tags.Get("b")
	r.result.Domain, r.result.Selector, r.result.Algorithm = r.Domain, r.Selector, r.Signature.Algorithm
	r.result.Value, r.result.Time = begin(value, 8), r.Time
	if err != nil {
		r.result.Word, r.result.Reason = Neutral, "the signature "+err.Error()
		switch {
		case errors.Is(err, ErrWeak):
			r.result.Word, r.result.Reason = Policy, "the signature is "+err.Error()
		case errors.Is(err, ErrUnfit):
			r.result.Word, r.result.Reason = PermError, strings.TrimPrefix(err.Error(), ErrUnfit.Error()+": ")
		}
	}
	return r
}

func (r *read) parse(s *Signatures) error {
	var weak, err error
	r.Signature, err = ParseSignature(s.header.Fields[r.place])
	r.result.Identity = "@" + r.Domain
	if i, ok := r.Tags.Get("i"); ok {
		r.result.Identity = squeeze(i)
	}
	if errors.Is(err, ErrWeak) {
		weak, err = err, nil
	}
	if err != nil {
		return err
	}
	if v, _ := r.Tags.Get("v"); v != "1" {
		return fmt.Errorf("%w: v= is not 1", ErrSyntax)
	}
	r.Coverage, err = r.Signature.Coverage()
	if errors.Is(err, ErrWeak) {
		weak, err = errors.Join(weak, err), nil
	}
	if err != nil {
		return err
	}
	if r.expires, err = r.Tags.Time("x"); err != nil {
		return err
	}
	switch {
	case !r.expires.IsZero() && r.expires.Before(r.Time):
		return fmt.Errorf("%w: it ended before it was made: x= is before t=", ErrSyntax)
	case !slices.Contains(r.Names, "from"):
		return fmt.Errorf("%w: From is not signed", ErrUnfit)
	case !within(r.result.Identity, r.Domain):
		return fmt.Errorf("%w: i=%s is not in the domain of d=%s", ErrUnfit, cut(r.result.Identity), r.Domain)
	}
	if weak != nil {
		return first(weak)
	}
	return nil
}

// identityDomain is what stands after the last "@" of i=.
func identityDomain(identity string) string {
	return strings.ToLower(identity[strings.LastIndexByte(identity, '@')+1:])
}

// within says whether the domain of an identity is domain, or lies below it.
func within(identity, domain string) bool {
	if !strings.Contains(identity, "@") {
		return false
	}
	of := identityDomain(identity)
	if ascii, err := idna.ToASCIIService(of); err == nil {
		of = ascii
	}
	return of == domain || strings.HasSuffix(of, "."+domain)
}

// Canonicalizations are those that a [Body] has to be hashed by for [Signatures.Verify].
func (s *Signatures) Canonicalizations() []Canonicalization {
	var list []Canonicalization
	for i := range s.list {
		if s.list[i].result.Word == "" && !slices.Contains(list, s.list[i].Body) {
			list = append(list, s.list[i].Body)
		}
	}
	return list
}

// KeyNames are the names that Verify will look up, each once: who asks for them while the body still comes has the
// answers at hand at its end.
func (s *Signatures) KeyNames() []string {
	var names []string
	for i := range s.list {
		if name := s.list[i].KeyName(); s.list[i].result.Word == "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// Len is how many signatures there are.
func (s *Signatures) Len() int { return len(s.list) + s.more }

// Verify looks at every signature, in the order of the header. Those after the first [MaxSignatures] have one result
// together, the last one: policy. now is held against x=.
func (s *Signatures) Verify(ctx context.Context, body *Body, lookup Lookup, now time.Time) []Result {
	results := make([]Result, 0, len(s.list)+1)
	keys := lookup
	if len(s.list) > 1 {
		keys = newKeyCache(lookup)
	}
	for i := range s.list {
		r := &s.list[i]
		if r.result.Word == "" {
			s.verify(ctx, r, body, keys, now)
		}
		results = append(results, r.result)
	}
	if s.more > 0 {
		results = append(results, Result{
			Word: Policy, Reason: fmt.Sprintf("the first %d signatures were looked at, %d more were not", MaxSignatures, s.more),
		})
	}
	return results
}

func (s *Signatures) verify(ctx context.Context, r *read, body *Body, keys Lookup, now time.Time) {
	if !r.expires.IsZero() && now.After(r.expires) {
		r.result.Word, r.result.Reason = Policy, "the signature ended "+r.expires.Format("2006-01-02 15:04 MST")
		return
	}
	sum, err := body.Sum(r.Body)
	if err != nil {
		r.result.Word, r.result.Reason = TempError, err.Error()
		return
	}
	if subtle.ConstantTimeCompare(sum, r.BodyHash) != 1 {
		r.result.Word, r.result.Reason = Fail, "the body was changed after it was signed"
		return
	}
	hash, err := s.hash(r)
	if err != nil {
		r.result.Word, r.result.Reason = Neutral, "the signature "+err.Error()
		return
	}
	found := r.check(ctx, hash, keys, s.Records.parse)
	r.result.Word, r.result.Reason, r.result.Bits, r.result.Testing = found.Word, found.Reason, found.Bits, found.Testing
	if found.Strict && found.Word == Pass && identityDomain(r.result.Identity) != r.Domain {
		r.result.Word, r.result.Reason = PermError, "the key is for "+r.Domain+" alone, and i= is of a domain below it"
	}
}

// hash is that of what a signature covers of the header, and of itself.
func (s *Signatures) hash(r *read) ([]byte, error) {
	b := borrow()
	defer giveBack(b)
	*b = s.header.AppendCovered((*b)[:0], r.Names, r.Header, r.place)
	return Sum(*b, r.Field.Raw, r.Header)
}

// Verify reads the signatures of a header and looks at them: see [Signatures.Verify]. The body was hashed by their
// canonicalizations.
func Verify(ctx context.Context, header []byte, body *Body, lookup Lookup, now time.Time) []Result {
	return Read(header).Verify(ctx, body, lookup, now)
}

// newKeyCache asks for every name once.
func newKeyCache(lookup Lookup) Lookup {
	type answer struct {
		texts []string
		err   error
	}
	known := make(map[string]answer)
	return func(ctx context.Context, name string) ([]string, error) {
		if a, ok := known[name]; ok {
			return a.texts, a.err
		}
		var a answer
		a.texts, a.err = lookup(ctx, name)
		known[name] = a
		return a.texts, a.err
	}
}

// Checked is what a signature and its key say of a hash.
type Checked struct {
	Word   Word
	Reason string
	// Bits, Testing and Strict are those of the key, as in [Record].
	Bits            int
	Testing, Strict bool
}

// Check fetches the key of a signature and holds the signature against the hash of what was signed ([Sum]).
func (s *Signature) Check(ctx context.Context, hash []byte, lookup Lookup) Checked {
	return s.check(ctx, hash, lookup, ParseRecord)
}

func (s *Signature) check(ctx context.Context, hash []byte, lookup Lookup, parse func(text string) (Record, error)) Checked {
	texts, err := lookup(ctx, s.KeyName())
	switch {
	case errors.Is(err, ErrNoRecord) || err == nil && len(texts) == 0:
		return Checked{Word: PermError, Reason: "there is no key at " + s.KeyName()}
	case err != nil:
		return Checked{Word: TempError, Reason: "the key at " + s.KeyName() + " could not be fetched: " + err.Error()}
	}
	// The first text that is for DKIM decides, unless another one lets the signature pass.
	var found Checked
	for _, text := range texts[:min(len(texts), maxRecords)] {
		this := s.checkWith(hash, text, parse)
		if this.Word == Pass {
			return this
		}
		if found.Word == "" || found.Word == PermError {
			found = this
		}
	}
	return found
}

func (s *Signature) checkWith(hash []byte, text string, parse func(text string) (Record, error)) Checked {
	key, err := parse(text)
	c := Checked{Bits: key.Bits, Testing: key.Testing, Strict: key.Strict, Word: PermError}
	switch {
	case errors.Is(err, ErrSyntax):
		c.Reason = "the key record at " + s.KeyName() + " " + err.Error()
	case errors.Is(err, ErrUnfit):
		c.Reason = strings.TrimPrefix(err.Error(), ErrUnfit.Error()+": ")
	case err != nil:
		c.Reason = err.Error()
	case key.Type != s.Algorithm.keyType():
		c.Reason = fmt.Sprintf("the key at %s is of type %s, and the signature of %s", s.KeyName(), key.Type, s.Algorithm)
	case key.Type == "rsa" && (key.Bits < MinVerifyBits || key.Bits > maxVerifyBits):
		c.Word, c.Reason = Policy, fmt.Sprintf("an RSA key of %d bits is not accepted: %d to %d are", key.Bits, MinVerifyBits, maxVerifyBits)
	case !signed(key.Public, hash, s.Value):
		c.Word, c.Reason = Fail, "the header was changed after it was signed, or another key signed it"
	default:
		c.Word, c.Reason = Pass, "signed by "+s.Domain
	}
	return c
}

// signed holds a signature against a key of either type.
func signed(public crypto.PublicKey, hash, value []byte) bool {
	switch key := public.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, hash, value) == nil
	case ed25519.PublicKey:
		return ed25519.Verify(key, hash, value)
	}
	return false
}

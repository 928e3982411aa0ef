package dkim

import (
	"errors"
	"fmt"
	"strings"
)

// Publication is how what DNS has for a key compares with what should be there.
type Publication string

// The cases, from good to bad.
const (
	// Published: exactly one record, with the key.
	Published Publication = "published"
	// Several: the key is there, among other records that have no business there.
	Several Publication = "several"
	// Damaged: it was meant to be the record, and its text suffered on the way.
	Damaged Publication = "damaged"
	// Truncated: the key is cut.
	Truncated Publication = "truncated"
	// OtherKey: a good record of another key.
	OtherKey Publication = "other-key"
	// Revoked: a record that takes the key back.
	Revoked Publication = "revoked"
	// Misplaced: the record stands at another name.
	Misplaced Publication = "misplaced"
	// Unpublished: there is no record.
	Unpublished Publication = "unpublished"
)

// Place is a name in DNS with the texts of its TXT records.
type Place struct {
	Name  string
	Texts []string
}

// Comparison is the outcome of [Compare].
type Comparison struct {
	State Publication
	// Problem says in plain words what is wrong and what to do, without a full stop; empty when all is well.
	Problem string
	// Testing: what is published says t=y.
	Testing bool
}

// WrongPlaces are the names at which a record for a selector of a domain is found when the form that it was entered in
// added the domain, dropped a label, or belongs to the domain above.
func WrongPlaces(selector, domain string) []string {
	names := []string{
		KeyName(selector, domain) + "." + domain, selector + "." + domain, "_domainkey." + domain, domain,
	}
	if _, parent, ok := strings.Cut(domain, "."); ok && strings.Contains(parent, ".") {
		names = append(names, KeyName(selector, parent))
	}
	return names
}

// Compare holds what DNS has at the name of a key against the record that should be there. elsewhere are other places
// that were looked at ([WrongPlaces]); it may be empty.
func Compare(want string, at Place, elsewhere []Place) Comparison {
	var texts []string
	for _, text := range at.Texts {
		if looksLikeKey(text) {
			texts = append(texts, text)
		}
	}
	if len(texts) == 0 {
		return absent(want, at, elsewhere)
	}
	for _, text := range texts {
		got, same := sameKey(want, text)
		switch {
		case same && len(texts) > 1:
			return Comparison{
				State: Several, Testing: got.Testing,
				Problem: fmt.Sprintf("there are %d key records at %s, and receivers take one of them by chance: remove the others", len(texts), at.Name),
			}
		case same:
			return Comparison{State: Published, Testing: got.Testing}
		}
	}
	return differs(want, texts[0], at.Name)
}

// looksLikeKey passes over what has no business at the name but does no harm there.
func looksLikeKey(text string) bool {
	return strings.Contains(text, "p=") || strings.Contains(strings.ToUpper(text), "DKIM")
}

func sameKey(want, text string) (got Record, same bool) {
	wanted, err := ParseRecord(want)
	if err != nil {
		return Record{}, false
	}
	if got, err = ParseRecord(text); err != nil || got.Type != wanted.Type {
		return got, false
	}
	one, _ := MakeRecord(wanted.Public)
	two, _ := MakeRecord(got.Public)
	return got, one == two
}

func absent(want string, at Place, elsewhere []Place) Comparison {
	for _, place := range elsewhere {
		for _, text := range place.Texts {
			if _, same := sameKey(want, text); same {
				return Comparison{
					State:   Misplaced,
					Problem: fmt.Sprintf("the record stands at %s and belongs at %s", place.Name, at.Name),
				}
			}
		}
	}
	return Comparison{State: Unpublished, Problem: "there is no key record at " + at.Name}
}

// differs names what is wrong with a record that is not the wanted one.
func differs(want, text, name string) Comparison {
	damaged := func(what string) Comparison {
		return Comparison{State: Damaged, Problem: "the record at " + name + " " + what}
	}
	marks := strings.NewReplacer(`"`, "", `\`, "")
	wanted, clean := squeeze(want), squeeze(text)
	bare := marks.Replace(clean)
	key, published := keyText(wanted), keyText(bare)
	switch {
	case bare == wanted:
		return damaged("has quotation marks or backslashes in its text: enter it without them")
	case strings.ReplaceAll(bare, ";", "") == strings.ReplaceAll(wanted, ";", ""):
		return damaged("lacks semicolons: enter it exactly as shown")
	case published != "" && len(published) < len(key) && strings.HasPrefix(key, published):
		return Comparison{State: Truncated, Problem: fmt.Sprintf(
			"the key at %s ends after %d of %d characters: enter it in pieces of at most 255 characters", name, len(published), len(key))}
	case published != key && strings.EqualFold(published, key):
		return damaged("has capitals and small letters changed: enter it exactly as shown")
	case published != key && published == strings.ReplaceAll(key, "+", ""):
		return damaged("lacks the plus signs of the key: enter it exactly as shown")
	}
	got, err := ParseRecord(text)
	switch {
	case errors.Is(err, ErrRevoked):
		return Comparison{State: Revoked, Problem: "the record at " + name + " takes the key back: its p= is empty"}
	case errors.Is(err, ErrUnfit):
		return damaged("is of no use for mail: " + strings.TrimPrefix(err.Error(), ErrUnfit.Error()+": "))
	case err != nil:
		return damaged(err.Error())
	}
	return Comparison{
		State: OtherKey, Testing: got.Testing,
		Problem: fmt.Sprintf("another key stands at %s: %s, %d bits", name, got.Type, got.Bits),
	}
}

// keyText finds the value of p= in a text without white space that need not be a tag list. Where semicolons are lost
// the key is the rest.
func keyText(squeezed string) string {
	_, value, _ := strings.Cut(squeezed, "p=")
	value, _, _ = strings.Cut(value, ";")
	return value
}

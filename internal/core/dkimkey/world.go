package dkimkey

import (
	"postroad/internal/core/facts"
	"postroad/internal/proto/dkim"
)

// Unknown is said of a record that nobody could be asked for, in place of what dkim.Compare says.
const Unknown dkim.Publication = "unknown"

// Seen is what was seen in the place of a key's record.
type Seen struct {
	State dkim.Publication
	Says  string // the evidence, one line
}

// Compare holds what DNS says at a key's name, and at other names where such a record may have come to stand, against
// the key.
func (k *Key) Compare(a *facts.Answer, elsewhere []facts.Answer) Seen {
	at := a.Source
	if at == "" {
		at = a.Address
	}
	if at != "" {
		at += ": "
	}
	switch a.Status {
	case facts.Found, facts.NoData, facts.NXDomain:
	default:
		return Seen{Unknown, at + a.Name + " could not be asked for: " + a.Detail}
	}
	var places []dkim.Place
	for i := range elsewhere {
		places = append(places, dkim.Place{Name: elsewhere[i].Name, Texts: elsewhere[i].Texts()})
	}
	c := dkim.Compare(k.Record, dkim.Place{Name: a.Name, Texts: a.Texts()}, places)
	if c.State == dkim.Published {
		return Seen{c.State, at + a.Name + " has the key"}
	}
	return Seen{c.State, at + c.Problem}
}

// SameKey reports whether a record's text is of the key.
func (k *Key) SameKey(text string) bool {
	state := dkim.Compare(k.Record, dkim.Place{Texts: []string{text}}, nil).State
	return state == dkim.Published
}

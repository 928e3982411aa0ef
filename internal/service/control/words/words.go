package words

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"postroad/internal/proto/idna"
	"postroad/internal/proto/smtp"
)

// Quote shows a text that somebody gave, cut and without controls.
func Quote(s string) string {
	if len(s) > 100 {
		s = s[:100]
	}
	return strconv.Quote(s)
}

// Show writes a domain as people read it, with its A-label when that differs.
func Show(ascii string) string {
	if u := idna.ToUnicode(ascii); u != ascii {
		return u + " (" + ascii + ")"
	}
	return ascii
}

// DomainName brings a domain's name to the form that is a key. One trailing dot is taken as meant.
func DomainName(name string) (string, error) {
	trimmed := strings.TrimSuffix(name, ".")
	at, err := smtp.ParseAddress("x@"+trimmed, true)
	if err != nil || at.IsLiteral() || strings.ContainsAny(trimmed, ",:> ") {
		return "", Invalid(Quote(name)+" is no domain name.", "letters, digits and hyphens in parts joined by dots, as in example.org")
	}
	return at.Domain, nil
}

// maxName is the longest name for people, in characters.
const maxName = 100

// Visible reports whether a text is one line of visible characters without space at either end.
func Visible(s string) bool {
	return utf8.ValidString(s) && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) })
}

// PersonName checks the name that people gave a thing, such as an account or a token.
func PersonName(thing, s string) error {
	if n := utf8.RuneCountInString(s); !Visible(s) || n < 1 || n > maxName {
		return Invalid("The name of the "+thing+" is "+Quote(s)+".", "1 to 100 visible characters without space at either end")
	}
	return nil
}

// Article writes a noun with its indefinite article.
func Article(noun string) string {
	if strings.IndexAny(noun, "aeiou") == 0 {
		return "an " + noun
	}
	return "a " + noun
}

// Plural writes a count with its noun.
func Plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatInt(n, 10) + " " + many
}

// When writes a moment to the minute, in UTC.
func When(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

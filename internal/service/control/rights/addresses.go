package rights

import (
	"strings"

	"postroad/internal/core/directory"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/control/words"
)

// OwnAddress reads an address of a domain here: its local part is compared without regard to case, and has none of
// the characters by which addresses smuggle routes.
func OwnAddress(s string) (smtp.Address, error) {
	at, err := smtp.ParseAddress(strings.TrimSuffix(s, "."), true)
	if err != nil || at.IsLiteral() {
		return smtp.Address{}, words.Invalid(words.Quote(s)+" is no address.", "write it as name@example.org")
	}
	if strings.ContainsAny(at.Local, "%!@:\"\\/ ") {
		return smtp.Address{}, words.Invalid("The address "+words.Quote(s)+" has a character that is not taken here in a local part.", "letters, digits and . _ - + are safe")
	}
	at.Local = directory.FoldLocal(at.Local)
	return at, nil
}

// TargetAddress reads an address that mail may be led to, here or elsewhere. Local parts of our own domains are
// folded, foreign ones kept.
func TargetAddress(snap *directory.Snapshot, s string) (smtp.Address, bool, error) {
	at, err := smtp.ParseAddress(s, true)
	if err != nil || at.IsLiteral() {
		return smtp.Address{}, false, words.Invalid("The target "+words.Quote(s)+" is no address.", "write it as name@example.org")
	}
	_, ours := snap.Domain(at.Domain)
	if ours {
		at.Local = directory.FoldLocal(at.Local)
	}
	return at, ours, nil
}

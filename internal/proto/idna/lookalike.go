package idna

import "strings"

// lookalikes are letters that look like a Latin one in lower case, of the scripts and blocks in which domain names are
// registered (UTS 39, confusable characters; those of whole words alone).
var lookalikes = map[rune]rune{
	// Cyrillic
	'а': 'a', 'в': 'b', 'ь': 'b', 'с': 'c', 'ԁ': 'd', 'е': 'e', 'ё': 'ë', 'һ': 'h', 'н': 'h', 'і': 'i', 'ї': 'ï', 'ј': 'j', 'к': 'k', 'ӏ': 'l',
	'м': 'm', 'п': 'n', 'о': 'o', 'р': 'p', 'ԛ': 'q', 'г': 'r', 'ѕ': 's', 'т': 't', 'ц': 'u', 'ѵ': 'v', 'ԝ': 'w', 'ш': 'w', 'х': 'x', 'у': 'y', 'ү': 'y',
	// Greek
	'α': 'a', 'β': 'b', 'ϲ': 'c', 'ε': 'e', 'η': 'n', 'ι': 'i', 'ϳ': 'j', 'κ': 'k', 'ν': 'v', 'ο': 'o', 'ρ': 'p', 'σ': 'o', 'τ': 't', 'υ': 'u',
	'μ': 'u', 'χ': 'x', 'γ': 'y', 'ω': 'w',
	// Armenian
	'ց': 'g', 'հ': 'h', 'ո': 'n', 'օ': 'o', 'զ': 'q', 'ս': 'u', 'ք': 'p', 'յ': 'j', 'լ': 'l', 'ա': 'w',
	// Latin
	'ɑ': 'a', 'ƅ': 'b', 'ᴄ': 'c', 'ɖ': 'd', 'ɡ': 'g', 'ı': 'i', 'ɩ': 'i', 'ɪ': 'i', 'ȷ': 'j', 'ĸ': 'k', 'ǀ': 'l', 'ɭ': 'l', 'ɱ': 'm', 'ɲ': 'n', 'ŋ': 'n',
	'ᴏ': 'o', 'ᴘ': 'p', 'ʀ': 'r', 'ꜱ': 's', 'ʂ': 's', 'ᴛ': 't', 'ᴜ': 'u', 'ʋ': 'v', 'ᴠ': 'v', 'ᴡ': 'w', 'ʏ': 'y', 'ɣ': 'y', 'ᴢ': 'z', 'ʐ': 'z',
	// Georgian, Lao, and digits that look like letters
	'ჿ': 'y', 'ဝ': 'o', '໐': 'o', '०': 'o', '੦': 'o', '٥': 'o',
}

// Lookalike gives the Latin name that a name, as A-labels, looks like to people; of one without A-labels itself. Names
// that people may take for one another give the same. Letters with different marks (ü and u) are not taken for one
// another.
func Lookalike(ascii string) string {
	if !hasACE(ascii) {
		return ascii
	}
	return strings.Map(func(r rune) rune {
		if latin, ok := lookalikes[r]; ok {
			return latin
		}
		return r
	}, ToUnicode(ascii))
}

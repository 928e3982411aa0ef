package man

import "testing"

func TestManualPagesTakeTextForText(t *testing.T) {
	t.Parallel()
	if got := roff("one\n\n.SH a\\b\n'two--three"); got != "one\n.PP\n\\&.SH a\\eb\n\\&'two\\-\\-three" {
		t.Errorf("%q", got)
	}
}

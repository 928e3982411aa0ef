package message

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestSummarize(t *testing.T) {
	date := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name, header string
		want         Summary
	}{
		{
			"usual",
			"From: Me <me@a.b>\r\nSubject: Hello\r\n there\r\nMessage-Id: <1@a.b>\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\n",
			Summary{From: "Me <me@a.b>", Subject: "Hello there", MessageID: "<1@a.b>", Date: date, HasDate: true},
		},
		{"nothing", "", Summary{}},
		{"bad date", "Date: tomorrow\r\n", Summary{}},
		{"the first counts", "Subject: one\r\nSubject: two\r\n", Summary{Subject: "one"}},
		{"encoded", "Subject: =?utf-8?q?J=C3=BC?=\r\n =?ISO-8859-1?Q?rgen?= x\r\n", Summary{Subject: "Jürgen x"}},
		{"other charsets", "Subject: =?koi8-r?b?8NLJ18XU?= =?iso-2022-jp?B?GyRCRnxLXBsoQg==?= =?windows-1252*de?q?=80?=\r\n", Summary{Subject: "Привет日本€"}},
		{"unknown charset", "Subject: =?x-nonsense?q?caf=E9_au_lait?=\r\n", Summary{Subject: "caf? au lait"}},
		{"broken encoded word", "Subject: =?utf-8?q?x\r\n", Summary{Subject: "=?utf-8?q?x"}},
		{"control characters", "Subject: a\x00b\x1b[31m =?utf-8?q?c=0D=0AX:_d=07?=\r\n", Summary{Subject: "a b [31m c X: d"}},
		{"direction marks", "Subject: a\u202eb\u2066c\r\n", Summary{Subject: "abc"}},
		{"not UTF-8", "Subject: a\xffb\r\n", Summary{Subject: "a\ufffdb"}},
		{"cut between characters", "Subject: " + strings.Repeat("ü", 300) + "\r\n", Summary{Subject: strings.Repeat("ü", 256)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Summarize([]byte(tt.header))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzSummarize(f *testing.F) {
	f.Add([]byte("From: =?utf-8?q?x?= <a@b>\r\nSubject: =?koi8-r?b?8NLJ?=\r\nDate: 1 Jan 99 1:1 GMT\r\nMessage-ID: <x>\r\n"))
	f.Add([]byte("Subject: =?gb18030?b?gTCBMA==?= =?utf-16?b?AAA=?= =?utf-7?q?+AC?=\r\n"))
	f.Fuzz(func(t *testing.T, header []byte) {
		s := Summarize(header)
		for _, text := range []string{s.From, s.Subject, s.MessageID} {
			if !utf8.ValidString(text) || len(text) > maxMessageID || strings.ContainsFunc(text, unicode.IsControl) {
				t.Fatalf("%q gives %q", header, text)
			}
		}
		if s.HasDate && (s.Date.Year() < 1899 || s.Date.Year() > 10000) {
			t.Fatalf("%q gives %v", header, s.Date)
		}
	})
}

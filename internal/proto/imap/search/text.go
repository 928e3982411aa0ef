package search

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"postroad/internal/proto/message"
	"postroad/internal/proto/mime"
)

// fold gives text in the form that is compared. It does not change text.
func fold(text []byte) []byte {
	folded := make([]byte, len(text))
	for i, c := range text {
		if c >= utf8.RuneSelf {
			return norm.NFC.Bytes(cases.Fold().Bytes(norm.NFC.Bytes(text)))
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		folded[i] = c
	}
	return folded
}

func (m *candidate) readHeader(header []byte) {
	m.hasHeader = true
	m.header = header[:min(len(header), MaxText)]
}

func (m *candidate) readBody(whole []byte) {
	m.whole = whole
	m.root = mime.Parse(whole)
	m.room = MaxText
}

// field says whether a field of the header contains what is looked for.
func (m *candidate) field(name string, needle []byte) verdict {
	if !m.hasHeader {
		return unknown
	}
	for _, value := range message.Values(m.header, name) {
		if len(needle) == 0 || bytes.Contains(fold([]byte(message.DecodeWords(value))), needle) {
			return yes
		}
	}
	return no
}

// text says whether header or body contain what is looked for.
func (m *candidate) text(needle []byte) verdict {
	if !m.hasHeader {
		return unknown
	}
	if m.fields == nil {
		m.fields = foldHeader(m.header)
	}
	if bytes.Contains(m.fields, needle) {
		return yes
	}
	return m.body(needle)
}

// foldHeader gives the decoded fields of a header, one a line.
func foldHeader(header []byte) []byte {
	var b strings.Builder
	for f := range message.Fields(header) {
		if f.Name != "" {
			b.WriteString(f.Name + ": ")
		}
		b.WriteString(message.DecodeWords(f.Value()))
		b.WriteString("\r\n")
	}
	return fold([]byte(b.String()))
}

// body says whether the body contains what is looked for.
func (m *candidate) body(needle []byte) verdict {
	if m.root == nil {
		return unknown
	}
	if m.texts == nil {
		m.texts = [][]byte{}
		m.collect(m.root)
	}
	for _, text := range m.texts {
		if bytes.Contains(text, needle) {
			return yes
		}
	}
	return no
}

// collect gathers the texts of a part and of the parts in it, and the headers of parts.
func (m *candidate) collect(p *mime.Part) {
	if text, ok := p.ReadableText(m.whole); ok {
		m.add(text)
	}
	for _, part := range p.Parts {
		m.addHeader(part)
		m.collect(part)
	}
	if p.Message != nil {
		m.addHeader(p.Message)
		m.collect(p.Message)
	}
}

func (m *candidate) addHeader(p *mime.Part) {
	if m.room > 0 {
		header := m.whole[p.Start:p.HeaderEnd]
		m.texts = append(m.texts, foldHeader(header[:min(len(header), m.room)]))
		m.room -= len(header)
	}
}

func (m *candidate) add(text []byte) {
	if m.room > 0 {
		text = text[:min(len(text), m.room)]
		m.room -= len(text)
		m.texts = append(m.texts, fold(text))
	}
}

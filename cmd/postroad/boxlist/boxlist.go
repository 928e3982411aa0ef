// Package boxlist reads lists of mailboxes as people keep them: CSV, an address and a password in each line.
package boxlist

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// longest bounds a list, in octets.
const longest = 256 << 20

// Entry is one mailbox of a list.
type Entry struct {
	Address  string `json:"address"`
	Password string `json:"password,omitempty"`
	Line     int    `json:"-"`
}

// Read reads lines of address,password. A first line that says so is passed over. An address that stands there twice, and a
// list without any, are refused.
func Read(in io.Reader) ([]Entry, error) {
	r := csv.NewReader(io.LimitReader(in, longest))
	r.FieldsPerRecord = -1
	r.ReuseRecord = true
	var out []Entry
	seen := map[string]int{}
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		line, _ := r.FieldPos(0)
		e := Entry{Address: strings.TrimSpace(strings.TrimPrefix(fields[0], "\ufeff")), Line: line}
		if len(out) == 0 && strings.EqualFold(e.Address, "address") {
			continue
		}
		if len(fields) > 2 {
			return nil, fmt.Errorf("line %d: there are %d fields; write address,password, and quotes around a password with a comma", line, len(fields))
		}
		if len(fields) == 2 {
			e.Password = fields[1]
		}
		if before, twice := seen[strings.ToLower(e.Address)]; twice {
			return nil, fmt.Errorf("line %d: %q stands in line %d already", line, e.Address, before)
		}
		seen[strings.ToLower(e.Address)] = line
		out = append(out, e)
	}
	if len(out) == 0 {
		return nil, errors.New("there is no mailbox in the file")
	}
	return out, nil
}

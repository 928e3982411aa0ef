package sqldb

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"
)

// Micros is a time as it is stored: microseconds since 1970, 0 for the zero time.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Time is a stored time, UTC; the zero time for 0.
func Time(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// plain gives an argument one of the types string, int64, bool, []byte, []string, []int64.
func plain(v any) (any, error) {
	switch x := v.(type) {
	case string, int64, bool, []byte, []string, []int64:
		return x, nil
	case int:
		return int64(x), nil
	case uint32:
		return int64(x), nil
	case time.Time:
		return Micros(x), nil
	}
	r := reflect.ValueOf(v)
	switch {
	case !r.IsValid():
		return nil, fmt.Errorf("an argument is nil")
	case r.Kind() == reflect.String:
		return r.String(), nil
	case r.CanInt():
		return r.Int(), nil
	case r.Kind() == reflect.Uint8, r.Kind() == reflect.Uint16:
		return int64(r.Uint()), nil //nolint:gosec // at most 16 bits
	}
	return nil, fmt.Errorf("an argument of type %T cannot be stored", v)
}

// liteValue is an argument as the SQLite driver takes it: lists become JSON for json_each.
func liteValue(v any) (driver.Value, error) {
	p, err := plain(v)
	if err != nil {
		return nil, err
	}
	switch x := p.(type) {
	case []string:
		return listText(x)
	case []int64:
		return listText(x)
	}
	return p, nil
}

func listText[T any](list []T) (string, error) {
	if len(list) == 0 {
		return "[]", nil
	}
	b, err := json.Marshal(list)
	return string(b), err
}

// pgValue is an argument as PostgreSQL takes it: its TEXT knows no NUL and nothing but UTF-8, while replies of
// foreign hosts are any bytes.
func pgValue(v any) (any, error) {
	p, err := plain(v)
	if err != nil {
		return nil, err
	}
	if s, ok := p.(string); ok {
		if !utf8.ValidString(s) {
			s = strings.ToValidUTF8(s, "\ufffd")
		}
		if strings.IndexByte(s, 0) >= 0 {
			s = strings.ReplaceAll(s, "\x00", "\ufffd")
		}
		return s, nil
	}
	return p, nil
}

// store puts a value that came from SQLite where the caller wants it.
func store(v driver.Value, dest any) error {
	switch x := v.(type) {
	case nil:
		return storeNull(dest)
	case string:
		return storeText(x, dest)
	case int64:
		return storeInt(x, dest)
	case []byte:
		switch d := dest.(type) {
		case *[]byte:
			*d = x
			return nil
		case *string:
			*d = string(x)
			return nil
		}
	}
	return fmt.Errorf("a column of type %T does not fit into %T", v, dest)
}

func storeText(x string, dest any) error {
	switch d := dest.(type) {
	case *string:
		*d = x
		return nil
	case *[]byte:
		*d = []byte(x)
		return nil
	}
	if r := reflect.ValueOf(dest); r.Kind() == reflect.Pointer && r.Elem().Kind() == reflect.String {
		r.Elem().SetString(x)
		return nil
	}
	return fmt.Errorf("a text does not fit into %T", dest)
}

func storeInt(x int64, dest any) error {
	switch d := dest.(type) {
	case *int64:
		*d = x
		return nil
	case *int:
		*d = int(x)
		return nil
	case *bool:
		*d = x != 0
		return nil
	case *uint32:
		*d = uint32(x) //nolint:gosec // columns read into it hold what such a variable held
		return nil
	case *time.Time:
		*d = Time(x)
		return nil
	}
	r := reflect.ValueOf(dest)
	if r.Kind() == reflect.Pointer && r.Elem().CanInt() {
		r.Elem().SetInt(x)
		return nil
	}
	if r.Kind() == reflect.Pointer && r.Elem().CanUint() && x >= 0 {
		r.Elem().SetUint(uint64(x))
		return nil
	}
	return fmt.Errorf("a number does not fit into %T", dest)
}

func storeNull(dest any) error {
	switch d := dest.(type) {
	case *[]byte:
		*d = nil
		return nil
	case *string:
		*d = ""
		return nil
	}
	return fmt.Errorf("NULL does not fit into %T", dest)
}

package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes. It is written "1MiB", "512KiB", "100B", or as a
// plain number of bytes.
type Size int64

// The units of a Size.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
	TiB Size = 1 << 40
)

// String returns the size in the largest unit that it is a whole number of.
func (s Size) String() string {
	switch {
	case s == 0:
		return "0B"
	case s%TiB == 0:
		return fmt.Sprintf("%dTiB", s/TiB)
	case s%GiB == 0:
		return fmt.Sprintf("%dGiB", s/GiB)
	case s%MiB == 0:
		return fmt.Sprintf("%dMiB", s/MiB)
	case s%KiB == 0:
		return fmt.Sprintf("%dKiB", s/KiB)
	}
	return fmt.Sprintf("%dB", int64(s))
}

// parseSize reads a Size. Its errors are what is expected instead.
func parseSize(text string) (Size, error) {
	end := len(text)
	for end > 0 && (text[end-1] < '0' || text[end-1] > '9') {
		end--
	}
	number, unit := text[:end], text[end:]
	n, err := parseInt(number)
	if err != nil || n < 0 {
		return 0, errors.New("want a size such as 1MiB or 512KiB, in whole numbers")
	}
	var factor Size
	switch unit {
	case "", "B":
		factor = 1
	case "KiB":
		factor = KiB
	case "MiB":
		factor = MiB
	case "GiB":
		factor = GiB
	case "TiB":
		factor = TiB
	default:
		if u := strings.ToUpper(strings.TrimSpace(unit)); u != "" && strings.Contains("KMGT", u[:1]) &&
			(u[1:] == "" || u[1:] == "B" || u[1:] == "IB") {
			return 0, fmt.Errorf("the units of a size are B, KiB, MiB, GiB and TiB; did you mean %s%siB?", number, u[:1])
		}
		return 0, errors.New("want a size such as 1MiB or 512KiB; its units are B, KiB, MiB, GiB and TiB")
	}
	if n > math.MaxInt64/int64(factor) {
		return 0, errors.New("the size is out of range")
	}
	return Size(n) * factor, nil
}

// FileMode is the permissions of a file, in octal digits: "0640".
type FileMode uint32

// String returns the mode in octal digits.
func (m FileMode) String() string { return fmt.Sprintf("%04o", uint32(m)) }

// parseFileMode reads a FileMode.
func parseFileMode(text string) (FileMode, error) {
	n, err := strconv.ParseUint(text, 8, 32)
	if err != nil || len(text) > 4 {
		return 0, errors.New("want the octal digits of a mode, such as 0640")
	}
	return FileMode(n), nil
}

// parseDuration reads a duration as time.ParseDuration does. Its errors are
// what is expected instead.
func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err == nil {
		return d, nil
	}
	if _, err := strconv.ParseUint(text, 10, 31); err == nil {
		return 0, fmt.Errorf("the unit is missing; write %[1]ss, or %[1]sms, %[1]sm, %[1]sh", text)
	}
	if days, err := strconv.ParseUint(strings.TrimSuffix(text, "d"), 10, 16); err == nil {
		return 0, fmt.Errorf("a day isn't a unit; write %dh", 24*days)
	}
	return 0, errors.New("want a duration such as 500ms, 10s, 5m or 1h30m")
}

// parseInt reads a whole number in plain decimal digits. YAML's other ways of
// writing one (0x10, 0o17, 010, 1_000) are refused: one of them is always read
// otherwise than it was meant.
func parseInt(text string) (int64, error) {
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || len(digits) > 1 && digits[0] == '0' || strings.Trim(digits, "0123456789") != "" {
		return 0, errors.New("want a whole number in plain digits, such as 10000")
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, errors.New("the number is out of range")
	}
	return n, nil
}

func parseFloat(text string) (float64, error) {
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) || strings.Trim(text, "+-.0123456789eE") != "" {
		return 0, errors.New("want a number, such as 10 or 0.5")
	}
	return x, nil
}

// parseScalar sets v, which is a string, a bool, a number, a Size, a Date or
// a duration, to the value of a text.
func parseScalar(v reflect.Value, text string) error {
	switch v.Interface().(type) {
	case time.Duration:
		d, err := parseDuration(text)
		v.SetInt(int64(d))
		return err
	case Size:
		s, err := parseSize(text)
		v.SetInt(int64(s))
		return err
	case FileMode:
		m, err := parseFileMode(text)
		v.SetUint(uint64(m))
		return err
	case Date:
		d, err := parseDate(text)
		v.SetInt(int64(d))
		return err
	case bool:
		v.SetBool(text == "true")
		if text != "true" && text != "false" {
			return errors.New("want true or false")
		}
		return nil
	case int:
		n, err := parseInt(text)
		if err == nil && n != int64(int(n)) {
			err = errors.New("the number is out of range")
		}
		v.SetInt(n)
		return err
	case float64:
		x, err := parseFloat(text)
		v.SetFloat(x)
		return err
	}
	v.SetString(text)
	return nil
}

// checkRange returns an error if v is outside the range of f.
func checkRange(v reflect.Value, f field) error {
	if f.low == "" {
		return nil
	}
	low, top := reflect.New(v.Type()).Elem(), reflect.New(v.Type()).Elem()
	if err := errors.Join(parseScalar(low, f.low), parseScalar(top, f.top)); err != nil {
		panic(fmt.Sprintf("config: the range of %s: %v", f.key, err))
	}
	if less(v, low) || less(top, v) {
		return fmt.Errorf("want %s to %s", f.low, f.top)
	}
	return nil
}

func less(a, b reflect.Value) bool {
	switch {
	case a.CanUint():
		return a.Uint() < b.Uint()
	case a.CanFloat():
		return a.Float() < b.Float()
	}
	return a.Int() < b.Int()
}

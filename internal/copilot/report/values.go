// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The largest values that are believed. GitHub's largest counts are tokens of an enterprise in a day, below 10^13.
const (
	MaxCount  = 1 << 50
	MaxAmount = 1 << 50
)

// Count is an optional count. Its zero value is absent, which is not the count 0.
type Count struct {
	value     int64
	isPresent bool
}

// CountOf returns a count that is present.
func CountOf(value int64) Count { return Count{value, true} }

// Get returns the count, and whether it is present.
func (c Count) Get() (int64, bool) { return c.value, c.isPresent }

// IsZero reports whether the count is absent.
func (c Count) IsZero() bool { return !c.isPresent }

var errRange = errors.New("out of range")

// UnmarshalJSON accepts a whole number from 0 to MaxCount, in any spelling of JSON, and null for absent.
func (c *Count) UnmarshalJSON(raw []byte) error {
	*c = Count{}
	if isNull(raw) {
		return nil
	}
	value, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil { // such as 3.0 or 1e3
		number, err := parseNumber(raw)
		if err != nil {
			return err
		}
		if number != math.Trunc(number) || math.Abs(number) > MaxCount {
			return errRange
		}
		value = int64(number)
	}
	if value < 0 || value > MaxCount {
		return errRange
	}
	*c = CountOf(value)
	return nil
}

// MarshalJSON returns the number, or null.
func (c Count) MarshalJSON() ([]byte, error) {
	if !c.isPresent {
		return []byte("null"), nil
	}
	return strconv.AppendInt(nil, c.value, 10), nil
}

// Amount is an optional number that need not be whole: minutes, credits, averages. Its zero value is absent.
type Amount struct {
	value     float64
	isPresent bool
}

// AmountOf returns an amount that is present.
func AmountOf(value float64) Amount { return Amount{value, true} }

// Get returns the amount, and whether it is present.
func (a Amount) Get() (float64, bool) { return a.value, a.isPresent }

// IsZero reports whether the amount is absent.
func (a Amount) IsZero() bool { return !a.isPresent }

// UnmarshalJSON accepts a number from 0 to MaxAmount, and null for absent.
func (a *Amount) UnmarshalJSON(raw []byte) error {
	*a = Amount{}
	if isNull(raw) {
		return nil
	}
	number, err := parseNumber(raw)
	if err != nil {
		return err
	}
	if number < 0 || number > MaxAmount {
		return errRange
	}
	*a = AmountOf(number)
	return nil
}

// MarshalJSON returns the number, or null.
func (a Amount) MarshalJSON() ([]byte, error) {
	if !a.isPresent {
		return []byte("null"), nil
	}
	return json.Marshal(a.value)
}

// Flag is an optional truth value. Its zero value is absent, which is not false.
type Flag struct{ value, isPresent bool }

// FlagOf returns a flag that is present.
func FlagOf(value bool) Flag { return Flag{value, true} }

// Get returns the flag, and whether it is present.
func (f Flag) Get() (value, ok bool) { return f.value, f.isPresent }

// IsZero reports whether the flag is absent.
func (f Flag) IsZero() bool { return !f.isPresent }

// UnmarshalJSON accepts true, false, and null for absent.
func (f *Flag) UnmarshalJSON(raw []byte) error {
	*f = Flag{}
	switch string(raw) {
	case "null":
	case "true", "false":
		*f = FlagOf(raw[0] == 't')
	default:
		return errors.New("neither true nor false")
	}
	return nil
}

// MarshalJSON returns true, false or null.
func (f Flag) MarshalJSON() ([]byte, error) {
	if !f.isPresent {
		return []byte("null"), nil
	}
	return strconv.AppendBool(nil, f.value), nil
}

// ID is an id of GitHub. Reports have the same ids as strings in one place and as numbers in another: a number is
// kept as its decimal digits. The empty ID is absent.
type ID string

// maxID bounds the length of an id, in bytes.
const maxID = 64

// UnmarshalJSON accepts a positive whole number, a string of up to 64 visible ASCII characters, and null for absent.
func (id *ID) UnmarshalJSON(raw []byte) error {
	*id = ""
	if isNull(raw) {
		return nil
	}
	text := string(raw)
	if raw[0] == '"' {
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
		if text == "" {
			return nil
		}
	} else if number, err := strconv.ParseInt(text, 10, 64); err != nil || number <= 0 {
		return fmt.Errorf("%.40s is not an id", text)
	}
	if len(text) > maxID || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("%.40q is not an id", text)
	}
	*id = ID(text)
	return nil
}

// Timestamp is an optional moment. Its zero value is absent.
type Timestamp struct {
	time.Time
	isInvalid bool
}

// IsAbsent reports whether the report has no moment. A value that is no time has none either, and is not absent.
func (t Timestamp) IsAbsent() bool { return t.IsZero() && !t.isInvalid }

func (t *Timestamp) setInvalid() { t.isInvalid = true }

var timeLayouts = []string{
	time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", time.DateTime,
}

// UnmarshalJSON accepts a time of RFC 3339, with a space instead of the T and without the zone too, and null or "" for
// absent.
func (t *Timestamp) UnmarshalJSON(raw []byte) error {
	*t = Timestamp{}
	var text *string
	if err := json.Unmarshal(raw, &text); err != nil || text == nil || *text == "" {
		return err
	}
	for _, layout := range timeLayouts {
		if parsed, err := time.Parse(layout, *text); err == nil {
			if DayOf(parsed) == 0 {
				break
			}
			t.Time = parsed.UTC()
			return nil
		}
	}
	return fmt.Errorf("%.40q is not a time", *text)
}

// maxLabel bounds the length of a label's value, in bytes. GitHub's longest are names of models, below 60.
const maxLabel = 128

// CleanLabel returns a text of a report as the value of a label: without control characters and surrounding space, at
// most 128 bytes long.
func CleanLabel(text string) string {
	clean := true
	for i := range len(text) {
		clean = clean && text[i] > ' ' && text[i] <= '~'
	}
	if clean && len(text) <= maxLabel {
		return text
	}
	return cleanText(text, maxLabel)
}

// cleanText returns a text as one line of visible characters, at most size bytes long.
func cleanText(text string, size int) string {
	text = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != utf8.RuneError {
			return r
		}
		return ' '
	}, text))
	if len(text) > size {
		text = strings.TrimSpace(strings.ToValidUTF8(text[:size], ""))
	}
	return text
}

// parseNumber parses a JSON number. 1e999 is out of range, and a string no number.
func parseNumber(raw []byte) (float64, error) {
	if raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return 0, errors.New("not a number")
	}
	number, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || math.IsInf(number, 0) || math.IsNaN(number) {
		return 0, errRange
	}
	return number, nil
}

func isNull(raw []byte) bool { return bytes.Equal(raw, []byte("null")) }

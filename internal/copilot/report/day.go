// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"fmt"
	"time"
)

// Day is a calendar day in UTC, as the number of days since 1970-01-01. Its zero value is no day.
type Day int32

// FirstDay is the first day of which GitHub has reports
// (https://docs.github.com/copilot/reference/copilot-usage-metrics/copilot-usage-metrics).
var FirstDay = DayOf(time.Date(2025, time.October, 10, 0, 0, 0, 0, time.UTC))

const secondsPerDay = 24 * 60 * 60

// The years that a day of a report can be in. They keep a day within 32 bits.
const minYear, maxYear = 2000, 2999

// DayOf returns the day of a time in UTC; no day for a time outside the years 2000 to 2999.
func DayOf(t time.Time) Day {
	t = t.UTC()
	if t.Year() < minYear || t.Year() > maxYear {
		return 0
	}
	return Day(t.Unix() / secondsPerDay) //nolint:gosec // the year is bounded
}

// ParseDay parses YYYY-MM-DD. A time of the day after a T is accepted and ignored.
func ParseDay(text string) (Day, error) {
	if len(text) > len(time.DateOnly) && text[len(time.DateOnly)] == 'T' {
		text = text[:len(time.DateOnly)]
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return 0, fmt.Errorf("%.40q is not a day", text)
	}
	day := DayOf(t)
	if day == 0 {
		return 0, fmt.Errorf("%.40q is not a day between %d and %d", text, minYear, maxYear)
	}
	return day, nil
}

// Time returns the start of the day; the zero time for no day.
func (d Day) Time() time.Time {
	if d == 0 {
		return time.Time{}
	}
	return time.Unix(int64(d)*secondsPerDay, 0).UTC()
}

// String returns the day as YYYY-MM-DD, and "" for no day.
func (d Day) String() string {
	if d == 0 {
		return ""
	}
	return d.Time().Format(time.DateOnly)
}

// UnmarshalJSON accepts what ParseDay accepts, and null for no day.
func (d *Day) UnmarshalJSON(raw []byte) error {
	*d = 0
	var text *string
	if err := json.Unmarshal(raw, &text); err != nil || text == nil {
		return err
	}
	var err error
	*d, err = ParseDay(*text)
	return err
}

// MarshalJSON returns the day as a string, or null.
func (d Day) MarshalJSON() ([]byte, error) {
	if d == 0 {
		return []byte("null"), nil
	}
	return []byte(`"` + d.String() + `"`), nil
}

// Span is an interval of days that includes both ends. Its zero value has no day.
type Span struct{ First, Last Day }

// Contains reports whether a day is in the span.
func (s Span) Contains(d Day) bool { return d != 0 && s.First <= d && d <= s.Last }

// Len returns the number of days.
func (s Span) Len() int {
	if s.First == 0 || s.Last < s.First {
		return 0
	}
	return int(s.Last-s.First) + 1
}

// String returns "2026-10-01 to 2026-10-28", or the day of a span of one day.
func (s Span) String() string {
	if s.First == s.Last {
		return s.First.String()
	}
	return s.First.String() + " to " + s.Last.String()
}

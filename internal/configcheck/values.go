package configcheck

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Between refuses a duration out of range.
func Between(field string, value, least, most time.Duration) error {
	if value < least || value > most {
		return fmt.Errorf("%s: %s, want a duration from %s to %s, written with its unit", field, value, least, most)
	}
	return nil
}

// BetweenInts refuses a number out of range.
func BetweenInts(field string, value, least, most int) error {
	if value < least || value > most {
		return fmt.Errorf("%s: %d, want %d to %d", field, value, least, most)
	}
	return nil
}

// OneOf refuses a value that is not in a list.
func OneOf(field, value string, allowed ...string) error {
	if !slices.Contains(allowed, value) {
		return fmt.Errorf("%s: %q, want one of %s", field, value, strings.Join(allowed, ", "))
	}
	return nil
}

package configcheck

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// DurationBetween refuses a duration out of range.
func DurationBetween(field string, value, least, most time.Duration) error {
	if value < least || value > most {
		return fmt.Errorf("%s: %s, want a duration from %s to %s, written with its unit", field, value, least, most)
	}
	return nil
}

// IntBetween refuses a number out of range.
func IntBetween(field string, value, least, most int) error {
	if value < least || value > most {
		return fmt.Errorf("%s: %d, want %d to %d", field, value, least, most)
	}
	return nil
}

// OneOf refuses a value that is not in a list.
func OneOf(field, value string, allowed ...string) error {
	if !slices.Contains(allowed, value) {
		return fmt.Errorf("%s: %s, want one of %s", field, QuoteUnlessSecret(value), strings.Join(allowed, ", "))
	}
	return nil
}

// PrefixPath puts the name of a block before the errors of what is in it, as validation does; nil stays nil.
func PrefixPath(block string, err error) error {
	if err == nil {
		return nil
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, part := range several.Unwrap() {
			errs = append(errs, PrefixPath(block, part))
		}
		return errors.Join(errs...)
	}
	return fmt.Errorf("%s::%w", block, err)
}

// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package configcheck

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// DurationBetween returns an error for a duration outside of the range, whose ends are allowed.
func DurationBetween(field string, value, least, most time.Duration) error {
	if value < least || value > most {
		return fmt.Errorf("%s: %s, want a duration from %s to %s, written with its unit", field, value, least, most)
	}
	return nil
}

// IntBetween returns an error for a number outside of the range, whose ends are allowed.
func IntBetween(field string, value, least, most int) error {
	if value < least || value > most {
		return fmt.Errorf("%s: %d, want %d to %d", field, value, least, most)
	}
	return nil
}

// OneOf returns an error for a value that is not allowed.
func OneOf(field, value string, allowed ...string) error {
	if !slices.Contains(allowed, value) {
		return fmt.Errorf("%s: %s, want one of %s", field, QuoteUnlessSecret(value), strings.Join(allowed, ", "))
	}
	return nil
}

// PrefixPath prepends the name of a block to the paths of its errors, as the collector's validation does; nil stays
// nil.
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

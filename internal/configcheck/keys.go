// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package configcheck checks configuration. Its errors have the field's path, the value and the allowed values.
package configcheck

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/confmap"
)

// module is the path of this module. Its types with an Unmarshal method have the keys of their fields.
const module = "github.com/seed-358c4d9d/githubexporter/"

// CheckKeys returns an error for each unknown key and each value of the wrong type in raw, for a configuration of the
// type of config. The collector's decoder does not show the value, and truncates fractions.
func CheckKeys(raw map[string]any, config any) error {
	return errors.Join(checkValue("", raw, reflect.TypeOf(config))...)
}

// checkValue returns the errors of a value for a type. path is that of the value, with :: at its end.
func checkValue(path string, raw any, t reflect.Type) []error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Struct:
		if m, ok := raw.(map[string]any); ok {
			return checkFields(path, m, t)
		}
	case reflect.Slice:
		return checkList(path, raw, t.Elem())
	case reflect.Int, reflect.Int64:
		return checkNumber(strings.TrimSuffix(path, "::"), raw, t)
	default:
	}
	return nil
}

// checkNumber returns an error for a value that is not a duration, or not a whole number.
func checkNumber(path string, raw any, t reflect.Type) []error {
	text, isText := raw.(string)
	if t == reflect.TypeFor[time.Duration]() {
		if _, err := time.ParseDuration(text); isText && err != nil {
			return []error{fmt.Errorf("%s: %s, want a duration such as 90s, 5m or 24h", path, QuoteUnlessSecret(text))}
		}
		return nil
	}
	_, err := strconv.ParseInt(text, 10, 64)
	if isText && err != nil {
		return []error{fmt.Errorf("%s: %s, want a whole number (int)", path, QuoteUnlessSecret(text))}
	}
	fraction, isFraction := raw.(float64)
	if isFraction && fraction != math.Trunc(fraction) {
		return []error{fmt.Errorf("%s: %v, want a whole number (int)", path, raw)}
	}
	return nil
}

// checkList returns the errors of the items of a list.
func checkList(path string, raw any, elem reflect.Type) []error {
	list, ok := raw.([]any)
	if !ok {
		return nil
	}
	var errs []error
	for i, item := range list {
		errs = append(errs, checkValue(fmt.Sprintf("%s%d::", path, i), item, elem)...)
	}
	return errs
}

// checkFields returns the errors of the keys and values of a block.
func checkFields(path string, raw map[string]any, t reflect.Type) []error {
	fields := keysOf(t)
	if len(fields) == 0 {
		return nil // a type without keys of its own
	}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(raw)) {
		field, ok := fields[key]
		if !ok {
			allowed := strings.Join(slices.Sorted(maps.Keys(fields)), ", ")
			errs = append(errs, fmt.Errorf("%s%s: unknown key, want one of %s", path, key, allowed))
			continue
		}
		if !unmarshalsItself(field) {
			errs = append(errs, checkValue(path+key+"::", raw[key], field)...)
		}
	}
	return errs
}

// unmarshalsItself reports whether a type of another module has an Unmarshal method, as the collector's optional blocks
// do.
func unmarshalsItself(t reflect.Type) bool {
	unmarshaler := reflect.TypeFor[confmap.Unmarshaler]()
	isOwnModule := strings.HasPrefix(t.PkgPath(), module)
	return !isOwnModule && t.Kind() == reflect.Struct && (t.Implements(unmarshaler) ||
		reflect.PointerTo(t).Implements(unmarshaler))
}

// keysOf returns the keys of a block with their types, those of embedded blocks included.
func keysOf(t reflect.Type) map[string]reflect.Type {
	keys := make(map[string]reflect.Type)
	for field := range t.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("mapstructure"), ",")
		switch {
		case options == "squash":
			maps.Copy(keys, keysOf(field.Type))
		case name != "" && name != "-":
			keys[name] = field.Type
		}
	}
	return keys
}

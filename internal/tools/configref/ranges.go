// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"math"
	"reflect"
	"regexp"
	"strings"
	"time"
)

var (
	// refusal matches what an error of Validate says of the allowed values.
	refusal = regexp.MustCompile(`want (.*)$`)
	// justBelow matches a bound that is excluded: a nanosecond less than it.
	justBelow = regexp.MustCompile(`\b(\d+)\.999999999s`)
)

// validator is the configuration of a component, or a block of it.
type validator interface{ Validate() error }

// probe finds out what Validate allows for a setting: that of its block, whose errors begin with the key, and that of
// the whole configuration, whose errors begin with the path.
type probe struct {
	config, block validator
	path          string
}

// allowed returns what Validate says of the allowed values when a setting has one that cannot be right, and of the
// largest one that it allows. The setting has its value again afterwards.
func (p probe) allowed(value reflect.Value) string {
	before := reflect.New(value.Type()).Elem()
	before.Set(value)
	defer value.Set(before)
	text := ""
	for _, wrong := range wrongValues(value.Type()) {
		value.Set(wrong)
		if text = p.refused(); text != "" {
			break
		}
	}
	if most, ok := upperBound(text); ok && value.Type() == reflect.TypeFor[time.Duration]() {
		value.SetInt(int64(most))
		if lower := p.refused(); lower != "" {
			text += ", " + lower
		}
	}
	return shortDurations(text)
}

// upperBound returns the duration at the end of a range.
func upperBound(text string) (time.Duration, bool) {
	most, err := time.ParseDuration(text[strings.LastIndex(text, " ")+1:])
	return most, err == nil
}

// wrongValues are values that a setting with a range refuses.
func wrongValues(t reflect.Type) []reflect.Value {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return []reflect.Value{reflect.ValueOf(time.Duration(math.MinInt64))}
	case t.Kind() == reflect.Int || t.Kind() == reflect.Int64:
		return []reflect.Value{reflect.ValueOf(math.MinInt32).Convert(t)}
	case t.Kind() == reflect.String:
		return []reflect.Value{reflect.ValueOf("no such value\n").Convert(t), reflect.Zero(t)}
	case t.Kind() == reflect.Pointer && t.Elem() == reflect.TypeFor[time.Duration]():
		wrong := time.Duration(math.MinInt64)
		return []reflect.Value{reflect.ValueOf(&wrong)}
	case t.Kind() == reflect.Slice:
		return []reflect.Value{reflect.Zero(t)}
	default:
		return nil
	}
}

// refused returns what Validate wants of the setting, or "" when it allows the value.
func (p probe) refused() string {
	if text := wanted(p.block.Validate(), lastKey(p.path)); text != "" {
		return text
	}
	return wanted(p.config.Validate(), p.path)
}

// wanted returns the allowed values that an error has for a field.
func wanted(err error, field string) string {
	if err == nil {
		return ""
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		rest, ok := strings.CutPrefix(line, field+": ")
		if found := refusal.FindStringSubmatch(rest); ok && found != nil {
			text := strings.TrimSuffix(found[1], " (is the environment variable set?)")
			text = strings.TrimSuffix(strings.TrimPrefix(text, "a duration from "), ", written with its unit")
			text, _, _ = strings.Cut(strings.TrimPrefix(text, "one of "), ": ")
			return text
		}
	}
	return ""
}

// checks calls the methods of a block that check its settings.
type checks []func() error

func (c checks) Validate() error {
	var errs []error
	for _, check := range c {
		errs = append(errs, check())
	}
	return errors.Join(errs...)
}

// validatorOf returns the checks of a block: its Validate, and the Check of a block that others embed.
func validatorOf(block reflect.Value) validator {
	var list checks
	if v, ok := block.Addr().Interface().(validator); ok {
		list = append(list, v.Validate)
	}
	if v, ok := block.Addr().Interface().(interface{ Check() error }); ok {
		list = append(list, v.Check)
	}
	return list
}

var (
	durationText = regexp.MustCompile(`\b(?:\d+h)?(?:\d+m)?(?:\d+(?:\.\d+)?s)\b`)
	zeroUnits    = regexp.MustCompile(`^(\d+h)0m0s$|^((?:\d+h)?\d+m)0s$`)
)

// shortDurations leaves the zero units out of the durations of a text: 24h0m0s is 24h.
func shortDurations(text string) string {
	text = justBelow.ReplaceAllStringFunc(text, func(d string) string {
		excluded, _ := time.ParseDuration(d)
		return "less than " + (excluded + 1).String()
	})
	return durationText.ReplaceAllStringFunc(text, func(d string) string { return zeroUnits.ReplaceAllString(d, "$1$2") })
}

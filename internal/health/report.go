// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package health reports the health of one replica: the state of its dependencies, whether it is ready for its role,
// and its mode. It reads no clock and does no I/O.
package health

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Role is the role of a replica for an organization. Its text is shown by the replica_health extension.
type Role string

// The roles.
const (
	Leader   Role = "leader"
	Follower Role = "follower"
)

// Mode is the summary of the states of all dependencies.
type Mode string

// The modes: unhealthy is not ready, degraded is ready with a dependency that is not healthy.
const (
	Healthy   Mode = "healthy"
	Degraded  Mode = "degraded"
	Unhealthy Mode = "unhealthy"
)

// Attribute is the key of a report, as ToMap returns it, among the attributes of a component status event.
const Attribute = "gh.health"

// Report is the health of a replica at one time.
type Report struct {
	Role Role
	// Ready says that all dependencies that the role requires are healthy.
	Ready bool
	Mode  Mode
	// Since is when Role, Ready or Mode changed last.
	Since time.Time
	// Dependencies are sorted by name.
	Dependencies []Dependency
	// Organizations has the replica's role for each organization.
	Organizations map[string]Role
}

// Dependency is the state of something that a replica depends on.
type Dependency struct {
	Name    string
	Healthy bool
	// Required says that the role is not ready without it.
	Required bool
	// Permanent says that it stays unhealthy while this process runs.
	Permanent bool
	// Since is when Healthy changed last, Detail why it is not.
	Since  time.Time
	Detail string
}

// PermanentError is the error of a dependency that stays unhealthy while this process runs.
type PermanentError struct{ Err error }

// Error implements error.
func (e *PermanentError) Error() string { return e.Err.Error() }

// Unwrap returns the error itself.
func (e *PermanentError) Unwrap() error { return e.Err }

// HasFailed reports whether the replica stays not ready while this process runs: a required dependency is permanently
// unhealthy.
func (r *Report) HasFailed() bool {
	return slices.ContainsFunc(r.Dependencies, func(d Dependency) bool {
		return d.Required && d.Permanent && !d.Healthy
	})
}

// ToMap returns the report as the maps and plain values that attributes can hold. Replicas of two releases do not
// exchange it, but the replica_health extension may be of another build: a key keeps its meaning and its type.
//
//	role, mode      text
//	ready           bool
//	since           text, RFC 3339 with nanoseconds, UTC
//	dependencies    map: name to {healthy, required, permanent: bool; since, detail: text}
//	organizations   map: organization to role
func (r *Report) ToMap() map[string]any {
	dependencies := make(map[string]any, len(r.Dependencies))
	for _, d := range r.Dependencies {
		dependencies[d.Name] = map[string]any{
			"healthy": d.Healthy, "required": d.Required, "permanent": d.Permanent,
			"since": d.Since.UTC().Format(time.RFC3339Nano), "detail": d.Detail,
		}
	}
	organizations := make(map[string]any, len(r.Organizations))
	for org, role := range r.Organizations {
		organizations[org] = string(role)
	}
	return map[string]any{
		"role": string(r.Role), "ready": r.Ready, "mode": string(r.Mode),
		"since":        r.Since.UTC().Format(time.RFC3339Nano),
		"dependencies": dependencies, "organizations": organizations,
	}
}

// FromMap returns the report of a map from ToMap. An absent key is the zero value; a value of another type is an error.
func FromMap(raw map[string]any) (Report, error) {
	f := rawObject{values: raw}
	r := Report{
		Role: Role(f.readString("role")), Ready: f.readBool("ready"), Mode: Mode(f.readString("mode")),
		Since:         f.readTime("since"),
		Organizations: make(map[string]Role),
	}
	dependencies := f.readObject("dependencies")
	for _, name := range slices.Sorted(maps.Keys(dependencies)) {
		one, ok := dependencies[name].(map[string]any)
		if !ok {
			f.errs = append(f.errs, fmt.Errorf("dependency %q is no map", name))
			continue
		}
		d := rawObject{values: one}
		r.Dependencies = append(r.Dependencies, Dependency{
			Name: name, Healthy: d.readBool("healthy"), Required: d.readBool("required"),
			Permanent: d.readBool("permanent"),
			Since:     d.readTime("since"), Detail: d.readString("detail"),
		})
		f.errs = append(f.errs, d.errs...)
	}
	for org, role := range f.readObject("organizations") {
		text, ok := role.(string)
		if !ok {
			f.errs = append(f.errs, fmt.Errorf("the role of %q is no text", org))
		}
		r.Organizations[org] = Role(text)
	}
	return r, errors.Join(f.errs...)
}

// rawObject reads values of a map and collects errors. The attributes' values are untyped, hence any.
type rawObject struct {
	values map[string]any
	errs   []error
}

func readField[T any](f *rawObject, key string) (v T) {
	value, ok := f.values[key]
	if !ok {
		return v
	}
	v, ok = value.(T)
	if !ok {
		f.errs = append(f.errs, fmt.Errorf("%s is a %T", key, value))
	}
	return v
}

func (f *rawObject) readString(key string) string         { return readField[string](f, key) }
func (f *rawObject) readBool(key string) bool             { return readField[bool](f, key) }
func (f *rawObject) readObject(key string) map[string]any { return readField[map[string]any](f, key) }

func (f *rawObject) readTime(key string) time.Time {
	text := f.readString(key)
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		f.errs = append(f.errs, fmt.Errorf("%s: %w", key, err))
	}
	return t
}

// Summary returns the unhealthy dependencies with their details in one line; "" when there are none.
func (r *Report) Summary() string {
	var parts []string
	for _, d := range r.Dependencies {
		if !d.Healthy {
			parts = append(parts, d.Name+": "+d.Detail)
		}
	}
	return strings.Join(parts, "; ")
}

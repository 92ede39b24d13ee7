// Package health knows how one replica is doing: the state of what it depends on, whether it is ready for its role, and what
// that amounts to. It has no clock and does no I/O.
package health

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Role is what a replica does.
type Role string

// The roles.
const (
	Leader   Role = "leader"
	Follower Role = "follower"
)

// Mode is what the states of all dependencies amount to.
type Mode string

// The modes: unhealthy is not ready, degraded is ready with a dependency that is not healthy.
const (
	Healthy   Mode = "healthy"
	Degraded  Mode = "degraded"
	Unhealthy Mode = "unhealthy"
)

// Attribute is the key under which a report stands among the attributes of a component status event.
const Attribute = "gh.health"

// Report is how a replica is doing.
type Report struct {
	Role Role
	// Ready is by the dependencies that the role requires.
	Ready bool
	Mode  Mode
	// Since is when Role, Ready or Mode changed last.
	Since time.Time
	// Dependencies are in the order of their names.
	Dependencies []Dependency
	// Organizations says of each what this replica is for it.
	Organizations map[string]Role
}

// Dependency is something that a replica depends on.
type Dependency struct {
	Name    string
	Healthy bool
	// Required says that the present role is not ready without it.
	Required bool
	// Permanent says that it cannot heal while this process runs.
	Permanent bool
	// Since is when Healthy changed last, Detail why it is not.
	Since  time.Time
	Detail string
}

// PermanentError is the trouble of a dependency that cannot heal while this process runs.
type PermanentError struct{ Err error }

// Error implements error.
func (e *PermanentError) Error() string { return e.Err.Error() }

// Unwrap gives the trouble itself.
func (e *PermanentError) Unwrap() error { return e.Err }

// HasFailed reports whether the replica cannot become ready again while this process runs: what its role requires
// cannot heal.
func (r *Report) HasFailed() bool {
	return slices.ContainsFunc(r.Dependencies, func(d Dependency) bool { return d.Required && d.Permanent && !d.Healthy })
}

// ToMap is the report in maps and plain values, as attributes can hold it.
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
		"role": string(r.Role), "ready": r.Ready, "mode": string(r.Mode), "since": r.Since.UTC().Format(time.RFC3339Nano),
		"dependencies": dependencies, "organizations": organizations,
	}
}

// FromMap reads what Raw gave. What is not there is empty.
func FromMap(raw map[string]any) (Report, error) {
	f := fields{raw: raw}
	r := Report{
		Role: Role(f.text("role")), Ready: f.flag("ready"), Mode: Mode(f.text("mode")), Since: f.moment("since"),
		Organizations: make(map[string]Role),
	}
	dependencies := f.block("dependencies")
	for _, name := range slices.Sorted(maps.Keys(dependencies)) {
		one, ok := dependencies[name].(map[string]any)
		if !ok {
			f.errs = append(f.errs, fmt.Errorf("dependency %q is no block", name))
			continue
		}
		d := fields{raw: one}
		r.Dependencies = append(r.Dependencies, Dependency{
			Name: name, Healthy: d.flag("healthy"), Required: d.flag("required"), Permanent: d.flag("permanent"),
			Since: d.moment("since"), Detail: d.text("detail"),
		})
		f.errs = append(f.errs, d.errs...)
	}
	for org, role := range f.block("organizations") {
		text, ok := role.(string)
		if !ok {
			f.errs = append(f.errs, fmt.Errorf("the role of %q is no text", org))
		}
		r.Organizations[org] = Role(text)
	}
	return r, errors.Join(f.errs...)
}

// fields reads values of a block.
type fields struct {
	raw  map[string]any
	errs []error
}

func get[T any](f *fields, key string) (v T) {
	value, there := f.raw[key]
	if !there {
		return v
	}
	v, ok := value.(T)
	if !ok {
		f.errs = append(f.errs, fmt.Errorf("%s is a %T", key, value))
	}
	return v
}

func (f *fields) text(key string) string          { return get[string](f, key) }
func (f *fields) flag(key string) bool            { return get[bool](f, key) }
func (f *fields) block(key string) map[string]any { return get[map[string]any](f, key) }

func (f *fields) moment(key string) time.Time {
	text := f.text(key)
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		f.errs = append(f.errs, fmt.Errorf("%s: %w", key, err))
	}
	return t
}

// Summary is the report in a line: why the replica is not healthy, or nothing.
func (r *Report) Summary() string {
	var parts []string
	for _, d := range r.Dependencies {
		if !d.Healthy {
			parts = append(parts, d.Name+": "+d.Detail)
		}
	}
	return strings.Join(parts, "; ")
}

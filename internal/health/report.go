// Package health knows how one replica is doing: the state of what it depends on, whether it is ready for its role, and
// what that amounts to. It has no clock and does no I/O.
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
	f := rawObject{values: raw}
	r := Report{
		Role: Role(f.readString("role")), Ready: f.readBool("ready"), Mode: Mode(f.readString("mode")), Since: f.readTime("since"),
		Organizations: make(map[string]Role),
	}
	dependencies := f.readObject("dependencies")
	for _, name := range slices.Sorted(maps.Keys(dependencies)) {
		one, ok := dependencies[name].(map[string]any)
		if !ok {
			f.errs = append(f.errs, fmt.Errorf("dependency %q is no block", name))
			continue
		}
		d := rawObject{values: one}
		r.Dependencies = append(r.Dependencies, Dependency{
			Name: name, Healthy: d.readBool("healthy"), Required: d.readBool("required"), Permanent: d.readBool("permanent"),
			Since: d.readTime("since"), Detail: d.readString("detail"),
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

// rawObject reads values of a block.
type rawObject struct {
	values map[string]any
	errs   []error
}

func readField[T any](f *rawObject, key string) (v T) {
	value, there := f.values[key]
	if !there {
		return v
	}
	v, ok := value.(T)
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

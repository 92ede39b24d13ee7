// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import "github.com/seed-358c4d9d/githubexporter/internal/activity"

// usableValidator returns the request's validator of a stream; zero when it cannot serve: with GraphQL, and when its
// listing starts after the window.
func (r *reader) usableValidator(s activity.Stream) Validator {
	v := r.request.Validators[s]
	if r.client.settings.API != APIREST || v.Since.After(r.request.Since[s]) {
		return Validator{}
	}
	return v
}

// setValidator returns a validator to the caller, for a stream that was read completely. With GraphQL it does nothing.
func (r *reader) setValidator(s activity.Stream, v Validator) {
	if r.client.settings.API == APIREST && v.ETag != "" {
		r.result.Validators[s] = v
	}
}

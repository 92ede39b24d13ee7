// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import "github.com/seed-358c4d9d/githubexporter/internal/activity"

// validator is what the asker had of a stream, nothing when it cannot serve for what is asked now.
func (r *reader) validator(s activity.Stream) Validator {
	v := r.request.Validators[s]
	if r.client.settings.API != APIREST || v.Since.After(r.request.Since[s]) {
		return Validator{}
	}
	return v
}

// keepValidator hands out what will tell whether a stream has changed that was read completely.
func (r *reader) keepValidator(s activity.Stream, v Validator) {
	if r.client.settings.API == APIREST && v.ETag != "" {
		r.result.Validators[s] = v
	}
}

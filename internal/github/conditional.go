// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// Validator makes the next request conditional. What has not costs nothing of the primary limit
// (https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate).
// GitHub's depend on the token: with one that is an hour old and replaced, everything has changed once.
type Validator struct {
	ETag string
	// Since is from when on the question asked, zero where it does not ask from a time.
	Since time.Time
}

// maxETag bounds the length of an ETag, in bytes.
const maxETag = 200

// etagOf returns an ETag header, empty when it is too long or not printable.
func etagOf(header string) string {
	if len(header) > maxETag || !activity.IsPrintable(header) {
		return ""
	}
	return header
}

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

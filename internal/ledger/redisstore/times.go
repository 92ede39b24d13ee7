// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"strconv"
	"time"
)

// Times in Redis are decimal Unix seconds. Two codecs write them, which differ in the zero time:
//
//	encodeOptionalTime  the zero time is ""; in meta and in the arguments of the scripts
//	encodeTime          the zero time is -62135596800, as any other one; in the values of the other hashes

func encodeOptionalTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.Unix(), 10)
}

// parseOptionalTime returns the zero time for "" and for anything that is not a time.
func parseOptionalTime(text string) time.Time {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

// encodeTime returns a time in Unix seconds.
func encodeTime(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// parseTime decodes what encodeTime encoded.
func parseTime(text string) (t time.Time, ok bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	t = time.Unix(n, 0).UTC()
	if t.IsZero() {
		t = time.Time{}
	}
	return t, err == nil
}

// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// obj is a JSON object.
type obj = map[string]any

// response is a response before it is written.
type response struct {
	status       int
	header       http.Header
	body         []byte
	lastModified time.Time
}

// newResponse returns a response with a value as JSON. It panics when the value cannot be encoded.
func newResponse(status int, v any) response {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return response{
		status: status, body: b,
		header: http.Header{
			"Content-Type": {"application/json; charset=utf-8"}, "X-Github-Media-Type": {"github.v3; format=json"},
		},
	}
}

const docURL = "https://docs.github.com/rest"

// errorResponse returns an error as REST has it.
func errorResponse(status int, message string) response {
	return newResponse(status, obj{"message": message, "documentation_url": docURL, "status": strconv.Itoa(status)})
}

func notFoundResponse() response { return errorResponse(http.StatusNotFound, "Not Found") }

// applyValidators sets ETag and Last-Modified of a 200, and makes it a 304 when the client has it. The ETag depends on
// the token (https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api).
func (a *response) applyValidators(r *http.Request) (notModified bool) {
	if a.status != http.StatusOK || r.Method != http.MethodGet {
		return false
	}
	h := sha256.New()
	for _, s := range []string{
		r.Header.Get("Authorization"), r.Header.Get("Accept"), a.header.Get("Link"),
		string(a.body),
	} {
		_, _ = h.Write([]byte(s))
		_, _ = h.Write([]byte{0})
	}
	etag := `"` + hex.EncodeToString(h.Sum(nil)) + `"`
	a.header.Set("ETag", etag)
	a.header.Set("Cache-Control", "private, max-age=60, s-maxage=60")
	a.header.Set("Vary", "Accept, Authorization, Cookie, X-GitHub-OTP")
	if !a.lastModified.IsZero() {
		a.header.Set("Last-Modified", a.lastModified.UTC().Format(http.TimeFormat))
	}
	if !a.isNotModified(r, etag) {
		return false
	}
	a.status, a.body = http.StatusNotModified, nil
	a.header.Del("Content-Type")
	return true
}

// isNotModified compares the validators of a request with those of the response; If-None-Match precedes.
func (a *response) isNotModified(r *http.Request, etag string) bool {
	if match := r.Header.Get("If-None-Match"); match != "" {
		for m := range strings.SplitSeq(match, ",") {
			if strings.TrimPrefix(strings.TrimSpace(m), "W/") == etag {
				return true
			}
		}
		return false
	}
	since, err := http.ParseTime(r.Header.Get("If-Modified-Since"))
	return err == nil && !a.lastModified.IsZero() && !a.lastModified.Truncate(time.Second).After(since)
}

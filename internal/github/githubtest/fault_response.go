// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// responseInstead returns the response that a fault has instead of the API's, and false for a fault that has none.
func (x *exchange) responseInstead(e Effect) (response, bool) {
	a, ok := x.effectResponse(e)
	for k, v := range e.Header {
		a.header[http.CanonicalHeaderKey(k)] = v
	}
	return a, ok
}

// effectResponse is responseInstead without the headers of the fault.
func (x *exchange) effectResponse(e Effect) (response, bool) {
	switch e.Kind {
	case KindStatus:
		return statusResponse(e), true
	case KindPrimary:
		return x.primaryLimitResponse(cmp.Or(e.Status, http.StatusForbidden)), true
	case KindSecondary:
		return x.secondaryLimitResponse(cmp.Or(e.Status, http.StatusForbidden), time.Duration(e.RetryAfter)), true
	case KindReset, KindHang:
		return response{header: http.Header{}}, true
	case KindHTML:
		return response{
			status: cmp.Or(e.Status, http.StatusOK), header: http.Header{"Content-Type": {"text/html; charset=utf-8"}},
			body: []byte("<!DOCTYPE html>\n<html><body><h1>Unicorn!</h1></body></html>\n"),
		}, true
	case KindRedirectLoop, KindRedirect:
		to := cmp.Or(e.URL, x.baseURL+strings.TrimPrefix(x.request.URL.RequestURI(), "/api/v3"))
		a := newResponse(cmp.Or(e.Status, http.StatusFound), obj{"message": "Moved Permanently", "url": to})
		a.header.Set("Location", to)
		return a, true
	case KindGraphQLTimeout:
		return newResponse(cmp.Or(e.Status, http.StatusBadGateway), obj{
			"data": nil,
			"errors": []obj{{"message": "Something went wrong while executing your query. This may be the result of " +
				"a timeout, " +
				"or it could be a GitHub bug. Please include `" + x.requestID() + "` when reporting this issue."}},
		}), true
	default:
		return response{header: http.Header{}}, false
	}
}

func (x *exchange) requestID() string { return strconv.Itoa(x.info.Seq) }

// statusMessages are GitHub's messages that differ from the text of the status.
var statusMessages = map[int]string{
	http.StatusUnauthorized:        "Bad credentials",
	http.StatusForbidden:           "Resource not accessible by personal access token",
	http.StatusUnprocessableEntity: "Validation Failed",
	http.StatusInternalServerError: "Server Error",
	http.StatusBadGateway:          "Server Error",
	http.StatusServiceUnavailable: "No server is currently available to service your request. Sorry about that. " +
		"Please try resubmitting your request and contact us if the problem persists.",
	http.StatusConflict: "Git Repository is empty.",
	451:                 "Repository access blocked",
}

func statusResponse(e Effect) response {
	a := errorResponse(e.Status, cmp.Or(statusMessages[e.Status], http.StatusText(e.Status)))
	if e.Body != "" {
		a.body = []byte(e.Body)
	}
	return a
}

// addEndlessLink adds a link to a next page when that is the effect.
func (x *exchange) addEndlessLink(e Effect, a response) response {
	if e.Kind == KindEndless && !strings.Contains(a.header.Get("Link"), `rel="next"`) {
		q := x.request.URL.Query()
		page, _ := pageParams(q)
		q.Set("page", strconv.Itoa(page+1))
		next := "<" + x.baseURL + x.path + "?" + q.Encode() + `>; rel="next"`
		a.header.Set("Link", strings.TrimPrefix(a.header.Get("Link")+", "+next, ", "))
	}
	return a
}

// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// GitHub's messages about invalid JSON web tokens.
const (
	msgJWTDecode = "A JSON web token could not be decoded"
	msgJWTIssued = "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
	msgJWTExpiry = "'Expiration time' claim ('exp') must be a numeric value representing the future time at which " +
		"the assertion expires"
	msgJWTTooFar = "'Expiration time' claim ('exp') is too far in the future"
)

// maxJWTLife is the longest time to the expiry of a JSON web token
// (https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app#about-json-web-tokens-jwts).
const maxJWTLife = 10 * time.Minute

var errUnknownApp = errors.New("unknown app")

// verifyJWT returns the App of a JSON web token or, with nil, the status and the message of the refusal. now is a Unix
// time.
func (t *credentialTable) verifyJWT(token string, now int64) (*App, int, string) {
	claims := jwt.MapClaims{}
	var app *App
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithoutClaimsValidation(), jwt.WithJSONNumber(),
	)
	_, err := parser.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) {
		app = t.app(claims["iss"])
		if app == nil {
			return nil, errUnknownApp
		}
		return t.appKey(app), nil
	})
	switch {
	case errors.Is(err, errUnknownApp):
		return nil, http.StatusNotFound, "Integration not found"
	case err != nil:
		return nil, http.StatusUnauthorized, msgJWTDecode
	}
	iat, iatErr := strconv.ParseInt(fmt.Sprint(claims["iat"]), 10, 64)
	exp, expErr := strconv.ParseInt(fmt.Sprint(claims["exp"]), 10, 64)
	switch {
	case iatErr != nil || iat > now:
		return nil, http.StatusUnauthorized, msgJWTIssued
	case expErr != nil || exp <= now:
		return nil, http.StatusUnauthorized, msgJWTExpiry
	case exp > now+int64(maxJWTLife/time.Second):
		return nil, http.StatusUnauthorized, msgJWTTooFar
	}
	return app, 0, ""
}

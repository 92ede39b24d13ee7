// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// Errors of a private key in which the line breaks are lost, as of one that came through a variable of the environment.
var (
	ErrKeyEscaped = errors.New(`has the two characters \n where line breaks belong, want real line breaks: ` +
		`a YAML block (private_key: |), or a file named in private_key_file`)
	ErrKeyOneLine = errors.New("is on one line, want the line breaks of the PEM form: " +
		"a YAML block (private_key: |), or a file named in private_key_file")
)

// CheckKeyLineBreaks refuses the text of a private key in which the line breaks are lost.
func CheckKeyLineBreaks(text string) error {
	text = strings.TrimSpace(text)
	switch {
	case !strings.Contains(text, "-----BEGIN"):
		return nil // no key at all
	case strings.Contains(text, `\n`):
		return ErrKeyEscaped
	case strings.Contains(text, "-----END") && !strings.ContainsAny(text, "\r\n"):
		return ErrKeyOneLine
	}
	return nil
}

// CheckPrivateKey refuses a text that is no private key of an App, and returns the size of one. Its errors do not
// contain the text.
func CheckPrivateKey(text []byte) (bits int, err error) {
	key, err := parseKey(text)
	if err != nil {
		return 0, err
	}
	return key.N.BitLen(), nil
}

// parseKey parses a private key in PEM form. Its errors do not contain the text.
func parseKey(text []byte) (*rsa.PrivateKey, error) {
	if err := CheckKeyLineBreaks(string(text)); err != nil {
		return nil, fmt.Errorf("the App's private key %w", err)
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM(text)
	if err != nil {
		return nil, errors.New("the App's private key is no RSA key in PEM form")
	}
	return key, nil
}

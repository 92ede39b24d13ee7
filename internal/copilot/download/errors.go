// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package download

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
)

// Reason is why a file could not be read.
type Reason uint8

// The reasons.
const (
	// ReasonLink is a link that is not an https URL with a host and nothing before it.
	ReasonLink Reason = iota
	// ReasonHost is a link to a host that is not on the list.
	ReasonHost
	// ReasonAddress is a host with an address that is not public.
	ReasonAddress
	// ReasonRedirect is a redirect to where no link may lead, or one too many.
	ReasonRedirect
	// ReasonExpired is status 401 or 403: the link has expired. A new one may work.
	ReasonExpired
	// ReasonMissing is status 404 or 410: GitHub handed out a link to a file that is not there, or not yet.
	ReasonMissing
	// ReasonStatus is another status that is not 200.
	ReasonStatus
	// ReasonSize is a file larger than Settings.MaxBytes.
	ReasonSize
	// ReasonTimeout is a file that was not read within Settings.Timeout.
	ReasonTimeout
	// ReasonNetwork is no connection, or one that broke.
	ReasonNetwork
)

// NumReasons is the number of reasons.
const NumReasons = 10

var reasonNames = [NumReasons]string{
	"link", "host", "address", "redirect", "expired", "missing", "status", "size", "timeout", "network",
}

// String returns the reason's name in metrics and logs.
func (r Reason) String() string { return reasonNames[min(r, ReasonNetwork)] }

// Error says that a file could not be read. It has no link in it.
type Error struct {
	Reason Reason
	// Host is the host of the link; "" when the link has none.
	Host string
	// Status is the HTTP status, 0 without a response.
	Status int
	// Err is the cause; nil when the reason says it all.
	Err error
}

func (e *Error) Error() string {
	text := "download a report"
	if e.Host != "" {
		text += fmt.Sprintf(" from %.100q", e.Host)
	}
	text += ": " + map[Reason]string{
		ReasonLink:     "the link is not an https URL",
		ReasonHost:     "the host is not in download_hosts",
		ReasonAddress:  "the host has an address that is not public",
		ReasonRedirect: "redirect to where no link may lead",
		ReasonExpired:  "the link has expired",
		ReasonMissing:  "the file does not exist",
		ReasonStatus:   "unexpected response",
		ReasonSize:     "the file is too large",
		ReasonTimeout:  "timeout",
		ReasonNetwork:  "connection failed",
	}[e.Reason]
	if e.Status != 0 {
		text += fmt.Sprintf(" (status %d)", e.Status)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// IsTransient reports whether the same link may work later.
func (e *Error) IsTransient() bool {
	switch e.Reason {
	case ReasonTimeout, ReasonNetwork:
		return true
	case ReasonStatus:
		return e.Status == http.StatusTooManyRequests || e.Status >= http.StatusInternalServerError
	default:
		return false
	}
}

// NeedsNewLink reports whether the report should be requested once more for new links.
func (e *Error) NeedsNewLink() bool { return e.Reason == ReasonExpired }

// IsExpired reports whether an error is that of an expired link.
func IsExpired(err error) bool {
	failure, ok := errors.AsType[*Error](err)
	return ok && failure.NeedsNewLink()
}

// statusReason returns the reason of a status that is not 200.
func statusReason(status int) Reason {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return ReasonExpired
	case http.StatusNotFound, http.StatusGone:
		return ReasonMissing
	default:
		return ReasonStatus
	}
}

// failure returns the *Error for an error of the HTTP client, whose requests end with a context. The error itself may
// have the link in its text, so only causes of known types are kept. Where the time is over, a read may see the closed
// connection before it sees the end of the context.
func failure(limited context.Context, host string, err error) *Error {
	if own, ok := errors.AsType[*Error](err); ok {
		return own
	}
	if isTimeout(err) || errors.Is(limited.Err(), context.DeadlineExceeded) {
		return &Error{Reason: ReasonTimeout, Host: host}
	}
	return &Error{Reason: ReasonNetwork, Host: host, Err: knownCause(err)}
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || ok && timeout.Timeout()
}

// knownCause returns the part of an error that has no more in it than addresses, names of hosts and certificates; nil
// for others.
func knownCause(err error) error {
	if cause, ok := errors.AsType[*net.OpError](err); ok {
		return cause
	}
	if cause, ok := errors.AsType[*net.DNSError](err); ok {
		return cause
	}
	if cause, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return cause
	}
	if cause, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return cause
	}
	for _, cause := range []error{context.Canceled, io.ErrUnexpectedEOF, io.EOF} {
		if errors.Is(err, cause) {
			return cause
		}
	}
	return nil
}

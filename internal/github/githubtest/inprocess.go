// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"time"
)

// InProcess is a transport that calls a Server without a network: it is quick, it can be used in a testing/synctest
// bubble, and with Patience a test of time-outs does not depend on the speed of the machine.
type InProcess struct {
	Handler http.Handler
	// Patience is the time that the client waits for a fault. A fault that waits longer, such as Hang, is a time-out at
	// once. Zero: each fault waits for as long as it says, or until the request is cancelled.
	Patience time.Duration
}

// RoundTrip implements http.RoundTripper. It returns when the whole response is there.
func (p InProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	recorder := &patientRecorder{ResponseRecorder: httptest.NewRecorder(), patience: p.Patience, giveUp: cancel}
	aborted := serveAborted(p.Handler, recorder, r.WithContext(ctx))
	response, gaveUp := recorder.Result(), context.Cause(ctx)
	switch {
	case aborted && recorder.Body.Len() == 0 && gaveUp != nil:
		return nil, gaveUp
	case aborted && recorder.Body.Len() == 0:
		return nil, syscall.ECONNRESET
	case aborted:
		response.Body = io.NopCloser(io.MultiReader(recorder.Body, failingReader{io.ErrUnexpectedEOF}))
	case response.ContentLength > int64(recorder.Body.Len()) && gaveUp != nil:
		response.Body = io.NopCloser(io.MultiReader(recorder.Body, failingReader{gaveUp}))
	}
	return response, nil
}

// serveAborted calls a handler, and reports whether it aborted the response with http.ErrAbortHandler.
func serveAborted(handler http.Handler, w http.ResponseWriter, r *http.Request) (aborted bool) {
	defer func() {
		reason := recover()
		err, _ := reason.(error)
		aborted = errors.Is(err, http.ErrAbortHandler)
		if reason != nil && !aborted {
			panic(reason)
		}
	}()
	handler.ServeHTTP(w, r)
	return false
}

// waitObserver is a ResponseWriter that learns of the waits of faults.
type waitObserver interface{ beforeWait(d time.Duration) }

// patientRecorder records a response, and cancels its request before a wait that exceeds the patience.
type patientRecorder struct {
	*httptest.ResponseRecorder

	patience time.Duration
	giveUp   context.CancelCauseFunc
}

func (w *patientRecorder) beforeWait(d time.Duration) {
	if w.patience > 0 && d > w.patience {
		w.giveUp(context.DeadlineExceeded)
	}
}

// failingReader is a body that ends with an error.
type failingReader struct{ err error }

// Read implements io.Reader.
func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

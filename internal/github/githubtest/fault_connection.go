// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// writeFaulty writes a response with an effect on the connection, and reports whether the fault has one.
func (x *exchange) writeFaulty(w http.ResponseWriter, a response) bool {
	switch x.fault.Kind {
	case KindReset:
		resetConnection(w)
	case KindHang:
		x.hang(w)
	case KindSlow:
		x.writeSlowly(w, a)
	case KindTruncate:
		a.body = a.body[:len(a.body)/2]
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
		w.WriteHeader(a.status)
		_, _ = w.Write(a.body)
	case KindWrongLength:
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)+1000))
		w.WriteHeader(a.status)
		_, _ = w.Write(a.body)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case KindHuge:
		writeHuge(w, a, x.fault.Size)
	default:
		return false
	}
	return true
}

// resetConnection closes the connection so that the client sees a reset.
func resetConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// hang waits until the client gives up or the server is closed.
func (x *exchange) hang(w http.ResponseWriter) {
	announceWait(w, math.MaxInt64)
	select {
	case <-x.request.Context().Done():
	case <-x.server.closing:
	}
	panic(http.ErrAbortHandler)
}

// announceWait reports a wait to a transport without a network.
func announceWait(w http.ResponseWriter, d time.Duration) {
	if observer, ok := w.(waitObserver); ok {
		observer.beforeWait(d)
	}
}

// writeSlowly sends the body in ten parts, with the delay of the fault before each.
func (x *exchange) writeSlowly(w http.ResponseWriter, a response) {
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	part := max(1, (len(a.body)+9)/10)
	for len(a.body) > 0 {
		announceWait(w, time.Duration(x.fault.Delay))
		select {
		case <-time.After(time.Duration(x.fault.Delay)):
		case <-x.request.Context().Done():
			return
		case <-x.server.closing:
			panic(http.ErrAbortHandler)
		}
		n := min(part, len(a.body))
		_, _ = w.Write(a.body[:n])
		_ = http.NewResponseController(w).Flush()
		a.body = a.body[n:]
	}
}

// writeHuge sends white space, of a size in bytes, before the body.
func writeHuge(w http.ResponseWriter, a response, size int64) {
	w.WriteHeader(a.status)
	space := []byte(strings.Repeat(" ", 64<<10))
	for size > 0 {
		n, err := w.Write(space[:min(size, int64(len(space)))])
		if err != nil {
			return
		}
		size -= int64(n)
	}
	_, _ = w.Write(a.body)
}

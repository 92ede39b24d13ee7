// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"encoding/json"
	"net"
	"net/http"
	"time"
)

// ControlPrefix is the beginning of the paths of Control's endpoints.
const ControlPrefix = "/_control/"

// Control returns the server with further endpoints that script it, for loopback clients only:
//
//	GET    /_control/stats          requests and points so far
//	POST   /_control/hold?until=T   HideAfter, T in RFC 3339
//	POST   /_control/release        ShowAll
//	POST   /_control/fault          Fault, as JSON
//	DELETE /_control/fault          ClearFaults
func (s *Server) Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+ControlPrefix+"stats", s.controlStats)
	mux.HandleFunc("POST "+ControlPrefix+"hold", s.controlHold)
	mux.HandleFunc("POST "+ControlPrefix+"release", func(w http.ResponseWriter, _ *http.Request) {
		s.ShowAll()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST "+ControlPrefix+"fault", s.controlFault)
	mux.HandleFunc("DELETE "+ControlPrefix+"fault", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		w.WriteHeader(http.StatusNoContent)
	})
	outer := http.NewServeMux()
	outer.Handle(ControlPrefix, loopbackOnly(mux))
	outer.Handle("/", s)
	return outer
}

// loopbackOnly refuses clients of other machines.
func loopbackOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
			http.Error(w, "loopback only", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) controlStats(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s.Stats())
}

func (s *Server) controlHold(w http.ResponseWriter, r *http.Request) {
	until, err := time.Parse(time.RFC3339, r.URL.Query().Get("until"))
	if err != nil {
		http.Error(w, "until: "+err.Error(), http.StatusBadRequest)
		return
	}
	s.HideAfter(until)
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) controlFault(w http.ResponseWriter, r *http.Request) {
	var f Fault
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !f.Effect.Kind.isKnown() {
		http.Error(w, "unknown kind of effect", http.StatusBadRequest)
		return
	}
	s.InjectFault(f)
	w.WriteHeader(http.StatusNoContent)
}

// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
)

//go:embed static
var static embed.FS

// NewPage returns the handler of the page that draws dashboards: the page itself at /, the dashboards of a folder under
// /dashboards/, and under /api/ the Prometheus that it queries.
func NewPage(dashboards fs.FS, prometheus string) (http.Handler, error) {
	upstream, err := url.Parse(prometheus)
	if err != nil {
		return nil, err
	}
	files, err := fs.Sub(static, "static")
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(dashboards, "*.json")
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("there is no dashboard: %w", fs.ErrNotExist)
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServerFS(files))
	mux.HandleFunc("GET /dashboards/{$}", func(w http.ResponseWriter, _ *http.Request) {
		var list []string
		for _, name := range names {
			list = append(list, path.Base(name[:len(name)-len(".json")]))
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(list)
	})
	mux.Handle("/dashboards/", http.StripPrefix("/dashboards/", http.FileServerFS(dashboards)))
	mux.Handle("GET /api/", httputil.NewSingleHostReverseProxy(upstream))
	return mux, nil
}

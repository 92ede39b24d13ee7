// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package kubelease

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"

	"k8s.io/klog/v2"
)

// klogTarget is the logger of klog's lines. client-go's leader election logs to klog only.
var klogTarget atomic.Pointer[slog.Logger]

// init redirects klog, which is global and may only be redirected while no goroutine logs.
func init() {
	klog.SetSlogLogger(slog.New(klogHandler{}))
}

// routeKlog sends klog's lines to logger from now on.
func routeKlog(logger *slog.Logger) { klogTarget.Store(logger) }

// klogHandler sends lines to the logger of the newest elector, for debugging: the elector itself logs what an operator
// needs. Before the first elector they go to the process's default logger.
type klogHandler struct{ attrs []slog.Attr }

// currentHandler returns the handler of klogTarget and true, or that of the process's default logger and false.
func (h klogHandler) currentHandler() (handler slog.Handler, routed bool) {
	if logger := klogTarget.Load(); logger != nil {
		return logger.Handler(), true
	}
	return slog.Default().Handler(), false
}

// effectiveLevel returns the level of a line: at most debug where the line goes to klogTarget.
func (h klogHandler) effectiveLevel(level slog.Level, routed bool) slog.Level {
	if routed {
		return min(level, slog.LevelDebug)
	}
	return level
}

// Enabled implements slog.Handler.
func (h klogHandler) Enabled(ctx context.Context, level slog.Level) bool {
	handler, routed := h.currentHandler()
	return handler.Enabled(ctx, h.effectiveLevel(level, routed))
}

// Handle implements slog.Handler.
func (h klogHandler) Handle(ctx context.Context, record slog.Record) error {
	handler, routed := h.currentHandler()
	record.Level = h.effectiveLevel(record.Level, routed)
	record.AddAttrs(h.attrs...)
	return handler.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (h klogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return klogHandler{attrs: slices.Concat(h.attrs, attrs)}
}

// WithGroup implements slog.Handler; klog makes no groups.
func (h klogHandler) WithGroup(string) slog.Handler { return h }

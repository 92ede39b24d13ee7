package kubelease

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"

	"k8s.io/klog/v2"
)

// klogTarget is where klog's lines go: client-go's leader election logs there, and knows no other way.
var klogTarget atomic.Pointer[slog.Logger]

// klog is one for the whole process and may be redirected only while nobody uses it.
func init() {
	klog.SetSlogLogger(slog.New(klogHandler{}))
}

// routeKlog sends klog's lines to the logger from now on.
func routeKlog(logger *slog.Logger) { klogTarget.Store(logger) }

// klogHandler hands lines to the newest elector's logger, for debugging: the elector itself tells what matters. Before
// there is one they go where the process logs by default.
type klogHandler struct{ attrs []slog.Attr }

func (h klogHandler) currentHandler() (handler slog.Handler, routed bool) {
	if logger := klogTarget.Load(); logger != nil {
		return logger.Handler(), true
	}
	return slog.Default().Handler(), false
}

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

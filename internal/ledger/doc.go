// Package ledger is the core of the exporter: what was recorded (events), what was read (coverage), and the metrics as
// pure functions of both and of the time.
//
// A Batch is what one reading found. A Store commits it atomically and tells its followers the difference it made, a
// Change. State is the state machine behind every store that keeps its data in this process: it plans the change that
// a batch makes and applies changes. View is what one replica emits from: it follows a store and is built from changes
// alone.
//
//	readings ── Batch ──▶ Store ── Change ──▶ View ── Values ──▶ pdata
//
// Nothing here has a clock or does I/O.
package ledger

// Package activity has the vocabulary of the exporter: what happened (Event), who did it (Actor), which part of a
// repository is read together (Stream) and which stretch of time (Window, Windows). It is plain data without I/O and
// without a clock, and it knows nothing but the standard library.
package activity

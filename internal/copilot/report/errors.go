// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
)

// Problem is what is wrong with the file of a report.
type Problem uint8

// The problems.
const (
	// ProblemTruncated is a file that ends within a row.
	ProblemTruncated Problem = iota
	// ProblemSyntax is a row that is not JSON.
	ProblemSyntax
	// ProblemMarkup is HTML or XML, as storage services and proxies send for errors.
	ProblemMarkup
	// ProblemEncoding is a text that is not UTF-8.
	ProblemEncoding
	// ProblemCompression is a gzip stream that is damaged.
	ProblemCompression
	// ProblemNesting is a row that is nested deeper than maxDepth.
	ProblemNesting
	// ProblemRowSize is a row that is larger than Limits.RowBytes.
	ProblemRowSize
	// ProblemFileSize is a file that is larger than Limits.TotalBytes.
	ProblemFileSize
	// ProblemNoRow is JSON that is not an object, such as a sentence that there is no report.
	ProblemNoRow
	// ProblemNoDay is an aggregate report without a day in it.
	ProblemNoDay
)

// NumProblems is the number of problems.
const NumProblems = 10

var problemNames = [NumProblems]string{
	"truncated", "syntax", "markup", "encoding", "compression", "nesting", "row_size", "file_size", "no_row", "no_day",
}

// String returns the problem's name in metrics and logs.
func (p Problem) String() string { return problemNames[min(p, ProblemNoDay)] }

// Error says that a file is not a report. It has no text of the file in it.
type Error struct {
	Problem Problem
	// Row is the number of the row, from 1.
	Row int64
	// Err is the cause; nil when the problem says it all.
	Err error
}

func (e *Error) Error() string {
	text := fmt.Sprintf("report is unusable: %s in row %d", e.Problem, e.Row)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"unicode/utf8"
)

// Limits bound what is read of a report. A value of 0 is the default.
type Limits struct {
	// RowBytes bounds a row. An aggregate of 28 days is one row of up to several MB. The default is 16 MiB.
	RowBytes int
	// TotalBytes bounds a file, after decompression. The default is 16 GiB.
	TotalBytes int64
}

const (
	defaultRowBytes   = 16 << 20
	defaultTotalBytes = 16 << 30
	// maxDepth bounds the nesting of a row. Reports have up to 5 levels.
	maxDepth = 64
	// bufferSize is the part of a file that is read at a time.
	bufferSize = 64 << 10
)

func (l Limits) withDefaults() Limits {
	if l.RowBytes <= 0 {
		l.RowBytes = defaultRowBytes
	}
	if l.TotalBytes <= 0 {
		l.TotalBytes = defaultTotalBytes
	}
	return l
}

// Reader splits a file into its rows, in memory that does not depend on the file's size. Rows are JSON values that
// follow each other: one in a line (NDJSON), over several lines, or as the elements of one array. A byte order mark is
// skipped, a gzip stream is decompressed, and the last line feed may be missing.
//
// It finds the ends of the rows by strings and brackets alone. Whether a row is valid JSON is for its decoder to say.
type Reader struct {
	source  *bufio.Reader
	limits  Limits
	read    int64
	rows    int64
	row     []byte
	started bool
	inArray bool // the rows are the elements of an array
	err     error
}

// NewReader makes a reader of one file.
func NewReader(file io.Reader, limits Limits) *Reader {
	return &Reader{source: bufio.NewReaderSize(file, bufferSize), limits: limits.withDefaults()}
}

// Bytes returns how many bytes were read, after decompression.
func (r *Reader) Bytes() int64 { return r.read }

// Rows returns how many rows were read.
func (r *Reader) Rows() int64 { return r.rows }

// Next returns the next row, valid until the next call. Its error is io.EOF after the last row, an *Error, or that of
// the file; it stays the same from then on.
func (r *Reader) Next() ([]byte, error) {
	if r.err != nil {
		return nil, r.err
	}
	row, err := r.next()
	r.err = err
	if err == nil {
		r.rows++
	}
	return row, err
}

func (r *Reader) next() ([]byte, error) {
	if !r.started {
		r.started = true
		if err := r.start(); err != nil {
			return nil, err
		}
	}
	first, err := r.firstByte()
	if err != nil {
		return nil, err
	}
	r.row = append(r.row[:0], first)
	switch first {
	case '{', '[', '"':
		err = r.readNested()
	default:
		err = r.readScalar()
	}
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(r.row) {
		return nil, r.problem(ProblemEncoding, nil)
	}
	return r.row, nil
}

// The first bytes of files that are in another form.
var (
	utf8Mark  = []byte{0xEF, 0xBB, 0xBF}
	utf16Mark = [][]byte{{0xFF, 0xFE}, {0xFE, 0xFF}, {0, '{'}, {'{', 0}, {0, 0}}
	gzipMagic = []byte{0x1F, 0x8B}
)

// start recognizes the form of the file by its first bytes.
func (r *Reader) start() error {
	if head, _ := r.source.Peek(len(gzipMagic)); bytes.Equal(head, gzipMagic) {
		stream, err := gzip.NewReader(r.source)
		if err != nil {
			return r.problem(ProblemCompression, err)
		}
		r.source = bufio.NewReaderSize(stream, bufferSize)
	}
	head, _ := r.source.Peek(len(utf8Mark))
	for _, mark := range utf16Mark {
		if bytes.HasPrefix(head, mark) {
			return r.problem(ProblemEncoding, errors.New("the text is not UTF-8"))
		}
	}
	if bytes.HasPrefix(head, utf8Mark) {
		_, err := r.source.Discard(len(utf8Mark))
		r.read += int64(len(utf8Mark))
		return err
	}
	return nil
}

// firstByte returns the first byte of the next row. It skips white space, and the brackets and commas of an array.
func (r *Reader) firstByte() (byte, error) {
	for {
		b, err := r.readByte()
		if err != nil {
			if errors.Is(err, io.EOF) && r.inArray {
				return 0, r.problem(ProblemTruncated, nil)
			}
			return 0, err
		}
		switch {
		case b == ' ', b == '\t', b == '\r', b == '\n':
		case b == '<':
			return 0, r.problem(ProblemMarkup, nil)
		case b == '[' && r.rows == 0 && !r.inArray:
			r.inArray = true
		case b == ',' && r.inArray && r.rows > 0:
		case b == ']' && r.inArray:
			r.inArray = false
			return 0, r.endOfArray()
		default:
			return b, nil
		}
	}
}

// endOfArray returns io.EOF if nothing follows the array.
func (r *Reader) endOfArray() error {
	for {
		b, err := r.readByte()
		if err != nil {
			return err
		}
		if b != ' ' && b != '\t' && b != '\r' && b != '\n' {
			return r.problem(ProblemSyntax, errors.New("text after the end of an array"))
		}
	}
}

// readNested reads a row up to the end of the bracket or string that it begins with.
func (r *Reader) readNested() error {
	state := nesting{}
	_ = state.next(r.row[0]) // one bracket or quote is always valid
	for !state.isComplete() {
		chunk, err := r.peekChunk()
		if err != nil {
			return err
		}
		size, problem := state.scan(chunk)
		if err := r.consume(chunk[:size]); err != nil {
			return err
		}
		if problem != nil {
			problem.Row = r.rows + 1
			return problem
		}
	}
	return nil
}

// peekChunk returns what can be read without another read of the file, at least one byte.
func (r *Reader) peekChunk() ([]byte, error) {
	if _, err := r.source.Peek(1); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, r.problem(ProblemTruncated, nil)
		}
		return nil, r.readError(err)
	}
	return r.source.Peek(r.source.Buffered())
}

// consume adds a chunk to the row.
func (r *Reader) consume(chunk []byte) error {
	if len(r.row)+len(chunk) > r.limits.RowBytes {
		return r.problem(ProblemRowSize, nil)
	}
	r.row = append(r.row, chunk...)
	_, err := r.source.Discard(len(chunk))
	if err != nil {
		return err
	}
	return r.count(len(chunk))
}

// readScalar reads a number or a word up to the next white space, comma or bracket.
func (r *Reader) readScalar() error {
	for {
		next, err := r.source.Peek(1)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return r.readError(err)
		}
		switch next[0] {
		case ' ', '\t', '\r', '\n', ',', ']', '}', '{', '[', '"':
			return nil
		}
		if err := r.consume(next); err != nil {
			return err
		}
	}
}

func (r *Reader) readByte() (byte, error) {
	b, err := r.source.ReadByte()
	if err != nil {
		return 0, r.readError(err)
	}
	return b, r.count(1)
}

func (r *Reader) count(size int) error {
	r.read += int64(size)
	if r.read > r.limits.TotalBytes {
		return r.problem(ProblemFileSize, nil)
	}
	return nil
}

// readError returns the error of the file, an *Error where it is about the file's content.
func (r *Reader) readError(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return r.problem(ProblemTruncated, err)
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader):
		return r.problem(ProblemCompression, err)
	default:
		return err
	}
}

func (r *Reader) problem(problem Problem, err error) error {
	return &Error{Problem: problem, Row: r.rows + 1, Err: err}
}

// nesting follows the strings and brackets of a JSON value.
type nesting struct {
	depth              int
	inString, isEscape bool
	began              bool
}

func (n *nesting) isComplete() bool { return n.began && n.depth == 0 && !n.inString }

// scan follows a chunk up to its end or to the end of the value, and returns how many bytes that is.
func (n *nesting) scan(chunk []byte) (int, *Error) {
	for i := 0; i < len(chunk); i++ {
		if i += n.skip(chunk[i:]); i == len(chunk) {
			break
		}
		if problem := n.next(chunk[i]); problem != nil {
			return i + 1, problem
		}
		if n.isComplete() {
			return i + 1, nil
		}
	}
	return len(chunk), nil
}

// inText and outsideText are the bytes that next has to see within a string, and outside of one.
var inText, outsideText = bytesOf("\"\\", ' '), bytesOf("\"{}[]", 0)

// bytesOf returns the set of the bytes of a text, and of those below another one.
func bytesOf(text string, below byte) *[256]bool {
	var set [256]bool
	for b := range below {
		set[b] = true
	}
	for _, b := range []byte(text) {
		set[b] = true
	}
	return &set
}

// skip returns how many bytes at the start of a chunk change nothing.
func (n *nesting) skip(chunk []byte) int {
	stops := outsideText
	switch {
	case n.isEscape || !n.began:
		return 0
	case n.inString:
		stops = inText
	}
	for i, b := range chunk {
		if stops[b] {
			return i
		}
	}
	return len(chunk)
}

func (n *nesting) next(b byte) *Error {
	n.began = true
	switch {
	case n.isEscape:
		n.isEscape = false
	case n.inString:
		switch {
		case b == '"':
			n.inString = false
		case b == '\\':
			n.isEscape = true
		case b < ' ':
			return &Error{Problem: ProblemSyntax, Err: errors.New("control character in a string")}
		}
	case b == '"':
		n.inString = true
	case b == '{', b == '[':
		if n.depth++; n.depth > maxDepth {
			return &Error{Problem: ProblemNesting}
		}
	case b == '}', b == ']':
		n.depth--
	}
	return nil
}

// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"errors"
	"strconv"
)

// scanner reads a JSON text value by value and checks its syntax as far as it reads (RFC 8259). A users report has
// millions of numbers of which each may be invalid alone: encoding/json stops at the first one, and is several times
// slower.
type scanner struct {
	data  []byte
	pos   int
	depth int
}

var errNested = errors.New("nested too deeply")

// errAt is the position of a syntax error, in bytes from the start of the text. It has no part of the text.
type errAt int

func (e errAt) Error() string { return "at byte " + strconv.Itoa(int(e)) }

func (s *scanner) syntaxError() error { return errAt(s.pos) }

// peek returns the next byte that is not white space, and 0 at the end.
func (s *scanner) peek() byte {
	for ; s.pos < len(s.data); s.pos++ {
		switch b := s.data[s.pos]; b {
		case ' ', '\t', '\r', '\n':
		default:
			return b
		}
	}
	return 0
}

// readByte skips white space and one byte, which must be b.
func (s *scanner) readByte(b byte) error {
	if s.peek() != b {
		return s.syntaxError()
	}
	s.pos++
	return nil
}

// readValue skips a value and returns its text.
func (s *scanner) readValue() ([]byte, error) {
	var err error
	first := s.peek()
	start := s.pos
	switch {
	case first == '{':
		err = s.readObject(func([]byte) error { return s.skipValue() })
	case first == '[':
		err = s.readArray(s.skipValue)
	case first == '"':
		_, err = s.readString()
	case first == '-', '0' <= first && first <= '9':
		err = s.skipNumber()
	default:
		err = s.skipWord()
	}
	return s.data[start:s.pos], err
}

func (s *scanner) skipValue() error {
	_, err := s.readValue()
	return err
}

// readObject calls read for each member, with its name in JSON without the quotes. read reads the value.
func (s *scanner) readObject(read func(name []byte) error) error {
	return s.readList('{', '}', func() error {
		if s.peek() != '"' {
			return s.syntaxError()
		}
		name, err := s.readString()
		if err != nil {
			return err
		}
		if err := s.readByte(':'); err != nil {
			return err
		}
		return read(name[1 : len(name)-1])
	})
}

// readArray calls read for each element. read reads it.
func (s *scanner) readArray(read func() error) error { return s.readList('[', ']', read) }

func (s *scanner) readList(first, last byte, read func() error) error {
	if err := s.readByte(first); err != nil {
		return err
	}
	if s.depth++; s.depth > maxDepth {
		return errNested
	}
	if s.peek() != last {
		for isMore := true; isMore; {
			if err := read(); err != nil {
				return err
			}
			if isMore = s.peek() == ','; isMore {
				s.pos++
			}
		}
	}
	s.depth--
	return s.readByte(last)
}

// readString returns a string with its quotes and escapes.
func (s *scanner) readString() ([]byte, error) {
	start := s.pos
	for s.pos++; s.pos < len(s.data); s.pos++ {
		switch b := s.data[s.pos]; {
		case b == '"':
			s.pos++
			return s.data[start:s.pos], nil
		case b == '\\':
			if err := s.skipEscape(); err != nil {
				return nil, err
			}
		case b < ' ':
			return nil, s.syntaxError()
		}
	}
	return nil, s.syntaxError()
}

// skipEscape skips an escape up to its last byte.
func (s *scanner) skipEscape() error {
	if s.pos++; s.pos >= len(s.data) {
		return s.syntaxError()
	}
	switch s.data[s.pos] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return nil
	case 'u':
		if s.pos+4 >= len(s.data) {
			return s.syntaxError()
		}
		for range 4 {
			s.pos++
			if !isHex(s.data[s.pos]) {
				return s.syntaxError()
			}
		}
		return nil
	default:
		return s.syntaxError()
	}
}

func isHex(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'f' || 'A' <= b && b <= 'F'
}

// skipNumber skips a number: a minus, digits without a leading 0, a fraction, an exponent.
func (s *scanner) skipNumber() error {
	s.skipAny('-', '-')
	if s.isAt('0', '0') {
		s.pos++
	} else if err := s.skipDigits(); err != nil {
		return err
	}
	if s.skipAny('.', '.') {
		if err := s.skipDigits(); err != nil {
			return err
		}
	}
	if s.skipAny('e', 'E') {
		s.skipAny('+', '-')
		return s.skipDigits()
	}
	return nil
}

func (s *scanner) skipDigits() error {
	start := s.pos
	for s.pos < len(s.data) && '0' <= s.data[s.pos] && s.data[s.pos] <= '9' {
		s.pos++
	}
	if s.pos == start {
		return s.syntaxError()
	}
	return nil
}

// isAt reports whether the next byte is one of two.
func (s *scanner) isAt(a, b byte) bool {
	return s.pos < len(s.data) && (s.data[s.pos] == a || s.data[s.pos] == b)
}

// skipAny skips the next byte if it is one of two.
func (s *scanner) skipAny(a, b byte) bool {
	if !s.isAt(a, b) {
		return false
	}
	s.pos++
	return true
}

func (s *scanner) skipWord() error {
	for _, word := range [3]string{"null", "true", "false"} {
		if rest := s.data[s.pos:]; len(rest) >= len(word) && string(rest[:len(word)]) == word {
			s.pos += len(word)
			return nil
		}
	}
	return s.syntaxError()
}

// isAtEnd reports whether only white space is left.
func (s *scanner) isAtEnd() bool { return s.peek() == 0 && s.pos == len(s.data) }

// unquote returns the text of a string in JSON, with its quotes.
func unquote(raw []byte) (string, error) {
	var text string
	err := json.Unmarshal(raw, &text)
	return text, err
}

// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package copilottest

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// reportContent is what the files of a report are made of.
type reportContent struct {
	rows                  []Row
	large                 *Large
	first, last           string
	createdAt             time.Time
	isWindow, isAggregate bool
}

// file is a file behind a link.
type file struct {
	content []byte
	large   *largePart // in place of content; nil for none
	expires time.Time
	fault   FileFault
	link    LinkFault
	request Request
}

// addFiles makes the files of a report and returns their links. The caller holds the lock.
func (s *Server) addFiles(request Request, content reportContent, rule *Rule) []string {
	if rule == nil {
		rule = &Rule{}
	}
	parts := [][]Row{content.rows}
	if !content.isAggregate {
		parts = cut(content.rows, s.settings.FilesPerReport)
	}
	if content.large != nil {
		parts = make([][]Row, s.settings.FilesPerReport)
	}
	var links []string
	for i, part := range parts {
		expires := s.settings.Now().Add(s.settings.LinkLife)
		if rule.Link == ExpiredLink {
			expires = s.settings.Now().Add(-time.Minute)
		}
		s.nextFile++
		owner := url.PathEscape(request.Owner)
		path := fmt.Sprintf("/v0/%s/%s/%s_%d.json", content.last, owner, request.Endpoint, s.nextFile)
		f := &file{expires: expires, link: rule.Link, request: request}
		if content.large != nil {
			f.large = &largePart{content.large, content.first, i, len(parts)}
		} else {
			f.content = content.encode(part)
		}
		if i == len(parts)-1 { // the last one, so that a reader has used others before
			f.fault = rule.File
		}
		s.files[path] = f
		links = append(links, s.faultyLink(rule.Link, path+"?"+query(path, expires)))
	}
	return links
}

// cut returns rows in up to count parts by time.
func cut(rows []Row, count int) [][]Row {
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b Row) int { return strings.Compare(dayOf(a), dayOf(b)) })
	size := max(1, (len(rows)+count-1)/count)
	parts := slices.Collect(slices.Chunk(rows, size))
	if parts == nil {
		return [][]Row{nil}
	}
	return parts
}

func dayOf(row Row) string {
	day, _ := row["day"].(string)
	return day
}

// query returns the signature of a link, in the form of a shared access signature
// (https://learn.microsoft.com/rest/api/storageservices/create-service-sas).
func query(path string, expires time.Time) string {
	sum := sha256.Sum256([]byte(path + expires.UTC().Format(time.RFC3339Nano)))
	return url.Values{
		"se": {expires.UTC().Format(time.RFC3339Nano)}, "sp": {"r"}, "spr": {"https"}, "sr": {"b"},
		"sig": {hex.EncodeToString(sum[:]) + "+/="},
	}.Encode()
}

func (s *Server) faultyLink(fault LinkFault, rest string) string {
	switch fault {
	case PlainLink:
		return strings.Replace(s.settings.FilesURL, "https://", "http://", 1) + rest
	case LoopbackLink:
		return "https://127.0.0.1:1" + rest
	case RefusedLink:
		host, _ := url.Parse(s.settings.FilesURL)
		return "https://" + host.Hostname() + ":1" + rest
	case LocalhostLink:
		return "https://localhost:1" + rest
	case PrivateLink:
		return "https://10.0.0.1" + rest
	case UnlistedLink:
		return "https://reports.example.org" + rest
	case LinkWithUser:
		return strings.Replace(s.settings.FilesURL, "://", "://user:password@", 1) + rest
	case RelativeLink:
		return rest
	default:
		return s.settings.FilesURL + rest
	}
}

// encode returns the file with rows.
func (c *reportContent) encode(rows []Row) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	write := func(value any) {
		if err := encoder.Encode(value); err != nil {
			panic(err) // a test's data
		}
	}
	switch {
	case c.isAggregate && c.isWindow:
		days := slices.Clone(rows)
		slices.Reverse(days) // GitHub has them in no order
		if days == nil {
			days = []Row{}
		}
		write(Row{
			"report_start_day": c.first, "report_end_day": c.last,
			"created_at": c.createdAt.UTC().Format(time.RFC3339Nano), "day_totals": days,
		})
	case c.isAggregate && len(rows) == 0:
		write(Row{"day": c.last})
	default:
		for _, row := range rows {
			write(row)
		}
	}
	return out.Bytes()
}

// Files returns the handler of the host that serves files. It refuses credentials, as storage services do.
func (s *Server) Files() http.Handler { return http.HandlerFunc(s.serveFile) }

func (s *Server) serveFile(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	f := s.files[r.URL.EscapedPath()]
	status := s.fileStatus(r, f)
	request := Request{Endpoint: "file", Status: status}
	if f != nil {
		request.Owner, request.Day = f.request.Owner, f.request.Day
	}
	s.record(r, request)
	s.mu.Unlock()
	switch status {
	case http.StatusOK:
		if f.link == HangingLink {
			f.hang(w, r)
			return
		}
		size := f.serve(w)
		s.mu.Lock()
		s.fileBytes += size
		s.mu.Unlock()
	case http.StatusFound:
		target := "https://reports.example.org/file?sig=other"
		if f.link == LoopbackRedirect {
			target = "https://127.0.0.1:1/file?sig=other"
		}
		w.Header().Set("Location", target)
		w.WriteHeader(status)
	default:
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, xmlError)
	}
}

const xmlError = "\xEF\xBB\xBF<?xml version=\"1.0\"?><Error><Code>AuthenticationFailed</Code></Error>"

// fileStatus returns the status for a request. The caller holds the lock.
func (s *Server) fileStatus(r *http.Request, f *file) int {
	switch {
	case f == nil, f.link == LinkNotThere:
		return http.StatusNotFound
	case r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "":
		return http.StatusBadRequest
	case r.URL.RawQuery != query(r.URL.EscapedPath(), f.expires), s.settings.Now().After(f.expires):
		return http.StatusForbidden
	case f.link == LinkWithError:
		return http.StatusInternalServerError
	case f.link == LinkIsBusy:
		return http.StatusServiceUnavailable
	case f.link == UnlistedRedirect, f.link == LoopbackRedirect:
		return http.StatusFound
	default:
		return http.StatusOK
	}
}

// hang sends the first bytes of the file, and no more until the reader is gone.
func (f *file) hang(w http.ResponseWriter, r *http.Request) {
	_, _ = w.Write(f.content[:1])
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// serve sends the file and returns how many bytes it had.
func (f *file) serve(w http.ResponseWriter) int64 {
	if f.large != nil {
		return f.large.serve(w)
	}
	content := f.fault.apply(f.content)
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", "attachment")
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	if f.fault == ShortBody {
		content = content[:len(content)/2]
	}
	_, _ = w.Write(content)
	return int64(len(content))
}

const (
	wideRow = 10 << 20
	longRow = 20 << 20
)

// apply returns a file with a fault.
func (f FileFault) apply(content []byte) []byte {
	text := string(content)
	switch f {
	case ByteOrderMark:
		return []byte("\xEF\xBB\xBF" + text)
	case Gzip:
		return compress(content)
	case CarriageReturns:
		return []byte(strings.ReplaceAll(text, "\n", "\r\n"))
	case NoLastLineFeed:
		return []byte(strings.TrimSuffix(text, "\n"))
	case Array:
		return []byte("[" + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", ",\n") + "]")
	case UnknownFields:
		return []byte(strings.ReplaceAll(text, "{\"", `{"new_field":{"a":[1,"x",null]},"`))
	case DuplicateRows:
		return []byte(text + text)
	case NumbersForIDs:
		return []byte(numbersForIDs(text))
	case NegativeNumbers:
		return []byte(replaceNumbers(text, "-5"))
	case HugeNumbers:
		return []byte(replaceNumbers(text, "1e300"))
	case WideRow:
		return []byte(`{"a":"` + strings.Repeat("x", wideRow) + `",` + text[1:])
	case OtherDays:
		return []byte(anyDay.ReplaceAllString(text, `"day":"2025-11-01"`))
	case UTF16:
		return encodeUTF16(text)
	default:
		return f.replace(text)
	}
}

// replace returns the content of a fault that does not depend on the rows, or has something after them.
func (f FileFault) replace(text string) []byte {
	switch f {
	case Truncated:
		return []byte(text[:len(text)/2])
	case HTML:
		return []byte(stateResponses[HTMLPage].body)
	case XMLError:
		return []byte(xmlError)
	case Latin1:
		return []byte(text + "{\"user_login\":\"ren\xe9\"}\n")
	case BrokenRow:
		return []byte(text + "{day: 2026}\n")
	case LongRow:
		return []byte(text + `{"a":"` + strings.Repeat("x", longRow) + "\"}\n")
	case Nested:
		return []byte(text + `{"a":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}\n")
	case EmptyFile:
		return nil
	case BrokenGzip:
		packed := compress([]byte(text))
		packed[len(packed)-8] ^= 1 // the checksum is in the last eight bytes (https://www.rfc-editor.org/rfc/rfc1952)
		return packed
	case SentenceFile:
		return []byte(stateResponses[Sentence].body)
	default:
		return []byte(text)
	}
}

func compress(content []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(content)
	_ = w.Close()
	return out.Bytes()
}

func encodeUTF16(text string) []byte {
	out := []byte{0xFF, 0xFE}
	for _, unit := range utf16.Encode([]rune(text)) {
		out = binary.LittleEndian.AppendUint16(out, unit)
	}
	return out
}

var (
	quotedID = regexp.MustCompile(`("[a-z]+_id":)"([1-9][0-9]{0,15})"`)
	anyDay   = regexp.MustCompile(`"day":"[0-9-]+"`)
	counter  = regexp.MustCompile(`("(?:[a-z_]+_count|loc_[a-z_]+_sum|[a-z_]+_users)":)[0-9]+`)
)

func numbersForIDs(text string) string { return quotedID.ReplaceAllString(text, "${1}${2}") }

func replaceNumbers(text, number string) string { return counter.ReplaceAllString(text, "${1}"+number) }

package github

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	gogithub "github.com/google/go-github/v66/github"
)

// A value that cannot be decoded, such as a time in a year of five digits, must not lose what stands beside it:
// whoever can push can put one on GitHub. So rows are decoded field by field where they cannot be decoded as a whole.
// What is not an object, or no JSON, is an error as before.

// fieldErrors are the fields of a row that could not be decoded, by their names in JSON.
type fieldErrors map[string]error

// firstError is one of the errors, the same each time; nil for none.
func (e fieldErrors) firstError() error {
	names := make([]string, 0, len(e))
	for name := range e {
		names = append(names, name)
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	return fmt.Errorf("%s: %w", names[0], e[names[0]])
}

// hasAny reports whether one of the fields is among them.
func (e fieldErrors) hasAny(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return e[name] != nil })
}

// hasOnly reports whether there are errors, and of no other fields.
func (e fieldErrors) hasOnly(names ...string) bool {
	for name := range e {
		if !slices.Contains(names, name) {
			return false
		}
	}
	return len(e) > 0
}

var errNoRow = errors.New("a row that is no object")

// decodeRow decodes an object into the struct that into points to. A field that cannot be decoded is left zero and is
// among the fieldErrors. The error is that of a value that is no object.
func decodeRow(raw []byte, into any) (fieldErrors, error) {
	strict := json.Unmarshal(raw, into)
	if strict == nil {
		return nil, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil || fields == nil {
		return nil, errNoRow
	}
	value := reflect.ValueOf(into).Elem()
	value.SetZero()
	broken := make(fieldErrors)
	decodeFields(fields, value, broken)
	if len(broken) == 0 { // by another spelling of a name
		return nil, strict
	}
	return broken, nil
}

func decodeFields(fields map[string]json.RawMessage, value reflect.Value, broken fieldErrors) {
	for i := range value.NumField() {
		field := value.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch raw, ok := fields[name]; {
		case field.Anonymous && name == "":
			decodeFields(fields, value.Field(i), broken)
		case !ok || !field.IsExported():
		default:
			if err := json.Unmarshal(raw, value.Field(i).Addr().Interface()); err != nil {
				value.Field(i).SetZero()
				broken[name] = printableError(err)
			}
		}
	}
}

// printableError is an error whose text is fit for a log: it has the value in it that could not be decoded.
func printableError(err error) error { return errors.New(printable(err.Error())) }

// decodeAnswer decodes a body of REST. Rows of a list that cannot be decoded as a whole are in broken, by their places.
func decodeAnswer(body []byte, into any) (broken map[int]fieldErrors, err error) {
	strict := decodeJSON(body, into)
	if strict == nil || !json.Valid(body) {
		return nil, strict
	}
	switch into := into.(type) {
	case *[]*repositoryRow:
		broken, err = decodeRows(body, into)
	case *[]*gogithub.RepositoryCommit:
		broken, err = decodeRows(body, into)
	case *[]*gogithub.PullRequest:
		broken, err = decodeRows(body, into)
	case *[]*gogithub.PullRequestReview:
		broken, err = decodeRows(body, into)
	case *[]*gogithub.IssueComment:
		broken, err = decodeRows(body, into)
	case *[]*contributorRow:
		broken, err = decodeRows(body, into)
	case **gogithub.CommitsComparison:
		broken, err = decodeComparison(body, into)
	case **repositoryRow:
		broken, err = decodeSingle(body, into)
	case **gogithub.RepositoryCommit:
		broken, err = decodeSingle(body, into)
	default:
		return nil, strict
	}
	if err != nil {
		return nil, strict
	}
	return broken, nil
}

// usedFields are the fields of go-github's rows that are used: what is wrong with another one does not matter.
var usedFields = map[reflect.Type][]string{
	reflect.TypeFor[repositoryRow](): {
		"id", "node_id", "name", "archived", "fork", "private", "pushed_at", "owner",
		"has_issues", "has_pull_requests", "default_branch",
	},
	reflect.TypeFor[gogithub.RepositoryCommit]():  {"sha", "commit", "author", "parents", "stats"},
	reflect.TypeFor[gogithub.PullRequest]():       {"number", "user", "created_at", "updated_at", "merged_at"},
	reflect.TypeFor[gogithub.PullRequestReview](): {"id", "user", "submitted_at"},
	reflect.TypeFor[gogithub.IssueComment]():      {"id", "user", "created_at", "updated_at"},
}

// decodeUsed decodes a row; what is wrong with fields that are not used is not among the fieldErrors.
func decodeUsed[T any](raw []byte, into *T) (fieldErrors, error) {
	wrong, err := decodeRow(raw, into)
	if names, ok := usedFields[reflect.TypeFor[T]()]; ok {
		for name := range wrong {
			if !slices.Contains(names, name) {
				delete(wrong, name)
			}
		}
	}
	if len(wrong) == 0 {
		return nil, err
	}
	return wrong, err
}

// decodeRows decodes a list row by row.
func decodeRows[T any](body []byte, into *[]*T) (map[int]fieldErrors, error) {
	var raws []json.RawMessage
	if err := json.Unmarshal(body, &raws); err != nil || raws == nil {
		return nil, errNoRow
	}
	rows, broken := make([]*T, len(raws)), make(map[int]fieldErrors)
	for i, raw := range raws {
		if bytes.Equal(raw, []byte("null")) {
			continue
		}
		rows[i] = new(T)
		wrong, err := decodeUsed(raw, rows[i])
		if err != nil {
			return nil, err
		}
		if wrong != nil {
			broken[i] = wrong
		}
	}
	*into = rows
	return broken, nil
}

// decodeComparison decodes the commits of a comparison row by row, and of the rest what is used.
func decodeComparison(body []byte, into **gogithub.CommitsComparison) (map[int]fieldErrors, error) {
	var parts struct {
		Status  *string         `json:"status"`
		Total   json.RawMessage `json:"total_commits"`
		Commits json.RawMessage `json:"commits"`
	}
	if err := json.Unmarshal(body, &parts); err != nil {
		return nil, err
	}
	found := &gogithub.CommitsComparison{Status: parts.Status}
	if err := json.Unmarshal(parts.Total, &found.TotalCommits); err != nil {
		found.TotalCommits = nil // not known: then no commit counts as the newest
	}
	broken, err := decodeRows(parts.Commits, &found.Commits)
	*into = found
	return broken, err
}

// decodeSingle decodes an object as the only row.
func decodeSingle[T any](body []byte, into **T) (map[int]fieldErrors, error) {
	row := new(T)
	wrong, err := decodeUsed(body, row)
	if err != nil {
		return nil, err
	}
	*into = row
	if wrong == nil {
		return nil, nil
	}
	return map[int]fieldErrors{0: wrong}, nil
}

// reportInvalidRow counts a row that is left out, or a part of one.
func (c *Client) reportInvalidRow(endpoint string, wrong fieldErrors) {
	c.settings.OnInvalidValue(fmt.Errorf("%s: a value that cannot be decoded: %w", endpoint, wrong.firstError()))
}

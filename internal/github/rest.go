package github

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// perPage is the largest page of REST.
const perPage = 100

// maxPages bounds a listing: a next page that never ends must end.
const maxPages = 5000

// page is what is known of a page beside its rows.
type page struct {
	next bool
	last int // the number of the last page, 0 when it was not told
	// partial is what the server says of rows that the credential may not see; empty when there are none.
	partial string
	// etag tells whether the page has changed, when it is asked for again; unchanged says that it has not, and has no rows.
	etag      string
	unchanged bool
	// broken are the rows that have a value that cannot be decoded, by their places: the rest of them is there.
	broken map[int]fieldErrors
}

// get asks REST for a T. endpoint is the route template, path the address below the base.
func get[T any](ctx context.Context, c *Client, endpoint, path string, query url.Values) (T, page, error) {
	return getIf[T](ctx, c, endpoint, path, query, condition{})
}

// condition is under which something is asked for.
type condition struct {
	// etag is of the answer that is known: only another one is wanted. Empty: any.
	etag string
	// once says that there is another question if this one is not answered; normal that "not found" is a normal answer.
	once, normal bool
	// believed says that a refusal is taken as it is.
	believed bool
}

// getIf asks for a T under a condition.
func getIf[T any](ctx context.Context, c *Client, endpoint, path string, query url.Values, when condition) (T, page, error) {
	var data T
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	var told page
	x := &exchange{
		endpoint: endpoint, resource: ResourceREST, price: 1, etag: when.etag, once: when.once, normal: when.normal,
		believed: when.believed, make: c.getting(path),
	}
	x.read = func(header http.Header, body []byte) error {
		if bytes.Equal(bytes.TrimSpace(body), []byte("null")) {
			return errors.New("null, not the JSON that was expected") // a list that is null is no empty list
		}
		var fresh T
		broken, err := decodeAnswer(body, &fresh)
		if err != nil {
			return err
		}
		data, told = fresh, pageOf(header.Values("Link"))
		told.broken = broken
		told.etag, told.partial = etagOf(header.Get("Etag")), partialOf(header.Get("X-Github-Sso"))
		return checkComplete(data, told)
	}
	x.points = func() int {
		if x.unchanged {
			return 0
		}
		return 1
	}
	x.quota = func() Quota { return Quota{} }
	err := c.send(ctx, x)
	told.unchanged = x.unchanged
	return data, told, err
}

// getting makes requests for a path below the base.
func (c *Client) getting(path string) func(ctx context.Context) (*http.Request, error) {
	return func(ctx context.Context) (*http.Request, error) {
		request, err := c.rest.NewRequest(http.MethodGet, path, nil)
		if err != nil {
			return nil, err
		}
		return request.WithContext(ctx), nil
	}
}

// partialOf is the header of a list that leaves rows out because the credential is not authorized for single sign-on
// (https://docs.github.com/rest/authentication/authenticating-to-the-rest-api).
func partialOf(sso string) string {
	if !strings.HasPrefix(sso, "partial-results") {
		return ""
	}
	return printable("X-GitHub-SSO: " + sso)
}

// pageOf reads Link headers
// (https://docs.github.com/rest/using-the-rest-api/using-pagination-in-the-rest-api#using-link-headers).
func pageOf(links []string) page {
	var p page
	for _, header := range links {
		for link := range strings.SplitSeq(header, ",") {
			address, rel, _ := strings.Cut(link, ";")
			switch {
			case strings.Contains(rel, `rel="next"`):
				p.next = true
			case strings.Contains(rel, `rel="last"`):
				p.last = numberOf(address)
			}
		}
	}
	return p
}

func numberOf(address string) int {
	u, err := url.Parse(strings.Trim(strings.TrimSpace(address), "<>"))
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(u.Query().Get("page")) // 0 when it has none
	return max(0, n)
}

// repoPath is the path of something in a repository. It is the one that GitHub redirects to when a repository was renamed: a name may
// be another repository's a moment later
// (https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects).
func repoPath(org string, repo *activity.Repository, rest string) string {
	if repo.ID > 0 {
		return "repositories/" + strconv.FormatInt(repo.ID, 10) + rest
	}
	return "repos/" + url.PathEscape(org) + "/" + url.PathEscape(repo.Name) + rest
}

func (r *reader) path(rest string) string { return repoPath(r.request.Org, &r.request.Repo, rest) }

func values(pairs ...string) url.Values {
	v := make(url.Values, len(pairs)/2+1)
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

// errEndless is the error of a listing whose next page never ends.
func errEndless(endpoint string) error {
	return &UnavailableError{
		Response: Response{Endpoint: endpoint}, Err: fmt.Errorf("the listing has more than %d pages, or repeats itself", maxPages),
	}
}

package github

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// maxLookupRequests bounds the requests of one look-up. With GraphQL a request is for a hundred repositories.
const maxLookupRequests = 200

// LookupResult is what came of looking a repository up.
type LookupResult struct {
	ID int64
	// Repo is the repository as it is now; nil when the organization does not have it any more, as far as the
	// credential can see.
	Repo *activity.Repository
	// Moved says that Repo is nil because the repository has another owner now.
	Moved bool
	// Err is why nobody knows.
	Err error
}

// errTooManyLookups is the error of the repositories that were too many for one look-up.
var errTooManyLookups = errors.New("too many repositories to be looked up at once")

// Lookup asks for repositories by their ids, whatever a listing says, and calls seen once for each, one at a time.
// After a limit nothing more is asked, and what is left is not known.
func (c *Client) Lookup(ctx context.Context, org string, asked []activity.Repository, seen func(LookupResult)) {
	l := &lookup{client: c, org: org, onResult: seen}
	var nodes, single []activity.Repository
	for i := range asked {
		if c.settings.API == APIREST || asked[i].NodeID == "" {
			single = append(single, asked[i])
		} else {
			nodes = append(nodes, asked[i])
		}
	}
	l.readGraphQL(ctx, nodes)
	l.readREST(ctx, single)
}

type lookup struct {
	client   *Client
	org      string
	onResult func(LookupResult)

	mu       sync.Mutex
	requests int
	failures int
	// haltedBy is why nothing more is asked.
	haltedBy error
}

// admitRequest counts a request, or says why it must not be sent.
func (l *lookup) admitRequest(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.haltedBy == nil {
		l.haltedBy = context.Cause(ctx)
	}
	if l.haltedBy == nil && l.requests >= maxLookupRequests {
		l.haltedBy = &UnavailableError{Response: Response{Endpoint: lookupQuery.name}, Err: errTooManyLookups}
	}
	if l.haltedBy == nil {
		l.requests++
	}
	return l.haltedBy
}

// haltReason is why nothing more is asked after some requests failed; nil when they may be sent. The bound of their number
// is none.
func (l *lookup) haltReason() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.haltedBy, errTooManyLookups) {
		return nil
	}
	return l.haltedBy
}

// report hands out what is known of one.
func (l *lookup) report(s LookupResult) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.onResult(s)
}

// noteFailure notes a request that failed: after a limit, or when several did, the others are not sent.
func (l *lookup) noteFailure(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures++
	_, limited := errors.AsType[*LimitError](err)
	_, refused := errors.AsType[*CredentialError](err)
	if limited || refused || l.failures >= listingConcurrency {
		l.haltedBy = err
	}
}

// lookupVariables are the variables of the Lookup query.
type lookupVariables struct {
	IDs []string `json:"ids"`
}

func (lookupVariables) document() document { return lookupQuery }

// lookupData is an answer of the query Lookup.
type lookupData struct {
	Nodes  []*ownedNode  `json:"nodes"`
	Pulls  []*markedNode `json:"pulls"`
	Issues []*markedNode `json:"issues"`
}

type ownedNode struct {
	repositoryNode

	Owner struct {
		Login string `json:"login"`
	} `json:"owner"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *ownedNode) UnmarshalJSON(raw []byte) (err error) {
	type plainRepository repositoryNode
	var row struct {
		plainRepository

		Owner struct {
			Login string `json:"login"`
		} `json:"owner"`
	}
	wrong, err := decodeRow(raw, &row)
	n.repositoryNode, n.Owner = repositoryNode(row.plainRepository), row.Owner
	n.invalid = wrong
	n.checkHead()
	return err
}

// readGraphQL asks with GraphQL, page by page.
func (l *lookup) readGraphQL(ctx context.Context, asked []activity.Repository) {
	size := l.client.pages.now()
	for len(asked) > 0 {
		part := asked[:min(len(asked), size)]
		found, errs, err := l.requestNodes(ctx, part)
		if errors.As(err, new(*SchemaError)) {
			l.readREST(ctx, asked)
			return
		}
		if next, ok := l.client.pages.below(len(part), err); ok {
			size = next
			continue
		}
		asked = asked[len(part):]
		marks := newNodeMarks(found.Pulls, found.Issues)
		for i := range part {
			s := LookupResult{ID: part[i].ID, Err: err}
			if err == nil {
				s = l.nodeResult(found.Nodes[i], s.ID, errs, i, marks)
			}
			l.report(s)
		}
	}
}

// requestNodes asks for some. Of a question that cannot be made smaller it uses what there is.
func (l *lookup) requestNodes(ctx context.Context, part []activity.Repository) (lookupData, []graphqlError, error) {
	if err := l.admitRequest(ctx); err != nil {
		return lookupData{}, nil, err
	}
	ids := make([]string, len(part))
	for i := range part {
		ids[i] = part[i].NodeID
	}
	smaller := len(part) > l.client.pages.least()
	found, errs, err := ask[lookupData](ctx, l.client, question{smaller: smaller}, lookupVariables{IDs: ids})
	switch {
	case smaller && tooMuch(err):
		return lookupData{}, nil, err // for less of it
	case errors.As(err, new(*SchemaError)):
		return lookupData{}, nil, err // REST is asked
	case err != nil && (!tooMuch(err) || found.Nodes == nil):
		l.noteFailure(err)
		return lookupData{}, nil, err
	case len(found.Nodes) != len(part):
		return lookupData{}, nil, missing(lookupQuery, under(errs, "nodes"), "list of what was asked for")
	default:
		return found, errs, nil
	}
}

var lookupPath = []string{"nodes"}

// nodeResult is what an answer says of the i-th that was asked for.
func (l *lookup) nodeResult(
	node *ownedNode, id int64, errs []graphqlError, i int, m nodeMarks,
) LookupResult {
	broken := untold(lookupQuery, errs, lookupPath, i)
	s := LookupResult{ID: id}
	switch {
	case node == nil && broken != nil:
		s.Err = broken
	case node == nil && mentioned(errs, lookupPath, i):
		s.Err = forbiddenAt(lookupQuery, errs, lookupPath, i) // or not found
	case node == nil || node.DatabaseID != id || !l.client.isValidRepository(node.DatabaseID, node.Name):
		s.Err = missing(lookupQuery, nil, "repository in its place")
	case !strings.EqualFold(node.Owner.Login, l.org):
		s.Moved = true
	default:
		repo := node.repository(m, broken != nil)
		s.Repo = &repo
	}
	if node != nil && node.invalid != nil {
		l.client.reportInvalidRow(lookupQuery.name, node.invalid)
	}
	return s
}

// repositoryEndpoint is where renamed and transferred repositories are redirected to
// (https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects). Its answer is that of
// https://docs.github.com/rest/repos/repos#get-a-repository.
const repositoryEndpoint = "/repositories/{id}"

// readREST asks with REST, several at once.
func (l *lookup) readREST(ctx context.Context, asked []activity.Repository) {
	var group errgroup.Group
	group.SetLimit(listingConcurrency)
	for i := range asked {
		err := l.admitRequest(ctx) // in the order of what is asked: the bound cuts off the last ones
		group.Go(func() error {
			l.report(l.requestRepository(ctx, &asked[i], err))
			return nil
		})
	}
	_ = group.Wait() // what failed was told
}

// repositoryObject is the format of a single repository. requestRepository checks whose it is.
var repositoryObject = objectOf(func(*repositoryRow, fieldErrors) bool { return true }, repositoryFields...)

// requestRepository asks for a repository, unless err says that nothing may be asked, or others have failed meanwhile.
func (l *lookup) requestRepository(ctx context.Context, asked *activity.Repository, err error) LookupResult {
	if err == nil {
		err = l.haltReason()
	}
	if err != nil {
		return LookupResult{ID: asked.ID, Err: err}
	}
	row, told, err := get(withScope(ctx, scope{repo: asked.ID}), l.client, restRequest{
		endpoint: repositoryEndpoint, path: "repositories/" + strconv.FormatInt(asked.ID, 10), trustsRefusal: true,
	}, repositoryObject)
	switch {
	case isGone(err):
		return LookupResult{ID: asked.ID}
	case err == nil && (row.GetID() != asked.ID || !l.client.isValidRepository(row.GetID(), row.GetName())):
		err = &UnavailableError{Response: Response{Endpoint: repositoryEndpoint}, Err: errors.New("an answer without the repository")}
	}
	if err != nil {
		l.noteFailure(err)
		return LookupResult{ID: asked.ID, Err: err}
	}
	if !strings.EqualFold(row.GetOwner().GetLogin(), l.org) {
		return LookupResult{ID: asked.ID, Moved: true}
	}
	if wrong := told.invalid[0]; wrong != nil {
		l.client.reportInvalidRow(repositoryEndpoint, wrong)
	}
	repo := repositoryOfRow(row, told.invalid[0])
	return LookupResult{ID: asked.ID, Repo: &repo}
}

// isGone reports whether the answer is that there is no such repository, or that it was taken down for everybody. What is
// only forbidden to this credential may be there.
func isGone(err error) bool {
	if missing, ok := errors.AsType[*NotFoundError](err); ok {
		return missing.Status == http.StatusNotFound || missing.Status == http.StatusGone
	}
	forbidden, ok := errors.AsType[*ForbiddenError](err)
	return ok && forbidden.Legal
}

// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

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
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// maxLookupRequests bounds the requests of one lookup. With GraphQL a request is for a hundred repositories.
const maxLookupRequests = 200

// LookupResult is the result of looking up one repository.
type LookupResult struct {
	ID int64
	// Repo is the repository as it is now; nil when the credential does not see it in the organization any more.
	Repo *activity.Repository
	// Moved says that Repo is nil because the repository has another owner now.
	Moved bool
	// Err is the reason why nothing is known of the repository.
	Err error
}

// errLookupRequestsUsedUp is the error of the repositories that remain after maxLookupRequests requests.
var errLookupRequestsUsedUp = errors.New("too many repositories for one lookup")

// Lookup requests repositories by their ids, independently of listings, and calls onResult once for each, one at a
// time. After a limit it sends no more requests: the remaining results have an error.
func (c *Client) Lookup(ctx context.Context, org string, repos []activity.Repository, onResult func(LookupResult)) {
	l := &lookup{client: c, org: org, onResult: onResult}
	var nodes, single []activity.Repository
	for i := range repos {
		if c.settings.API == APIREST || repos[i].NodeID == "" {
			single = append(single, repos[i])
		} else {
			nodes = append(nodes, repos[i])
		}
	}
	l.readGraphQL(ctx, nodes)
	l.readREST(ctx, single)
}

// lookup is one call of Client.Lookup. It is safe for concurrent use.
type lookup struct {
	client   *Client
	org      string
	onResult func(LookupResult)

	mu       sync.Mutex
	requests int
	failures int
	// haltedBy is the reason why no more requests are sent.
	haltedBy error
}

// admitRequest counts a request, or returns the reason why it must not be sent.
func (l *lookup) admitRequest(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.haltedBy == nil {
		l.haltedBy = context.Cause(ctx)
	}
	if l.haltedBy == nil && l.requests >= maxLookupRequests {
		l.haltedBy = &transport.UnavailableError{
			Response: transport.Response{Endpoint: lookupQuery.name}, Err: errLookupRequestsUsedUp,
		}
	}
	if l.haltedBy == nil {
		l.requests++
	}
	return l.haltedBy
}

// haltReason returns the error after which no more requests are sent; nil when they may be. The bound of their number
// does not count: admitRequest has applied it.
func (l *lookup) haltReason() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.haltedBy, errLookupRequestsUsedUp) {
		return nil
	}
	return l.haltedBy
}

// report passes a result on.
func (l *lookup) report(s LookupResult) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.onResult(s)
}

// noteFailure counts a request that failed. After a limit, a refused credential, or several failures the others are
// not sent.
func (l *lookup) noteFailure(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures++
	_, limited := errors.AsType[*transport.LimitError](err)
	_, refused := errors.AsType[*transport.CredentialError](err)
	if limited || refused || l.failures >= listingConcurrency {
		l.haltedBy = err
	}
}

// lookupVariables are the variables of the Lookup query.
type lookupVariables struct {
	IDs []string `json:"ids"`
	// Topics says that the topics are selected.
	Topics bool `json:"topics"`
	// ReleaseList says that the newest releases are selected.
	ReleaseList bool `json:"releaseList"`
}

func (lookupVariables) document() document { return lookupQuery }

// lookupData is the data of the Lookup query.
type lookupData struct {
	Nodes  []*ownedNode        `json:"nodes"`
	Pulls  []*latestUpdateNode `json:"pulls"`
	Issues []*latestUpdateNode `json:"issues"`

	Releases []*releaseSignalNode `json:"releases"`
}

// ownedNode is a repository with its owner.
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

// readGraphQL requests repositories with GraphQL, page by page.
func (l *lookup) readGraphQL(ctx context.Context, repos []activity.Repository) {
	size := l.client.state.pageSize.current()
	for len(repos) > 0 {
		part := repos[:min(len(repos), size)]
		found, errs, err := l.requestNodes(ctx, part)
		if errors.As(err, new(*SchemaError)) {
			l.readREST(ctx, repos)
			return
		}
		if next, ok := l.client.state.pageSize.next(len(part), err); ok {
			size = next
			continue
		}
		repos = repos[len(part):]
		releases := newReleaseSignals(found.Releases, true, l.client.transport.Now())
		marks := newLatestUpdates(found.Pulls, found.Issues, releases)
		for i := range part {
			s := LookupResult{ID: part[i].ID, Err: err}
			if err == nil {
				s = l.nodeResult(found.Nodes[i], s.ID, errs, i, marks)
			}
			l.report(s)
		}
	}
}

// requestNodes requests some repositories. Of a smallest page that was too much it returns what there is.
func (l *lookup) requestNodes(ctx context.Context, part []activity.Repository) (lookupData, []graphqlError, error) {
	if err := l.admitRequest(ctx); err != nil {
		return lookupData{}, nil, err
	}
	ids := make([]string, len(part))
	for i := range part {
		ids[i] = part[i].NodeID
	}
	smaller := len(part) > l.client.state.pageSize.smallest()
	v := lookupVariables{IDs: ids, Topics: len(l.client.settings.Topics) > 0, ReleaseList: true}
	found, errs, err := runQuery[lookupData](ctx, l.client, queryOptions{canShrink: smaller}, v)
	switch {
	case smaller && transport.IsTooLarge(err):
		return lookupData{}, nil, err // for less of it
	case errors.As(err, new(*SchemaError)):
		return lookupData{}, nil, err // the caller uses REST
	case err != nil && (!transport.IsTooLarge(err) || found.Nodes == nil):
		l.noteFailure(err)
		return lookupData{}, nil, err
	case len(found.Nodes) != len(part):
		return lookupData{}, nil, missingDataError(lookupQuery, firstErrorUnder(errs, "nodes"),
			"list of the requested nodes")
	default:
		return found, errs, nil
	}
}

// lookupPath leads to the repositories of a response.
var lookupPath = []string{"nodes"}

// nodeResult returns the result of the i-th repository of a page.
func (l *lookup) nodeResult(
	node *ownedNode, id int64, errs []graphqlError, i int, m latestUpdates,
) LookupResult {
	itemErr := itemError(lookupQuery, errs, lookupPath, i)
	s := LookupResult{ID: id}
	switch {
	case node == nil && itemErr != nil:
		s.Err = itemErr
	case node == nil && hasErrorAt(errs, lookupPath, i):
		s.Err = forbiddenAt(lookupQuery, errs, lookupPath, i) // or not found
	case node == nil || node.DatabaseID != id || !l.client.isValidRepository(node.DatabaseID, node.Name):
		s.Err = missingDataError(lookupQuery, nil, "repository at its index")
	case !strings.EqualFold(node.Owner.Login, l.org):
		s.Moved = true
	default:
		repo := l.client.repositoryOfNode(&node.repositoryNode, m, itemErr != nil)
		s.Repo = &repo
	}
	if node != nil && node.invalid != nil {
		l.client.reportInvalidRow(lookupQuery.name, node.invalid)
	}
	return s
}

// repositoryEndpoint is the address to which requests for renamed and transferred repositories are redirected
// (https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects). Its
// response is that of https://docs.github.com/rest/repos/repos#get-a-repository.
const repositoryEndpoint = "/repositories/{id}"

// readREST requests repositories with REST, several at once.
func (l *lookup) readREST(ctx context.Context, repos []activity.Repository) {
	var group errgroup.Group
	group.SetLimit(listingConcurrency)
	for i := range repos {
		err := l.admitRequest(ctx) // in the order of the repositories: the bound drops the last ones
		group.Go(func() error {
			l.report(l.requestRepository(ctx, &repos[i], err))
			return nil
		})
	}
	_ = group.Wait() // failures are results
}

// repositoryObject is the format of a single repository. requestRepository checks whose it is.
var repositoryObject = objectFormat(func(*repositoryRow, fieldErrors) bool { return true }, repositoryFields...)

// requestRepository requests one repository, unless err says that no more requests may be sent, or others have failed
// meanwhile.
func (l *lookup) requestRepository(ctx context.Context, wanted *activity.Repository, err error) LookupResult {
	if err == nil {
		err = l.haltReason()
	}
	if err != nil {
		return LookupResult{ID: wanted.ID, Err: err}
	}
	row, info, err := requestREST(transport.WithScope(ctx, transport.Scope{RepoID: wanted.ID}), l.client, restRequest{
		endpoint: repositoryEndpoint, path: "repositories/" + strconv.FormatInt(wanted.ID, 10), noRefusalRetry: true,
	}, repositoryObject)
	switch {
	case isGone(err):
		return LookupResult{ID: wanted.ID}
	case err == nil && (row.GetID() != wanted.ID || !l.client.isValidRepository(row.GetID(), row.GetName())):
		err = malformed(repositoryEndpoint, "a response without the repository")
	}
	if err != nil {
		l.noteFailure(err)
		return LookupResult{ID: wanted.ID, Err: err}
	}
	if !strings.EqualFold(row.GetOwner().GetLogin(), l.org) {
		return LookupResult{ID: wanted.ID, Moved: true}
	}
	if wrong := info.invalid[0]; wrong != nil {
		l.client.reportInvalidRow(repositoryEndpoint, wrong)
	}
	repo := l.client.repositoryOfRow(row, info.invalid[0])
	return LookupResult{ID: wanted.ID, Repo: &repo}
}

// isGone reports whether the repository does not exist, or was taken down for legal reasons. One that is only
// forbidden to this credential may exist.
func isGone(err error) bool {
	if missing, ok := errors.AsType[*transport.NotFoundError](err); ok {
		return missing.Status == http.StatusNotFound || missing.Status == http.StatusGone
	}
	forbidden, ok := errors.AsType[*transport.ForbiddenError](err)
	return ok && forbidden.Legal
}

// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package graphql

import (
	"sync"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// documentCache has the validated documents by their text. A client sends the same few again and again, and parsing one
// costs more than answering it. Documents are not changed after they were validated.
type documentCache struct {
	mu    sync.RWMutex
	valid map[string]*ast.QueryDocument
}

// The bounds of the cache, and of a document in it, in bytes: a client may write every document again.
const (
	maxDocuments    = 500
	maxDocumentSize = 32 << 10
)

var knownDocuments = documentCache{valid: make(map[string]*ast.QueryDocument)}

// load returns the document of a text, or the errors of one that is not valid.
func (c *documentCache) load(text string) (*ast.QueryDocument, gqlerror.List) {
	c.mu.RLock()
	doc := c.valid[text]
	c.mu.RUnlock()
	if doc != nil {
		return doc, nil
	}
	doc, errs := gqlparser.LoadQueryWithRules(schema(), text, rules.NewDefaultRules())
	if len(errs) > 0 {
		return nil, errs
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.valid) < maxDocuments && len(text) <= maxDocumentSize {
		c.valid[text] = doc
	}
	return doc, nil
}

// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"unicode"
)

// sources has the comments of struct fields by "Type.Field", for each package that was read.
type sources struct {
	root     string
	packages map[string]map[string]string
}

// comment returns the comment of a field of a struct, as it is written.
func (s *sources) comment(t reflect.Type, field string) (string, error) {
	comments, ok := s.packages[t.PkgPath()]
	if !ok {
		var err error
		folder := filepath.Join(s.root, filepath.FromSlash(strings.TrimPrefix(t.PkgPath(), module)))
		if comments, err = fieldComments(folder); err != nil {
			return "", err
		}
		s.packages[t.PkgPath()] = comments
	}
	name := t.Name() + "." + field
	if comments[name] == "" {
		return "", fmt.Errorf("%s has no comment of its own", name)
	}
	return comments[name], nil
}

// fieldComments returns the comments of the struct fields of a package. A field that shares its comment with the next
// one has none.
func fieldComments(folder string) (map[string]string, error) {
	files, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	comments, definedAs := map[string]string{}, map[string]string{}
	for _, entry := range files {
		if filepath.Ext(entry.Name()) != ".go" || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(folder, entry.Name()), nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, isType := n.(*ast.TypeSpec)
			if !isType {
				return true
			}
			switch definition := spec.Type.(type) {
			case *ast.StructType:
				addFields(comments, spec.Name.Name, definition)
			case *ast.Ident:
				definedAs[spec.Name.Name] = definition.Name
			}
			return false
		})
	}
	for name, comment := range maps.Clone(comments) {
		typeName, field, _ := strings.Cut(name, ".")
		for other, of := range definedAs {
			if of == typeName {
				comments[other+"."+field] = comment
			}
		}
	}
	return comments, nil
}

func addFields(comments map[string]string, typeName string, structure *ast.StructType) {
	for _, field := range structure.Fields.List {
		for _, name := range field.Names {
			comments[typeName+"."+name.Name] = field.Doc.Text()
		}
		if selector, ok := field.Type.(*ast.SelectorExpr); ok && len(field.Names) == 0 {
			comments[typeName+"."+selector.Sel.Name] = field.Doc.Text()
		}
	}
}

var (
	// verb matches what the comment of a field begins with and a table leaves out.
	verb = regexp.MustCompile(`^(is|are) `)
	// documentName matches the path of a document, which becomes a link.
	documentName = regexp.MustCompile(`\bdocs/([a-z-]+\.md)`)
	// defaultSentence matches the sentence that describes a default which depends on other settings.
	defaultSentence = regexp.MustCompile(`(?:^| )Default: ([^.]+)\.`)
	// item matches an item of a list in a comment: the key of a block of another module, and its meaning.
	item = regexp.MustCompile(`(?m)^\s*- ([a-z_]+): ((?:.|\n(?:    |\t))+)`)
)

// meaning returns the text of a field's comment for the table, and the default that the comment describes.
func meaning(field, comment string) (text, defaultText string) {
	text = strings.Join(strings.Fields(comment), " ")
	if found := defaultSentence.FindStringSubmatch(text); found != nil {
		defaultText = found[1]
		text = strings.TrimSpace(strings.Replace(text, found[0], "", 1))
	}
	if rest, ok := strings.CutPrefix(text, field+" "); ok {
		text = verb.ReplaceAllString(rest, "")
	}
	return linked(text), defaultText
}

// linked makes links of the paths of documents.
func linked(text string) string { return documentName.ReplaceAllString(text, "[$1](./$1)") }

func capitalize(text string) string {
	for i, first := range text {
		return string(unicode.ToUpper(first)) + text[i+len(string(first)):]
	}
	return text
}

// items returns the keys that a comment lists, in order, with their meanings.
func items(comment string) [][2]string {
	var list [][2]string
	for _, found := range item.FindAllStringSubmatch(comment, -1) {
		list = append(list, [2]string{found[1], strings.Join(strings.Fields(found[2]), " ")})
	}
	return list
}

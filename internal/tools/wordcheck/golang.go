// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
)

// goPackage holds the Go files of one folder. Methods are checked together with the others of their type, which may
// stand in other files.
type goPackage struct {
	fset    *token.FileSet
	files   []*ast.File
	members map[string]map[string]bool // the fields and methods of each type, in lower case
}

// newGoPackage returns a package without files.
func newGoPackage() *goPackage {
	return &goPackage{fset: token.NewFileSet(), members: map[string]map[string]bool{}}
}

// add parses a file. Generated files are left out.
func (p *goPackage) add(name, text string) error {
	file, err := parser.ParseFile(p.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	if ast.IsGenerated(file) {
		return nil
	}
	p.files = append(p.files, file)
	ast.Inspect(file, func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.TypeSpec:
			for _, field := range fieldsOf(n.Type) {
				p.addMember(n.Name.Name, field)
			}
		case *ast.FuncDecl:
			p.addMember(receiverOf(n), n.Name.Name)
		}
		return true
	})
	return nil
}

// addMember records a field or a method of a type.
func (p *goPackage) addMember(typeName, member string) {
	if p.members[typeName] == nil {
		p.members[typeName] = map[string]bool{}
	}
	p.members[typeName][strings.ToLower(member)] = true
}

// check returns the findings in all files.
func (p *goPackage) check() []finding {
	var findings []finding
	for _, file := range p.files {
		findings = append(findings, p.checkComments(file)...)
		findings = append(findings, p.checkNames(file)...)
		if !strings.HasSuffix(p.fset.Position(file.Pos()).Filename, "_test.go") {
			findings = append(findings, p.checkMessages(file)...)
		}
	}
	return findings
}

// checkComments returns the denied words in comments.
func (p *goPackage) checkComments(file *ast.File) []finding {
	var findings []finding
	for _, group := range file.Comments {
		for _, comment := range group.List {
			if word := deniedWords.FindString(comment.Text); word != "" {
				findings = append(findings, p.newFinding(comment.Pos(), "word", word))
			}
		}
	}
	return findings
}

// checkMessages looks at texts of more than one word: those of logs, errors and descriptions.
func (p *goPackage) checkMessages(file *ast.File) []finding {
	var findings []finding
	ast.Inspect(file, func(node ast.Node) bool {
		literal, isLiteral := node.(*ast.BasicLit)
		if !isLiteral || literal.Kind != token.STRING {
			return true
		}
		text, err := strconv.Unquote(literal.Value)
		if word := deniedWords.FindString(text); err == nil && word != "" && strings.Contains(text, " ") {
			findings = append(findings, p.newFinding(literal.Pos(), "word", word))
		}
		return true
	})
	return findings
}

// checkNames looks at the names that a file declares outside of its functions, at the fields and methods of all types,
// and at the names of functions that are declared in functions.
func (p *goPackage) checkNames(file *ast.File) []finding {
	var findings []finding
	check := func(typeName string, name *ast.Ident, isAllowed bool) {
		lower := strings.ToLower(name.Name)
		partner := partners[lower]
		switch {
		case deniedIn(name.Name) != "":
			findings = append(findings, p.newFinding(name.Pos(), "name", name.Name))
		case !bareNames[lower], isAllowed, partner != "" && p.members[typeName][partner]:
		default:
			findings = append(findings, p.newFinding(name.Pos(), "name", name.Name))
		}
	}
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			check(receiverOf(d), d.Name, isDoneChannel(d.Name, d.Type))
			if d.Body != nil {
				checkFunctionValues(d.Body, check)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				checkSpec(d.Tok, spec, check)
			}
		}
	}
	return findings
}

// checkFunctionValues checks the names of the functions that a body declares.
func checkFunctionValues(body *ast.BlockStmt, check nameCheck) {
	ast.Inspect(body, func(node ast.Node) bool {
		assign, isAssign := node.(*ast.AssignStmt)
		if !isAssign || assign.Tok != token.DEFINE || len(assign.Lhs) != len(assign.Rhs) {
			return true
		}
		for i, value := range assign.Rhs {
			name, isName := assign.Lhs[i].(*ast.Ident)
			if _, isFunction := value.(*ast.FuncLit); isFunction && isName {
				check("", name, false)
			}
		}
		return true
	})
}

// nameCheck is called with each declared name: with the type that has it as a field or a method, empty for another name,
// and with whether the name is allowed although it is a bare one.
type nameCheck func(typeName string, name *ast.Ident, isAllowed bool)

// checkSpec calls check with the names that a declaration declares.
func checkSpec(tok token.Token, spec ast.Spec, check nameCheck) {
	switch s := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range s.Names {
			// A constant may be called Done: an outcome has that name.
			check("", name, tok == token.CONST && strings.EqualFold(name.Name, "done"))
		}
	case *ast.TypeSpec:
		check("", s.Name, false)
		checkFields(s.Name.Name, s.Type, check)
	}
}

// checkFields calls check with the fields of a struct or the methods of an interface.
func checkFields(typeName string, expr ast.Expr, check nameCheck) {
	var list *ast.FieldList
	switch t := expr.(type) {
	case *ast.StructType:
		list = t.Fields
	case *ast.InterfaceType:
		list = t.Methods
	default:
		return
	}
	for _, field := range list.List {
		for _, name := range field.Names {
			check(typeName, name, isDoneChannel(name, field.Type))
		}
	}
}

// isDoneChannel reports whether a name is that of the channel, or of the method, by which Go programs wait for the end
// of something, as context.Context does.
func isDoneChannel(name *ast.Ident, expr ast.Expr) bool {
	if !strings.EqualFold(name.Name, "done") {
		return false
	}
	if function, isFunction := expr.(*ast.FuncType); isFunction {
		if function.Results == nil || len(function.Results.List) != 1 {
			return false
		}
		expr = function.Results.List[0].Type
	}
	_, isChannel := expr.(*ast.ChanType)
	return isChannel
}

// fieldsOf returns the names of the fields of a struct or of the methods of an interface.
func fieldsOf(expr ast.Expr) []string {
	var names []string
	checkFields("", expr, func(_ string, name *ast.Ident, _ bool) { names = append(names, name.Name) })
	return names
}

// receiverOf returns the name of the type that a method belongs to, and "" for a function.
func receiverOf(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return ""
	}
	expr := d.Recv.List[0].Type
	for {
		switch t := expr.(type) {
		case *ast.StarExpr:
			expr = t.X
		case *ast.IndexExpr:
			expr = t.X
		case *ast.IndexListExpr:
			expr = t.X
		case *ast.Ident:
			return t.Name
		default:
			return ""
		}
	}
}

// newFinding returns a finding at a position.
func (p *goPackage) newFinding(pos token.Pos, rule, text string) finding {
	position := p.fset.Position(pos)
	return finding{position.Filename, position.Line, rule, text}
}

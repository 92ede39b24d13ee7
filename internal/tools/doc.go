// Package tools is a module of its own that pins the tools this repository is checked with. It holds no code but the test which
// proves that the architecture rules in .golangci.yaml fire.
package tools

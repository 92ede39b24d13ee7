// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore

// scriptArguments are the KEYS and ARGV of a call of a script. Each has a name, by which a test compares their order
// with the table at the head of the script.
type scriptArguments struct {
	keys, keyNames []string
	values         []any
	valueNames     []string
}

// newScriptArguments returns empty arguments with room for numbers of keys and values.
func newScriptArguments(keys, values int) *scriptArguments {
	return &scriptArguments{keys: make([]string, 0, keys), values: make([]any, 0, values)}
}

// key appends a key under the name that it has in the script.
func (a *scriptArguments) key(name, key string) {
	a.keyNames, a.keys = append(a.keyNames, name), append(a.keys, key)
}

// value appends an argument under the name that it has in the script.
func (a *scriptArguments) value(name string, value any) {
	a.valueNames, a.values = append(a.valueNames, name), append(a.values, value)
}

// remaining appends the values that end the arguments, without their number.
func (a *scriptArguments) remaining(name string, values []any) {
	a.valueNames = append(a.valueNames, name+"...")
	a.values = append(a.values, values...)
}

// list appends the number of the values, and the values.
func (a *scriptArguments) list(name string, values []any) {
	a.value(name+"[]", len(values))
	a.values = append(a.values, values...)
}

// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import "fmt"

// notAList is the count of an object in checkListLength.
const notAList = -1

// checkListLength returns an error when a list in a JSON text has more than `most` elements. It checks the lists that
// lie in fewer than `levels` other lists and objects. It is called before the text is decoded, and so bounds the memory
// that a response of millions of short elements costs. It has no error for a text that is not JSON.
func checkListLength(text []byte, most, levels int) error {
	separators := make([]int, levels) // the number of commas in each open list
	depth, inString := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '[' || c == '{':
			if depth < len(separators) {
				separators[depth] = 0
				if c == '{' {
					separators[depth] = notAList
				}
			}
			depth++
		case c == ']' || c == '}':
			depth = max(0, depth-1)
		case c == ',' && depth > 0 && depth <= len(separators) && separators[depth-1] != notAList:
			separators[depth-1]++
			if separators[depth-1] >= most {
				return fmt.Errorf("a list of more than %d elements", most)
			}
		}
	}
	return nil
}

// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// gridWidth is the number of columns of Grafana's grid.
const gridWidth = 24

// arrange gives each panel an id and the highest free place, from left to right, below the row that it follows.
func arrange(panels []dashboard.PanelOrRowPanel) {
	var bottoms [gridWidth]uint32 // of what is placed in each column
	for i := range panels {
		id := new(uint32(i + 1))
		if row := panels[i].RowPanel; row != nil {
			y := slices.Max(bottoms[:])
			row.Id, row.GridPos = *id, &dashboard.GridPos{Y: y, W: gridWidth, H: 1}
			for column := range bottoms {
				bottoms[column] = y + 1
			}
			continue
		}
		panel := panels[i].Panel
		panel.Id = id
		at := panel.GridPos
		at.X, at.Y = highest(bottoms[:], int(at.W))
		for column := at.X; column < at.X+at.W; column++ {
			bottoms[column] = at.Y + at.H
		}
	}
}

// highest returns the highest place for something of a width.
func highest(bottoms []uint32, width int) (x, y uint32) {
	y = slices.Max(bottoms) + 1
	for column := 0; column+width <= len(bottoms); column++ {
		if bottom := slices.Max(bottoms[column : column+width]); bottom < y {
			x, y = uint32(column), bottom
		}
	}
	return x, y
}

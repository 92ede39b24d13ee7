// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// tag is that of all dashboards, by which they are linked.
const tag = "githubexporter"

// newDashboard makes a dashboard with the variable datasource and links to the others.
func newDashboard(uid, title, description, from string) *dashboard.DashboardBuilder {
	return dashboard.NewDashboardBuilder(title).Uid("githubexporter-"+uid).Description(description).
		Tags([]string{tag}).Time(from, "now").Refresh("1m").Timezone("browser").Editable().
		Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Link(dashboard.NewDashboardLinkBuilder("GitHub dashboards").Type(dashboard.DashboardLinkTypeDashboards).
			Tags([]string{tag}).AsDropdown(true).KeepTime(true).IncludeVars(true)).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus"))
}

// labelVariable selects values of a label; all of them at first, if several may be selected.
func labelVariable(name, title, metric string, several bool) *dashboard.QueryVariableBuilder {
	query := "label_values(" + metric + ", " + name + ")"
	b := dashboard.NewQueryVariableBuilder(name).Label(title).Datasource(datasource()).
		Query(dashboard.StringOrMap{String: new(query)}).Definition(query).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortAlphabeticalAsc)
	if several {
		b.Multi(true).IncludeAll(true).AllValue(".*").Current(allValues())
	}
	return b
}

func allValues() dashboard.VariableOption {
	return dashboard.VariableOption{
		Selected: new(true),
		Text:     dashboard.StringOrArrayOfString{String: new("All")},
		Value:    dashboard.StringOrArrayOfString{String: new("$__all")},
	}
}

// bucketVariable selects the length of the intervals of columns.
func bucketVariable() *dashboard.CustomVariableBuilder {
	option := func(value string, isSelected bool) dashboard.VariableOption {
		return dashboard.VariableOption{
			Selected: new(isSelected),
			Text:     dashboard.StringOrArrayOfString{String: new(value)},
			Value:    dashboard.StringOrArrayOfString{String: new(value)},
		}
	}
	return dashboard.NewCustomVariableBuilder("bucket").Label("Columns of").
		Values(dashboard.StringOrMap{String: new("1h,6h,1d,7d")}).
		Options([]dashboard.VariableOption{
			option("1h", false), option("6h", false), option("1d", true), option("7d", false),
		}).Current(option("1d", true))
}

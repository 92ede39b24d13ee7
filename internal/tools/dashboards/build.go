// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/bargauge"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// The colours of what is counted, the same on all dashboards.
const (
	blue   = "#5794F2"
	purple = "#B877D9"
	green  = "#73BF69"
	orange = "#FF9830"
	yellow = "#FADE2A"
	red    = "#F2495C"
	teal   = "#37C0C0"
	gray   = "#8E8E99"
)

// The units of values, by Grafana's ids.
const (
	count   = "short"
	seconds = "s"
	ratio   = "percentunit"
	minutes = "m"
	state   = "none"
)

// query is a query of a panel.
type query struct{ expr, legend string }

// panel is what is common to the panels of all types.
type panel struct {
	title, description string
	unit               string
	width, height      uint32
	queries            []query
	// colors are the colours of the series, by legend or by the column of a table. A single one colours everything.
	colors []color
	// steps are the colours of values from a threshold on. The first one is for all values.
	steps []step
	// mappings are texts and colours of single values.
	mappings map[string]mapping
	// decimals is the number of decimals if it is not 0.
	decimals float64
	min, max *float64
	// transformations and overrides are those of a table.
	transformations []dashboard.DataTransformerConfig
	overrides       []override
}

type color struct{ name, value string }

type step struct {
	from  float64
	color string
}

type mapping struct{ text, color string }

// override sets properties of the fields with a name.
type override struct {
	name       string
	properties []dashboard.DynamicConfigValue
}

// datasource is the one that the variable selects.
func datasource() common.DataSourceRef {
	return common.DataSourceRef{Type: new("prometheus"), Uid: new("${datasource}")}
}

// build makes a panel of a type with its options.
func (p *panel) build(
	kind string, options, custom any, target func(*prometheus.DataqueryBuilder),
) *dashboard.PanelBuilder {
	b := dashboard.NewPanelBuilder().Type(kind).Title(p.title).Description(p.description).Unit(p.unit).
		Datasource(datasource()).Span(p.width).Height(p.height).Options(options).NoValue("no data")
	if custom != nil {
		b.Custom(custom)
	}
	for i, q := range p.queries {
		t := prometheus.NewDataqueryBuilder().Datasource(datasource()).Expr(q.expr).RefId(string(rune('A' + i)))
		if q.legend != "" {
			t.LegendFormat(q.legend)
		}
		target(t)
		b.WithTarget(t)
	}
	p.addColors(b)
	if p.decimals != 0 {
		b.Decimals(p.decimals)
	}
	if p.min != nil {
		b.Min(*p.min)
	}
	if p.max != nil {
		b.Max(*p.max)
	}
	for _, o := range p.overrides {
		b.OverrideByName(o.name, o.properties)
	}
	for _, t := range p.transformations {
		b.WithTransformation(t)
	}
	return b
}

// addColors sets colours, thresholds and mappings.
func (p *panel) addColors(b *dashboard.PanelBuilder) {
	mode := dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdPaletteClassicByName)
	switch {
	case len(p.steps) > 0 || len(p.mappings) > 0:
		mode = dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdThresholds)
	case len(p.colors) == 1 && p.colors[0].name == "":
		mode = dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdFixed).FixedColor(p.colors[0].value)
	default:
		for _, c := range p.colors {
			b.OverrideByName(c.name, []dashboard.DynamicConfigValue{
				{Id: "color", Value: map[string]string{"mode": "fixed", "fixedColor": c.value}},
			})
		}
	}
	b.ColorScheme(mode)
	steps := []dashboard.Threshold{{Color: gray}}
	for i, s := range p.steps {
		if i == 0 {
			steps[0].Color = s.color
			continue
		}
		steps = append(steps, dashboard.Threshold{Value: new(s.from), Color: s.color})
	}
	b.Thresholds(dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(steps))
	if len(p.mappings) > 0 {
		b.Mappings([]dashboard.ValueMapping{valueMap(p.mappings)})
	}
}

func valueMap(mappings map[string]mapping) dashboard.ValueMapping {
	texts := dashboard.NewValueMap()
	for value, m := range mappings {
		result := dashboard.ValueMappingResult{Text: new(m.text)}
		if m.color != "" {
			result.Color = new(m.color)
		}
		texts.Options[value] = result
	}
	return dashboard.ValueMapping{ValueMap: texts}
}

// reduce shows the last value of each series.
func reduce() common.ReduceDataOptions {
	return common.ReduceDataOptions{Calcs: []string{"lastNotNull"}}
}

// stat shows the newest value of each query, with its course as a background.
func (p panel) stat() *dashboard.PanelBuilder { return p.statWith(common.BigValueGraphModeArea) }

// number shows the present value of each query.
func (p panel) number() *dashboard.PanelBuilder { return p.statWith(common.BigValueGraphModeNone) }

func (p panel) statWith(graph common.BigValueGraphMode) *dashboard.PanelBuilder {
	options := stat.NewOptions()
	options.GraphMode, options.ColorMode = graph, common.BigValueColorModeValue
	options.ReduceOptions = reduce()
	return p.build("stat", options, nil, func(t *prometheus.DataqueryBuilder) {
		if graph == common.BigValueGraphModeNone {
			t.Instant()
			return
		}
		t.Range()
	})
}

// bars shows the present values of series as horizontal bars.
func (p panel) bars() *dashboard.PanelBuilder {
	options := bargauge.NewOptions()
	options.DisplayMode, options.Orientation = common.BarGaugeDisplayModeBasic, common.VizOrientationHorizontal
	options.ReduceOptions = reduce()
	if p.width < 7 {
		options.NamePlacement = common.BarGaugeNamePlacementTop
	}
	if p.min == nil {
		p.min = new(0.0)
	}
	return p.build("bargauge", options, nil, func(t *prometheus.DataqueryBuilder) { t.Instant() })
}

// lines shows series over time.
func (p panel) lines() *dashboard.PanelBuilder {
	custom := timeseries.NewFieldConfig()
	custom.DrawStyle = cog.ToPtr(common.GraphDrawStyleLine)
	custom.LineWidth, custom.FillOpacity = new(2.0), new(10.0)
	custom.ShowPoints = cog.ToPtr(common.VisibilityModeNever)
	if p.min == nil {
		p.min = new(0.0)
	}
	return p.build("timeseries", seriesOptions(), custom, func(t *prometheus.DataqueryBuilder) { t.Range() })
}

// columns shows for each interval of the variable $bucket how much happened in it, stacked.
func (p panel) columns() *dashboard.PanelBuilder { return p.columnsEach("$bucket") }

// columnsEach is columns with intervals of another length.
func (p panel) columnsEach(interval string) *dashboard.PanelBuilder {
	custom := timeseries.NewFieldConfig()
	custom.DrawStyle = cog.ToPtr(common.GraphDrawStyleBars)
	custom.FillOpacity, custom.LineWidth = new(80.0), new(0.0)
	custom.BarAlignment = cog.ToPtr(common.BarAlignmentBefore)
	custom.Stacking = &common.StackingConfig{Mode: cog.ToPtr(common.StackingModeNormal), Group: new("A")}
	if p.min == nil {
		p.min = new(0.0)
	}
	return p.build("timeseries", seriesOptions(), custom, func(t *prometheus.DataqueryBuilder) {
		t.Range().Interval(interval)
	}).Interval(interval)
}

func seriesOptions() *timeseries.Options {
	options := timeseries.NewOptions()
	options.Legend = common.VizLegendOptions{
		DisplayMode: common.LegendDisplayModeList, Placement: common.LegendPlacementBottom, ShowLegend: true,
		Calcs: []string{},
	}
	options.Tooltip = common.VizTooltipOptions{
		Mode: common.TooltipDisplayModeMulti, Sort: common.SortOrderDescending,
	}
	return options
}

// states shows which values series had over time.
func (p panel) states() *dashboard.PanelBuilder {
	options := statetimeline.NewOptions()
	options.ShowValue, options.MergeValues = common.VisibilityModeNever, new(true)
	options.Legend = common.VizLegendOptions{
		DisplayMode: common.LegendDisplayModeList, Placement: common.LegendPlacementBottom, ShowLegend: true,
		Calcs: []string{},
	}
	return p.build("state-timeline", options, nil, func(t *prometheus.DataqueryBuilder) { t.Range() })
}

// column is a column of a table: the values of a query, or a label.
type column struct {
	title, expr string
	unit        string
	color       string
}

// rows shows a row for each value of a label, with a column for each query, sorted by a column.
func (p panel) rows(label, title, sortBy string, columns ...column) *dashboard.PanelBuilder {
	names := map[string]string{label: title}
	order, hidden := map[string]int{label: 0}, map[string]bool{"Time": true}
	for i, c := range columns {
		p.queries = append(p.queries, query{expr: c.expr})
		value := fmt.Sprintf("Value #%c", 'A'+i)
		if len(columns) == 1 {
			value = "Value"
		}
		names[value], order[value] = c.title, i+1
		hidden[fmt.Sprintf("Time %d", i+1)] = true
		properties := []dashboard.DynamicConfigValue{}
		if c.unit != "" {
			properties = append(properties, dashboard.DynamicConfigValue{Id: "unit", Value: c.unit})
		}
		if c.color != "" {
			properties = append(properties,
				dashboard.DynamicConfigValue{Id: "color", Value: map[string]string{
					"mode":       "fixed",
					"fixedColor": c.color,
				}},
				dashboard.DynamicConfigValue{
					Id: "custom.cellOptions", Value: map[string]string{"type": "gauge", "mode": "basic"},
				})
		}
		if len(properties) > 0 {
			p.overrides = append(p.overrides, override{c.title, properties})
		}
	}
	p.transformations = append(p.transformations,
		dashboard.DataTransformerConfig{
			Id: "joinByField", Options: map[string]any{"byField": label, "mode": "outer"},
		},
		dashboard.DataTransformerConfig{
			Id: "organize", Options: map[string]any{
				"excludeByName": hidden, "indexByName": order, "renameByName": names,
			},
		})
	return p.table(common.TableSortByFieldState{DisplayName: sortBy, Desc: new(true)})
}

// table shows the present samples of queries as a table.
func (p panel) table(sortBy ...common.TableSortByFieldState) *dashboard.PanelBuilder {
	options := table.NewOptions()
	options.ShowHeader, options.CellHeight = true, cog.ToPtr(common.TableCellHeightSm)
	options.SortBy = sortBy
	return p.build("table", options, common.NewTableFieldOptions(), func(t *prometheus.DataqueryBuilder) {
		t.Instant().Format(prometheus.PromQueryFormatTable)
	})
}

// matrix shows samples with two labels as a table whose cells are coloured by their value.
func (p panel) matrix(row, columnLabel string, rowNames map[string]mapping) *dashboard.PanelBuilder {
	for _, label := range []string{row, columnLabel} { // the last one decides, the first one among its equals
		p.transformations = append(p.transformations, dashboard.DataTransformerConfig{
			Id: "sortBy", Options: map[string]any{"sort": []map[string]string{{"field": label}}},
		})
	}
	p.transformations = append(p.transformations, dashboard.DataTransformerConfig{
		Id: "groupingToMatrix", Options: map[string]string{
			"rowField": row, "columnField": columnLabel, "valueField": "Value",
		},
	})
	p.overrides = append(p.overrides, override{row + `\` + columnLabel, []dashboard.DynamicConfigValue{
		{Id: "mappings", Value: []dashboard.ValueMapping{valueMap(rowNames)}},
		{Id: "custom.cellOptions", Value: map[string]string{"type": "auto"}},
		{Id: "custom.width", Value: 60},
	}})
	options := table.NewOptions()
	options.ShowHeader, options.CellHeight = true, cog.ToPtr(common.TableCellHeightSm)
	custom := map[string]any{
		"align": "center", "inspect": false, "minWidth": 30,
		"cellOptions": map[string]any{"type": "color-background", "mode": "basic"},
	}
	b := p.build("table", options, custom, func(t *prometheus.DataqueryBuilder) {
		t.Instant().Format(prometheus.PromQueryFormatTable)
	})
	return b.ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdContinuousBlues))
}

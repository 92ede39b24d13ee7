// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Tables: joined queries with a column for each, and matrices of two labels.
import { format, mapped, overridden } from "./format.js";
import { element } from "./element.js";

function transformation(panel, id) {
  return (panel.transformations ?? []).find((candidate) => candidate.id === id)?.options;
}

/** joined returns the rows of a table: an object with the value of each column. */
function joined(panel, series) {
  const { byField } = transformation(panel, "joinByField");
  const rows = new Map();
  for (const { refId, labels, points } of series) {
    const key = labels[byField] ?? "";
    if (!rows.has(key)) {
      rows.set(key, { [byField]: key });
    }
    rows.get(key)[panel.targets.length > 1 ? `Value #${refId}` : "Value"] = points.at(-1)[1];
  }
  return [...rows.values()];
}

/** cell writes a value, as a bar if the column has cells of that type. */
function cell(panel, title, value, most) {
  if (value === undefined) {
    return element("td");
  }
  if (typeof value === "string") {
    return element("td", { title: value }, value);
  }
  const { unit, decimals } = panel.fieldConfig.defaults;
  const text = format(value, overridden(panel, title, "unit") ?? unit, decimals);
  if (overridden(panel, title, "custom.cellOptions")?.type !== "gauge") {
    return element("td", {}, text);
  }
  const bar = element("i");
  bar.style.width = `${most > 0 ? (100 * value) / most : 0}%`;
  bar.style.background = overridden(panel, title, "color").fixedColor;
  return element("td", {}, element("div", { class: "gauge" }, bar, element("span", {}, text)));
}

/** drawTable draws joined queries. */
function drawTable(panel, series) {
  const { indexByName, renameByName } = transformation(panel, "organize");
  const columns = Object.keys(indexByName).sort((a, b) => indexByName[a] - indexByName[b]);
  const rows = joined(panel, series);
  const sortBy = panel.options.sortBy?.[0]?.displayName;
  const sortColumn = columns.find((column) => renameByName[column] === sortBy);
  rows.sort((a, b) => (b[sortColumn] ?? -1) - (a[sortColumn] ?? -1));
  const most = Object.fromEntries(columns.map((c) => [c, Math.max(...rows.map((row) => Number(row[c]) || 0))]));
  const head = element("tr", {}, ...columns.map((column) => element("th", {}, renameByName[column])));
  const body = rows.map((row) => element("tr", {}, ...columns.map((column) =>
    cell(panel, renameByName[column], row[column], most[column]))));
  const table = element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
  return element("div", { class: "scroll" }, table);
}

/** shade returns a blue from dark to light for a share of the largest value. */
function shade(share) {
  const dark = [24, 32, 48], light = [87, 148, 242];
  return `rgb(${dark.map((from, i) => Math.round(from + (light[i] - from) * Math.sqrt(share))).join(",")})`;
}

/** drawMatrix draws a row and a column for the values of two labels. */
function drawMatrix(panel, series) {
  const { rowField, columnField } = transformation(panel, "groupingToMatrix");
  const values = new Map(series.map((s) => [`${s.labels[rowField]} ${s.labels[columnField]}`, s.points.at(-1)[1]]));
  const distinct = (label) => [...new Set(series.map((s) => s.labels[label]))].sort();
  const most = Math.max(...values.values(), 1);
  const names = overridden(panel, `${rowField}\\${columnField}`, "mappings");
  const columns = distinct(columnField);
  const rows = distinct(rowField).map((row) => element("tr", {},
    element("td", {}, mapped(names, row)?.text ?? row),
    ...columns.map((column) => {
      const value = values.get(`${row} ${column}`);
      const td = element("td", {}, value === undefined ? "" : format(value, panel.fieldConfig.defaults.unit));
      td.style.background = shade((value ?? 0) / most);
      return td;
    })));
  const head = element("tr", {}, element("th"), ...columns.map((column) => element("th", {}, column)));
  return element("table", { class: "matrix" }, element("thead", {}, head), element("tbody", {}, ...rows));
}

/** draw draws a panel of type table. */
export function draw(panel, series) {
  return transformation(panel, "groupingToMatrix") ? drawMatrix(panel, series) : drawTable(panel, series);
}

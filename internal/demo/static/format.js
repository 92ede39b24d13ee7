// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Values as Grafana writes them, by their units, and the colours of values and series.

const palette = [
  "#7EB26D", "#EAB839", "#6ED0E0", "#EF843C", "#E24D42", "#1F78C1", "#BA43A9", "#705DA0", "#508642", "#CCA300",
];

/** digits rounds a number to three digits that count, or to a number of decimals. */
function digits(value, decimals) {
  if (decimals !== undefined) {
    return value.toFixed(decimals);
  }
  const text = Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

function inUnits(value, units, decimals) {
  for (const [size, name] of units) {
    if (Math.abs(value) >= size) {
      return digits(value / size, decimals) + name;
    }
  }
  return digits(value, decimals);
}

/** format writes a value with its unit. */
export function format(value, unit, decimals) {
  switch (unit) {
    case "percentunit":
      return digits(value * 100, decimals) + "%";
    case "m":
      return format(value * 60, "s", decimals);
    case "s": {
      if (value !== 0 && Math.abs(value) < 1) {
        return inUnits(value * 1e6, [[1e3, " ms"], [1, " µs"]], decimals);
      }
      const units = [[7 * 86400, " weeks"], [86400, " days"], [3600, " hours"], [60, " mins"], [1, " s"]];
      return value === 0 ? "0 s" : inUnits(value, units, decimals);
    }
    case "short":
      return inUnits(value, [[1e9, " Bil"], [1e6, " Mil"], [1e3, " K"]], decimals);
    default:
      return digits(value, decimals);
  }
}

/** thresholdColor is the colour of the last threshold that a value reaches. */
function thresholdColor(defaults, value) {
  let color = palette[0];
  for (const step of defaults.thresholds?.steps ?? []) {
    if (step.value === null || value >= step.value) {
      color = step.color;
    }
  }
  return color;
}

/** overridden returns a property that overrides set for a name. */
export function overridden(panel, name, id) {
  for (const override of panel.fieldConfig.overrides ?? []) {
    if (override.matcher.id === "byName" && override.matcher.options === name) {
      const found = override.properties.find((property) => property.id === id);
      if (found) {
        return found.value;
      }
    }
  }
  return undefined;
}

/** mapped returns the text and the colour of a value that is mapped. */
export function mapped(mappings, value) {
  for (const mapping of mappings ?? []) {
    const result = mapping.type === "value" ? mapping.options[String(value)] : undefined;
    if (result) {
      return result;
    }
  }
  return undefined;
}

/** colorOf returns the colour of a value of a series, which is the one at an index of its panel. */
export function colorOf(panel, name, value, index) {
  const { defaults } = panel.fieldConfig;
  const fixed = overridden(panel, name, "color")?.fixedColor;
  if (fixed) {
    return fixed;
  }
  switch (defaults.color?.mode) {
    case "fixed":
      return defaults.color.fixedColor;
    case "thresholds":
      return mapped(defaults.mappings, value)?.color ?? thresholdColor(defaults, value);
    default:
      return palette[index % palette.length];
  }
}

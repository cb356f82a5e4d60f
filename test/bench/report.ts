/** What a section of the bench found, and how it is printed: plain text for the terminal, Markdown for docs. */

export interface Goal {
  what: string;
  value: number;
  /** The bound that `value` must keep. */
  atLeast?: number;
  atMost?: number;
}

export interface Section {
  title: string;
  /** How it was measured, one sentence each. */
  notes: string[];
  columns: string[];
  rows: string[][];
  goals: Goal[];
}

export function isMet({ value, atLeast, atMost }: Goal): boolean {
  return value >= (atLeast ?? Number.NEGATIVE_INFINITY) && value <= (atMost ?? Infinity);
}

export function goalLine(goal: Goal): string {
  const bound = goal.atLeast === undefined ? `at most ${goal.atMost}` : `at least ${goal.atLeast}`;
  return `${isMet(goal) ? "met" : "MISSED"}: ${goal.what} ${round(goal.value)} (${bound})`;
}

export function printed(section: Section): string {
  const table = [section.columns, ...section.rows];
  const widths = section.columns.map((_, column) =>
    Math.max(...table.map((row) => (row[column] ?? "").length)),
  );
  const lines = table.map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  "),
  );
  return [`\n${section.title}`, ...section.notes.map((note) => `  ${note}`), ...lines]
    .concat(section.goals.map(goalLine))
    .join("\n");
}

export function markdown(section: Section): string {
  const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [
    `## ${section.title}`,
    section.notes.join(" "),
    [
      row(section.columns),
      row(section.columns.map((_, column) => (column === 0 ? "---" : "---:"))),
      ...section.rows.map(row),
    ].join("\n"),
    section.goals.map((goal) => `- ${goalLine(goal)}`).join("\n"),
  ].join("\n\n");
}

/** Three digits that matter. */
export function round(value: number): string {
  if (!Number.isFinite(value)) return "-";
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toFixed(digits);
}

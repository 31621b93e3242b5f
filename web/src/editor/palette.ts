// Colors of labels: apart from each other, and seen on any photo.

import type { Label } from "../project/store";

export const PALETTE = [
  "#2dd4bf",
  "#fb923c",
  "#a78bfa",
  "#facc15",
  "#60a5fa",
  "#f472b6",
  "#a3e635",
  "#f87171",
  "#22d3ee",
  "#e879f9",
  "#34d399",
  "#fda4af",
] as const;

export const UNNAMED = "object";

/** The first color that no label has, or the one that fewest have. */
export function nextColor(labels: readonly Label[]): string {
  const uses = (color: string) => labels.filter((label) => label.color === color).length;
  return [...PALETTE].sort((a, b) => uses(a) - uses(b))[0];
}

export function colorOf(labels: readonly Label[], name: string): string {
  return labels.find((label) => label.name === name)?.color ?? PALETTE[0];
}

/** `color` (#rrggbb) with an opacity from 0 to 1. */
export function translucent(color: string, opacity: number): string {
  const value = Number.parseInt(color.slice(1), 16);
  return `rgba(${value >> 16}, ${(value >> 8) & 255}, ${value & 255}, ${opacity})`;
}

/** Labels as they are offered: those used last come first. */
export function recentFirst(labels: readonly Label[], recent: readonly string[]): Label[] {
  const place = (label: Label) => {
    const index = recent.indexOf(label.name);
    return index < 0 ? recent.length : index;
  };
  return [...labels].sort((a, b) => place(a) - place(b));
}

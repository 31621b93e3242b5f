// Two people changed one image: what each did is kept, layer by layer.

import type { Annotations, Layer } from "./store";

/**
 * `mine` over `theirs`, both made from `base`. A layer that only one of them touched is as that one left it; one that
 * both changed is mine; one that I changed and they removed, or the other way round, stays.
 */
export function mergeAnnotations(base: Annotations, mine: Annotations, theirs: Annotations): Annotations {
  const before = byId(base.layers);
  const ours = byId(mine.layers);
  const other = byId(theirs.layers);
  const resolve = (id: string): Layer | undefined => {
    const [was, my, their] = [before.get(id), ours.get(id), other.get(id)];
    if (!my) return was && same(was, their) ? undefined : was ? their : their;
    if (!their) return was && same(was, my) ? undefined : my;
    return was && same(was, my) ? their : my;
  };
  const order = [...mine.layers.map((layer) => layer.id), ...theirs.layers.map((layer) => layer.id)];
  const layers = [...new Set(order)].map(resolve).filter((layer) => layer !== undefined);
  return { revision: theirs.revision, done: mine.done === base.done ? theirs.done : mine.done, layers };
}

function byId(layers: readonly Layer[]): Map<string, Layer> {
  return new Map(layers.map((layer) => [layer.id, layer]));
}

function same(one: Layer, other: Layer | undefined): boolean {
  return one === other || JSON.stringify(sorted(one)) === JSON.stringify(other && sorted(other));
}

/** The fields that are set, in one order: a layer that went through the server compares with its original. */
function sorted(layer: Layer): [string, unknown][] {
  return Object.entries(layer)
    .filter(([, value]) => value !== undefined && value !== null && value !== false)
    .sort(([a], [b]) => a.localeCompare(b));
}
